//! Keyed fingerprints: they tell whether two credentials are the same and nothing else.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;

/// The key of this installation's fingerprints.
#[derive(Clone)]
pub struct FingerprintKey {
    id: String,
    /// Marks the fingerprints that are bound to a namespace.
    bound_id: String,
    key: hmac::Key,
}

/// `k<4 hex of the key's hash>:<12 hex>`; the first part says which key made it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(String);

/// What a comparison of two fingerprints shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FingerprintMatch {
    /// The same credential.
    Same,
    /// Another credential.
    Different,
    /// Made with different keys: nothing can be known.
    Unknown,
}

impl FingerprintKey {
    /// Takes the key's bytes, as they stand in the operator's Secret.
    pub fn new(bytes: &[u8]) -> Self {
        let id = |more: &[u8]| {
            hex(
                digest::digest(&digest::SHA256, &[bytes, more].concat()).as_ref(),
                4,
            )
        };
        Self {
            id: id(b""),
            bound_id: id(b"namespace"),
            key: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        }
    }

    /// The fingerprint of a sequence of parts, the same in every namespace. A user who could
    /// compare it with those of their own guesses would learn a password, so that it stays in memory,
    /// unless the parts cannot be guessed.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.key);
        add(&mut context, parts);
        Self::named(&self.id, &context)
    }

    /// The fingerprint of a sequence of parts for one namespace. In another namespace the same parts
    /// have another one, so that its users learn nothing from it.
    pub fn fingerprint_in(&self, namespace: &str, parts: &[&[u8]]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.key);
        add(&mut context, &[b"namespace", namespace.as_bytes()]);
        add(&mut context, parts);
        Self::named(&self.bound_id, &context)
    }

    fn named(id: &str, context: &hmac::Context) -> Fingerprint {
        let print = context.clone().sign();
        Fingerprint(format!("k{id}:{}", hex(print.as_ref(), 12)))
    }
}

/// Each part is preceded by its length, so that moving a byte from one part to the next gives another
/// fingerprint.
fn add(context: &mut hmac::Context, parts: &[&[u8]]) {
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FingerprintKey(k{})", self.id)
    }
}

impl Fingerprint {
    /// Takes a fingerprint as it was recorded.
    pub fn recorded(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, as it is recorded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares with a recorded fingerprint.
    pub fn compare(&self, recorded: &str) -> FingerprintMatch {
        let key = |text: &str| text.split_once(':').map(|(key, _)| key.to_owned());
        if self.0 == recorded {
            FingerprintMatch::Same
        } else if key(&self.0) == key(recorded) {
            FingerprintMatch::Different
        } else {
            FingerprintMatch::Unknown
        }
    }
}

/// A digest of texts, none of which is secret. Where one text ends and the next begins is part of it.
pub(crate) fn digest_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    hex(context.finish().as_ref(), 16)
}

/// The first `digits` hexadecimal digits of some bytes.
pub(crate) fn hex(bytes: &[u8], digits: usize) -> String {
    let mut text = HEXLOWER.encode(bytes);
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_same_from_different_and_both_from_unknown() {
        let (ours, theirs) = (
            FingerprintKey::new(b"key one"),
            FingerprintKey::new(b"key two"),
        );
        let fingerprint = ours.fingerprint(&[b"site", b"secret"]);
        let again = ours.fingerprint(&[b"site", b"secret"]);
        let shifted = ours.fingerprint(&[b"sites", b"ecret"]);
        let foreign = theirs.fingerprint(&[b"site", b"secret"]);
        assert_eq!(fingerprint.compare(again.as_str()), FingerprintMatch::Same);
        assert_eq!(
            fingerprint.compare(shifted.as_str()),
            FingerprintMatch::Different
        );
        assert_eq!(
            fingerprint.compare(foreign.as_str()),
            FingerprintMatch::Unknown
        );
        assert_eq!(fingerprint.as_str().len(), "k0000:000000000000".len());
    }

    #[test]
    fn a_fingerprint_of_one_namespace_tells_nothing_in_another() {
        let key = FingerprintKey::new(b"key one");
        let parts: [&[u8]; 2] = [b"site", b"secret"];
        let (here, there) = (
            key.fingerprint_in("here", &parts),
            key.fingerprint_in("there", &parts),
        );
        assert_eq!(here, key.fingerprint_in("here", &parts));
        assert_ne!(here, there);
        // Those of earlier versions, which were not bound, are unknown and not another credential.
        let unbound = key.fingerprint(&parts);
        assert_eq!(here.compare(unbound.as_str()), FingerprintMatch::Unknown);
    }

    #[test]
    fn debug_output_shows_no_key() {
        assert_eq!(
            format!("{:?}", FingerprintKey::new(b"canary")).len(),
            "FingerprintKey(k0000)".len()
        );
    }
}
