use std::collections::BTreeMap;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use secrecy::ExposeSecret;

use super::*;
use crate::api::SecretRef;

fn pem() -> String {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let body = STANDARD.encode(pair.as_der().unwrap().as_ref());
    format!("-----BEGIN PRIVATE KEY-----\r\n{body}\r\n-----END PRIVATE KEY-----")
}

fn read(entries: &[(&str, &str)]) -> Result<(SecretString, Signing), SourceError> {
    let value = |text: &str| ByteString(text.as_bytes().to_vec());
    let entries = entries.iter();
    let data: BTreeMap<String, ByteString> = entries
        .map(|(key, text)| ((*key).to_owned(), value(text)))
        .collect();
    let mut secret = Secret {
        data: Some(data),
        ..Secret::default()
    };
    secret.metadata.name = Some("link".into());
    Secrets {
        all: vec![secret],
        ..Secrets::default()
    }
    .signing(&OAuth1 {
        consumer_key: "ci".into(),
        secret_ref: SecretRef {
            name: "link".into(),
        },
        issued_at: None,
    })
}

#[test]
fn a_key_may_end_in_a_newline_and_is_published_without() {
    let key = pem();
    let ended = format!("\n{key}\r\n\n");
    for (secret, expected) in [
        (Some("s3cret"), Some("s3cret")),
        (Some(""), None),
        (None, None),
    ] {
        let mut entries = vec![("privateKey", ended.as_str()), ("token", "t0ken")];
        entries.extend(secret.map(|secret| ("tokenSecret", secret)));
        let (token, signing) = read(&entries).unwrap();
        assert_eq!(token.expose_secret(), "t0ken");
        assert_eq!(signing.consumer_key, "ci");
        assert_eq!(signing.private_key.expose_secret(), key.replace('\r', ""));
        let token_secret = signing.token_secret.as_ref();
        assert_eq!(token_secret.map(ExposeSecret::expose_secret), expected);
        assert_eq!(format!("{signing:?}"), "Signing { .. }");
    }
}

#[test]
fn what_is_wrong_is_told_by_secret_and_key_with_the_remedy() {
    let key = pem();
    let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let public = key.replace("PRIVATE", "PUBLIC");
    let long = format!("{key}{}", "\n".repeat(LONGEST_KEY));
    let token = ("token", "canary");
    let good = ("privateKey", key.as_str());
    for (entries, key, said) in [
        (vec![token], "privateKey", "has no key privateKey"),
        (vec![good], "token", "has no key token"),
        (vec![("privateKey", " \n"), token], "privateKey", "is empty"),
        (
            vec![("privateKey", "canary"), token],
            "privateKey",
            "PEM form",
        ),
        (
            vec![("privateKey", &public), token],
            "privateKey",
            "PEM form",
        ),
        (
            vec![("privateKey", &encrypted), token],
            "privateKey",
            "openssl pkcs8",
        ),
        (
            vec![("privateKey", &long), token],
            "privateKey",
            "is longer than",
        ),
        (
            vec![good, ("token", "canary\n\n")],
            "token",
            "ends in more than one line end",
        ),
        (vec![good, ("token", "")], "token", "is empty"),
        (
            vec![good, token, ("tokenSecret", "can ary")],
            "tokenSecret",
            "printable ASCII",
        ),
    ] {
        let problem = read(&entries).unwrap_err().to_string();
        assert!(problem.contains(said), "{problem} lacks {said}");
        assert!(
            problem.contains("Secret link") && problem.contains(key),
            "{problem}"
        );
        assert!(!problem.contains("canary"), "{problem}");
    }
}
