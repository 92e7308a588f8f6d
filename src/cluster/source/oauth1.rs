//! What an application link needs: a private key, an access token, and perhaps the token's secret.

use std::sync::Arc;

use secrecy::SecretString;

use crate::api::{OAuth1, SecretKeyRef};
use crate::cluster::source::material::Signing;
use crate::cluster::source::secrets::{Secrets, malformed};
use crate::core::spec::{InvalidValue, RsaKey, SourceError};

/// A key of 8192 bits has about 6 kB; a certificate may stand beside it.
const LONGEST_KEY: usize = 32 * 1024;

impl Secrets {
    /// The access token, and what signs.
    pub(super) fn signing(&self, oauth1: &OAuth1) -> Result<(SecretString, Signing), SourceError> {
        let name = &oauth1.secret_ref.name;
        let of = |key: &str| SecretKeyRef {
            name: name.clone(),
            key: key.to_owned(),
        };
        let (key, private_key) = self.private_key(name, "privateKey")?;
        let token = self.token(&of("token"))?;
        let reference = of("tokenSecret");
        // Where Jira gave none, people leave the key out or empty.
        let token_secret = match self.bytes(name, &reference.key) {
            Ok([]) | Err(SourceError::KeyMissing { .. }) => None,
            Ok(_) | Err(_) => Some(self.token(&reference)?),
        };
        let signing = Signing {
            consumer_key: oauth1.consumer_key.clone(),
            key: Arc::new(key),
            private_key,
            token_secret,
        };
        Ok((token, signing))
    }

    fn private_key(&self, name: &str, key: &str) -> Result<(RsaKey, SecretString), SourceError> {
        let bytes = self.bytes(name, key)?;
        let flaw = |flaw| malformed(name, key, flaw);
        if bytes.len() > LONGEST_KEY {
            return Err(flaw(InvalidValue::TooLong));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| flaw(InvalidValue::NotPrivateKey))?;
        if text.trim().is_empty() {
            return Err(flaw(InvalidValue::Empty));
        }
        let key = RsaKey::from_pem(text).map_err(flaw)?;
        let published = text.trim().replace("\r\n", "\n");
        Ok((key, SecretString::from(published)))
    }
}

#[cfg(test)]
mod tests;
