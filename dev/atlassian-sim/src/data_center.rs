//! The handle on a Data Center instance.

use crate::issues::{Host, Project};
use crate::settings::{DataCenterSettings, Sso, UserState};
use crate::sim::Sim;
use crate::token::{Token, TokenKind};
use crate::world::{DcUser, TokenOrder};

/// A Data Center instance. Clones mean the same instance.
///
/// Methods that take `self` set the instance up and can be chained; methods that take `&self` act
/// on it at any time. A user is made when it is first named.
#[derive(Debug, Clone)]
pub struct DataCenter {
    sim: Sim,
    host: String,
}

impl DataCenter {
    pub(crate) fn new(sim: Sim, host: String) -> Self {
        Self { sim, host }
    }

    pub(crate) fn sim(&self) -> &Sim {
        &self.sim
    }

    /// The host, without port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `https://host:port<context path>`.
    pub fn url(&self) -> String {
        format!(
            "https://{}:{}{}",
            self.host,
            self.sim.port(),
            self.settings().context_path
        )
    }

    /// The settings as they are.
    pub fn settings(&self) -> DataCenterSettings {
        let world = self.sim.shared.world();
        world
            .instance(&self.host)
            .map(|instance| instance.settings.clone())
            .unwrap_or_default()
    }

    /// Changes the settings.
    pub fn configure(&self, change: impl FnOnce(&mut DataCenterSettings)) {
        if let Some(instance) = self.sim.shared.world().instance_mut(&self.host) {
            change(&mut instance.settings);
            instance.settings.normalise();
        }
    }

    fn set(self, change: impl FnOnce(&mut DataCenterSettings)) -> Self {
        self.configure(change);
        self
    }

    /// Sets the context path, such as `/jira`.
    #[must_use]
    pub fn context_path(self, path: &str) -> Self {
        self.set(|settings| path.clone_into(&mut settings.context_path))
    }

    /// What is asked for outside the context path is redirected into it.
    #[must_use]
    pub fn redirect_to_context(self) -> Self {
        self.set(|settings| settings.redirect_to_context = true)
    }

    /// Sets the version, such as `10.4.0`; from 11 on Basic is off unless switched on.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.set(|settings| version.clone_into(&mut settings.version))
    }

    /// Sets the base URL in answers.
    #[must_use]
    pub fn base_url(self, url: &str) -> Self {
        self.set(|settings| settings.base_url = Some(url.to_owned()))
    }

    /// Switches Basic authentication on or off.
    #[must_use]
    pub fn basic(self, enabled: bool) -> Self {
        self.set(|settings| settings.basic = Some(enabled))
    }

    /// Whether anonymous callers may list projects.
    #[must_use]
    pub fn anonymous(self, allowed: bool) -> Self {
        self.set(|settings| settings.anonymous = allowed)
    }

    /// Failed logins in a row before the CAPTCHA; `None` switches it off.
    #[must_use]
    pub fn captcha_after(self, failures: Option<u32>) -> Self {
        self.set(|settings| settings.captcha_after = failures)
    }

    /// The status of a denied login (403 or 401), and whether its Seraph header says
    /// `AUTHENTICATED_FAILED`, as 8.20.8 does, instead of `AUTHENTICATION_DENIED`.
    #[must_use]
    pub fn captcha_answer(self, status: u16, says_failed: bool) -> Self {
        self.set(|settings| {
            settings.captcha_status = status;
            settings.captcha_says_failed = says_failed;
        })
    }

    /// Puts single sign-on in front of the instance.
    #[must_use]
    pub fn sso(self, sso: Sso) -> Self {
        self.set(|settings| settings.sso = sso)
    }

    /// Every answer carries rate-limit headers with `Retry-After: 0`.
    #[must_use]
    pub fn rate_limit_headers(self) -> Self {
        self.set(|settings| settings.rate_limit_headers = true)
    }

    /// Makes a user.
    #[must_use]
    pub fn user(self, name: &str) -> Self {
        self.with_user(name, |_| ());
        self
    }

    /// Sets a user's password.
    #[must_use]
    pub fn password(self, user: &str, password: &str) -> Self {
        self.set_password(user, password);
        self
    }

    /// Changes a user's password.
    pub fn set_password(&self, user: &str, password: &str) {
        self.with_user(user, |user| user.password = Some(password.to_owned()));
    }

    /// Gives a user a generated password; returns it.
    pub fn new_password(&self, user: &str) -> String {
        let password = self.sim.shared.world().rng.password();
        self.set_password(user, &password);
        password
    }

    /// The user's key, such as `JIRAUSER10000`.
    pub fn user_key(&self, user: &str) -> String {
        self.with_user(user, |user| user.key.clone())
            .unwrap_or_default()
    }

    /// Changes the user's key, as if another person had got the name.
    pub fn set_user_key(&self, user: &str, key: &str) {
        self.with_user(user, |user| key.clone_into(&mut user.key));
    }

    /// Deactivates the user, or puts it back in service.
    pub fn set_user_state(&self, user: &str, state: UserState) {
        self.with_user(user, |user| user.state = state);
    }

    /// A project of this key, which is made unless it exists.
    pub fn project(&self, key: &str) -> Project {
        let host = Host {
            sim: self.sim.clone(),
            name: self.host.clone(),
        };
        Project::new(host, key)
    }

    /// Gives the user a permission, such as `ADMINISTER`, or takes it away.
    pub fn set_permission(&self, user: &str, key: &str, held: bool) {
        self.with_user(user, |user| user.permissions.set(key, held));
    }

    /// Failed logins of the user since the last good one.
    pub fn failed_logins(&self, user: &str) -> u32 {
        self.with_user(user, |user| user.failed_logins)
            .unwrap_or_default()
    }

    /// Logins that were denied for want of a CAPTCHA, without a look at the password.
    pub fn denied_logins(&self, user: &str) -> u32 {
        self.with_user(user, |user| user.denied_logins)
            .unwrap_or_default()
    }

    /// Whether the user's next login is denied until a person solves a CAPTCHA.
    pub fn captcha_required(&self, user: &str) -> bool {
        let limit = self.settings().captcha_after;
        limit.is_some_and(|limit| self.failed_logins(user) >= limit)
    }

    /// A person logs in through the browser and solves the CAPTCHA.
    pub fn solve_captcha(&self, user: &str) {
        self.with_user(user, |user| user.failed_logins = 0);
    }

    /// Issues a personal access token without an end.
    pub fn pat(&self, user: &str) -> Token {
        self.issue(user, None)
    }

    /// Makes `count` users `<prefix><n>` with a personal access token each.
    pub fn bulk_pats(&self, prefix: &str, count: usize) -> Vec<Token> {
        (0..count)
            .map(|n| self.pat(&format!("{prefix}{n}")))
            .collect()
    }

    pub(crate) fn issue(&self, user: &str, secret: Option<&str>) -> Token {
        let now = self.sim.clock().now();
        let mut world = self.sim.shared.world();
        world.ensure_user(&self.host, user);
        let kind = TokenKind::PersonalAccess;
        let host = Some(self.host.as_str());
        world.issue(
            &TokenOrder {
                kind,
                owner: user,
                host,
                scopes: &[],
                secret,
            },
            now,
        )
    }

    pub(crate) fn with_user<T>(&self, name: &str, act: impl FnOnce(&mut DcUser) -> T) -> Option<T> {
        self.sim
            .shared
            .world()
            .ensure_user(&self.host, name)
            .map(act)
    }
}
