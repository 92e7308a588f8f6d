//! A simulator of Atlassian Cloud (with its OAuth 2.0 token endpoint) and Jira Data Center: HTTPS
//! with virtual hosts, both personalities, virtual time, faults, and a log of every call. An
//! instance of Data Center lets personal access tokens be made and revoked by REST, and sessions be
//! begun and ended, and tells what was asked of either.
//!
//! People can log in: the authorize pages of Atlassian (`/authorize` on the auth host), of Data
//! Center (`/rest/oauth2/latest/authorize`) and of application links
//! (`/plugins/servlet/oauth/authorize`) show a form without scripts, which stands for the login and
//! the consent. A [`Person`] answers it without a browser.
//!
//! It answers as the public documentation and recorded answers say Jira does; where neither says
//! anything, the comment at the answer says so. It runs on a thread and a runtime of its own, so
//! that it outlives the runtime of the program under test.
//!
//! ```no_run
//! # fn main() -> Result<(), atlassian_sim::SimError> {
//! use atlassian_sim::{Config, Fault, Rule, Sim};
//!
//! let sim = Sim::start_blocking(Config::default())?;
//! let site = sim.cloud_site("acme");
//! let token = site.api_token("bot@acme.example");
//! sim.fault(Rule::new(Fault::DropAfter).host(site.host()).once());
//! // GET {site.url()}/rest/api/3/myself with `Authorization: {token.basic()}`, trusting
//! // sim.ca_pem() and resolving site.host() to sim.addr().
//! sim.revoke(&token);
//! assert!(sim.calls_for(site.host()).is_empty());
//!
//! let app = sim.oauth_app();
//! let scopes = ["read:jira-user", "offline_access"];
//! let consent = app.consent("ann@acme.example", &[&site], &scopes);
//! // POST {sim.auth_url()}/oauth/token with app.client_id(), app.secret() and
//! // consent.refresh_token(), resolving sim.auth_host() to sim.addr(); then sim.spends() tells
//! // what became of the token.
//! assert!(consent.holds_newest(&consent.refresh_token()));
//!
//! // A login without a browser; `landing` holds the code. In a browser the same URL shows a page
//! // with a form.
//! let app = app.callback("http://127.0.0.1:8765/callback");
//! let authorize_url = "https://…/authorize?audience=api.atlassian.com&…";
//! let landing = sim.person("ann@acme.example").at(&[&site]).accept(authorize_url);
//! let code = landing.parameter("code");
//!
//! let jira = sim.data_center("jira").session_idle(chrono::TimeDelta::hours(1));
//! let pat = jira.pat("robot");
//! let password = jira.new_password("robot");
//! sim.fault(jira.at_pats(Fault::DropAfter).method("POST").once());
//! // POST {jira.url()}/rest/pat/latest/tokens with `Authorization: {pat.bearer()}`, or
//! // {jira.url()}/rest/auth/1/session with user and password; then jira.pats_of("robot") and
//! // jira.pat_requests(), jira.sessions() and jira.session_events() tell what came of it.
//! assert_eq!((jira.pats_of("robot").len(), jira.live_sessions()), (1, 0));
//! # Ok(())
//! # }
//! ```

mod admin;
mod body;
mod calls;
mod clock;
mod cloud;
mod cloud_site;
mod config;
mod data_center;
mod data_center_kept;
mod dc;
mod fault;
mod fault_reply;
mod forward_proxy;
mod ids;
mod issues;
mod links;
mod oauth;
mod organization;
mod permissions;
mod person;
mod reply;
mod request;
mod rules;
mod server;
mod service;
mod settings;
mod sim;
mod tls;
mod token;
mod webhook;
mod world;

pub use calls::{Call, Counters, Verdict};
pub use clock::VirtualClock;
pub use cloud_site::CloudSite;
pub use config::{AUTH_HOST, CLOUD_SUFFIX, Config, DATA_CENTER_SUFFIX, GATEWAY_HOST, SimError};
pub use data_center::DataCenter;
pub use dc::{Pat, PatAsk, PatRequest, Session, SessionAct, SessionEvent};
pub use fault::{Canned, Fault, Rule};
pub use forward_proxy::{Connect, ForwardProxy, ProxyAnswer, ProxyTransport};
pub use issues::{Issue, Project};
pub use links::{AccessToken, ApplicationLink, LinkKey};
pub use oauth::{
    Consent, DataCenterOAuthSettings, OAuthApp, OAuthSettings, Replay, Spend, SpendOutcome,
};
pub use organization::{Organization, OrganizationKey, OrganizationSettings};
pub use person::{ConsentCounts, Landing, Person};
pub use rules::{FaultHandle, RuleStatus};
pub use settings::{
    CloudSettings, DataCenterSettings, DateStyle, SiteState, Sso, TooLong, UserState,
};
pub use sim::Sim;
pub use token::{Token, TokenKind, basic};
pub use webhook::{Received, Webhook};
