//! Everything that exists: sites, instances, accounts, tokens.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};

use crate::calls::Verdict;
use crate::ids::Rng;
use crate::issues::Projects;
use crate::links::Links;
use crate::oauth::{OAuth, Source};
use crate::organization::Organizations;
use crate::permissions::Permissions;
use crate::person::ConsentCounts;
use crate::settings::{CloudSettings, DataCenterSettings, UserState};
use crate::token::{Token, TokenKind};

/// What answers on a host.
#[derive(Debug)]
pub(crate) enum Place {
    Cloud(Site),
    Gateway,
    Auth,
    DataCenter(Instance),
    /// Takes webhooks.
    Webhook(Vec<crate::webhook::Received>),
}

/// A Cloud site.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) settings: CloudSettings,
    /// The e-mails (lower case) of the accounts with access.
    pub(crate) members: HashSet<String>,
    /// Behind a lock of its own: answers are made with the rest of the world in view.
    pub(crate) projects: Mutex<Projects>,
}

/// An Atlassian account; one account serves all sites, as at Atlassian.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) service: bool,
    pub(crate) state: UserState,
    pub(crate) password: Option<String>,
    pub(crate) permissions: Permissions,
}

/// A Data Center instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) settings: DataCenterSettings,
    pub(crate) users: HashMap<String, DcUser>,
    pub(crate) requests: u64,
    pub(crate) links: Box<Links>,
    pub(crate) kept: Box<crate::dc::Kept>,
    pub(crate) projects: Projects,
}

/// A user of a Data Center instance.
#[derive(Debug, Clone)]
pub(crate) struct DcUser {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) email: String,
    pub(crate) state: UserState,
    pub(crate) password: Option<String>,
    pub(crate) failed_logins: u32,
    /// Logins that were denied without a look at the password.
    pub(crate) denied_logins: u32,
    pub(crate) logins: Box<Logins>,
    pub(crate) permissions: Permissions,
}

/// What Jira counts of a user's logins, ever.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Logins {
    pub(crate) good: u64,
    pub(crate) failed: u64,
    pub(crate) last: Option<DateTime<Utc>>,
    /// The good login before the last.
    pub(crate) previous: Option<DateTime<Utc>>,
    pub(crate) last_failed: Option<DateTime<Utc>>,
}

impl Logins {
    pub(crate) fn succeed(&mut self, now: DateTime<Utc>) {
        self.good += 1;
        self.previous = self.last.replace(now);
    }

    pub(crate) fn fail(&mut self, now: DateTime<Utc>) {
        self.failed += 1;
        self.last_failed = Some(now);
    }
}

/// A token as the server keeps it.
#[derive(Debug, Clone)]
pub(crate) struct TokenRecord {
    pub(crate) id: Arc<str>,
    pub(crate) kind: TokenKind,
    /// E-mail in lower case, or user name on a Data Center instance.
    pub(crate) owner: String,
    /// The Data Center instance it belongs to.
    pub(crate) host: Option<String>,
    /// Empty for a token without scopes.
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) revoked: bool,
    /// Revoked from this time on.
    pub(crate) revoked_from: Option<DateTime<Utc>>,
    /// What an access token of OAuth 2.0 was given for.
    pub(crate) source: Option<Source>,
    /// What its owner calls it.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) created: DateTime<Utc>,
    /// When it was last accepted; noted of personal access tokens.
    pub(crate) last_used: Option<DateTime<Utc>>,
}

impl TokenRecord {
    pub(crate) fn expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// The whole state, behind one lock: a request holds it for some microseconds.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) places: HashMap<String, Place>,
    /// cloudId to host.
    pub(crate) cloud_ids: HashMap<String, String>,
    pub(crate) accounts: HashMap<String, Account>,
    pub(crate) oauth: OAuth,
    pub(crate) organizations: Organizations,
    pub(crate) consents: ConsentCounts,
    tokens: HashMap<Arc<str>, TokenRecord>,
    by_secret: HashMap<Arc<str>, Arc<str>>,
    next_token: u64,
    next_dc_user: u64,
    next_session: u64,
}

