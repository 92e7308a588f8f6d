//! The simulator's certificate authority, its certificates, and the wrong ones on purpose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::SimError;

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Flaw {
    OtherCa,
    OtherName,
    Expired,
}

#[derive(Debug)]
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    provider: Arc<CryptoProvider>,
}

impl Authority {
    fn new(name: &str, provider: Arc<CryptoProvider>) -> Result<Self, SimError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
            provider,
        })
    }

    fn certify(&self, names: Vec<String>, expired: bool) -> Result<Arc<CertifiedKey>, SimError> {
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "atlassian-sim");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate()?;
        let chain = vec![params.signed_by(&key, &self.issuer)?.der().clone()];
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Arc::new(CertifiedKey::from_der(
            chain,
            der,
            &self.provider,
        )?))
    }
}

/// Makes the server's TLS configurations: the good one, and one per host and flaw.
#[derive(Debug)]
pub(crate) struct Tls {
    good: Arc<ServerConfig>,
    authority: Arc<Authority>,
    stranger: Authority,
    flawed: Mutex<HashMap<(String, Flaw), Arc<ServerConfig>>>,
}

impl Tls {
    pub(crate) fn new(names: Vec<String>) -> Result<Self, SimError> {
        let provider = Arc::new(default_provider());
        let authority = Arc::new(Authority::new(
            "Atlassian simulator CA",
            Arc::clone(&provider),
        )?);
        let stranger = Authority::new("Unknown CA", Arc::clone(&provider))?;
        let default = authority.certify(names.clone(), false)?;
        let certificates = Certificates {
            authority: Arc::clone(&authority),
            names,
            default,
            minted: Mutex::default(),
        };
        let good = server_config(&provider, Arc::new(certificates))?;
        Ok(Self {
            good,
            authority,
            stranger,
            flawed: Mutex::default(),
        })
    }

    pub(crate) fn ca_pem(&self) -> &str {
        &self.authority.pem
    }

    pub(crate) fn good(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.good)
    }

    /// A configuration of its own per flaw: a session made with the good certificate must not be
    /// resumed into a handshake that is meant to show a bad one.
    pub(crate) fn flawed(&self, host: &str, flaw: Flaw) -> Result<Arc<ServerConfig>, SimError> {
        let key = (host.to_owned(), flaw);
        let mut cache = self.flawed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = cache.get(&key) {
            return Ok(Arc::clone(config));
        }
        let names = vec![host.to_owned()];
        let certificate = match flaw {
            Flaw::OtherCa => self.stranger.certify(names, false)?,
            Flaw::OtherName => self
                .authority
                .certify(vec!["somebody-else.invalid".to_owned()], false)?,
            Flaw::Expired => self.authority.certify(names, true)?,
        };
        let config = server_config(&self.authority.provider, Arc::new(Always(certificate)))?;
        cache.insert(key, Arc::clone(&config));
        Ok(config)
    }
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    resolver: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, SimError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Resumption saves the signature, the dearest part of a handshake, for clients that redial.
    config.ticketer = Ticketer::new()?;
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// The certificate for the known names; for any other name one is made on the first handshake.
#[derive(Debug)]
struct Certificates {
    authority: Arc<Authority>,
    names: Vec<String>,
    default: Arc<CertifiedKey>,
    minted: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name() else {
            return Some(Arc::clone(&self.default));
        };
        let name = name.to_ascii_lowercase();
        if self.names.iter().any(|pattern| covers(pattern, &name)) {
            return Some(Arc::clone(&self.default));
        }
        let mut minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificate) = minted.get(&name) {
            return Some(Arc::clone(certificate));
        }
        let certificate = self.authority.certify(vec![name.clone()], false).ok()?;
        minted.insert(name, Arc::clone(&certificate));
        Some(certificate)
    }
}

/// Whether a certificate name covers a host: a wildcard stands for exactly one label.
fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => pattern == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label() {
        for (pattern, host, expected) in [
            ("*.cloud.localhost", "acme.cloud.localhost", true),
            ("*.cloud.localhost", "a.b.cloud.localhost", false),
            ("*.cloud.localhost", "cloud.localhost", false),
            ("cloud.localhost", "cloud.localhost", true),
            ("localhost", "acme.localhost", false),
        ] {
            assert_eq!(covers(pattern, host), expected, "{pattern} {host}");
        }
    }
}
