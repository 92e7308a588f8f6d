//! Which certificate authorities are trusted.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};

use crate::core::spec::authorities;

/// Sessions that a client can take up again; each costs memory as long as the client lives.
const RESUMABLE_SESSIONS: usize = 16;

/// Why TLS cannot be set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TrustError {
    /// A bundle of certificates in PEM form cannot be used.
    #[error("no usable CA certificates: expected one or more blocks BEGIN CERTIFICATE in PEM form")]
    BadBundle,
    /// The cryptography library lacks what TLS needs.
    #[error("the TLS library cannot be set up")]
    Unsupported,
}

/// The authorities of the system and of the administrator. Read once and shared, because a
/// system's bundle is a few hundred kilobytes.
#[derive(Clone)]
pub(super) struct Trust {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// Reads the authorities of the system (`SSL_CERT_FILE`, `SSL_CERT_DIR`, else the usual
    /// places) and adds those of the administrator.
    pub(super) fn of_the_machine(extra_pem: Option<&[u8]>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        // Systems carry odd certificates; one that cannot be read must not cost us the others.
        roots.add_parsable_certificates(found.certs);
        if let Some(pem) = extra_pem {
            let extra = authorities(pem).map_err(|_| TrustError::BadBundle)?;
            roots.extend(extra.roots);
        }
        if roots.is_empty() {
            tracing::warn!("no CA certificates on this system: only sites with spec.tls will work");
        }
        roots.roots.shrink_to_fit();
        Ok(Self {
            roots: Arc::new(roots),
            provider: Arc::new(aws_lc_rs::default_provider()),
        })
    }

    /// A TLS configuration that trusts these authorities, or only those of one credential: `spec.tls`
    /// replaces the others for its site.
    pub(super) fn client_config(&self, ca_pem: Option<&[u8]>) -> Result<ClientConfig, TrustError> {
        let roots = match ca_pem {
            None => Arc::clone(&self.roots),
            Some(pem) => Arc::new(authorities(pem).map_err(|_| TrustError::BadBundle)?),
        };
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| TrustError::Unsupported)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
        Ok(config)
    }
}
