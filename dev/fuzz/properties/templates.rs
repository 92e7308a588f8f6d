//! A template is refused or rendered, within its bounds, and no message holds the credential.
//!
//! An input is the name of a method, a line end, and a template.

use chrono::DateTime;
use jira_credential_operator::api::{Hosting, MethodName, Target};
use jira_credential_operator::core::spec::template_fault;
use jira_credential_operator::render::{Parts, Validated, target_contents};
use secrecy::SecretString;
use serde_json::json;

use super::{check_said, first_line};

const CREDENTIAL: &str = "corpus Zq7wX '\"\\{%é";

/// Panics when it does not hold.
pub fn hold(input: &[u8]) {
    let (method, text) = first_line(input);
    let method = serde_json::from_value(json!(String::from_utf8_lossy(method)));
    let method = method.unwrap_or(MethodName::ApiToken);
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let target = json!({"name": "bot", "template": {"data": {"file": text}}});
    let Ok(target) = serde_json::from_value::<Target>(target) else {
        return;
    };
    if let Some(fault) = template_fault(&target, method) {
        check_said(&fault, CREDENTIAL);
        return;
    }
    let secret = SecretString::from(CREDENTIAL);
    for is_whole in [true, false] {
        match target_contents(&validated(method, &secret, is_whole), &target) {
            Ok(contents) => {
                let longest = contents.iter().map(|(_, value)| value.len()).max();
                assert!(longest.is_some_and(|longest| longest <= 64 * 1024));
            }
            Err(error) => check_said(&error, CREDENTIAL),
        }
    }
}

fn validated(method: MethodName, secret: &SecretString, is_whole: bool) -> Validated<'_> {
    let has_user = matches!(method, MethodName::ApiToken | MethodName::Basic);
    Validated {
        name: "team-a/bot",
        hosting: Hosting::Cloud,
        method,
        url: "https://jira.example/x",
        site: "https://jira.example",
        cloud_id: is_whole.then_some("id"),
        user: has_user.then_some("bot@acme.example"),
        secret,
        previous: None,
        signing: (method == MethodName::OAuth1).then_some(Parts {
            consumer_key: "ci",
            private_key: secret,
            token_secret: is_whole.then_some(secret),
        }),
        account: "account",
        expires_at: is_whole.then_some(DateTime::UNIX_EPOCH),
    }
}
