//! The handle on a Cloud site.

use crate::issues::{Host, Project};
use crate::oauth::{OAuthApp, Service, resources};
use crate::settings::{CloudSettings, SiteState, UserState};
use crate::sim::Sim;
use crate::token::{Token, TokenKind};
use crate::world::{Account, TokenOrder};

/// A Cloud site. Clones mean the same site.
///
/// Methods that take `self` set the site up and can be chained; methods that take `&self` act on
/// it at any time. An account is made when it is first named, and is one and the same on every
/// site that names it.
#[derive(Debug, Clone)]
pub struct CloudSite {
    sim: Sim,
    host: String,
}

impl CloudSite {
    pub(crate) fn new(sim: Sim, host: String) -> Self {
        Self { sim, host }
    }

    /// The host, without port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `https://host:port`.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.sim.port())
    }

    /// `https://<gateway>:port/ex/jira/<cloudId>`.
    pub fn gateway_url(&self) -> String {
        format!("{}/ex/jira/{}", self.sim.gateway_url(), self.cloud_id())
    }

    /// The site's id on the gateway.
    pub fn cloud_id(&self) -> String {
        self.settings().cloud_id
    }

    /// The settings as they are.
    pub fn settings(&self) -> CloudSettings {
        self.sim
            .shared
            .world()
            .site(&self.host)
            .map(|s| s.settings.clone())
            .unwrap_or_default()
    }

    /// Changes the settings.
    pub fn configure(&self, change: impl FnOnce(&mut CloudSettings)) {
        self.sim.shared.world().configure_site(&self.host, change);
    }

    /// A project of this key, which is made unless it exists.
    pub fn project(&self, key: &str) -> Project {
        let host = Host {
            sim: self.sim.clone(),
            name: self.host.clone(),
        };
        Project::new(host, key)
    }

    fn set(self, change: impl FnOnce(&mut CloudSettings)) -> Self {
        self.configure(change);
        self
    }

    /// Sets the cloudId.
    #[must_use]
    pub fn with_cloud_id(self, id: &str) -> Self {
        self.set(|settings| id.clone_into(&mut settings.cloud_id))
    }

    /// Sets the base URL in answers.
    #[must_use]
    pub fn base_url(self, url: &str) -> Self {
        self.set(|settings| settings.base_url = Some(url.to_owned()))
    }

    /// Whether anonymous callers may list projects and search.
    #[must_use]
    pub fn anonymous(self, allowed: bool) -> Self {
        self.set(|settings| settings.anonymous = allowed)
    }

    /// The 401 of the site host carries plain text.
    #[must_use]
    pub fn plain_text_401(self) -> Self {
        self.set(|settings| settings.plain_text_401 = true)
    }

    /// Puts the site in service, suspends or deletes it.
    pub fn set_state(&self, state: SiteState) {
        self.configure(|settings| settings.state = state);
    }

    /// Whether the IP allow-list rejects every caller.
    pub fn reject_ip(&self, reject: bool) {
        self.configure(|settings| settings.reject_ip = reject);
    }

    /// Makes an account with access to the site.
    #[must_use]
    pub fn user(self, email: &str) -> Self {
        self.with_account(email, false, |_| ());
        self
    }

    /// Makes a service account `<name>-xxxx@serviceaccount.atlassian.com`; returns its e-mail.
    pub fn service_account(&self, name: &str) -> String {
        let suffix = self.sim.shared.world().rng.suffix();
        let email = format!("{name}-{suffix}@serviceaccount.atlassian.com");
        self.with_account(&email, true, |_| ());
        email
    }

    /// The account's id; makes the account unless it exists.
    pub fn account_id(&self, email: &str) -> String {
        self.with_account(email, false, |account| account.id.clone())
    }

    /// Changes the account's id, as if another person had got the address.
    pub fn set_account_id(&self, email: &str, id: &str) {
        self.with_account(email, false, |account| {
            id.clone_into(&mut account.id);
        });
    }

    /// Changes the account's display name.
    pub fn set_display_name(&self, email: &str, name: &str) {
        self.with_account(email, false, |account| {
            name.clone_into(&mut account.display_name);
        });
    }

    /// Deactivates the account, or puts it back in service.
    pub fn set_user_state(&self, email: &str, state: UserState) {
        self.with_account(email, false, |account| account.state = state);
    }

    /// Gives the account a permission, such as `ADMINISTER`, or takes it away. The simulator has
    /// one set of them for all sites.
    pub fn set_permission(&self, email: &str, key: &str, held: bool) {
        self.with_account(email, false, |account| account.permissions.set(key, held));
    }

    /// Takes the account's access to this site away; its tokens live on elsewhere.
    pub fn remove_access(&self, email: &str) {
        if let Some(site) = self.sim.shared.world().site_mut(&self.host) {
            site.members.remove(&email.to_lowercase());
        }
    }

    /// Gives the account a password, which Cloud refuses in Basic; returns it.
    pub fn new_password(&self, email: &str) -> String {
        let password = self.sim.shared.world().rng.password();
        self.with_account(email, false, |account| {
            account.password = Some(password.clone());
        });
        password
    }

    /// Issues an API token without scopes. It ends a year from now, Atlassian's default.
    pub fn api_token(&self, email: &str) -> Token {
        self.issue(TokenKind::Classic, email, &[], None)
    }

    /// Issues an API token with scopes, good on the gateway only.
    pub fn scoped_token<S: AsRef<str>>(&self, email: &str, scopes: &[S]) -> Token {
        let scopes: Vec<String> = scopes
            .iter()
            .map(|scope| scope.as_ref().to_owned())
            .collect();
        self.issue(TokenKind::Scoped, email, &scopes, None)
    }

    /// Issues a service account's API token, always scoped, good on the gateway only.
    pub fn service_account_token<S: AsRef<str>>(&self, email: &str, scopes: &[S]) -> Token {
        let scopes: Vec<String> = scopes
            .iter()
            .map(|scope| scope.as_ref().to_owned())
            .collect();
        self.issue(TokenKind::ServiceAccount, email, &scopes, None)
    }

    /// Makes a service account as [`CloudSite::service_account`] does, and an OAuth 2.0 client of
    /// it for the grant `client_credentials`; its scopes are fixed.
    pub fn service_client(&self, name: &str, scopes: &[&str]) -> OAuthApp {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.service_client_with(name, scopes, None, None)
    }

    pub(crate) fn service_client_with(
        &self,
        name: &str,
        scopes: Vec<String>,
        id: Option<&str>,
        secret: Option<&str>,
    ) -> OAuthApp {
        let service = Service {
            owner: self.service_account(name).to_lowercase(),
            resources: resources(&[&self.host], &scopes),
            scopes,
        };
        OAuthApp::new(self.sim.clone(), id, secret, Some(service), None)
    }

    /// Makes `count` accounts `<prefix><n>@<host>` with a token without scopes each.
    pub fn bulk_tokens(&self, prefix: &str, count: usize) -> Vec<Token> {
        let email = |n| format!("{prefix}{n}@{}", self.host);
        (0..count).map(|n| self.api_token(&email(n))).collect()
    }

    pub(crate) fn issue(
        &self,
        kind: TokenKind,
        email: &str,
        scopes: &[String],
        secret: Option<&str>,
    ) -> Token {
        let now = self.sim.clock().now();
        let mut world = self.sim.shared.world();
        world.ensure_account(&self.host, email, kind == TokenKind::ServiceAccount);
        world.issue(
            &TokenOrder {
                kind,
                owner: email,
                host: None,
                scopes,
                secret,
            },
            now,
        )
    }

    pub(crate) fn with_account<T>(
        &self,
        email: &str,
        service: bool,
        act: impl FnOnce(&mut Account) -> T,
    ) -> T {
        act(self
            .sim
            .shared
            .world()
            .ensure_account(&self.host, email, service))
    }
}
