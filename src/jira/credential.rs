//! How each kind of credential is sent.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue, header};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::jira::oauth1::Signer;

/// A credential, ready to be sent.
#[derive(Clone)]
pub enum Credential {
    /// E-mail address and API token on Cloud, user name and password on Data Center.
    Basic {
        /// E-mail address or user name.
        user: String,
        /// API token or password.
        secret: SecretString,
    },
    /// A personal access token of Data Center.
    Bearer(SecretString),
    /// The cookies of a session of Data Center, as the header `Cookie` has them.
    Cookie(SecretString),
    /// An access token of OAuth 1.0a on Data Center, with the key that signs each request.
    Signed(Signer),
}

impl fmt::Debug for Credential {
    /// Prints the scheme and nothing else: a user name does not belong in a log either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(REDACTED)",
            Self::Bearer(_) => "Bearer(REDACTED)",
            Self::Cookie(_) => "Cookie(REDACTED)",
            Self::Signed(_) => "Signed(REDACTED)",
        })
    }
}

impl Credential {
    /// Whether the credential can be written into a request as it is. One that cannot is never
    /// accepted by any Jira: a token with a line break, a user name with a colon, nothing at all.
    pub fn is_sendable(&self) -> bool {
        match self {
            Self::Basic { user, secret } => {
                let secret = secret.expose_secret();
                let text = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
                text(user) && !user.contains(':') && text(secret)
            }
            Self::Bearer(token) => {
                let token = token.expose_secret();
                !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
            }
            Self::Cookie(cookie) => HeaderValue::from_str(cookie.expose_secret()).is_ok(),
            // Whatever it is, it is encoded.
            Self::Signed(signer) => {
                !signer.consumer_key.is_empty() && !signer.token.expose_secret().is_empty()
            }
        }
    }

    /// The name of the header that carries it.
    fn header_name(&self) -> HeaderName {
        match self {
            Self::Basic { .. } | Self::Bearer(_) | Self::Signed(_) => header::AUTHORIZATION,
            Self::Cookie(_) => header::COOKIE,
        }
    }

    /// The header of one GET; `None` when the credential is not sendable, or cannot be signed with.
    pub(super) fn authorization(
        &self,
        url: &Url,
        now: DateTime<Utc>,
    ) -> Option<(HeaderName, HeaderValue)> {
        Some((self.header_name(), self.header(url, now)?))
    }

    /// The value of that header for one GET, marked as sensitive; `None` when the
    /// credential is not sendable, or cannot be signed with.
    fn header(&self, url: &Url, now: DateTime<Utc>) -> Option<HeaderValue> {
        if !self.is_sendable() {
            return None;
        }
        let text = match self {
            Self::Basic { user, secret } => basic_header(user, secret),
            Self::Bearer(token) => Zeroizing::new(format!("Bearer {}", token.expose_secret())),
            Self::Cookie(cookie) => Zeroizing::new(cookie.expose_secret().to_owned()),
            Self::Signed(signer) => signer.authorization(url, now)?,
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether a text that came from outside repeats the secret.
    pub(super) fn is_repeated_in(&self, text: &str) -> bool {
        // A password of a few letters may well be part of an account's id by chance.
        let repeats = |secret: &str| secret.len() >= 8 && text.contains(secret);
        match self {
            Self::Basic { user, secret } => {
                let header = basic_header(user, secret);
                let encoded = header.split(' ').nth(1).unwrap_or_default();
                repeats(secret.expose_secret()) || repeats(encoded)
            }
            Self::Bearer(token) => repeats(token.expose_secret()),
            // The value of any of them would do.
            Self::Cookie(cookies) => cookies
                .expose_secret()
                .split("; ")
                .filter_map(|cookie| cookie.split_once('='))
                .any(|(_, value)| repeats(value)),
            // The key never leaves the process.
            Self::Signed(signer) => repeats(signer.token.expose_secret()),
        }
    }
}

fn basic_header(user: &str, secret: &SecretString) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{user}:{}", secret.expose_secret()));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    Zeroizing::new(format!("Basic {}", *encoded))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair, KeySize};

    use super::*;
    use crate::core::spec::RsaKey;

    fn basic(user: &str, secret: &str) -> Credential {
        Credential::Basic {
            user: user.to_owned(),
            secret: secret.to_owned().into(),
        }
    }

    fn bearer(token: &str) -> Credential {
        Credential::Bearer(token.to_owned().into())
    }

    fn signed(token: &str) -> Credential {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let body = STANDARD.encode(pair.as_der().unwrap().as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        Credential::Signed(Signer {
            consumer_key: "somebody".to_owned(),
            token: token.to_owned().into(),
            key: Arc::new(RsaKey::from_pem(&pem).unwrap()),
        })
    }

    fn header_of(credential: &Credential) -> Option<HeaderValue> {
        let url = Url::parse("https://jira.example/rest/api/2/myself").unwrap();
        credential.header(&url, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn headers_are_what_rfc_7617_and_rfc_6750_say() {
        // The example of RFC 7617, section 2.
        let header = header_of(&basic("Aladdin", "open sesame")).unwrap();
        assert_eq!(
            header.to_str().unwrap(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert!(header.is_sensitive());
        let header = header_of(&bearer("mF_9.B5f-4.1JqM")).unwrap();
        assert_eq!(header.to_str().unwrap(), "Bearer mF_9.B5f-4.1JqM");
        assert!(header.is_sensitive());
    }

    #[test]
    fn what_cannot_be_sent_is_told_before() {
        for (credential, sendable) in [
            (basic("a@example.com", "token"), true),
            (basic("müller", "pässword with blank"), true),
            (basic("a:b", "token"), false),
            (basic("", "token"), false),
            (basic("a@example.com", ""), false),
            (basic("a@example.com", "token\n"), false),
            (bearer("token"), true),
            (bearer("token\n"), false),
            (bearer("to ken"), false),
            (bearer("tökén"), false),
            (bearer(""), false),
            (signed("tökén of any kind"), true),
            (signed(""), false),
        ] {
            assert_eq!(credential.is_sendable(), sendable);
            assert_eq!(header_of(&credential).is_some(), sendable);
        }
    }

    #[test]
    fn debug_output_is_silent() {
        let secret = "hunter2-hunter2";
        let encoded = STANDARD.encode(format!("somebody:{secret}"));
        for credential in [basic("somebody", secret), bearer(secret), signed(secret)] {
            let header = header_of(&credential).unwrap();
            let text = format!("{credential:?} {credential:#?} {header:?}");
            assert!(!text.contains(secret) && !text.contains(&encoded), "{text}");
            assert!(!text.contains("somebody"), "{text}");
        }
    }

    #[test]
    fn an_echo_of_the_secret_is_noticed() {
        assert!(basic("a", "long-enough").is_repeated_in("id-long-enough-x"));
        assert!(basic("a", "long-enough").is_repeated_in("YTpsb25nLWVub3VnaA=="));
        assert!(!basic("a", "long-enough").is_repeated_in("JIRAUSER10000"));
        assert!(signed("long-enough").is_repeated_in("id-long-enough-x"));
        assert!(!signed("long-enough").is_repeated_in("JIRAUSER10000"));
        assert!(!basic("a", "JIRA").is_repeated_in("JIRAUSER10000"));
    }
}
