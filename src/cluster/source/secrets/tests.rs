use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use secrecy::ExposeSecret;

use super::*;

fn secret(value: Option<&[u8]>) -> Secrets {
    let data = value.map(|value| BTreeMap::from([("key".to_owned(), ByteString(value.into()))]));
    let mut secret = Secret {
        data,
        ..Secret::default()
    };
    secret.metadata.name = Some("source".into());
    Secrets {
        all: vec![secret],
        ..Secrets::default()
    }
}

#[test]
fn every_flaw_of_a_token_is_named_and_none_is_quoted() {
    let long = vec![b'x'; LONGEST_SECRET + 1];
    let reference = SecretKeyRef {
        name: "source".into(),
        key: "key".into(),
    };
    for (value, said) in [
        (None, "has no key key"),
        (Some(b"".as_slice()), "is empty"),
        (Some(b" \n"), "is empty"),
        (Some(b"\n"), "is empty"),
        (Some(b"\r\n"), "is empty"),
        (Some(b"canary\n\n"), "ends in more than one line end"),
        (Some(b"canary\r\n\r\n"), "ends in more than one line end"),
        (Some(b"canary\r"), "control characters"),
        (Some(b"canary\n\r"), "control characters"),
        (Some(b"\ncanary"), "control characters"),
        (Some(b"canary \n"), "begins or ends with whitespace"),
        (Some(b"\xef\xbb\xbfcanary"), "byte order mark"),
        (Some(b"\xff\xfec\0"), "byte order mark"),
        (Some(b"\xfe\xff\0c"), "byte order mark"),
        (Some(b"\"canary\""), "stands in quotes"),
        (Some(b"'canary'\n"), "stands in quotes"),
        (Some(b"canary "), "begins or ends with whitespace"),
        (Some(b"can\0ary"), "control characters"),
        (Some(b"can\r\nary"), "control characters"),
        (Some(b"\xc3canary"), "not UTF-8"),
        (Some("cänary".as_bytes()), "printable ASCII"),
        (Some(b"can ary"), "printable ASCII"),
        (Some(&long), "longer than any"),
    ] {
        let problem = secret(value).token(&reference).unwrap_err().to_string();
        assert!(problem.contains(said), "{problem} lacks {said}");
        assert!(
            problem.contains("source") && problem.contains("key"),
            "{problem}"
        );
        assert!(
            !problem.contains("ary") || problem.contains("binary"),
            "{problem}"
        );
    }
    let good = secret(Some(b"token")).token(&reference).unwrap();
    assert_eq!(good.expose_secret(), "token");
}

#[test]
fn one_line_end_is_no_part_of_a_value() {
    let reference = SecretKeyRef {
        name: "source".into(),
        key: "key".into(),
    };
    for value in [b"token".as_slice(), b"token\n", b"token\r\n"] {
        let read = secret(Some(value));
        assert_eq!(read.token(&reference).unwrap().expose_secret(), "token");
        assert_eq!(read.user("source", "key").unwrap(), "token");
        let values = read.values(std::slice::from_ref(&reference));
        let [value_read] = values.as_slice() else {
            panic!("{values:?}");
        };
        let trimmed = value_read.trimmed.as_ref().map(ExposeSecret::expose_secret);
        let expected = (value != b"token").then_some(b"token".as_slice());
        assert_eq!(trimmed, expected);
    }
}

#[test]
fn a_password_may_stand_in_quotes() {
    let read = secret(Some(b"\"pass word\"\n"));
    let text = read.text("source", "key", LONGEST_SECRET).unwrap();
    assert_eq!(text, "\"pass word\"");
    let problem = read.user("source", "key").unwrap_err().to_string();
    assert!(problem.contains("stands in quotes"), "{problem}");
}

#[test]
fn a_user_name_has_no_colon() {
    let problem = secret(Some(b"us:er")).user("source", "key").unwrap_err();
    assert!(problem.to_string().contains("colon"));
}

#[test]
fn what_the_operator_publishes_or_the_cluster_uses_is_no_source() {
    let mut ours = Secret::default();
    ours.labels_mut()
        .insert(CREDENTIAL_LABEL.into(), "other".into());
    assert!(matches!(
        check_secret(&ours),
        Err(SourceError::IsTarget { .. })
    ));
    for kind in FORBIDDEN_TYPES {
        let theirs = Secret {
            type_: Some(kind.into()),
            ..Secret::default()
        };
        assert!(matches!(
            check_secret(&theirs),
            Err(SourceError::ForbiddenType { .. })
        ));
    }
}
