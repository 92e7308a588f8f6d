//! A credential of each method, published under every preset that fits, and renewed.

use std::cell::Cell;
use std::fmt;
use std::fs;
use std::path::Path;

use atlassian_sim::{AccessToken, CloudSite, LinkKey, OAuthApp, Token, Verdict};
use serde_json::{Value, json};

use crate::client::{Client, Pod};
use crate::proxy::Proxy;
use crate::stage::{Stage, texts};
use crate::tools::{Missing, Tools};
use crate::{Outcome, Row};

const SCOPES: [&str; 3] = ["read:jira-work", "read:jira-user", "offline_access"];
const USER: &str = "bot";
const CONSUMER: &str = "bot-link";
const REDIRECT: &str = "https://app.example/callback";
const EMAIL: &str = "bot@acme.example";

/// A way to log in to Jira that consumers know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    ApiToken,
    ScopedApiToken,
    OAuth2,
    ClientCredentials,
    PersonalAccessToken,
    Basic,
    Session,
    OAuth2OnDataCenter,
    OAuth1,
}

/// What is renewed.
enum Held {
    Token(Token),
    Link(LinkKey, AccessToken),
    ByTheOperator,
}

/// What `spec.auth` says, what is in the Secret that it names, and what is renewed.
type Made = (Value, Vec<(&'static str, String)>, Held);

impl Method {
    pub(crate) const ALL: [Self; 9] = [
        Self::ApiToken,
        Self::ScopedApiToken,
        Self::OAuth2,
        Self::ClientCredentials,
        Self::PersonalAccessToken,
        Self::Basic,
        Self::Session,
        Self::OAuth2OnDataCenter,
        Self::OAuth1,
    ];

    pub(crate) const fn has_user(self) -> bool {
        matches!(self, Self::ApiToken | Self::ScopedApiToken | Self::Basic)
    }

    pub(crate) const fn is_cloud(self) -> bool {
        match self {
            Self::ApiToken | Self::ScopedApiToken | Self::OAuth2 | Self::ClientCredentials => true,
            Self::PersonalAccessToken
            | Self::Basic
            | Self::Session
            | Self::OAuth2OnDataCenter
            | Self::OAuth1 => false,
        }
    }

    /// Whether the operator renews it when it is asked to.
    const fn is_renewed_on_request(self) -> bool {
        matches!(
            self,
            Self::OAuth2 | Self::ClientCredentials | Self::OAuth2OnDataCenter
        )
    }

    /// The names of its presets, in the spelling of the spec.
    fn presets(self) -> Vec<&'static str> {
        let mut presets: Vec<&str> = Client::ALL
            .into_iter()
            .filter_map(|client| client.preset(self))
            .collect();
        presets.sort_unstable();
        presets.dedup();
        presets
    }

    /// Makes the credential at Jira and its Secret, and says what `spec` has of it.
    async fn make(self, stage: &Stage) -> (Value, Held) {
        for site in [stage.cloud(), atlassian_site(stage)] {
            site.project("OPS");
        }
        stage.data_center().project("OPS");
        let (auth, data, held) = match self {
            Self::ApiToken => api_token(stage.cloud().api_token(EMAIL)),
            Self::ScopedApiToken => api_token(stage.cloud().scoped_token(EMAIL, &SCOPES[..2])),
            Self::OAuth2 => {
                let app = stage.sim.oauth_app();
                let consent = app.consent(EMAIL, &[&atlassian_site(stage)], &SCOPES);
                let more = json!({
                    "scopes": &SCOPES[..2],
                    "cloudId": atlassian_site(stage).cloud_id(),
                });
                consented(&app, consent.refresh_token(), more)
            }
            Self::OAuth2OnDataCenter => {
                let jira = stage.data_center();
                let app = jira.oauth_link(&[REDIRECT]);
                let token = jira.consent(&app, USER, &["WRITE"]).refresh_token();
                let more = json!({"scopes": ["READ"], "redirectUri": REDIRECT});
                consented(&app, token, more)
            }
            Self::ClientCredentials => {
                let app = atlassian_site(stage).service_client(USER, &SCOPES[..2]);
                let auth = json!({
                    "clientId": app.client_id(),
                    "clientSecretRefs": [at("client-secret")],
                    "cloudId": atlassian_site(stage).cloud_id(),
                });
                (
                    json!({"clientCredentials": auth}),
                    vec![("client-secret", app.secret())],
                    Held::ByTheOperator,
                )
            }
            Self::PersonalAccessToken => {
                let token = stage.data_center().pat(USER);
                (
                    json!({"personalAccessToken": {"tokenSecretRef": at("token")}}),
                    vec![("token", token.secret().to_owned())],
                    Held::Token(token),
                )
            }
            Self::Basic => password(stage, "basic"),
            Self::Session => password(stage, "session"),
            Self::OAuth1 => {
                let key = LinkKey::generate().unwrap();
                let link = stage.data_center().application_link(CONSUMER, &key);
                let access = link.authorize(USER);
                let secret = json!({"name": "source"});
                (
                    json!({"oauth1": {"consumerKey": CONSUMER, "secretRef": secret}}),
                    signing_parts(&key, &access),
                    Held::Link(key, access),
                )
            }
        };
        store(stage, &data).await;
        (auth, held)
    }

    fn site(self, stage: &Stage) -> Value {
        match self {
            Self::OAuth2 | Self::ClientCredentials => json!({"site": "https://acme.atlassian.net"}),
            Self::ApiToken | Self::ScopedApiToken => {
                json!({"site": stage.cloud().url(), "hosting": "Cloud"})
            }
            Self::PersonalAccessToken
            | Self::Basic
            | Self::Session
            | Self::OAuth2OnDataCenter
            | Self::OAuth1 => {
                json!({"site": stage.data_center().url(), "hosting": "DataCenter"})
            }
        }
    }

    /// Puts another credential in the place of the one before.
    async fn renew(self, stage: &Stage, held: Held) {
        match (self, held) {
            (Self::ApiToken, Held::Token(old)) => {
                replace(stage, &old, &stage.cloud().api_token(EMAIL)).await;
            }
            (Self::ScopedApiToken, Held::Token(old)) => {
                let new = stage.cloud().scoped_token(EMAIL, &SCOPES[..2]);
                replace(stage, &old, &new).await;
            }
            (_, Held::Token(old)) => {
                replace(stage, &old, &stage.data_center().pat(USER)).await;
            }
            (_, Held::Link(key, old)) => {
                let link = stage.data_center().application_link(CONSUMER, &key);
                stage.sim.revoke(&old.token);
                store(stage, &signing_parts(&key, &link.authorize(USER))).await;
            }
            (Self::Basic | Self::Session, Held::ByTheOperator) => {
                let (_, data, _) = password(stage, "basic");
                store(stage, &data).await;
            }
            (_, Held::ByTheOperator) => ask(stage, 0).await,
        }
    }
}

/// A reference to a key of the credential's Secret.
fn at(key: &str) -> Value {
    json!({"name": "source", "key": key})
}

fn api_token(token: Token) -> Made {
    (
        json!({"apiToken": {"email": EMAIL, "tokenSecretRef": at("token")}}),
        vec![("token", token.secret().to_owned())],
        Held::Token(token),
    )
}

/// A consent to an app, with more members of `oauth2`.
fn consented(app: &OAuthApp, refresh_token: String, mut auth: Value) -> Made {
    auth["clientId"] = json!(app.client_id());
    auth["clientSecretRefs"] = json!([at("client-secret")]);
    auth["refreshTokenSecretRef"] = at("refresh-token");
    (
        json!({"oauth2": auth}),
        vec![
            ("client-secret", app.secret()),
            ("refresh-token", refresh_token),
        ],
        Held::ByTheOperator,
    )
}

/// A new password, and the method that uses it.
fn password(stage: &Stage, member: &str) -> Made {
    let password = stage.data_center().basic(true).new_password(USER);
    (
        json!({member: {"secretRef": {"name": "source"}}}),
        vec![("username", USER.to_owned()), ("password", password)],
        Held::ByTheOperator,
    )
}

/// What signs requests by OAuth 1.0a.
fn signing_parts(key: &LinkKey, access: &AccessToken) -> Vec<(&'static str, String)> {
    vec![
        ("privateKey", key.private_pem()),
        ("token", access.token.secret().to_owned()),
        ("tokenSecret", access.token_secret().to_owned()),
    ]
}

async fn store(stage: &Stage, data: &[(&'static str, String)]) {
    let data: Vec<(&str, &str)> = data.iter().map(|(k, v)| (*k, v.as_str())).collect();
    stage.secret("source", &data).await;
}

/// mcp-atlassian looks at the name of the site before it takes an access token for one of Cloud. With
/// OAuth 2.0 nobody calls the site itself, so that its name need not be resolved.
fn atlassian_site(stage: &Stage) -> CloudSite {
    stage.sim.cloud_site_at("acme.atlassian.net")
}

/// Asks the operator to renew what it renews.
async fn ask(stage: &Stage, time: u32) {
    let value = format!("time {time}");
    let asked = json!({"metadata": {"annotations": {"jira-operator.dev/renew": value}}});
    stage.merge("bot", asked).await;
}

async fn replace(stage: &Stage, old: &Token, new: &Token) {
    stage.sim.revoke(old);
    stage.secret("source", &[("token", new.secret())]).await;
}

/// Runs every client that knows the method, before and after a renewal.
pub(crate) async fn run(method: Method, tools: &Tools) -> Vec<Row> {
    let mut stage = Stage::new().await;
    // A renewal on request follows another one after five minutes at the earliest: here after a second.
    stage.set_pace(300);
    let operator = stage.operator().await;
    let (auth, held) = method.make(&stage).await;
    let mut spec = method.site(&stage);
    spec["auth"] = auth;
    let presets = method.presets();
    let targets = presets.iter().map(|preset| {
        // The page of curl has the address beside `.netrc`.
        let more = (*preset == "Netrc").then_some("Standard");
        let all: Vec<&str> = std::iter::once(*preset).chain(more).collect();
        json!({"name": preset.to_lowercase(), "presets": all})
    });
    spec["targets"] = targets.collect();
    stage.create("bot", spec).await;
    stage.wait_ready("bot").await;
    let proxy = Proxy::to(stage.sim.addr());
    let (mounts, authority) = (stage.file("mounts"), stage.file("ca.pem"));
    let pod = Pod {
        mounts: &mounts,
        authority: &authority,
        proxy: &proxy.url(),
        tools,
    };
    let before = mount(&stage, &presets, &mounts).await;
    let mut rows = log_in(method, &pod, &stage, "before the renewal");
    method.renew(&stage, held).await;
    let header = standard_value(&before);
    let polls = Cell::new(0_u32);
    let what = format!("{method}: the renewed credential is published everywhere");
    stage
        .until(&what, async || {
            polls.set(polls.get() + 1);
            // A request that came too soon is answered without a renewal.
            if method.is_renewed_on_request() && polls.get().is_multiple_of(40) {
                ask(&stage, polls.get()).await;
            }
            let now = mount(&stage, &presets, &mounts).await;
            let renewed = presets
                .iter()
                .all(|preset| now.get(preset) != before.get(preset));
            (renewed && standard_value(&now) != header).then_some(())
        })
        .await;
    for row in &mut rows {
        if let Outcome::Passed = row.outcome {
            row.outcome = outcome(row.client, method, &pod, &stage, "after the renewal");
        }
    }
    drop(operator);
    rows
}

type Mounts = std::collections::BTreeMap<&'static str, std::collections::BTreeMap<String, String>>;

fn standard_value(mounts: &Mounts) -> Option<String> {
    let standard = mounts.get("Standard")?;
    let value = standard
        .get("authorization")
        .or_else(|| standard.get("cookie"))
        .or_else(|| standard.get("token"));
    value.cloned()
}

/// Writes the published Secrets as the kubelet does: a folder each, a file for each key.
async fn mount(stage: &Stage, presets: &[&'static str], mounts: &Path) -> Mounts {
    let mut all = Mounts::new();
    for preset in presets {
        let name = preset.to_lowercase();
        let secret = stage.secrets().get(&name).await.unwrap();
        let data = texts(&secret);
        let folder = mounts.join(&name);
        fs::create_dir_all(&folder).unwrap();
        for (key, value) in &data {
            fs::write(folder.join(key), value).unwrap();
        }
        all.insert(preset, data);
    }
    all
}

fn log_in(method: Method, pod: &Pod<'_>, stage: &Stage, when: &str) -> Vec<Row> {
    Client::ALL
        .into_iter()
        .filter(|client| client.preset(method).is_some())
        .map(|client| Row {
            client,
            method,
            outcome: outcome(client, method, pod, stage, when),
        })
        .collect()
}

fn outcome(client: Client, method: Method, pod: &Pod<'_>, stage: &Stage, when: &str) -> Outcome {
    let failed = |why| Outcome::Failed(format!("{client} with {method}, {when}: {why}"));
    match client.missing(pod.tools) {
        None => {}
        Some(Missing::Here(reason)) => return Outcome::Skipped(reason),
        Some(Missing::Broken(reason)) => return failed(reason),
    }
    let before = stage.sim.calls().len();
    if let Err(why) = client.log_in(pod) {
        return failed(why);
    }
    let Some(path) = client.silent_call(method) else {
        return Outcome::Passed;
    };
    let calls = stage.sim.calls();
    let calls = calls.get(before..).unwrap_or_default();
    match calls.iter().rfind(|call| call.path.ends_with(path)) {
        Some(call) if call.verdict == Verdict::Accepted => Outcome::Passed,
        Some(call) => failed(format!(
            "Jira did not accept the credential: {:?}",
            call.verdict
        )),
        None => failed("Jira was not asked".to_owned()),
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ApiToken => "`apiToken`",
            Self::ScopedApiToken => "`apiToken` with scopes",
            Self::OAuth2 => "`oauth2` on Cloud",
            Self::ClientCredentials => "`clientCredentials` on Cloud",
            Self::OAuth2OnDataCenter => "`oauth2` on Data Center",
            Self::OAuth1 => "`oauth1`",
            Self::PersonalAccessToken => "`personalAccessToken`",
            Self::Basic => "`basic`",
            Self::Session => "`session`",
        })
    }
}
