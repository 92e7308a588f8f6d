//! What the handle on the simulator offers of OAuth 2.0.

use crate::sim::Sim;

use super::app::OAuthApp;
use super::ledger::Spend;
use super::settings::{DataCenterOAuthSettings, OAuthSettings};

impl Sim {
    /// The host of the token endpoint.
    pub fn auth_host(&self) -> &str {
        self.shared
            .config
            .auth_hosts
            .first()
            .map_or(crate::AUTH_HOST, String::as_str)
    }

    /// The base URL of the token endpoint, the stand-in for `https://auth.atlassian.com`.
    pub fn auth_url(&self) -> String {
        format!("https://{}:{}", self.auth_host(), self.port())
    }

    /// Makes an app that people can consent to.
    pub fn oauth_app(&self) -> OAuthApp {
        OAuthApp::new(self.clone(), None, None, None, None)
    }

    /// The settings of the token endpoint as they are.
    pub fn oauth_settings(&self) -> OAuthSettings {
        self.shared.world().oauth.settings.clone()
    }

    /// Changes the settings of the token endpoint. Leeway, idle and absolute limits follow at
    /// once; an access token keeps the life it was given.
    pub fn configure_oauth(&self, change: impl FnOnce(&mut OAuthSettings)) {
        change(&mut self.shared.world().oauth.settings);
    }

    /// The settings of the token endpoints of Data Center instances as they are.
    pub fn data_center_oauth_settings(&self) -> DataCenterOAuthSettings {
        self.shared.world().oauth.data_center.clone()
    }

    /// Changes the settings of the token endpoints of Data Center instances. The idle limit
    /// follows at once; an access token keeps the life it was given.
    pub fn configure_data_center_oauth(&self, change: impl FnOnce(&mut DataCenterOAuthSettings)) {
        change(&mut self.shared.world().oauth.data_center);
    }

    /// Revokes an access token before its time; says whether there is one.
    pub fn revoke_access_token(&self, value: &str) -> bool {
        let mut world = self.shared.world();
        let id = world.access_id(value);
        id.and_then(|id| world.token_mut(&id))
            .map(|token| token.revoked = true)
            .is_some()
    }

    /// Whether Jira would accept an access token now, as far as its own life goes.
    pub fn access_token_lives(&self, value: &str) -> bool {
        let now = self.clock().now();
        let world = self.shared.world();
        let token = world.access_id(value).and_then(|id| world.token(&id));
        token.is_some_and(|token| world.token_over(token, now).is_none())
    }

    /// The id of an access token in the call log, by its value.
    pub fn access_token_id(&self, value: &str) -> Option<String> {
        let world = self.shared.world();
        world.access_id(value).map(|id| id.to_string())
    }

    /// The id of a refresh token in the ledger, by its value.
    pub fn token_id(&self, value: &str) -> Option<String> {
        let world = self.shared.world();
        world.oauth.token(value).map(|token| token.id.clone())
    }

    /// The ledger: every refresh token presented, in order.
    pub fn spends(&self) -> Vec<Spend> {
        self.shared.world().oauth.ledger.list()
    }

    /// The ledger of one family.
    pub fn spends_of(&self, family: u64) -> Vec<Spend> {
        let mut spends = self.spends();
        spends.retain(|spend| spend.family == Some(family));
        spends
    }

    /// Waits until the ledger holds `count` spends, and returns them. Works on any runtime, and
    /// also for spends that came before.
    pub async fn wait_for_spends(&self, count: usize) -> Vec<Spend> {
        let mut spent = self.shared.spent.subscribe();
        loop {
            spent.borrow_and_update();
            let spends = self.spends();
            if spends.len() >= count || spent.changed().await.is_err() {
                return spends;
            }
        }
    }

    /// Empties the ledger; the numbers go on.
    pub fn clear_spends(&self) {
        self.shared.world().oauth.ledger.clear();
    }
}
