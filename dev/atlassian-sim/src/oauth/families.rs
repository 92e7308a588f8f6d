//! Clients, families of refresh tokens, and what a refresh token is worth at a given time.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::calls::Verdict;

use super::codes::Codes;
use super::ledger::Ledger;
use super::settings::{DataCenterOAuthSettings, OAuthSettings};

/// What an access token was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A consent, by the number of its family.
    Family(u64),
    /// A service account's client, by its id.
    Client(String),
}

/// One entry of accessible-resources: a site, and what is allowed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) host: String,
    pub(crate) scopes: Vec<String>,
}

/// The service account behind a client.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// E-mail in lower case.
    pub(crate) owner: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) resources: Vec<Resource>,
}

/// A client of the token endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    /// Oldest first; each of them is good.
    pub(crate) secrets: Vec<String>,
    /// None for an app that acts for people.
    pub(crate) service: Option<Service>,
    /// Set for a client of a Data Center instance, which its token endpoint alone knows.
    pub(crate) link: Option<Link>,
    /// The callback registered for an app on Cloud, which has one at most.
    pub(crate) callback: Option<String>,
}

/// What a Data Center instance knows of a client.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) host: String,
    /// None for a service account.
    pub(crate) redirect_uris: Vec<String>,
    /// When a service account's credential ends, if it does.
    pub(crate) ends: Option<DateTime<Utc>>,
}

/// What a person consents to.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) client: String,
    /// E-mail in lower case.
    pub(crate) owner: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) resources: Vec<Resource>,
    /// Where the code was sent, for a consent on a Data Center instance.
    pub(crate) redirect_uri: Option<String>,
}

/// A consent, and all that came of it.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) order: Order,
    pub(crate) consented: DateTime<Utc>,
    pub(crate) killed: bool,
    /// Whether the consent gave a refresh token at all.
    pub(crate) offline: bool,
    /// The ids of the access tokens that no exchange has followed yet.
    pub(crate) access: Vec<Arc<str>>,
}

/// A pair as an exchange gives it.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) access: Arc<str>,
    pub(crate) refresh: Arc<str>,
}

/// A refresh token as the server keeps it.
#[derive(Debug)]
pub(crate) struct RefreshToken {
    pub(crate) id: String,
    pub(crate) family: u64,
    /// When it was issued or, without rotation, last exchanged.
    pub(crate) used: DateTime<Utc>,
    /// Its first exchange, and what that gave.
    pub(crate) exchanged: Option<(DateTime<Utc>, Pair)>,
}

/// What a refresh token is worth.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// Never exchanged: the newest, or an unused sibling.
    Fresh,
    /// Exchanged before, within the leeway.
    Leeway(Pair),
    /// Exchanged before, and the leeway is over: using it kills the family.
    Late,
    /// Worth nothing any more.
    Dead(Verdict),
}

/// The state of the token endpoint.
#[derive(Debug, Default)]
pub(crate) struct OAuth {
    pub(crate) settings: OAuthSettings,
    pub(crate) data_center: DataCenterOAuthSettings,
    pub(crate) ledger: Ledger,
    pub(crate) clients: HashMap<String, Client>,
    pub(crate) codes: Codes,
    families: HashMap<u64, Family>,
    /// By value.
    refresh: HashMap<Arc<str>, RefreshToken>,
    next_family: u64,
    next_refresh: u64,
    next_access: u64,
}

impl OAuth {
    /// Makes a family that holds no tokens yet; returns its number.
    pub(crate) fn found(&mut self, order: Order, offline: bool, now: DateTime<Utc>) -> u64 {
        self.next_family += 1;
        let family = Family {
            order,
            consented: now,
            killed: false,
            offline,
            access: Vec::new(),
        };
        self.families.insert(self.next_family, family);
        self.next_family
    }

    pub(crate) fn family(&self, number: u64) -> Option<&Family> {
        self.families.get(&number)
    }

    pub(crate) fn family_mut(&mut self, number: u64) -> Option<&mut Family> {
        self.families.get_mut(&number)
    }

    pub(crate) fn token(&self, value: &str) -> Option<&RefreshToken> {
        self.refresh.get(value)
    }

    pub(crate) fn token_mut(&mut self, value: &str) -> Option<&mut RefreshToken> {
        self.refresh.get_mut(value)
    }

