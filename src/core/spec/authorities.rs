//! The certificates of private authorities, as a person stores them.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::core::spec::InvalidValue;

/// As many as a system has; more is a mistake or an attack on our memory.
const MOST_CERTIFICATES: usize = 256;

/// In bytes of PEM: enough for that many certificates.
const LONGEST_BUNDLE: usize = 512 * 1024;

/// Reads certificates in PEM form, all or nothing: half a bundle would fail later and far from its
/// cause. The check of the source and the client of Jira both read by this, so that no bundle passes
/// one and fails in the other.
///
/// # Errors
/// What is wrong with the text.
pub fn authorities(pem: &[u8]) -> Result<RootCertStore, InvalidValue> {
    if pem.len() > LONGEST_BUNDLE {
        return Err(InvalidValue::TooManyCertificates);
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| InvalidValue::NotPem)?;
        roots.add(certificate).map_err(|_| InvalidValue::NotPem)?;
        if roots.len() > MOST_CERTIFICATES {
            return Err(InvalidValue::TooManyCertificates);
        }
    }
    if roots.is_empty() {
        Err(InvalidValue::NotPem)
    } else {
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_used_whole_or_not_at_all() {
        for bad in [
            "",
            "not PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        ] {
            let read = authorities(bad.as_bytes()).map(|_| ());
            assert_eq!(read, Err(InvalidValue::NotPem), "{bad:?}");
        }
        let long = vec![b'A'; LONGEST_BUNDLE + 1];
        let read = authorities(&long).map(|_| ());
        assert_eq!(read, Err(InvalidValue::TooManyCertificates));
    }
}
