//! What a grant is called, and what tells it and its seed from others.

use aws_lc_rs::digest;
use secrecy::{ExposeSecret, SecretString};

use crate::api::{GRANT_PREFIX, Method, RotationPolicy, SecretKeyRef};
use crate::core::fingerprint::{Fingerprint, FingerprintKey, hex};

/// The place of a seed: for a token its Secret and key, for client credentials those of the first
/// client secret, for a session those of the password.
pub fn place(method: &Method<'_>) -> Option<SecretKeyRef> {
    match method {
        Method::OAuth2(oauth2) => Some(oauth2.refresh_token_secret_ref.clone()),
        Method::ClientCredentials(client) => client.client_secret_refs.first().cloned(),
        Method::PersonalAccessToken(token) => match token.rotation {
            RotationPolicy::Automatic => Some(token.token_secret_ref.clone()),
            RotationPolicy::Manual => None,
        },
        Method::Session(session) => Some(SecretKeyRef {
            name: session.secret_ref.name.clone(),
            key: "password".to_owned(),
        }),
        Method::ApiToken(_) | Method::Basic(_) | Method::OAuth1(_) => None,
    }
}

/// The name of the grant of a place: the same for every credential that names it.
pub fn grant_name(place: &SecretKeyRef) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(place.name.as_bytes());
    context.update(&[0]);
    context.update(place.key.as_bytes());
    format!("{GRANT_PREFIX}{}", base32(context.finish().as_ref(), 26))
}

/// The first characters of the base32 form (RFC 4648, lower case) of some bytes.
fn base32(bytes: &[u8], characters: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| (byte >> at) & 1))
        .collect();
    let digit = |group: &[u8]| {
        let value = group
            .iter()
            .fold(0, |value, bit| value << 1 | usize::from(*bit));
        // The last group is filled up with zeros.
        value << (5 - group.len())
    };
    let digits = bits.chunks(5).map(digit).take(characters);
    digits
        .filter_map(|digit| ALPHABET.get(digit).copied().map(char::from))
        .collect()
}

/// SHA-256 of a seed, in hexadecimal digits.
pub(in crate::cluster) fn seed_digest(seed: &SecretString) -> String {
    let digest = digest::digest(&digest::SHA256, seed.expose_secret().as_bytes());
    hex(digest.as_ref(), 64)
}

/// The keyed fingerprint of a seed, the same wherever it stands.
pub(in crate::cluster) fn seed_print(key: &FingerprintKey, seed: &SecretString) -> Fingerprint {
    key.fingerprint(&[b"seed", seed.expose_secret().as_bytes()])
}

/// The mark of a grant that this installation made: nobody without the operator's key can make it
/// up.
pub fn grant_mark(key: &FingerprintKey, namespace: &str, grant: &str) -> Fingerprint {
    key.fingerprint(&[b"grant", namespace.as_bytes(), grant.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        // Section 10, in lower case and without padding.
        for (bytes, text) in [("f", "my"), ("fo", "mzxq"), ("foobar", "mzxw6ytboi")] {
            assert_eq!(base32(bytes.as_bytes(), 26), text);
        }
    }

    #[test]
    fn every_place_has_a_name_of_its_own_that_a_secret_can_have() {
        let name = |name: &str, key: &str| {
            grant_name(&SecretKeyRef {
                name: name.into(),
                key: key.into(),
            })
        };
        assert_eq!(name("a", "b").len(), "jco-grant-".len() + 26);
        assert_ne!(name("a", "bc"), name("ab", "c"));
    }
}