impl World {
    pub(crate) fn new(gateways: &[String], auths: &[String]) -> Self {
        let gateways = gateways
            .iter()
            .map(|host| (host.to_ascii_lowercase(), Place::Gateway));
        let auths = auths
            .iter()
            .map(|host| (host.to_ascii_lowercase(), Place::Auth));
        Self {
            rng: Rng::from_process(),
            places: gateways.chain(auths).collect(),
            cloud_ids: HashMap::new(),
            accounts: HashMap::new(),
            oauth: OAuth::default(),
            organizations: Organizations::default(),
            consents: ConsentCounts::default(),
            tokens: HashMap::new(),
            by_secret: HashMap::new(),
            next_token: 0,
            next_dc_user: 10_000,
            next_session: 0,
        }
    }

    /// Makes the site unless it exists; its settings stay as they are.
    pub(crate) fn ensure_site(&mut self, host: &str) {
        if matches!(self.places.get(host), Some(Place::Cloud(_))) {
            return;
        }
        let cloud_id = self.rng.uuid();
        self.cloud_ids.insert(cloud_id.clone(), host.to_owned());
        let settings = CloudSettings {
            cloud_id,
            ..CloudSettings::default()
        };
        let site = Site {
            settings,
            members: HashSet::new(),
            projects: Mutex::default(),
        };
        self.places.insert(host.to_owned(), Place::Cloud(site));
    }

    pub(crate) fn ensure_instance(&mut self, host: &str) {
        if matches!(self.places.get(host), Some(Place::DataCenter(_))) {
            return;
        }
        let settings = DataCenterSettings::default();
        let instance = Instance {
            settings,
            users: HashMap::new(),
            requests: 0,
            links: Box::default(),
            kept: Box::default(),
            projects: Projects::default(),
        };
        self.places
            .insert(host.to_owned(), Place::DataCenter(instance));
    }

    pub(crate) fn site(&self, host: &str) -> Option<&Site> {
        match self.places.get(host) {
            Some(Place::Cloud(site)) => Some(site),
            _ => None,
        }
    }

    pub(crate) fn site_mut(&mut self, host: &str) -> Option<&mut Site> {
        match self.places.get_mut(host) {
            Some(Place::Cloud(site)) => Some(site),
            _ => None,
        }
    }

    pub(crate) fn instance(&self, host: &str) -> Option<&Instance> {
        match self.places.get(host) {
            Some(Place::DataCenter(instance)) => Some(instance),
            _ => None,
        }
    }

    pub(crate) fn instance_mut(&mut self, host: &str) -> Option<&mut Instance> {
        match self.places.get_mut(host) {
            Some(Place::DataCenter(instance)) => Some(instance),
            _ => None,
        }
    }

    /// Changes a site's settings, and keeps the index of cloudIds right.
    pub(crate) fn configure_site(&mut self, host: &str, change: impl FnOnce(&mut CloudSettings)) {
        let Some(site) = self.site_mut(host) else {
            return;
        };
        let before = site.settings.cloud_id.clone();
        change(&mut site.settings);
        if site.settings.cloud_id.is_empty() {
            site.settings.cloud_id.clone_from(&before);
        }
        let after = site.settings.cloud_id.clone();
        self.cloud_ids.remove(&before);
        self.cloud_ids.insert(after, host.to_owned());
    }

    /// Makes the account unless it exists, and lets it into the site.
    pub(crate) fn ensure_account(
        &mut self,
        host: &str,
        email: &str,
        service: bool,
    ) -> &mut Account {
        let key = email.to_lowercase();
        if let Some(site) = self.site_mut(host) {
            site.members.insert(key.clone());
        }
        let rng = &mut self.rng;
        self.accounts.entry(key).or_insert_with(|| Account {
            id: rng.account_id(),
            email: email.to_owned(),
            display_name: display_name(email),
            service,
            state: UserState::Active,
            password: None,
            permissions: Permissions::default(),
        })
    }

    /// Makes the user unless it exists. `None` if there is no such instance.
    pub(crate) fn ensure_user(&mut self, host: &str, name: &str) -> Option<&mut DcUser> {
        let number = self.next_dc_user;
        let instance = self.instance_mut(host)?;
        let lower = name.to_lowercase();
        if !instance.users.contains_key(&lower) {
            let user = DcUser {
                key: format!("JIRAUSER{number}"),
                name: name.to_owned(),
                display_name: display_name(name),
                email: format!("{lower}@dc.example"),
                state: UserState::Active,
                password: None,
                failed_logins: 0,
                denied_logins: 0,
                logins: Box::default(),
                permissions: Permissions::default(),
            };
            instance.users.insert(lower.clone(), user);
            self.next_dc_user += 1;
        }
        self.instance_mut(host)?.users.get_mut(&lower)
    }

