//! The examples of `deploy/`, with the simulator's addresses and generated secrets.

use atlassian_sim::{Consent, LinkKey, OAuthApp};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::failure::{Outcome, While as _, fail};
use crate::root;
use crate::stage::Jira;

/// How long before their end the short-lived tokens of the demo are renewed.
pub(crate) const RENEW_BEFORE: &str = "15s";

/// A manifest that the simulator can answer for.
pub(crate) struct Example {
    /// The name of its `JiraCredential`.
    pub(crate) name: String,
    /// The Secret that it publishes.
    pub(crate) target: String,
    /// All of its objects.
    pub(crate) manifest: String,
    /// The id of the token, if it has one that lasts.
    pub(crate) token: Option<String>,
    /// The consent behind it, if there is one.
    pub(crate) consent: Option<Consent>,
}

/// Reads a file of `deploy/examples`. `renamed` replaces one word everywhere.
pub(crate) fn read(
    jira: &Jira,
    file: &str,
    renamed: Option<(&str, &str)>,
    lives: TimeDelta,
) -> Outcome<Example> {
    let path = root().join("deploy/examples").join(file);
    let mut text = std::fs::read_to_string(&path).while_(path.display())?;
    if let Some((from, to)) = renamed {
        text = text.replace(from, to);
    }
    let mut documents = serde_saphyr::from_multiple::<Value>(&text).while_(file)?;
    let Some(credential) = documents
        .iter()
        .find(|document| is(document, "JiraCredential"))
    else {
        return fail(format!("{file} holds no JiraCredential"));
    };
    let name = text_at(credential, "/metadata/name");
    let target = match text_at(credential, "/spec/targets/0/name") {
        none if none.is_empty() => name.clone(),
        target => target,
    };
    let login = Login::of(credential, &documents);
    let Issued {
        secret,
        token,
        app,
        consent,
        key,
    } = login.issue(jira)?;
    let now = jira.sim.clock().now();
    for document in &mut documents {
        if is(document, "JiraCredential") {
            point(document, &login, jira);
            let id = app.as_ref().map(OAuthApp::client_id).unwrap_or_default();
            replace(document, "/spec/auth/oauth2/clientId", id);
            replace(document, "/spec/auth/clientCredentials/clientId", id);
            date(document, "/spec/auth/apiToken/expiresAt", now + lives);
            date(document, "/spec/auth/oauth1/issuedAt", now);
            date(
                document,
                "/spec/auth/personalAccessToken/issuedAt",
                now - TimeDelta::days(10),
            );
        } else if is(document, "Secret") {
            for key in ["token", "password", "refresh-token"] {
                replace(document, &format!("/stringData/{key}"), &secret);
            }
            if let Some(key) = &key {
                replace(document, "/stringData/privateKey", key);
            }
            let client_secret = app.as_ref().map(OAuthApp::secret).unwrap_or_default();
            replace(document, "/stringData/client-secret", &client_secret);
        } else if is(document, "ConfigMap") {
            replace(document, "/data/ca.crt", jira.sim.ca_pem());
        }
    }
    let manifest = json!({ "apiVersion": "v1", "kind": "List", "items": documents }).to_string();
    Ok(Example {
        name,
        target,
        manifest,
        token,
        consent,
    })
}

/// How an example authenticates.
enum Login {
    ApiToken(String),
    PersonalAccessToken(String),
    Password(String),
    /// User name and consumer key.
    Link(String, String),
    /// E-mail address and scopes.
    Consent(String, Vec<String>),
    /// Name and scopes.
    ServiceAccount(String, Vec<String>),
    /// User name, redirect URL and scopes, on Data Center.
    OwnConsent(String, String, Vec<String>),
    /// User name and scopes, on Data Center.
    OwnServiceAccount(String, Vec<String>),
}

/// What the simulator issued.
#[derive(Default)]
struct Issued {
    secret: String,
    token: Option<String>,
    app: Option<OAuthApp>,
    consent: Option<Consent>,
    /// A private key in PEM form.
    key: Option<String>,
}

impl Login {
    fn of(credential: &Value, documents: &[Value]) -> Self {
        if credential.pointer("/spec/auth/apiToken").is_some() {
            return Self::ApiToken(text_at(credential, "/spec/auth/apiToken/email"));
        }
        let passwords = ["/spec/auth/basic", "/spec/auth/session"];
        if passwords
            .iter()
            .any(|method| credential.pointer(method).is_some())
        {
            let mut names = documents
                .iter()
                .map(|document| text_at(document, "/stringData/username"));
            return Self::Password(names.rfind(|name| !name.is_empty()).unwrap_or_default());
        }
        let name = text_at(credential, "/metadata/name");
        if credential.pointer("/spec/auth/oauth1").is_some() {
            return Self::Link(name, text_at(credential, "/spec/auth/oauth1/consumerKey"));
        }
        let own = text_at(credential, "/spec/hosting") == "DataCenter";
        if let Some(oauth2) = credential.pointer("/spec/auth/oauth2") {
            if own {
                return Self::OwnConsent(name, text_at(oauth2, "/redirectUri"), scopes(oauth2));
            }
            return Self::Consent(format!("{name}@acme.example"), scopes(oauth2));
        }
        if let Some(client) = credential.pointer("/spec/auth/clientCredentials") {
            if own {
                return Self::OwnServiceAccount(name, scopes(client));
            }
            return Self::ServiceAccount(name, scopes(client));
        }
        Self::PersonalAccessToken(name)
    }