    /// Adds a refresh token to a family; returns its id.
    pub(crate) fn add_refresh(&mut self, value: &Arc<str>, family: u64, now: DateTime<Utc>) {
        self.next_refresh += 1;
        let token = RefreshToken {
            id: format!("rt-{}", self.next_refresh),
            family,
            used: now,
            exchanged: None,
        };
        self.refresh.insert(Arc::clone(value), token);
    }

    /// The id for the next access token.
    pub(crate) fn next_access_id(&mut self) -> Arc<str> {
        self.next_access += 1;
        format!("at-{}", self.next_access).into()
    }

    /// Ends a family and all its tokens; says whether there is one.
    pub(crate) fn kill(&mut self, family: u64) -> bool {
        self.family_mut(family)
            .map(|family| family.killed = true)
            .is_some()
    }

    /// What the endpoint that gave a family's tokens goes by.
    pub(crate) fn rules(&self, family: u64) -> OAuthSettings {
        let client = self.family(family).map(|family| &family.order.client);
        match client.and_then(|client| self.instance_of(client)) {
            Some(_) => self.data_center.rules(),
            None => self.settings.clone(),
        }
    }

    /// The Data Center instance that a client belongs to.
    pub(crate) fn instance_of(&self, client: &str) -> Option<&str> {
        let link = self.clients.get(client)?.link.as_ref()?;
        Some(&link.host)
    }

    fn is_on_data_center(&self, family: u64) -> bool {
        let client = self.family(family).map(|family| &family.order.client);
        client.is_some_and(|client| self.instance_of(client).is_some())
    }

    /// Why a family is over, if it is.
    fn over(&self, number: u64, now: DateTime<Utc>) -> Option<Verdict> {
        let Some(family) = self.family(number) else {
            return Some(Verdict::Rejected);
        };
        if family.killed {
            Some(Verdict::Revoked)
        } else if now - family.consented >= self.rules(number).absolute {
            Some(Verdict::Expired)
        } else {
            None
        }
    }

    /// What a refresh token is worth now. In this order: the family's end, the token's own past,
    /// its idleness; a token that was exchanged long ago kills however idle it is.
    pub(crate) fn standing(&self, token: &RefreshToken, now: DateTime<Utc>) -> Standing {
        if let Some(verdict) = self.over(token.family, now) {
            return Standing::Dead(verdict);
        }
        let rules = self.rules(token.family);
        match &token.exchanged {
            // Data Center deletes what was exchanged, and has nothing to recognise it by.
            Some(_) if self.is_on_data_center(token.family) => Standing::Dead(Verdict::Revoked),
            Some((first, pair)) if now - *first < rules.leeway => Standing::Leeway(pair.clone()),
            Some(_) => Standing::Late,
            None if now - token.used >= rules.idle => Standing::Dead(Verdict::Expired),
            None => Standing::Fresh,
        }
    }

    /// Whether a family lives: not over, and with a refresh token that can still be exchanged,
    /// if it ever had one.
    pub(crate) fn lives(&self, number: u64, now: DateTime<Utc>) -> bool {
        let offline = self.family(number).is_some_and(|family| family.offline);
        let exchangeable = |token: &RefreshToken| {
            token.family == number
                && matches!(
                    self.standing(token, now),
                    Standing::Fresh | Standing::Leeway(_)
                )
        };
        self.over(number, now).is_none() && (!offline || self.refresh.values().any(exchangeable))
    }

    /// Why an access token's origin is over, if it is.
    pub(crate) fn origin_over(&self, source: &Source, now: DateTime<Utc>) -> Option<Verdict> {
        match source {
            Source::Family(number) => self.over(*number, now),
            Source::Client(_) => None,
        }
    }

    /// The entries of accessible-resources.
    pub(crate) fn resources(&self, source: &Source) -> &[Resource] {
        let resources = match source {
            Source::Family(number) => self.family(*number).map(|f| &f.order.resources),
            Source::Client(id) => self
                .clients
                .get(id)
                .and_then(|client| client.service.as_ref())
                .map(|service| &service.resources),
        };
        resources.map_or(&[], Vec::as_slice)
    }

    /// Whether a client validates itself at an endpoint: Atlassian's, or the one of a Data Center
    /// instance. A client without secrets never does.
    pub(crate) fn validates(&self, instance: Option<&str>, client: &str, secret: &str) -> bool {
        self.clients.get(client).is_some_and(|client| {
            let home = client.link.as_ref().map(|link| link.host.as_str());
            home == instance && client.secrets.iter().any(|known| known == secret)
        })
    }
}