    /// Issues a token. Cloud tokens live a year at most, which is also their default; a Data
    /// Center token is endless unless told otherwise.
    pub(crate) fn issue(&mut self, order: &TokenOrder<'_>, now: DateTime<Utc>) -> Token {
        let secret: Arc<str> = match order.kind {
            _ if order.secret.is_some() => order.secret.unwrap_or_default().into(),
            TokenKind::Classic | TokenKind::Scoped => self.rng.cloud_token("ATATT3xFfGF0").into(),
            TokenKind::ServiceAccount | TokenKind::Access => {
                self.rng.cloud_token("ATSTT3xFfGF0").into()
            }
            TokenKind::PersonalAccess => self.rng.personal_access_token().into(),
            TokenKind::Link => self.rng.opaque(32).into(),
        };
        self.next_token += 1;
        let id: Arc<str> = format!("token-{}", self.next_token).into();
        self.organizations.born(&id, self.next_token, now);
        let expires_at = match order.kind {
            TokenKind::PersonalAccess => None,
            // As `oauth_expires_in` was seen to say.
            TokenKind::Link => now.checked_add_signed(TimeDelta::seconds(157_680_000)),
            _ => now.checked_add_signed(TimeDelta::days(365)),
        };
        let record = TokenRecord {
            id: Arc::clone(&id),
            kind: order.kind,
            owner: order.owner.to_lowercase(),
            host: order.host.map(str::to_owned),
            scopes: order.scopes.to_vec(),
            expires_at,
            revoked: false,
            revoked_from: None,
            source: None,
            name: format!("made by hand {}", self.next_token),
            created: now,
            last_used: None,
        };
        self.keep_token(Arc::clone(&secret), record);
        Token::new(id, secret, order.owner.into(), order.kind)
    }

    pub(crate) fn keep_token(&mut self, secret: Arc<str>, record: TokenRecord) {
        self.by_secret.insert(secret, Arc::clone(&record.id));
        self.tokens.insert(Arc::clone(&record.id), record);
    }

    /// The id of an access token of OAuth 2.0.
    pub(crate) fn access_id(&self, secret: &str) -> Option<Arc<str>> {
        self.token_by_secret(secret)
            .filter(|token| token.kind == TokenKind::Access)
            .map(|token| Arc::clone(&token.id))
    }

    /// Why a token is over, if it is.
    pub(crate) fn token_over(&self, token: &TokenRecord, now: DateTime<Utc>) -> Option<Verdict> {
        let from = token.revoked_from;
        if token.revoked || from.is_some_and(|start| start <= now) {
            return Some(Verdict::Revoked);
        }
        let expired = token.expired(now).then_some(Verdict::Expired);
        let source = token.source.as_ref();
        source
            .and_then(|source| self.oauth.origin_over(source, now))
            .or(expired)
    }

    /// The id of a new session in the logs.
    pub(crate) fn session_id(&mut self) -> String {
        self.next_session += 1;
        format!("session-{}", self.next_session)
    }

    /// A user name for the logs: never a secret, even if somebody sends one in the user's place.
    pub(crate) fn user_in_log(&self, name: &str) -> String {
        match self.token_by_secret(name) {
            Some(token) => format!("({})", token.id),
            None => name.to_owned(),
        }
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = &TokenRecord> {
        self.tokens.values()
    }

    pub(crate) fn token(&self, id: &str) -> Option<&TokenRecord> {
        self.tokens.get(id)
    }

    pub(crate) fn token_mut(&mut self, id: &str) -> Option<&mut TokenRecord> {
        self.tokens.get_mut(id)
    }

    pub(crate) fn token_by_secret(&self, secret: &str) -> Option<&TokenRecord> {
        self.by_secret
            .get(secret)
            .and_then(|id| self.tokens.get(id))
    }
}

/// What to issue.
pub(crate) struct TokenOrder<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) owner: &'a str,
    pub(crate) host: Option<&'a str>,
    pub(crate) scopes: &'a [String],
    /// A secret given from outside, instead of a generated one.
    pub(crate) secret: Option<&'a str>,
}

/// `jane.doe@example` becomes `Jane Doe`.
fn display_name(name: &str) -> String {
    let local = name.split('@').next().unwrap_or(name);
    let words = local
        .split(['.', '-', '_'])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().collect::<String>() + letters.as_str()
            })
        });
    words.collect::<Vec<_>>().join(" ")
}
