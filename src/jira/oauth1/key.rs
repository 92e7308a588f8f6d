//! The key pair of an application link.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use rsa::PrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use secrecy::SecretString;

use crate::core::spec::RsaKey;

/// Makes a key of 2048 bits: the private key in PEM form (PKCS#8). `None`: the machine gives no random
/// numbers.
pub fn generate() -> Option<SecretString> {
    let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
    let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let key = PrivateKey::from_pkcs8_der(der.as_ref()).ok()?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).ok()?;
    Some(SecretString::from(pem.as_str()))
}

/// The public half of a key in PEM form, as Jira wants it pasted (`BEGIN PUBLIC KEY`).
pub fn public_pem(key: &RsaKey) -> Option<String> {
    let public = key.key().to_public_key();
    public.to_public_key_pem(LineEnding::LF).ok()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_new_key_can_be_read_and_has_a_public_half() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        let key = RsaKey::from_pem(one.expose_secret()).unwrap();
        let public = public_pem(&key).unwrap();
        assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n"));
        assert!(public.ends_with("\n-----END PUBLIC KEY-----\n"));
        assert!(!public.contains("PRIVATE"));
        let again = RsaKey::from_pem(one.expose_secret()).unwrap();
        assert_eq!(public_pem(&again).unwrap(), public);
    }
}
