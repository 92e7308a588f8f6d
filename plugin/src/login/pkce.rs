//! Proof that who exchanges a code is who asked for it (RFC 7636).

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;
use crate::login::consent;

/// A verifier: 256 random bits, which leave this process with the code alone.
///
/// # Errors
/// When the system gives no random numbers.
pub fn verifier() -> Result<SecretString, Failure> {
    let verifier = BASE64URL_NOPAD.encode(&consent::random()?);
    Ok(SecretString::from(verifier))
}

/// The challenge of a verifier, by the method S256.
pub fn challenge(verifier: &SecretString) -> String {
    let hash = digest(&SHA256, verifier.expose_secret().as_bytes());
    BASE64URL_NOPAD.encode(hash.as_ref())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    /// The example of RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        let verifier = SecretString::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(challenge(&verifier), expected);
    }

    #[test]
    fn a_verifier_is_drawn_once_and_long_enough() {
        let (one, other) = (verifier().unwrap(), verifier().unwrap());
        assert_eq!(one.expose_secret().len(), 43);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
