//! What distinguishes a grant and its initial token from others.

use aws_lc_rs::digest;
use secrecy::{ExposeSecret, SecretString};

use crate::core::fingerprint::{Fingerprint, FingerprintKey, hex};

/// SHA-256 of a seed, in hexadecimal digits.
pub(in crate::cluster) fn seed_digest(seed: &SecretString) -> String {
    let digest = digest::digest(&digest::SHA256, seed.expose_secret().as_bytes());
    hex(digest.as_ref(), 64)
}

/// The keyed fingerprint of a seed, the same wherever it stands.
pub(in crate::cluster) fn seed_print(key: &FingerprintKey, seed: &SecretString) -> Fingerprint {
    key.fingerprint(&[b"seed", seed.expose_secret().as_bytes()])
}

/// The mark of a grant that this installation made: without the operator's key it cannot be made
/// up.
pub fn grant_mark(key: &FingerprintKey, namespace: &str, grant: &str) -> Fingerprint {
    key.fingerprint(&[b"grant", namespace.as_bytes(), grant.as_bytes()])
}
