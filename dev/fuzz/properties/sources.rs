//! What stands in a source Secret becomes a credential that can be sent, or an error that does not hold it.
//!
//! An input is the name of a member of `spec.auth`, a line end, a line that is the user name or the second
//! part, and the value.

use std::collections::BTreeMap;

use jira_credential_operator::api::JiraCredentialSpec;
use jira_credential_operator::cluster::{login_in, material, token_in};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{check_said, first_line};

/// Panics when it does not hold.
pub fn hold(input: &[u8]) {
    let (member, rest) = first_line(input);
    let (other, value) = first_line(rest);
    let Some(spec) = spec(member) else {
        return;
    };
    let text = String::from_utf8_lossy(value);
    if matches!(member, b"oauth2" | b"clientCredentials" | b"session") {
        return kept_apart(&spec, other, value);
    }
    match material(&spec, vec![secret(other, value)]) {
        Ok(material) => {
            let sent = material.secret.expose_secret();
            check_sendable(sent);
            if let Some(user) = &material.user {
                check_user(user);
            }
            let shown = format!("{material:?} {:?}", material.signing);
            check_said(&shown, sent);
            check_said(&shown, text.trim());
        }
        Err(error) => check_hidden(&error.to_string(), other, value),
    }
}

/// What a renewal reads one by one: refresh token, client secret, user name and password.
fn kept_apart(spec: &JiraCredentialSpec, other: &[u8], value: &[u8]) {
    let auth = &spec.auth;
    let oauth2 = auth.oauth2.iter();
    let oauth2 = oauth2.flat_map(|oauth2| {
        let seed = std::iter::once(&oauth2.refresh_token_secret_ref);
        oauth2.client_secret_refs.iter().chain(seed)
    });
    let clients = auth.client_credentials.iter();
    let clients = clients.flat_map(|client| &client.client_secret_refs);
    for reference in oauth2.chain(clients) {
        match token_in(reference, secret(other, value)) {
            Ok(token) => check_sendable(token.expose_secret()),
            Err(error) => check_hidden(&error.to_string(), other, value),
        }
    }
    if let Some(session) = &auth.session {
        match login_in(&session.secret_ref.name, secret(other, value)) {
            Ok(login) => {
                check_sendable(login.password.expose_secret());
                check_user(&login.user);
                check_hidden(&format!("{login:?}"), other, value);
            }
            Err(error) => check_hidden(&error.to_string(), other, value),
        }
    }
}

fn check_sendable(sent: &str) {
    let is_sendable = !sent.is_empty() && !sent.chars().any(char::is_control);
    assert!(is_sendable && sent.len() <= 4096, "{sent:?}");
    assert_eq!(sent, sent.trim());
}

fn check_user(user: &str) {
    assert!(!user.is_empty() && !user.contains(':'), "{user:?}");
    assert!(!user.chars().any(char::is_control), "{user:?}");
}

/// What is said of a Secret holds neither of its values.
fn check_hidden(said: &str, other: &[u8], value: &[u8]) {
    for value in [other, value] {
        check_said(said, String::from_utf8_lossy(value).trim());
    }
}

fn spec(member: &[u8]) -> Option<JiraCredentialSpec> {
    let key = |key: &str| json!({"name": "source", "key": key});
    let auth: Value = match member {
        b"apiToken" => {
            json!({"apiToken": {"emailSecretRef": key("other"), "tokenSecretRef": key("value")}})
        }
        b"personalAccessToken" => json!({"personalAccessToken": {"tokenSecretRef": key("value")}}),
        b"basic" => json!({"basic": {"secretRef": {"name": "source"}}}),
        b"oauth1" => json!({"oauth1": {"consumerKey": "ci", "secretRef": {"name": "source"}}}),
        b"oauth2" => json!({"oauth2": {
            "clientId": "ci",
            "clientSecretRefs": [key("value"), key("other")],
            "refreshTokenSecretRef": key("value"),
        }}),
        b"clientCredentials" => json!({"clientCredentials": {
            "clientId": "ci",
            "clientSecretRefs": [key("value")],
        }}),
        b"session" => json!({"session": {"secretRef": {"name": "source"}}}),
        b"tls" => {
            let spec = json!({
                "site": "https://jira.example",
                "tls": {"caSecretRef": key("value")},
                "auth": {"personalAccessToken": {"tokenSecretRef": key("other")}},
            });
            return serde_json::from_value(spec).ok();
        }
        _ => return None,
    };
    serde_json::from_value(json!({"site": "https://jira.example", "auth": auth})).ok()
}

/// A Secret in which each key that some method reads holds one of the two.
fn secret(other: &[u8], value: &[u8]) -> Secret {
    let data = [
        ("other", other),
        ("username", other),
        ("token", other),
        ("value", value),
        ("password", value),
        ("privateKey", value),
        ("tokenSecret", value),
    ];
    let data = data.map(|(key, bytes)| (key.to_owned(), ByteString(bytes.to_vec())));
    Secret {
        metadata: ObjectMeta {
            name: Some("source".to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from(data)),
        ..Secret::default()
    }
}
