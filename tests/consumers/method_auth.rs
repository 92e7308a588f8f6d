//! Credentials of each method at the simulator, and their successors.

use atlassian_sim::{AccessToken, CloudSite, DataCenter, LinkKey, OAuthApp, Token};
use serde_json::{Value, json};

use crate::method::Method;
use crate::stage::Stage;

/// What consumers may do that file issues, and the refresh token of a consent.
const SCOPES: [&str; 4] = [
    "read:jira-work",
    "read:jira-user",
    "write:jira-work",
    "offline_access",
];

/// The scopes without the one that is no permission.
const PERMISSIONS: &[&str] = SCOPES.split_at(3).0;

const REDIRECT: &str = "https://app.example/callback";

/// Characters that mean something to shells, `.netrc`, YAML or JSON.
const HOSTILE: &str = r#"a b#c"d\e'"#;

/// A password of such characters, and of one beyond ASCII for whom the operator publishes it.
fn hostile(name: &str) -> String {
    let is_ascii = name == "mcp-bot";
    format!("{HOSTILE}{}", if is_ascii { "f" } else { "é" })
}

/// What is renewed.
pub(crate) enum Held {
    Token(Token),
    Link(LinkKey, AccessToken),
    Password,
    ByTheOperator,
}

/// A credential at the simulator.
pub(crate) struct Made {
    /// What `spec.auth` says of it.
    pub(crate) auth: Value,
    /// What is in the Secret that `auth` names.
    data: Vec<(&'static str, String)>,
    /// What is renewed.
    held: Held,
    /// Who it belongs to, in the words of the log of the simulator.
    pub(crate) user: String,
}

/// Where the simulator stands for the sites of the pages.
pub(crate) fn cloud(stage: &Stage) -> CloudSite {
    let site = stage.sim.cloud_site_at("acme.atlassian.net");
    site.base_url(Method::CLOUD)
}

/// See [`cloud`].
pub(crate) fn data_center(stage: &Stage) -> DataCenter {
    let jira = stage.sim.data_center_at("jira.corp.example");
    jira.base_url(Method::DATA_CENTER)
}

impl Made {
    /// Makes the credential for a `JiraCredential` of this name, and its Secret.
    pub(crate) async fn new(method: Method, name: &str, stage: &Stage) -> Self {
        let made = Self::at_the_simulator(method, name, stage);
        store(stage, name, &made.data).await;
        made
    }

    fn at_the_simulator(method: Method, name: &str, stage: &Stage) -> Self {
        let email = format!("{name}@acme.example");
        match method {
            Method::ApiToken => api_token(name, &email, cloud(stage).api_token(&email)),
            Method::ScopedApiToken => {
                let token = cloud(stage).scoped_token(&email, PERMISSIONS);
                api_token(name, &email, token)
            }
            Method::OAuth2 => {
                let app = stage.sim.oauth_app();
                let consent = app.consent(&email, &[&cloud(stage)], &SCOPES);
                let more = json!({"scopes": &SCOPES[..2]});
                consented(name, &email, &app, consent.refresh_token(), more)
            }
            Method::OAuth2OnDataCenter => {
                let jira = data_center(stage);
                let app = jira.oauth_link(&[REDIRECT]);
                let token = jira.consent(&app, name, &["WRITE"]).refresh_token();
                let more = json!({"scopes": ["WRITE"], "redirectUri": REDIRECT});
                consented(name, name, &app, token, more)
            }
            Method::ClientCredentials => {
                let app = cloud(stage).service_client(name, PERMISSIONS);
                let user = app.service_account().unwrap();
                service(name, user, &app, json!({}))
            }
            Method::ClientCredentialsOnDataCenter => {
                let app = data_center(stage).service_client(name, &["WRITE"]);
                service(name, name.to_owned(), &app, json!({"scopes": ["WRITE"]}))
            }
            Method::PersonalAccessToken => {
                let token = data_center(stage).pat(name);
                Self {
                    auth: json!({"personalAccessToken": {"tokenSecretRef": at(name, "token")}}),
                    data: vec![("token", token.secret().to_owned())],
                    held: Held::Token(token),
                    user: name.to_owned(),
                }
            }
            Method::Basic => password(name, "basic", stage),
            Method::Session => password(name, "session", stage),
            Method::OAuth1 => signed(name, stage),
        }
    }

