//! What goes into a target Secret.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::api::MethodName;

/// A validated credential, ready to be rendered.
#[derive(Clone, Copy, Debug)]
pub struct Validated<'a> {
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
    /// What consumers sign with, for OAuth 1.0a.
    pub signing: Option<Parts<'a>>,
    /// The account that it belongs to.
    pub account: &'a str,
    /// When it expires, where that is known.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What signs requests of OAuth 1.0a, beside the access token.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Consumer key of the application link.
    pub consumer_key: &'a str,
    /// The private key in PEM form.
    pub private_key: &'a SecretString,
    /// The secret of the access token, if there is one.
    pub token_secret: Option<&'a SecretString>,
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

/// Everything that a client can need to call Jira, one thing a key. A change here needs another
/// `RENDERING` (`core/facts/targets`), so that what an older version wrote is written again.
/// Values end without a newline, because clients put them into headers as they are.
pub fn standard(validated: &Validated<'_>) -> Contents {
    let secret = validated.secret.expose_secret();
    let user = validated.user.unwrap_or_default();
    let (scheme, parameters) = match validated.method {
        MethodName::ApiToken | MethodName::Basic => {
            ("Basic", Some(STANDARD.encode(format!("{user}:{secret}"))))
        }
        MethodName::PersonalAccessToken | MethodName::OAuth2 | MethodName::ClientCredentials => {
            ("Bearer", Some(secret.to_owned()))
        }
        // The header is another one, and has a key of its own.
        MethodName::Session => ("Cookie", None),
        // Each request has a signature of its own: there is no header that could be stored.
        MethodName::OAuth1 => ("OAuth", None),
    };
    let mut keys = BTreeMap::from([
        ("url", validated.url.to_owned()),
        ("site", validated.site.to_owned()),
        ("scheme", scheme.to_owned()),
        ("accountId", validated.account.to_owned()),
    ]);
    if let Some(parameters) = parameters {
        keys.insert("authorization", format!("{scheme} {parameters}"));
    }
    match validated.method {
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
        MethodName::Session => {
            keys.insert("cookie", secret.to_owned());
            if let Some(id) = session_id(secret) {
                keys.insert("JSESSIONID", id.to_owned());
            }
        }
        MethodName::OAuth1 => {
            keys.insert("token", secret.to_owned());
            keys.insert("signatureMethod", "RSA-SHA1".to_owned());
        }
    }
    if let Some(parts) = validated.signing {
        keys.insert("consumerKey", parts.consumer_key.to_owned());
        keys.insert("privateKey", parts.private_key.expose_secret().to_owned());
        if let Some(secret) = parts.token_secret {
            keys.insert("tokenSecret", secret.expose_secret().to_owned());
        }
    }
    if let Some(id) = validated.cloud_id {
        keys.insert("cloudId", id.to_owned());
    }
    if let Some(end) = validated.expires_at {
        keys.insert("expiresAt", end.to_rfc3339_opts(SecondsFormat::Secs, true));
    }
    Contents(keys)
}

/// The id of the session among its cookies.
fn session_id(cookies: &str) -> Option<&str> {
    cookies
        .split("; ")
        .find_map(|cookie| cookie.strip_prefix("JSESSIONID="))
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
            let contents = standard(&Validated {
                method,
                url: "https://jira.example",
                site: "https://jira.example",
                cloud_id: (method == MethodName::OAuth2).then_some("id"),
                user,
                secret: &secret,
                signing: None,
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
        let mut validated = Validated {
            method: MethodName::Basic,
            url: "https://jira.example",
            site: "https://jira.example",
            cloud_id: None,
            user: Some("user"),
            secret: &secret,
            signing: None,
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
            header(standard(&validated)).as_deref(),
            Some("Basic dXNlcjpzZWNyZXQ=")
        );
        validated.method = MethodName::PersonalAccessToken;
        assert_eq!(
            header(standard(&validated)).as_deref(),
            Some("Bearer secret")
        );
    }

    #[test]
    fn who_signs_gets_the_parts_and_no_header() {
        let (token, key) = (
            SecretString::from("canary-t"),
            SecretString::from("canary-k"),
        );
        let token_secret = SecretString::from("canary-s");
        let rendered = |token_secret| {
            standard(&Validated {
                method: MethodName::OAuth1,
                url: "https://jira.example/jira",
                site: "https://jira.example/jira",
                cloud_id: None,
                user: None,
                secret: &token,
                signing: Some(Parts {
                    consumer_key: "ci",
                    private_key: &key,
                    token_secret,
                }),
                account: "JIRAUSER1",
                expires_at: None,
            })
        };
        let expected = [
            ("accountId", "JIRAUSER1"),
            ("consumerKey", "ci"),
            ("privateKey", "canary-k"),
            ("scheme", "OAuth"),
            ("signatureMethod", "RSA-SHA1"),
            ("site", "https://jira.example/jira"),
            ("token", "canary-t"),
            ("tokenSecret", "canary-s"),
            ("url", "https://jira.example/jira"),
        ];
        let contents = rendered(Some(&token_secret));
        assert!(contents.iter().eq(expected));
        assert!(!format!("{contents:?}").contains("canary"));
        let keys: Vec<&str> = rendered(None).iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), expected.len() - 1);
        assert!(!keys.contains(&"tokenSecret"));
    }
}
