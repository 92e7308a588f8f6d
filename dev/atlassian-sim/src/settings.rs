//! What can be set on a Cloud site and on a Data Center instance.

use serde::{Deserialize, Serialize};

/// The state of a Cloud site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteState {
    /// In service.
    #[default]
    Active,
    /// Suspended: 503 with `{"errorMessage":"Site temporarily unavailable"}` on site host and
    /// gateway (medium confidence).
    Suspended,
    /// Deleted or renamed away: the host answers 404 with an HTML page and
    /// `Atl-Missing-Tcs: true`, the gateway 404 with `X-Failure-Category` (both recorded).
    Deleted,
}

/// The settings of a Cloud site.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CloudSettings {
    /// The site's id on the gateway; empty lets the simulator choose one.
    pub cloud_id: String,
    /// The base URL in answers; by default `https://<host>:<port>`.
    pub base_url: Option<String>,
    /// Whether anonymous callers may list projects and search; `serverInfo` is always anonymous.
    pub anonymous: bool,
    /// In service, suspended or deleted.
    pub state: SiteState,
    /// The site's IP allow-list rejects every caller (403).
    pub reject_ip: bool,
    /// The 401 of the site host carries plain text instead of JSON; both were seen.
    pub plain_text_401: bool,
    /// The status of an opaque Bearer on the site host: 403 usually, 404 was seen as well.
    pub bearer_status: u16,
}

impl Default for CloudSettings {
    fn default() -> Self {
        Self {
            cloud_id: String::new(),
            base_url: None,
            anonymous: true,
            state: SiteState::Active,
            reject_ip: false,
            plain_text_401: false,
            bearer_status: 403,
        }
    }
}

/// What stands in front of a Data Center instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sso {
    /// Nothing: Jira answers a rejected credential itself.
    #[default]
    Off,
    /// A rejected credential gets 200 with an HTML login page.
    LoginPage,
    /// A rejected credential gets a 302 to this URL of the identity provider.
    Redirect(String),
}

/// The settings of a Data Center instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each thing that an instance does or does not"
)]
pub struct DataCenterSettings {
    /// The context path, such as `/jira`; empty for none.
    pub context_path: String,
    /// What is asked for outside the context path is redirected into it; else it is not found.
    pub redirect_to_context: bool,
    /// The version, such as `10.4.0`; what `serverInfo` says and what the defaults go by.
    pub version: String,
    /// The base URL in answers; by default `https://<host>:<port><context path>`. Behind a proxy
    /// a real instance often names another one (recorded: `http` on Jira 8.5.3).
    pub base_url: Option<String>,
    /// Basic authentication; by default on before Jira 11 and off from there on.
    pub basic: Option<bool>,
    /// Whether anonymous callers may list projects.
    pub anonymous: bool,
    /// Failed logins in a row before Jira asks for a CAPTCHA; `None` switches it off. The default
    /// of 3 is what is commonly reported.
    pub captcha_after: Option<u32>,
    /// The status of a denied login, 403 or 401; both were seen.
    pub captcha_status: u16,
    /// The denied login says `X-Seraph-LoginReason: AUTHENTICATED_FAILED` instead of
    /// `AUTHENTICATION_DENIED` (seen on 8.20.8).
    pub captcha_says_failed: bool,
    /// Single sign-on in front of the instance.
    pub sso: Sso,
    /// Every answer carries rate-limit headers with `Retry-After: 0`, as seen on healthy answers
    /// of an instance with rate limiting switched on.
    pub rate_limit_headers: bool,
    /// How many personal access tokens a user may have.
    pub most_tokens: usize,
    /// How many days a personal access token may live.
    pub longest_token_days: i64,
    /// What becomes of the wish for more. Clamping and refusing were both seen.
    pub too_long: TooLong,
    /// Seconds of a day in the life of a token; fewer make short tokens.
    pub token_day_seconds: i64,
    /// Whether personal access tokens without an end are allowed.
    pub eternal_tokens: bool,
    /// Nobody may make personal access tokens by REST.
    pub minting_forbidden: bool,
    /// How many characters the name of a personal access token may have: 40 unless an
    /// administrator sets `atlassian.pats.token.name.length` (reported). A longer one gets a 400.
    pub longest_token_name: usize,
    /// The status that tells of a new personal access token: 201 usually, 200 was seen as well.
    pub minted_status: u16,
    /// There is no resource for personal access tokens.
    pub tokens_absent: bool,
    /// How dates of personal access tokens are written.
    pub token_dates: DateStyle,
    /// Ids of personal access tokens that the list leaves out.
    pub hidden_tokens: Vec<u64>,
    /// How long an unused session lives. Five hours are what is reported of the default.
    pub session_idle_seconds: i64,
    /// A login wants more than a user name and password, such as a second factor.
    pub more_steps: bool,
    /// The title in `serverInfo`.
    pub title: String,
    /// What `/status` says: `RUNNING`, `FIRST_RUN`, …
    pub status: String,
}

/// What becomes of the wish for a personal access token that lives longer than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TooLong {
    /// It lives as long as is allowed.
    #[default]
    Clamped,
    /// 400.
    Refused,
}

/// How dates of personal access tokens are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateStyle {
    /// With milliseconds and `+0000`, as older versions do.
    #[default]
    Compact,
    /// With `+0000`, without milliseconds.
    CompactSeconds,
    /// With `+00:00`, without milliseconds, as Jira 10.3 does.
    Rfc3339,
    /// With `+00:00` and milliseconds.
    Rfc3339Millis,
    /// With `Z` and milliseconds.
    Zulu,
}

impl Default for DataCenterSettings {
    fn default() -> Self {
        Self {
            context_path: String::new(),
            redirect_to_context: false,
            version: "10.4.0".to_owned(),
            base_url: None,
            basic: None,
            anonymous: true,
            captcha_after: Some(3),
            captcha_status: 403,
            captcha_says_failed: false,
            sso: Sso::Off,
            rate_limit_headers: false,
            most_tokens: 10,
            longest_token_days: 365,
            too_long: TooLong::Clamped,
            token_day_seconds: 86_400,
            eternal_tokens: true,
            minting_forbidden: false,
            longest_token_name: 40,
            minted_status: 201,
            tokens_absent: false,
            token_dates: DateStyle::Compact,
            hidden_tokens: Vec::new(),
            session_idle_seconds: 18_000,
            more_steps: false,
            title: "Simulated Jira".to_owned(),
            status: "RUNNING".to_owned(),
        }
    }
}

impl DataCenterSettings {
    /// The version's numbers; parts that are no numbers count as 0.
    pub(crate) fn version_numbers(&self) -> [u32; 3] {
        let mut parts = self
            .version
            .split('.')
            .map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        [next(), next(), next()]
    }

    pub(crate) fn basic_enabled(&self) -> bool {
        self.basic.unwrap_or(self.version_numbers() < [11, 0, 0])
    }

    /// Personal access tokens came with Jira 8.14.
    pub(crate) fn knows_tokens(&self) -> bool {
        self.version_numbers() >= [8, 14, 0]
    }

    /// Context path in its normal form: empty, or a leading and no trailing slash.
    pub(crate) fn normalise(&mut self) {
        let path = self.context_path.trim_matches('/');
        self.context_path = if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        };
    }
}

/// What a deactivated user's credential gets. Which of the two a real Jira does is not
/// established; normally it is a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserState {
    /// In service.
    #[default]
    Active,
    /// Deactivated: 401.
    Deactivated,
    /// Deactivated, but `/myself` answers 200 with `"active": false`.
    DeactivatedButAnswered,
}
