//! Secrets and `ConfigMap`s that hold no credential.

use super::CANARY;
use crate::support::{World, says, value};
use atlassian_sim::DataCenter;
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential, Reason};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Data = Vec<(&'static str, Vec<u8>)>;

/// What refers to the Secret of a case.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Token,
    Email,
    Pat,
    Basic,
    Ca,
}

pub(super) fn spec(world: &World, jira: &DataCenter, used: Use, secret: &str) -> Value {
    let cloud = world.cloud().url();
    let reference = |key: &str| json!({"name": secret, "key": key});
    match used {
        Use::Token => json!({"site": cloud, "auth": {"apiToken": {
            "email": "bot@acme.example", "tokenSecretRef": reference("token"),
        }}}),
        Use::Email => json!({"site": cloud, "auth": {"apiToken": {
            "emailSecretRef": reference("email"), "tokenSecretRef": reference("token"),
        }}}),
        Use::Pat => json!({"site": jira.url(), "auth": {"personalAccessToken": {
            "tokenSecretRef": reference("token"),
        }}}),
        Use::Basic => {
            json!({"site": jira.url(), "auth": {"basic": {"secretRef": {"name": secret}}}})
        }
        Use::Ca => json!({"site": jira.url(), "tls": {"caSecretRef": reference("ca.crt")},
            "auth": {"personalAccessToken": {"tokenSecretRef": reference("token")}}}),
    }
}

async fn store(world: &World, name: &str, data: Data) {
    let data: BTreeMap<String, ByteString> = data
        .into_iter()
        .map(|(key, bytes)| (key.to_owned(), ByteString(bytes)))
        .collect();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..Secret::default()
    };
    world
        .secrets()
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
}

