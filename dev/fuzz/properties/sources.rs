//! What stands in a source Secret becomes a credential that can be sent, or an error that does not hold it.
//!
//! An input is the name of a member of `spec.auth`, a line end, a line that is the user name or the second
//! part, and the value.

use std::collections::BTreeMap;

use jira_credential_operator::api::JiraCredentialSpec;
use jira_credential_operator::cluster::material;
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
    match material(&spec, vec![secret(other, value)]) {
        Ok(material) => {
            let sent = material.secret.expose_secret();
            let is_sendable = !sent.is_empty() && !sent.chars().any(char::is_control);
            assert!(is_sendable && sent.len() <= 4096, "{sent:?}");
            assert_eq!(sent, sent.trim());
            if let Some(user) = &material.user {
                assert!(!user.is_empty() && !user.contains(':'), "{user:?}");
                assert!(!user.chars().any(char::is_control), "{user:?}");
            }
            let shown = format!("{material:?} {:?}", material.signing);
            check_said(&shown, sent);
            check_said(&shown, text.trim());
        }
        Err(error) => {
            check_said(&error.to_string(), text.trim());
            check_said(&error.to_string(), String::from_utf8_lossy(other).trim());
        }
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
