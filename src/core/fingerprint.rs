//! Keyed fingerprints: they tell whether two credentials are the same and nothing else.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;

/// The key of this installation's fingerprints.
#[derive(Clone)]
pub struct FingerprintKey {
    id: String,
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
        let id = hex(digest::digest(&digest::SHA256, bytes).as_ref(), 4);
        Self {
            id,
            key: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        }
    }

    /// The fingerprint of a sequence of parts; each is preceded by its length, so that moving
    /// a byte from one part to the next gives another fingerprint.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        Fingerprint(format!("k{}:{}", self.id, hex(context.sign().as_ref(), 12)))
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
    fn debug_output_shows_no_key() {
        assert_eq!(
            format!("{:?}", FingerprintKey::new(b"canary")).len(),
            "FingerprintKey(k0000)".len()
        );
    }
}