pub(super) fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Every case: name, use, contents of the Secret (`None`: there is none), reason, remedy.
#[expect(clippy::too_many_lines, reason = "a table")]
fn sources() -> Vec<(&'static str, Use, Option<Data>, Reason, &'static str)> {
    use Reason::{SourceMalformed, SourceMissing};
    let canary = || text(CANARY);
    let with = |before: &[u8], after: &[u8]| [before, CANARY.as_bytes(), after].concat();
    let token = |bytes: Vec<u8>| Some(vec![("token", bytes)]);
    let login =
        |user: Vec<u8>, password: Vec<u8>| Some(vec![("username", user), ("password", password)]);
    let pem = |body: &str| {
        let block = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        Some(vec![("token", canary()), ("ca.crt", text(&block))])
    };
    vec![
        (
            "no-secret",
            Use::Token,
            None,
            SourceMissing,
            "create it in this namespace",
        ),
        (
            "no-key",
            Use::Token,
            Some(vec![("tokn", canary())]),
            SourceMissing,
            "has no key token; add it, or correct the reference",
        ),
        (
            "no-data",
            Use::Token,
            Some(vec![]),
            SourceMissing,
            "has no key token",
        ),
        (
            "empty",
            Use::Token,
            token(vec![]),
            SourceMalformed,
            "is empty; store the value in it",
        ),
        (
            "whitespace",
            Use::Token,
            token(text(" \t \n")),
            SourceMalformed,
            "is empty; store the value in it",
        ),
        (
            "not-utf8",
            Use::Token,
            token(with(b"\xc3", b"\x80")),
            SourceMalformed,
            "is not UTF-8 text; store the value itself",
        ),
        (
            "newline",
            Use::Token,
            token(with(b"", b"\n\n")),
            SourceMalformed,
            "ends in more than one line end; one would be left out",
        ),
        (
            "windows-newline",
            Use::Token,
            token(with(b"", b"\r\n\r\n")),
            SourceMalformed,
            "ends in more than one line end",
        ),
        (
            "mark",
            Use::Token,
            token(with(b"\xef\xbb\xbf", b"\n")),
            SourceMalformed,
            "begins with a byte order mark",
        ),
        (
            "mark-utf16",
            Use::Token,
            token(with(b"\xff\xfe", b"\x80")),
            SourceMalformed,
            "begins with a byte order mark",
        ),
        (
            "quotes",
            Use::Token,
            token(with(b"\"", b"\"\n")),
            SourceMalformed,
            "stands in quotes, which are part of what is stored",
        ),
        (
            "control",
            Use::Token,
            token(with(b"a\x07", b"")),
            SourceMalformed,
            "contains control characters; store the value without them",
        ),
        (
            "nul",
            Use::Token,
            token(with(b"a\0", b"")),
            SourceMalformed,
            "contains control characters",
        ),
        (
            "blank",
            Use::Token,
            token(with(b" ", b"")),
            SourceMalformed,
            "begins or ends with whitespace",
        ),
        (
            "inner-blank",
            Use::Token,
            token(with(b"a ", b"")),
            SourceMalformed,
            "other than printable ASCII",
        ),
        (
            "umlaut",
            Use::Token,
            token(with("ü".as_bytes(), b"")),
            SourceMalformed,
            "printable ASCII, which tokens and client secrets never contain; copy it again",
        ),
        (
            "absurd",
            Use::Token,
            token(CANARY.repeat(100_000 / CANARY.len()).into_bytes()),
            SourceMalformed,
            "longer than any Jira credential; check that it holds the value alone",
        ),
        (
            "pat-newline",
            Use::Pat,
            token(with(b"", b"\n\n")),
            SourceMalformed,
            "ends in more than one line end",
        ),
        (
            "pat-absurd",
            Use::Pat,
            token(CANARY.repeat(1_000).into_bytes()),
            SourceMalformed,
            "longer than any Jira credential",
        ),
        (
            "no-user",
            Use::Basic,
            Some(vec![("password", canary())]),
            SourceMissing,
            "has no key username",
        ),
        (
            "no-password",
            Use::Basic,
            Some(vec![("username", canary())]),
            SourceMissing,
            "has no key password",
        ),
        (
            "user-colon",
            Use::Basic,
            login(with(b"ro:", b""), canary()),
            SourceMalformed,
            "contains a colon, which a user name in Basic authentication cannot have",
        ),
        (
            "user-newline",
            Use::Basic,
            login(with(b"", b"\n\n"), canary()),
            SourceMalformed,
            "key username of the Secret user-newline-source ends in more than one line end",
        ),
        (
            "user-absurd",
            Use::Basic,
            login(CANARY.repeat(30).into_bytes(), canary()),
            SourceMalformed,
            "longer than any Jira credential",
        ),
        (
            "password-control",
            Use::Basic,
            login(text("robot"), with(b"a\x1b", b"")),
            SourceMalformed,
            "contains control characters",
        ),
        (
            "password-utf8",
            Use::Basic,
            login(text("robot"), with(b"\xc3\x28", b"")),
            SourceMalformed,
            "is not UTF-8 text",
        ),
        (
            "no-email",
            Use::Email,
            token(canary()),
            SourceMissing,
            "has no key email",
        ),
        (
            "email-colon",
            Use::Email,
            Some(vec![("email", with(b"a:", b"@b.c")), ("token", canary())]),
            SourceMalformed,
            "contains a colon",
        ),
        (
            "no-ca",
            Use::Ca,
            token(canary()),
            SourceMissing,
            "has no key ca.crt",
        ),
        (
            "ca-der",
            Use::Ca,
            Some(vec![
                ("token", canary()),
                ("ca.crt", with(b"\x30\x82", b"")),
            ]),
            SourceMalformed,
            "store the CA certificates in PEM form",
        ),
        (
            "ca-garbage",
            Use::Ca,
            pem(CANARY),
            SourceMalformed,
            "holds no usable PEM certificates",
        ),
        (
            "ca-empty",
            Use::Ca,
            pem(""),
            SourceMalformed,
            "holds no usable PEM certificates",
        ),
    ]
}

