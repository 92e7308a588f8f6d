use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::{BoxedUint, PrivateKey};

use crate::core::spec::{InvalidValue, RsaKey};

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn generated() -> PrivateKey {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    PrivateKey::from_pkcs8_der(pair.as_der().unwrap().as_ref()).unwrap()
}

#[test]
fn both_forms_of_pem_are_read() {
    let key = generated();
    for ending in [LineEnding::LF, LineEnding::CRLF] {
        let new = key.to_pkcs8_pem(ending).unwrap();
        let old = key.to_pkcs1_pem(ending).unwrap();
        for text in [
            new.to_string(),
            old.to_string(),
            old.trim_end().to_owned(),
            // As `openssl pkcs12` writes it, and with the certificate before it.
            format!("Bag Attributes\n    friendlyName: jira\n{}", *new),
            format!("{}{}", pem("CERTIFICATE", b"irrelevant"), *old),
        ] {
            let read = RsaKey::from_pem(&text).unwrap();
            assert_eq!(read.key(), &key);
        }
    }
}

#[test]
fn what_cannot_sign_is_told_by_what_it_is() {
    let key = generated();
    let der = key.to_pkcs8_der().unwrap();
    let curve = curve_key();
    let public = pem("PUBLIC KEY", &[0x30, 0x00]);
    let good = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let (first, _) = good.split_at(good.len() / 2);
    let mut torn = der.as_bytes().to_vec();
    torn.truncate(torn.len() - 9);
    let older = pem("RSA PRIVATE KEY", &[0x30, 0x00]).replacen(
        "KEY-----\n",
        "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
        1,
    );
    for (what, text, flaw) in [
        (
            "nothing of the kind",
            "secret".to_owned(),
            InvalidValue::NotPrivateKey,
        ),
        ("the public key", public, InvalidValue::NotPrivateKey),
        ("half a file", first.to_owned(), InvalidValue::NotPrivateKey),
        (
            "line ends lost",
            good.replace('\n', " "),
            InvalidValue::NotPrivateKey,
        ),
        (
            "line ends in words",
            good.replace('\n', "\\n"),
            InvalidValue::NotPrivateKey,
        ),
        (
            "encrypted",
            pem("ENCRYPTED PRIVATE KEY", &torn),
            InvalidValue::EncryptedKey,
        ),
        (
            "encrypted in the older way",
            older,
            InvalidValue::EncryptedKey,
        ),
        (
            "of OpenSSH",
            pem("OPENSSH PRIVATE KEY", &torn),
            InvalidValue::OpenSshKey,
        ),
        (
            "of a curve",
            pem("PRIVATE KEY", &curve),
            InvalidValue::NotRsaKey,
        ),
        (
            "of a curve, SEC1",
            pem("EC PRIVATE KEY", &curve),
            InvalidValue::NotRsaKey,
        ),
        ("torn", pem("PRIVATE KEY", &torn), InvalidValue::NotRsaKey),
    ] {
        assert_eq!(RsaKey::from_pem(&text).err(), Some(flaw), "{what}");
    }
}

fn curve_key() -> Vec<u8> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    pair.to_pkcs8v1().unwrap().as_ref().to_vec()
}

#[test]
fn a_key_that_anybody_can_break_is_refused() {
    // The largest primes below 2^255 and 2^256, which everybody knows.
    let prime = |bits: u32, less: u64| {
        let bound = BoxedUint::one_with_precision(256);
        let bound = if bits == 256 {
            BoxedUint::max(256)
        } else {
            bound.shl(bits)
        };
        let less = if bits == 256 { less - 1 } else { less };
        bound.wrapping_sub(BoxedUint::from(less))
    };
    let key = PrivateKey::from_p_q(prime(255, 19), prime(256, 189), BoxedUint::from(65_537_u64));
    let text = key.unwrap().to_pkcs1_pem(LineEnding::LF).unwrap();
    assert_eq!(RsaKey::from_pem(&text).err(), Some(InvalidValue::KeySize));
}

#[test]
fn debug_output_is_silent() {
    let key = RsaKey::from_pem(&generated().to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap();
    assert_eq!(
        format!("{key:?} {key:#?}"),
        "RsaKey(REDACTED) RsaKey(REDACTED)"
    );
}
