//! Key pairs for application links.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::SimError;

/// An RSA key pair of 2048 bits: the private key for the consumer, the public one for the link.
#[derive(Clone)]
pub struct LinkKey {
    private: Arc<[u8]>,
    public: Arc<[u8]>,
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkKey").finish_non_exhaustive()
    }
}

impl LinkKey {
    /// Draws a key pair.
    pub fn generate() -> Result<Self, SimError> {
        let failed = |_| SimError::Invalid("no key pair could be made".to_owned());
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
        let private: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
        Ok(Self {
            private: private.as_ref().into(),
            public: public.as_ref().into(),
        })
    }

    /// A key whose private half somebody else keeps: the public one, as an administrator pastes it.
    pub fn pasted(public_pem: &str) -> Result<Self, SimError> {
        let failed = || SimError::Invalid("no public key in PEM form".to_owned());
        let (_, rest) = public_pem
            .split_once("-----BEGIN PUBLIC KEY-----")
            .ok_or_else(failed)?;
        let (body, _) = rest
            .split_once("-----END PUBLIC KEY-----")
            .ok_or_else(failed)?;
        let body: String = body.split_whitespace().collect();
        let public = STANDARD.decode(body).map_err(|_| failed())?;
        Ok(Self {
            private: Arc::default(),
            public: public.into(),
        })
    }

    /// The private key as `openssl genpkey` writes it: PKCS#8, a newline at the end.
    pub fn private_pem(&self) -> String {
        pem("PRIVATE KEY", &self.private)
    }

    /// The private key as `openssl genrsa -traditional` writes it: PKCS#1.
    pub fn private_pem_pkcs1(&self) -> String {
        pem("RSA PRIVATE KEY", unwrapped(&self.private))
    }

    /// The public key, as an administrator of Jira pastes it.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public)
    }

    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }
}

/// The key inside a PKCS#8 envelope. For RSA the envelope has one form: 26 bytes before an octet
/// string that reaches to the end (RFC 5208; lengths of two bytes, as 2048 bits need).
fn unwrapped(pkcs8: &[u8]) -> &[u8] {
    const ENVELOPE: usize = 26;
    pkcs8.get(ENVELOPE..).unwrap_or_default()
}

fn pem(label: &str, der: &[u8]) -> String {
    const WIDTH: usize = 64;
    let mut text = format!("-----BEGIN {label}-----\n");
    for (index, letter) in STANDARD.encode(der).chars().enumerate() {
        if index > 0 && index % WIDTH == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text + "\n-----END " + label + "-----\n"
}
