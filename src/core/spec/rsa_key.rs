//! The private key that signs requests of OAuth 1.0a, as a person stores it.

use std::fmt;

use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::core::spec::error::InvalidValue;

/// From 1024 to 8192 bits. Application links are full of keys of 1024 bits, since that is what
/// Atlassian's own examples generate; what Jira accepts must not be refused here. The upper bound
/// keeps a mistyped size from making every signature take seconds.
const BYTES: std::ops::RangeInclusive<usize> = 128..=1024;

/// An RSA private key. Its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct RsaKey(PrivateKey);

impl fmt::Debug for RsaKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RsaKey(REDACTED)")
    }
}

impl RsaKey {
    /// Reads a key in PEM form: PKCS#8 (`BEGIN PRIVATE KEY`) or PKCS#1 (`BEGIN RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// What is wrong with it, as a message that name the remedy.
    pub fn from_pem(pem: &str) -> Result<Self, InvalidValue> {
        let is = |label: &str| pem.contains(&format!("-----BEGIN {label}-----"));
        // Encrypted in the older way, the label is that of a plain key.
        if is("ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(InvalidValue::EncryptedKey);
        }
        if is("OPENSSH PRIVATE KEY") {
            return Err(InvalidValue::OpenSshKey);
        }
        let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs1(der)) => PrivateKey::from_pkcs1_der(der.secret_pkcs1_der())
                .map_err(|_| InvalidValue::NotRsaKey),
            Ok(PrivateKeyDer::Pkcs8(der)) => PrivateKey::from_pkcs8_der(der.secret_pkcs8_der())
                .map_err(|_| InvalidValue::NotRsaKey),
            Ok(_) => Err(InvalidValue::NotRsaKey),
            Err(_) => Err(InvalidValue::NotPrivateKey),
        }?;
        if BYTES.contains(&key.size()) {
            Ok(Self(key))
        } else {
            Err(InvalidValue::KeySize)
        }
    }

    /// The key, for signing.
    pub(crate) fn key(&self) -> &PrivateKey {
        &self.0
    }
}

#[cfg(test)]
mod tests;
