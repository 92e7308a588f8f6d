//! The handle on a consent.

use std::fmt;
use std::sync::Arc;

use crate::cloud_site::CloudSite;
use crate::sim::Sim;

use super::families::{Resource, Standing};

/// The scopes of a Confluence entry: enough to be told from a Jira one.
const CONFLUENCE: [&str; 3] = [
    "read:page:confluence",
    "read:space:confluence",
    "read:user:confluence",
];

/// A person's consent, and the family of tokens that came of it. Clones mean the same one.
#[derive(Clone)]
pub struct Consent {
    sim: Sim,
    family: u64,
    refresh: Arc<str>,
    access: Arc<str>,
}

impl Consent {
    pub(crate) fn new(sim: Sim, family: u64, refresh: Arc<str>, access: Arc<str>) -> Self {
        Self {
            sim,
            family,
            refresh,
            access,
        }
    }

    /// The first refresh token. Without the scope `offline_access` there is none, and this is
    /// a value that the endpoint does not know.
    pub fn refresh_token(&self) -> String {
        self.refresh.to_string()
    }

    /// The first access token.
    pub fn access_token(&self) -> String {
        self.access.to_string()
    }

    /// The family's number, as in the ledger.
    pub fn family(&self) -> u64 {
        self.family
    }

    /// Whether the family lives: nothing killed it, its time is not over, and one of its refresh
    /// tokens (if it ever had one) can still be exchanged.
    pub fn is_alive(&self) -> bool {
        let now = self.sim.clock().now();
        self.sim.shared.world().oauth.lives(self.family, now)
    }

    /// Whether the token is the living end of a branch of the family: never exchanged, and good
    /// for an exchange now. After a replay there may be several. `false` once the family is dead.
    pub fn holds_newest(&self, token: &str) -> bool {
        matches!(self.standing(token), Some(Standing::Fresh))
    }

    /// Whether the token can be exchanged now without harm: as [`Consent::holds_newest`], or
    /// rotated away a moment ago and still within the leeway.
    pub fn can_exchange(&self, token: &str) -> bool {
        matches!(
            self.standing(token),
            Some(Standing::Fresh | Standing::Leeway(_))
        )
    }

    fn standing(&self, token: &str) -> Option<Standing> {
        let now = self.sim.clock().now();
        let oauth = &self.sim.shared.world().oauth;
        let token = oauth
            .token(token)
            .filter(|token| token.family == self.family)?;
        Some(oauth.standing(token, now))
    }

    /// The person revokes the consent: every token of the family is dead.
    pub fn revoke(&self) {
        self.sim.shared.world().oauth.kill(self.family);
    }

    /// The consent covers Confluence on this site as well: accessible-resources lists the site
    /// once more, with scopes of Confluence, before its entry for Jira.
    #[must_use]
    pub fn also_confluence(self, site: &CloudSite) -> Self {
        self.add_confluence(site.host());
        self
    }

    pub(crate) fn add_confluence(&self, host: &str) {
        let scopes: Vec<String> = CONFLUENCE.map(str::to_owned).into();
        let mut world = self.sim.shared.world();
        let Some(family) = world.oauth.family_mut(self.family) else {
            return;
        };
        let order = &mut family.order;
        let at = order.resources.iter().position(|known| known.host == host);
        order.scopes.extend(scopes.iter().cloned());
        let entry = Resource {
            host: host.to_owned(),
            scopes,
        };
        order.resources.insert(at.unwrap_or(0), entry);
    }
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consent")
            .field("family", &self.family)
            .finish_non_exhaustive()
    }
}
