//! The handle on what a Data Center keeps: personal access tokens and sessions.

use chrono::{DateTime, Utc};

use crate::data_center::DataCenter;
use crate::dc::{Pat, tokens_of};

impl DataCenter {
    /// The personal access tokens of a user that were not revoked, the oldest first.
    pub fn pats_of(&self, user: &str) -> Vec<Pat> {
        tokens_of(&self.sim().shared.world(), self.host(), user)
    }

    /// Sets when a personal access token was made and when it ends, by its id.
    pub fn set_token_life(&self, id: &str, made: DateTime<Utc>, ends: DateTime<Utc>) {
        self.sim().change_token(id, |token| {
            token.created = made;
            token.expires_at = Some(ends);
        });
    }

    /// Whether a personal access token of this secret works at this time.
    pub fn accepts(&self, secret: &str) -> bool {
        let now = self.sim().clock().now();
        let world = self.sim().shared.world();
        world
            .token_by_secret(secret)
            .is_some_and(|token| world.token_over(token, now).is_none())
    }

    /// Sessions that were neither ended nor found to be over.
    pub fn live_sessions(&self) -> usize {
        let world = self.sim().shared.world();
        world
            .instance(self.host())
            .map_or(0, |instance| instance.kept.sessions.len())
    }

    /// Logins that succeeded, and sessions that were ended by a logout.
    pub fn logins_and_logouts(&self) -> (u64, u64) {
        let world = self.sim().shared.world();
        world.instance(self.host()).map_or((0, 0), |instance| {
            (instance.kept.logins, instance.kept.logouts)
        })
    }

    /// The instance is restarted: all sessions are gone.
    pub fn restart(&self) {
        if let Some(instance) = self.sim().shared.world().instance_mut(self.host()) {
            instance.kept.sessions.clear();
        }
    }
}
