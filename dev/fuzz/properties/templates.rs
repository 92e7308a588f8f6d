//! A template is refused or rendered, within its bounds, and no message holds the credential.
//!
//! An input is the name of a method, a line end, and a template. Behind the name there may be, each after a `|`, the
//! secret, the user, the account, the address, the seconds at which the credential expires, and the value before. A
//! part that ends in `*` and a number is repeated so often.

use chrono::{DateTime, Utc};
use jira_credential_operator::api::{Hosting, MethodName, Target};
use jira_credential_operator::core::spec::template_fault;
use jira_credential_operator::render::{Parts, Validated, target_contents};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{check_said, first_line};

const CREDENTIAL: &str = "corpus Zq7wX '\"\\{%é";

/// The most repetitions of a part.
const MOST_TIMES: usize = 2000;

/// Panics when it does not hold.
pub fn hold(input: &[u8]) {
    let (first, text) = first_line(input);
    let first = String::from_utf8_lossy(first);
    let words = Words::of(&first);
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let target = json!({"name": "bot", "template": {"data": {"file": text}}});
    let Ok(target) = serde_json::from_value::<Target>(target) else {
        return;
    };
    if let Some(fault) = template_fault(&target, words.method) {
        words.check(&fault);
        return;
    }
    for is_whole in [true, false] {
        match target_contents(&words.validated(is_whole), &target) {
            Ok(contents) => {
                let file = contents.iter().find(|(key, _)| *key == "file");
                assert!(file.is_some_and(|(_, value)| value.len() <= 64 * 1024));
            }
            Err(error) => words.check(&error),
        }
    }
}

/// Everything that a credential consists of.
struct Words {
    method: MethodName,
    secret: SecretString,
    user: String,
    account: String,
    url: String,
    expires_at: Option<DateTime<Utc>>,
    previous: Option<SecretString>,
}

impl Words {
    fn of(line: &str) -> Self {
        let mut parts = line.split('|');
        let method = parts.next().map(|name| serde_json::from_value(json!(name)));
        let mut next = |default: &str| repeated(parts.next().unwrap_or(default));
        Self {
            method: method.and_then(Result::ok).unwrap_or(MethodName::ApiToken),
            secret: SecretString::from(next(CREDENTIAL)),
            user: next("bot@acme.example"),
            account: next("account"),
            url: next("https://jira.example/x"),
            expires_at: DateTime::from_timestamp(next("0").parse().unwrap_or_default(), 0),
            previous: Some(next(""))
                .filter(|part| !part.is_empty())
                .map(SecretString::from),
        }
    }

    /// No message holds a part of the credential.
    fn check(&self, said: &str) {
        let secrets = [Some(&self.secret), self.previous.as_ref()]
            .into_iter()
            .flatten();
        let secrets = secrets.map(ExposeSecret::expose_secret);
        for part in secrets.chain([self.user.as_str(), &self.account, &self.url]) {
            check_said(said, part);
        }
    }

    fn validated(&self, is_whole: bool) -> Validated<'_> {
        let has_user = matches!(self.method, MethodName::ApiToken | MethodName::Basic);
        Validated {
            name: "team-a/bot",
            hosting: Hosting::Cloud,
            method: self.method,
            url: &self.url,
            site: &self.url,
            cloud_id: is_whole.then_some("id"),
            user: has_user.then_some(&self.user),
            secret: &self.secret,
            previous: self.previous.as_ref().filter(|_| is_whole),
            signing: (self.method == MethodName::OAuth1).then_some(Parts {
                consumer_key: "ci",
                private_key: &self.secret,
                token_secret: is_whole.then_some(&self.secret),
            }),
            account: &self.account,
            expires_at: self.expires_at.filter(|_| is_whole),
        }
    }
}

fn repeated(part: &str) -> String {
    match part.rsplit_once('*') {
        Some((unit, times)) => times.parse::<usize>().map_or_else(
            |_| part.to_owned(),
            |times| unit.repeat(times.min(MOST_TIMES)),
        ),
        None => part.to_owned(),
    }
}
