//! The examples of `deploy/`, with the simulator's addresses and generated secrets.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::failure::{Outcome, While as _, fail};
use crate::root;
use crate::stage::Jira;

/// A manifest that the simulator can answer for.
pub(crate) struct Example {
    /// The name of its `JiraCredential`.
    pub(crate) name: String,
    /// The Secret that it publishes.
    pub(crate) target: String,
    /// All of its objects.
    pub(crate) manifest: String,
    /// The id of the token, unless it is a password.
    pub(crate) token: Option<String>,
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
    let (secret, token) = login.issue(jira);
    let now = jira.sim.clock().now();
    for document in &mut documents {
        if is(document, "JiraCredential") {
            point(document, &login, jira);
            date(document, "/spec/auth/apiToken/expiresAt", now + lives);
            date(
                document,
                "/spec/auth/personalAccessToken/issuedAt",
                now - TimeDelta::days(10),
            );
        } else if is(document, "Secret") {
            replace(document, "/stringData/token", &secret);
            replace(document, "/stringData/password", &secret);
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
    })
}

/// How an example authenticates.
enum Login {
    ApiToken(String),
    PersonalAccessToken(String),
    Password(String),
}

impl Login {
    fn of(credential: &Value, documents: &[Value]) -> Self {
        if credential.pointer("/spec/auth/apiToken").is_some() {
            return Self::ApiToken(text_at(credential, "/spec/auth/apiToken/email"));
        }
        if credential.pointer("/spec/auth/basic").is_some() {
            let mut names = documents
                .iter()
                .map(|document| text_at(document, "/stringData/username"));
            return Self::Password(names.rfind(|name| !name.is_empty()).unwrap_or_default());
        }
        Self::PersonalAccessToken(text_at(credential, "/metadata/name"))
    }

    /// Has the simulator issue a secret; returns the id of a token, too.
    fn issue(&self, jira: &Jira) -> (String, Option<String>) {
        let token = match self {
            Self::ApiToken(email) => jira.cloud.api_token(email),
            Self::PersonalAccessToken(user) => jira.data_center.pat(user),
            Self::Password(user) => return (jira.data_center.new_password(user), None),
        };
        (token.secret().to_owned(), Some(token.id().to_owned()))
    }
}

fn point(credential: &mut Value, login: &Login, jira: &Jira) {
    let site = match login {
        Login::ApiToken(_) => jira.cloud.url(),
        Login::PersonalAccessToken(_) | Login::Password(_) => jira.data_center.url(),
    };
    replace(credential, "/spec/site", &site);
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
