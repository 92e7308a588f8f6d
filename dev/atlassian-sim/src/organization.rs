//! Organisations, as their administrators see them: API keys, and the API tokens of managed
//! accounts.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::sim::Sim;
use crate::token::Token;

/// The scope without which no list of API tokens is given (Atlassian documentation).
pub(crate) const READ_TOKENS: &str = "read:tokens:admin";

/// Everything about organisations.
#[derive(Debug, Default)]
pub(crate) struct Organizations {
    pub(crate) by_id: HashMap<String, Record>,
    /// What a list says of a token beside what the token itself knows; by its id.
    entries: HashMap<Arc<str>, Entry>,
}

/// An organisation as the server keeps it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) settings: OrganizationSettings,
    /// The e-mails (lower case) of the accounts that it manages.
    pub(crate) managed: HashSet<String>,
    pub(crate) keys: HashMap<String, KeyRecord>,
}

/// An API key of an organisation as the server keeps it.
#[derive(Debug)]
pub(crate) struct KeyRecord {
    pub(crate) id: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) revoked: bool,
}

/// What a list says of a token.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The order of creation.
    pub(crate) number: u64,
    pub(crate) label: String,
    pub(crate) blocked: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) last_active_at: Option<DateTime<Utc>>,
}

/// How an organisation's lists look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationSettings {
    /// Entries on a page.
    pub page_size: usize,
    /// `links.next` is the bare cursor instead of an address; both are in use among the
    /// administrative APIs of Atlassian.
    pub bare_cursors: bool,
    /// The host in `links.next`, instead of the one that was asked.
    pub next_host: Option<String>,
    /// Entries name their users by e-mail only.
    pub without_ids: bool,
}

impl Default for OrganizationSettings {
    fn default() -> Self {
        Self {
            page_size: 100,
            bare_cursors: false,
            next_host: None,
            without_ids: false,
        }
    }
}

impl Organizations {
    /// A token begins its life.
    pub(crate) fn born(&mut self, id: &Arc<str>, number: u64, now: DateTime<Utc>) {
        let entry = Entry {
            number,
            label: format!("{id}-label"),
            blocked: false,
            created_at: now,
            last_active_at: None,
        };
        self.entries.insert(Arc::clone(id), entry);
    }

    /// A token was accepted somewhere.
    pub(crate) fn used(&mut self, id: &str, now: DateTime<Utc>) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.last_active_at = Some(now);
        }
    }

    pub(crate) fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// The organisation and the key with this secret.
    pub(crate) fn key(&self, secret: &str) -> Option<(&String, &KeyRecord)> {
        let found = |record: &(&String, &Record)| record.1.keys.contains_key(secret);
        let (id, record) = self.by_id.iter().find(found)?;
        Some((id, record.keys.get(secret)?))
    }
}

/// An API key of an organisation: its secret, and the id by which calls name it.
#[derive(Clone, PartialEq, Eq)]
pub struct OrganizationKey {
    id: String,
    secret: String,
}

impl OrganizationKey {
    /// The id in the call log. No secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The value of an `Authorization` header that carries it.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.secret)
    }
}

impl fmt::Debug for OrganizationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrganizationKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// An organisation. Clones mean the same one.
#[derive(Debug, Clone)]
pub struct Organization {
    sim: Sim,
    id: String,
}

impl Organization {
    pub(crate) fn new(sim: Sim) -> Self {
        let id = {
            let mut world = sim.shared.world();
            let id = world.rng.uuid();
            let record = Record {
                settings: OrganizationSettings::default(),
                managed: HashSet::new(),
                keys: HashMap::new(),
            };
            world.organizations.by_id.insert(id.clone(), record);
            id
        };
        Self { sim, id }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The path of the list of API tokens.
    pub fn tokens_path(&self) -> String {
        format!("/admin/api-access/v1/orgs/{}/api-tokens", self.id)
    }

    /// Changes the settings.
    pub fn configure(&self, change: impl FnOnce(&mut OrganizationSettings)) {
        self.with(|record| change(&mut record.settings));
    }

    /// The organisation manages this account from now on: its tokens are listed.
    pub fn manage(&self, email: &str) {
        self.with(|record| record.managed.insert(email.to_lowercase()));
    }

    /// Makes a key with the scopes. It ends a week from now, which is the default of Atlassian.
    pub fn key(&self, scopes: &[&str]) -> OrganizationKey {
        let now = self.sim.clock().now();
        let mut world = self.sim.shared.world();
        let secret = world.rng.cloud_token("ATCTT3xFfGN0");
        let number = world.rng.suffix();
        let id = format!("key-{number}");
        let key = KeyRecord {
            id: id.clone(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            expires_at: now + TimeDelta::weeks(1),
            revoked: false,
        };
        if let Some(record) = world.organizations.by_id.get_mut(&self.id) {
            record.keys.insert(secret.clone(), key);
        }
        OrganizationKey { id, secret }
    }

    /// Makes a key that may read the list of API tokens.
    pub fn reading_key(&self) -> OrganizationKey {
        self.key(&[READ_TOKENS])
    }

    /// Revokes a key.
    pub fn revoke(&self, key: &OrganizationKey) {
        self.with(|record| {
            if let Some(key) = record.keys.get_mut(&key.secret) {
                key.revoked = true;
            }
        });
    }

    /// Lets a key end at `at`, in virtual time.
    pub fn expire_at(&self, key: &OrganizationKey, at: DateTime<Utc>) {
        self.with(|record| {
            if let Some(key) = record.keys.get_mut(&key.secret) {
                key.expires_at = at;
            }
        });
    }

    /// Gives a token the label under which it is listed.
    pub fn label(&self, token: &Token, label: &str) {
        self.with_entry(token, |entry| label.clone_into(&mut entry.label));
    }

    /// Lists a token as `BLOCKED`, or as allowed again. What Jira answers to a blocked token is
    /// not documented: here it goes on accepting it.
    pub fn block(&self, token: &Token, blocked: bool) {
        self.with_entry(token, |entry| entry.blocked = blocked);
    }

    /// Lists a token as made at this time.
    pub fn made_at(&self, token: &Token, at: DateTime<Utc>) {
        self.with_entry(token, |entry| entry.created_at = at);
    }

    /// When a token was last accepted.
    pub fn last_active(&self, token: &Token) -> Option<DateTime<Utc>> {
        let world = self.sim.shared.world();
        world.organizations.entry(token.id())?.last_active_at
    }

    fn with<T>(&self, act: impl FnOnce(&mut Record) -> T) {
        if let Some(record) = self
            .sim
            .shared
            .world()
            .organizations
            .by_id
            .get_mut(&self.id)
        {
            act(record);
        }
    }

    fn with_entry(&self, token: &Token, act: impl FnOnce(&mut Entry)) {
        let mut world = self.sim.shared.world();
        if let Some(entry) = world.organizations.entries.get_mut(token.id()) {
            act(entry);
        }
    }
}