    /// Puts another credential in the place of the one before.
    pub(crate) async fn renew(&self, method: Method, name: &str, stage: &Stage) {
        let email = format!("{name}@acme.example");
        match &self.held {
            Held::Token(old) => {
                let new = match method {
                    Method::ApiToken => cloud(stage).api_token(&email),
                    Method::ScopedApiToken => cloud(stage).scoped_token(&email, PERMISSIONS),
                    _ => data_center(stage).pat(name),
                };
                stage.sim.revoke(old);
                store(stage, name, &[("token", new.secret().to_owned())]).await;
            }
            Held::Link(key, old) => {
                let link = data_center(stage).application_link(&format!("{name}-link"), key);
                stage.sim.revoke(&old.token);
                store(stage, name, &signing_parts(key, &link.authorize(name))).await;
            }
            Held::Password => {
                let second = format!("{} 2", hostile(name));
                data_center(stage).set_password(name, &second);
                store(stage, name, &login(name, second)).await;
            }
            Held::ByTheOperator => ask(stage, name, 0).await,
        }
    }
}

/// Asks the operator to renew what it renews.
pub(crate) async fn ask(stage: &Stage, name: &str, time: u32) {
    let value = format!("time {time}");
    let asked = json!({"metadata": {"annotations": {"jira-operator.dev/renew": value}}});
    stage.merge(name, asked).await;
}

/// The name of the Secret of a `JiraCredential`.
fn source(name: &str) -> String {
    format!("{name}-source")
}

/// A reference to a key of the credential's Secret.
fn at(name: &str, key: &str) -> Value {
    json!({"name": source(name), "key": key})
}

async fn store(stage: &Stage, name: &str, data: &[(&'static str, String)]) {
    let data: Vec<(&str, &str)> = data.iter().map(|(k, v)| (*k, v.as_str())).collect();
    stage.secret(&source(name), &data).await;
}

fn api_token(name: &str, email: &str, token: Token) -> Made {
    Made {
        auth: json!({"apiToken": {"email": email, "tokenSecretRef": at(name, "token")}}),
        data: vec![("token", token.secret().to_owned())],
        held: Held::Token(token),
        user: email.to_owned(),
    }
}

/// A consent to an app, with more members of `oauth2`.
fn consented(
    name: &str,
    user: &str,
    app: &OAuthApp,
    refresh_token: String,
    mut auth: Value,
) -> Made {
    auth["clientId"] = json!(app.client_id());
    auth["clientSecretRefs"] = json!([at(name, "client-secret")]);
    auth["refreshTokenSecretRef"] = at(name, "refresh-token");
    Made {
        auth: json!({"oauth2": auth}),
        data: vec![
            ("client-secret", app.secret()),
            ("refresh-token", refresh_token),
        ],
        held: Held::ByTheOperator,
        user: user.to_owned(),
    }
}

/// A service account, with more members of `clientCredentials`.
fn service(name: &str, user: String, app: &OAuthApp, mut auth: Value) -> Made {
    auth["clientId"] = json!(app.client_id());
    auth["clientSecretRefs"] = json!([at(name, "client-secret")]);
    Made {
        auth: json!({"clientCredentials": auth}),
        data: vec![("client-secret", app.secret())],
        held: Held::ByTheOperator,
        user,
    }
}

/// A password, and the method that uses it.
fn password(name: &str, member: &str, stage: &Stage) -> Made {
    data_center(stage)
        .basic(true)
        .set_password(name, &hostile(name));
    Made {
        auth: json!({member: {"secretRef": {"name": source(name)}}}),
        data: login(name, hostile(name)),
        held: Held::Password,
        user: name.to_owned(),
    }
}

fn login(name: &str, password: String) -> Vec<(&'static str, String)> {
    vec![("username", name.to_owned()), ("password", password)]
}

/// An application link, and the access token of a person.
fn signed(name: &str, stage: &Stage) -> Made {
    let (key, consumer) = (LinkKey::generate().unwrap(), format!("{name}-link"));
    let link = data_center(stage).application_link(&consumer, &key);
    let access = link.authorize(name);
    let secret = json!({"name": source(name)});
    Made {
        auth: json!({"oauth1": {"consumerKey": consumer, "secretRef": secret}}),
        data: signing_parts(&key, &access),
        held: Held::Link(key, access),
        user: name.to_owned(),
    }
}

/// What signs requests by OAuth 1.0a.
fn signing_parts(key: &LinkKey, access: &AccessToken) -> Vec<(&'static str, String)> {
    vec![
        ("privateKey", key.private_pem()),
        ("token", access.token.secret().to_owned()),
        ("tokenSecret", access.token_secret().to_owned()),
    ]
}
