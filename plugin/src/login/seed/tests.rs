//! The answers of an API server, and what becomes of a consent.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// What the API server answers, one after the other; the last one again and again.
type Answers = Vec<(u16, Value)>;

/// A cluster with these answers, and the methods and versions that it was asked with.
fn cluster(answers: Answers) -> (Cluster, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (seen, answers) = (seen.clone(), answers.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap();
            let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
            let version = sent["metadata"]["resourceVersion"].as_str();
            let mut seen = seen.lock().unwrap();
            let (code, answer) = answers.get(seen.len()).or(answers.last()).unwrap().clone();
            let asked = format!("{} {}", head.method, version.unwrap_or_default());
            seen.push(asked.trim().to_owned());
            let response = Response::builder().status(code);
            let body = Body::from(answer.to_string().into_bytes());
            Ok::<_, Infallible>(response.body(body).unwrap())
        }
    });
    (Cluster::of(Client::new(service, "ns"), "ns"), asked)
}

/// A Secret of this version; its values are in base64.
fn secret(version: &str, uid: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": {"name": "s", "namespace": "ns", "uid": uid, "resourceVersion": version},
    })
}

fn status(code: u16) -> (u16, Value) {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code,
        "reason": "Example", "message": "example-hidden",
    });
    (code, status)
}

async fn write(answers: Answers) -> (Result<Secret, Failure>, Vec<String>) {
    let (cluster, asked) = cluster(answers);
    let seed = Seed {
        cluster: &cluster,
        name: "s",
        kept: &["privateKey"],
    };
    let read = secret("1", "u", &json!({"token": "b2xk", "privateKey": "a2V5"}));
    let token = SecretString::from("new");
    let read = Some(serde_json::from_value(read).unwrap());
    let written = seed.write(read, &[("token", &token)]).await;
    let asked = asked.lock().unwrap().clone();
    (written, asked)
}

/// `bmV3` is what is written, `b2xk` what was there.
#[tokio::test(start_paused = true)]
async fn a_consent_is_stored_whatever_else_changes_or_fails_meanwhile() {
    let data = |token: &str| json!({"token": token, "privateKey": "a2V5", "more": "bW9yZQ=="});
    let stored = || (200, secret("9", "u", &data("bmV3")));
    let other = || (200, secret("2", "u", &data("b2xk")));
    for (what, answers, asked) in [
        ("at once", vec![stored()], &["PUT 1"][..]),
        (
            "another key was changed",
            vec![status(409), other(), stored()],
            &["PUT 1", "GET", "PUT 2"],
        ),
        (
            "the API server is busy, then breaks",
            vec![status(429), status(500), status(503), stored()],
            &["PUT 1", "PUT 1", "PUT 1", "PUT 1"],
        ),
        (
            "it was stored, and the answer was lost",
            vec![status(504), status(409), stored()],
            &["PUT 1", "PUT 1", "GET"],
        ),
        (
            "reading it again fails once",
            vec![status(409), status(500), status(409), other(), stored()],
            &["PUT 1", "GET", "PUT 1", "GET", "PUT 2"],
        ),
    ] {
        let (written, seen) = write(answers).await;
        let version = written.map(|secret| secret.metadata.resource_version);
        assert_eq!(version, Ok(Some("9".to_owned())), "{what}");
        assert_eq!(seen, asked, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_stored_is_told_with_its_cause() {
    let present = |uid: &str, data: Value| vec![status(409), (200, secret("2", uid, &data))];
    let meanwhile = "meanwhile. Nothing was stored";
    let unknown = "It is not known whether the consent was stored";
    let right = "ask for the right";
    for (what, answers, exit, told, asks) in [
        (
            "another token",
            present("u", json!({"token": "dGhlaXJz", "privateKey": "a2V5"})),
            Exit::Error,
            meanwhile,
            false,
        ),
        (
            "another key",
            present("u", json!({"token": "b2xk", "privateKey": "dGhlaXJz"})),
            Exit::Error,
            meanwhile,
            false,
        ),
        (
            "another Secret",
            present("v", json!({"token": "b2xk", "privateKey": "a2V5"})),
            Exit::Error,
            meanwhile,
            false,
        ),
        (
            "no right",
            vec![status(403)],
            Exit::Error,
            "Nothing was stored",
            true,
        ),
        (
            "admission",
            vec![status(422)],
            Exit::Error,
            "Nothing was stored",
            false,
        ),
        (
            "busy",
            vec![status(429)],
            Exit::TimedOut,
            "Nothing was stored",
            false,
        ),
        ("broken", vec![status(500)], Exit::TimedOut, unknown, false),
    ] {
        let (written, _) = write(answers).await;
        let failure = written.map(|_| ()).unwrap_err();
        assert_eq!(failure.exit, exit, "{what}: {failure}");
        assert!(failure.message.contains(told), "{what}: {failure}");
        assert_eq!(failure.message.contains(right), asks, "{what}: {failure}");
        assert!(!failure.message.contains("hidden"), "{what}: {failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_no_proof_that_anything_is_stored() {
    let value = |version| secret(version, "u", &json!({"token": "ZHJ5LXJ1bg=="}));
    let (cluster, _) = cluster(vec![status(500), status(409), (200, value("2"))]);
    let seed = Seed {
        cluster: &cluster,
        name: "s",
        kept: &[],
    };
    let read: Secret = serde_json::from_value(secret("1", "u", &json!({}))).unwrap();
    let failure = seed.check(Some(&read), &["token"]).await.unwrap_err();
    assert!(failure.message.contains("somebody changed"), "{failure}");
}

#[test]
fn a_new_secret_is_labelled_as_a_source_and_the_labels_of_another_stay() {
    let token = SecretString::from("new");
    let labels = |known: Option<Secret>| filled("s", known, &[("token", &token)]).metadata.labels;
    let source = [(SOURCE_LABEL.to_owned(), "true".to_owned())].into();
    assert_eq!(labels(None), Some(source));
    let known = secret("1", "u", &json!({"token": "b2xk"}));
    assert_eq!(labels(Some(serde_json::from_value(known).unwrap())), None);
}
