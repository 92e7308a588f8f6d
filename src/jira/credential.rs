//! What proves who asks.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

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
}

impl fmt::Debug for Credential {
    /// Says the scheme and nothing else: a user name is nobody's business in a log either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(REDACTED)",
            Self::Bearer(_) => "Bearer(REDACTED)",
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
        }
    }

    /// The value of the `Authorization` header, marked as sensitive; `None` when the credential is
    /// not sendable.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        if !self.is_sendable() {
            return None;
        }
        let text = match self {
            Self::Basic { user, secret } => {
                let pair = Zeroizing::new(format!("{user}:{}", secret.expose_secret()));
                let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
                Zeroizing::new(format!("Basic {}", *encoded))
            }
            Self::Bearer(token) => Zeroizing::new(format!("Bearer {}", token.expose_secret())),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether a text that came from outside repeats the secret.
    pub(super) fn is_repeated_in(&self, text: &str) -> bool {
        let (Self::Basic { secret, .. } | Self::Bearer(secret)) = self;
        // A password of a few letters may well be part of an account's id by chance.
        let secret = secret.expose_secret();
        let header = self.header();
        let encoded = header
            .as_ref()
            .and_then(|value| value.to_str().ok()?.split(' ').nth(1));
        let repeats = |secret: &str| secret.len() >= 8 && text.contains(secret);
        repeats(secret) || encoded.is_some_and(repeats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, secret: &str) -> Credential {
        Credential::Basic {
            user: user.to_owned(),
            secret: secret.to_owned().into(),
        }
    }

    fn bearer(token: &str) -> Credential {
        Credential::Bearer(token.to_owned().into())
    }

    #[test]
    fn headers_are_what_rfc_7617_and_rfc_6750_say() {
        // The example of RFC 7617, section 2.
        let header = basic("Aladdin", "open sesame").header().unwrap();
        assert_eq!(
            header.to_str().unwrap(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert!(header.is_sensitive());
        let header = bearer("mF_9.B5f-4.1JqM").header().unwrap();
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
        ] {
            assert_eq!(credential.is_sendable(), sendable);
            assert_eq!(credential.header().is_some(), sendable);
        }
    }

    #[test]
    fn debug_output_is_silent() {
        let secret = "hunter2-hunter2";
        let encoded = STANDARD.encode(format!("somebody:{secret}"));
        for credential in [basic("somebody", secret), bearer(secret)] {
            let header = credential.header().unwrap();
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
        assert!(!basic("a", "JIRA").is_repeated_in("JIRAUSER10000"));
    }
}
