//! What kind of token a secret value looks like. Used for hints after a refusal and to choose the
//! endpoint.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a value looks like.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct TokenFormat {
    /// The kind of credential.
    pub kind: TokenKind,
    /// Its checksum does not match: it was cut off or mistyped. The meaning of the tail is
    /// undocumented and known from samples, so that this is a hint at most.
    pub damaged: bool,
}

/// A kind of credential that can be known by its form.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TokenKind {
    /// Nothing in particular.
    #[default]
    Unremarkable,
    /// A personal access token of Data Center.
    PersonalAccessToken,
    /// An API token of a user of Cloud, with scopes or without: they look alike.
    ApiToken,
    /// An API token of a service account of Cloud.
    ServiceAccountToken,
    /// An API key of an organisation on Cloud.
    OrganizationKey,
}

/// The prefixes of Cloud's tokens (as the public rules of several secret scanners have them).
const PREFIXES: [(&str, TokenKind); 3] = [
    ("ATATT3x", TokenKind::ApiToken),
    ("ATSTT3x", TokenKind::ServiceAccountToken),
    ("ATCTT3x", TokenKind::OrganizationKey),
];

impl TokenFormat {
    /// Looks at a value.
    pub fn of(value: &str) -> Self {
        let prefixed = PREFIXES
            .iter()
            .find(|(prefix, _)| value.starts_with(prefix));
        match prefixed {
            Some((_, kind)) => Self {
                kind: *kind,
                damaged: !ends_in_checksum(value),
            },
            None if is_personal_access_token(value) => Self {
                kind: TokenKind::PersonalAccessToken,
                damaged: false,
            },
            None => Self::default(),
        }
    }
}

/// Base64 of 12 digits, a colon and 20 bytes (known from samples).
fn is_personal_access_token(value: &str) -> bool {
    if value.len() != 44 {
        return false;
    }
    let Ok(bytes) = STANDARD.decode(value) else {
        return false;
    };
    let Some((id, rest)) = bytes.split_at_checked(12) else {
        return false;
    };
    id.iter().all(u8::is_ascii_digit) && rest.first() == Some(&b':') && rest.len() == 21
}

/// Whether the value ends in `=` and the CRC-32 of everything up to and including that sign.
fn ends_in_checksum(value: &str) -> bool {
    value.rfind('=').is_some_and(|sign| {
        let (body, tail) = value.split_at(sign + 1);
        let upper = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        let sum = u32::from_str_radix(tail, 16).ok();
        tail.len() == 8 && tail.bytes().all(upper) && sum == Some(crc32fast::hash(body.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pat() -> String {
        STANDARD.encode([b"012345678901:".as_slice(), &[0xA5; 20]].concat())
    }

    fn with_checksum(prefix: &str) -> String {
        let body = format!("{prefix}FfGF0{}", "x".repeat(100));
        format!(
            "{body}={:08X}",
            crc32fast::hash(format!("{body}=").as_bytes())
        )
    }

    #[test]
    fn kinds_are_told_by_their_form() {
        let kind = |value: &str| TokenFormat::of(value).kind;
        assert_eq!(kind(&pat()), TokenKind::PersonalAccessToken);
        assert_eq!(kind(&with_checksum("ATATT3x")), TokenKind::ApiToken);
        assert_eq!(
            kind(&with_checksum("ATSTT3x")),
            TokenKind::ServiceAccountToken
        );
        assert_eq!(kind(&with_checksum("ATCTT3x")), TokenKind::OrganizationKey);
        let letters = STANDARD.encode([b"0123456789ab:".as_slice(), &[0xA5; 20]].concat());
        let comma = STANDARD.encode([b"012345678901,".as_slice(), &[0xA5; 20]].concat());
        let longer = STANDARD.encode([b"012345678901:".as_slice(), &[0xA5; 23]].concat());
        for other in [
            "",
            "hunter2",
            "ATATT",
            &"x".repeat(44),
            &"?".repeat(44),
            &pat()[1..],
            &letters,
            &comma,
            &longer,
        ] {
            assert_eq!(TokenFormat::of(other), TokenFormat::default(), "{other}");
        }
    }

    #[test]
    fn a_checksum_that_does_not_match_is_a_hint() {
        // What zlib makes of 123456789 and the sign behind it.
        let token = with_checksum("ATATT3x");
        assert!(!TokenFormat::of(&token).damaged);
        for (damage, value) in [
            ("cut off", token[..token.len() - 1].to_owned()),
            ("without its tail", token[..60].to_owned()),
            ("mistyped", token.replacen("xx", "xy", 1)),
        ] {
            assert!(TokenFormat::of(&value).damaged, "{damage}");
        }
        assert!(!TokenFormat::of("a password").damaged);
        assert!(!TokenFormat::of(&pat()).damaged, "it has no checksum");
    }
}
