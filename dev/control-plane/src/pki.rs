//! The keys and certificates of a control plane.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::{Error, error::Context, hex};

/// The certificate authority that clients trust.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
}

/// Writes `ca.pem`, `server.pem`, `server.key`, `sa.key` and `sa.pub`.
pub(crate) fn write(directory: &Path) -> Result<Authority, Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "control-plane-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    let authority = Authority {
        pem: certificate.pem(),
        der: certificate.der().to_vec(),
    };
    let issuer = Issuer::new(params, key);

    let server_key = KeyPair::generate()?;
    let mut server = CertificateParams::new([
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
        "10.0.0.1".to_owned(),
        "localhost".to_owned(),
        "kubernetes.default.svc".to_owned(),
    ])?;
    server
        .distinguished_name
        .push(DnType::CommonName, "kube-apiserver");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.insert_extended_key_usage(ExtendedKeyUsagePurpose::ServerAuth);
    let server = server.signed_by(&server_key, &issuer)?;

    let service_accounts = KeyPair::generate()?;
    for (name, content) in [
        ("ca.pem", authority.pem.clone()),
        ("server.pem", server.pem()),
        ("server.key", server_key.serialize_pem()),
        ("sa.key", service_accounts.serialize_pem()),
        ("sa.pub", service_accounts.public_key_pem()),
    ] {
        fs::write(directory.join(name), content).context(format!("writing {name}"))?;
    }
    Ok(authority)
}

/// A fresh bearer token.
pub(crate) fn token() -> Result<String, Error> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| rcgen::Error::RingUnspecified)?;
    Ok(hex(&random))
}
