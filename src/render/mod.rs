//! What goes into a target Secret.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::api::MethodName;

/// A proven credential, ready to be rendered.
#[derive(Clone, Copy, Debug)]
pub struct Proven<'a> {
    /// How it authenticates.
    pub method: MethodName,
    /// Base address of the API, without a trailing slash.
    pub url: &'a str,
    /// The address of the site, as a person opens it.
    pub site: &'a str,
    /// The id of the site on Atlassian's gateway, for methods that are used there.
    pub cloud_id: Option<&'a str>,
    /// E-mail or user name; none for Bearer methods.
    pub user: Option<&'a str>,
    /// Token or password.
    pub secret: &'a SecretString,
    /// The account that it belongs to.
    pub account: &'a str,
    /// When it expires, where that is known.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The keys and values of a Secret.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Contents(BTreeMap<&'static str, String>);

impl Contents {
    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str()))
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// The preset `Standard`: everything that a client can need to call Jira, one thing a key.
/// Values end without a newline, because clients put them into headers as they are.
pub fn standard(proven: &Proven<'_>) -> Contents {
    let secret = proven.secret.expose_secret();
    let user = proven.user.unwrap_or_default();
    let (scheme, parameters) = match proven.method {
        MethodName::ApiToken | MethodName::Basic => {
            ("Basic", STANDARD.encode(format!("{user}:{secret}")))
        }
        MethodName::PersonalAccessToken | MethodName::OAuth2 | MethodName::ClientCredentials => {
            ("Bearer", secret.to_owned())
        }
    };
    let mut keys = BTreeMap::from([
        ("url", proven.url.to_owned()),
        ("site", proven.site.to_owned()),
        ("scheme", scheme.to_owned()),
        ("authorization", format!("{scheme} {parameters}")),
        ("accountId", proven.account.to_owned()),
    ]);
    match proven.method {
        MethodName::ApiToken => {
            keys.insert("email", user.to_owned());
            keys.insert("username", user.to_owned());
            keys.insert("token", secret.to_owned());
        }
        MethodName::Basic => {
            keys.insert("username", user.to_owned());
            keys.insert("password", secret.to_owned());
        }
        MethodName::PersonalAccessToken | MethodName::OAuth2 | MethodName::ClientCredentials => {
            keys.insert("token", secret.to_owned());
        }
    }
    if let Some(id) = proven.cloud_id {
        keys.insert("cloudId", id.to_owned());
    }
    if let Some(end) = proven.expires_at {
        keys.insert("expiresAt", end.to_rfc3339_opts(SecondsFormat::Secs, true));
    }
    Contents(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_keys() {
        for (method, user, keys) in [
            (
                MethodName::ApiToken,
                Some("bot@acme.example"),
                "accountId authorization email expiresAt scheme site token url username",
            ),
            (
                MethodName::Basic,
                Some("bot"),
                "accountId authorization expiresAt password scheme site url username",
            ),
            (
                MethodName::PersonalAccessToken,
                None,
                "accountId authorization expiresAt scheme site token url",
            ),
            (
                MethodName::OAuth2,
                None,
                "accountId authorization cloudId expiresAt scheme site token url",
            ),
        ] {
            let secret = SecretString::from("canary");
            let contents = standard(&Proven {
                method,
                url: "https://jira.example",
                site: "https://jira.example",
                cloud_id: (method == MethodName::OAuth2).then_some("id"),
                user,
                secret: &secret,
                account: "account",
                expires_at: Some(DateTime::UNIX_EPOCH),
            });
            let found: Vec<&str> = contents.iter().map(|(key, _)| key).collect();
            assert_eq!(found.join(" "), keys, "{method:?}");
            assert!(contents.iter().all(|(_, value)| !value.ends_with('\n')));
            assert!(!format!("{contents:?}").contains("canary"));
        }
    }

    #[test]
    fn the_header_is_whole() {
        let secret = SecretString::from("secret");
        let mut proven = Proven {
            method: MethodName::Basic,
            url: "https://jira.example",
            site: "https://jira.example",
            cloud_id: None,
            user: Some("user"),
            secret: &secret,
            account: "account",
            expires_at: None,
        };
        let header = |contents: Contents| {
            contents
                .iter()
                .find(|(key, _)| *key == "authorization")
                .map(|(_, value)| value.to_owned())
        };
        assert_eq!(
            header(standard(&proven)).as_deref(),
            Some("Basic dXNlcjpzZWNyZXQ=")
        );
        proven.method = MethodName::PersonalAccessToken;
        assert_eq!(header(standard(&proven)).as_deref(), Some("Bearer secret"));
    }
}