    /// Has the simulator issue what the example needs.
    fn issue(&self, jira: &Jira) -> Outcome<Issued> {
        let token = match self {
            Self::ApiToken(email) => jira.cloud.api_token(email),
            Self::PersonalAccessToken(user) => jira.data_center.pat(user),
            Self::Password(user) => {
                return Ok(Issued {
                    secret: jira.data_center.new_password(user),
                    ..Issued::default()
                });
            }
            Self::Link(user, consumer) => {
                let key = LinkKey::generate().while_("drawing a key pair")?;
                let link = jira.data_center.application_link(consumer, &key);
                return Ok(Issued {
                    secret: link.authorize(user).token.secret().to_owned(),
                    key: Some(key.private_pem()),
                    ..Issued::default()
                });
            }
            Self::Consent(email, wanted) => return Ok(consent(jira, email, wanted)),
            Self::ServiceAccount(name, wanted) => {
                return Ok(Issued {
                    app: Some(jira.cloud.service_client(name, &words(wanted))),
                    ..Issued::default()
                });
            }
            Self::OwnConsent(user, redirect, wanted) => {
                return Ok(own_consent(jira, user, redirect, wanted));
            }
            Self::OwnServiceAccount(user, wanted) => {
                let app = jira.data_center.service_client(user, &words(wanted));
                return Ok(Issued {
                    app: Some(app),
                    ..Issued::default()
                });
            }
        };
        Ok(Issued {
            secret: token.secret().to_owned(),
            token: Some(token.id().to_owned()),
            ..Issued::default()
        })
    }
}

fn consent(jira: &Jira, email: &str, wanted: &[String]) -> Issued {
    let app = jira.sim.oauth_app();
    let mut scopes = words(wanted);
    scopes.push("offline_access");
    let consent = app.consent(email, &[&jira.cloud], &scopes);
    Issued {
        secret: consent.refresh_token(),
        app: Some(app),
        consent: Some(consent),
        ..Issued::default()
    }
}

fn own_consent(jira: &Jira, user: &str, redirect: &str, wanted: &[String]) -> Issued {
    let link = jira.data_center.oauth_link(&[redirect]);
    let consent = jira.data_center.consent(&link, user, &words(wanted));
    Issued {
        secret: consent.refresh_token(),
        app: Some(link),
        consent: Some(consent),
        ..Issued::default()
    }
}

fn scopes(method: &Value) -> Vec<String> {
    let items = method.get("scopes").and_then(Value::as_array);
    let words = items.into_iter().flatten().filter_map(Value::as_str);
    words.map(str::to_owned).collect()
}

fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

fn point(credential: &mut Value, login: &Login, jira: &Jira) {
    let site = match login {
        Login::ApiToken(_) | Login::Consent(..) | Login::ServiceAccount(..) => jira.cloud.url(),
        Login::PersonalAccessToken(_)
        | Login::Password(_)
        | Login::Link(..)
        | Login::OwnConsent(..)
        | Login::OwnServiceAccount(..) => jira.data_center.url(),
    };
    replace(credential, "/spec/site", &site);
    // The simulated Cloud is none of Atlassian's own hosts, and OAuth 2.0 exists elsewhere too.
    let hosted = matches!(login, Login::Consent(..) | Login::ServiceAccount(..));
    if let Some(spec) = credential.get_mut("spec").filter(|_| hosted) {
        set(spec, "hosting", json!("Cloud"));
    }
    if let Some(spec) = credential
        .get_mut("spec")
        .filter(|_| matches!(login, Login::Consent(..)))
    {
        set(spec, "rotation", json!({ "renewBefore": RENEW_BEFORE }));
    }
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn is(document: &Value, kind: &str) -> bool {
    document.get("kind").and_then(Value::as_str) == Some(kind)
}

fn text_at(document: &Value, pointer: &str) -> String {
    document
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn replace(document: &mut Value, pointer: &str, text: &str) {
    if let Some(value) = document.pointer_mut(pointer) {
        *value = json!(text);
    }
}

fn date(document: &mut Value, pointer: &str, at: DateTime<Utc>) {
    replace(
        document,
        pointer,
        &at.to_rfc3339_opts(SecondsFormat::Secs, true),
    );
}