/// What every case has in common.
pub(super) async fn nothing_came_of_it(world: &World, object: &JiraCredential, remedy: &str) {
    let name = object.metadata.name.as_deref().unwrap();
    let ready = says(object, ConditionType::Ready);
    assert!(ready.message.contains(remedy), "{name}: {}", ready.message);
    assert!(
        ready.message.contains("Nothing is published."),
        "{name}: {}",
        ready.message
    );
    let published = says(object, ConditionType::Published);
    assert_eq!(
        (published.status, published.reason),
        (ConditionStatus::False, Reason::Waiting),
        "{name}"
    );
    let all = serde_json::to_string(object).unwrap();
    assert!(!all.contains(CANARY), "{name}: {all}");
    let target = world.secrets().get_opt(name).await.unwrap();
    assert!(target.is_none(), "{name}: a target was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_credential_is_told_by_name_and_never_sent() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let table = sources();
    for (name, used, data, ..) in &table {
        let source = format!("{name}-source");
        if let Some(data) = data {
            store(&world, &source, data.clone()).await;
        }
        world
            .create(name, spec(&world, &jira, *used, &source))
            .await;
    }
    for (name, _, _, reason, remedy) in &table {
        let object = world
            .wait(name, ConditionType::Ready, ConditionStatus::False, *reason)
            .await;
        nothing_came_of_it(&world, &object, remedy).await;
        let ready = says(&object, ConditionType::Ready);
        assert!(
            ready.message.contains(&format!("{name}-source")),
            "{name}: {}",
            ready.message
        );
        // What is missing may still come; what is malformed waits for a person.
        let waits = match reason {
            Reason::SourceMissing => ConditionType::Reconciling,
            _ => ConditionType::Stalled,
        };
        assert_eq!(says(&object, waits).reason, *reason, "{name}");
    }
    operator.quiet().await;
    assert_eq!(world.sim.counters().handshakes, 0, "something was sent");

    // Each heals as soon as the Secret holds what it should.
    let token = world.cloud().api_token("bot@acme.example");
    let pat = jira.pat("robot");
    let password = jira.new_password("robot");
    for (name, used, ..) in &table {
        let data = match used {
            Use::Token | Use::Email => [("token", token.secret()), ("email", "bot@acme.example")],
            Use::Pat | Use::Ca => [("token", pat.secret()), ("ca.crt", world.sim.ca_pem())],
            Use::Basic => [("username", "robot"), ("password", password.as_str())],
        };
        world.secret(&format!("{name}-source"), &data).await;
    }
    for (name, used, ..) in &table {
        world.wait_ready(name).await;
        let published = world.secrets().get(name).await.unwrap();
        let (key, expected) = match used {
            Use::Token | Use::Email => ("token", token.secret()),
            Use::Pat | Use::Ca => ("token", pat.secret()),
            Use::Basic => ("password", password.as_str()),
        };
        assert_eq!(value(&published, key), expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_in_a_config_map_is_asked_for_by_name() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let jira = world.data_center();
    let pat = jira.pat("bot");
    world.secret("source", &[("token", pat.secret())]).await;
    let auth =
        json!({"personalAccessToken": {"tokenSecretRef": {"name": "source", "key": "token"}}});
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    for (name, data, reason, remedy) in [
        (
            "absent",
            None,
            Reason::SourceMissing,
            "the ConfigMap absent-ca does not exist",
        ),
        (
            "no-key",
            Some(("other", "x")),
            Reason::SourceMissing,
            "has no key ca.crt; add it",
        ),
        (
            "no-pem",
            Some(("ca.crt", CANARY)),
            Reason::SourceMalformed,
            "in PEM form",
        ),
    ] {
        if let Some((key, value)) = data {
            let map = serde_json::from_value(
                json!({"metadata": {"name": format!("{name}-ca")}, "data": {key: value}}),
            )
            .unwrap();
            maps.create(&PostParams::default(), &map).await.unwrap();
        }
        let ca = json!({"caConfigMapRef": {"name": format!("{name}-ca"), "key": "ca.crt"}});
        let spec = json!({"site": jira.url(), "tls": ca, "auth": auth});
        world.create(name, spec).await;
        let object = world
            .wait(name, ConditionType::Ready, ConditionStatus::False, reason)
            .await;
        let said = says(&object, ConditionType::Ready).message.to_lowercase();
        assert!(said.contains(&remedy.to_lowercase()), "{name}: {said}");
        let target = world.secrets().get_opt(name).await.unwrap();
        assert!(target.is_none(), "{name}");
    }
    assert_eq!(world.sim.counters().handshakes, 0);
}
