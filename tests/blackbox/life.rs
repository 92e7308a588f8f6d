//! An operator that nobody disturbs.

use control_plane::ControlPlane;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::Value;

use crate::stage::{Stage, email, texts};

#[tokio::test(flavor = "multi_thread")]
async fn it_validates_publishes_and_tells_about_it() {
    let stage = Stage::new().await;
    let mut operator = stage.operator().await;
    assert_eq!(operator.get_health("/healthz").0, 200);
    // A core dump would hold the tokens.
    assert_eq!(operator.limit("Max core file size"), ["0", "0"]);
    let token = stage.api_token("bot").await;
    let password = stage.password("robot").await;
    stage.wait_ready("bot").await;
    stage.wait_ready("robot").await;
    let published = stage.secrets().get("bot").await.unwrap();
    assert_eq!(texts(&published)["token"], token.secret());
    assert_eq!(texts(&published)["authorization"], token.basic());
    stage.assert_at_rest(&mut operator).await;

    let metrics = operator.metrics();
    let ready = |name: &str| {
        let labels = format!("namespace=\"{}\",name=\"{name}\"", stage.namespace);
        format!("jira_credential_ready{{{labels}}} 1")
    };
    for name in ["bot", "robot"] {
        assert!(metrics.contains(&ready(name)), "{metrics}");
    }
    let account = &texts(&published)["accountId"];
    let secrets = [token.secret(), &token.basic()[6..], &password];
    let places = [".localhost", account, &email("bot")];
    let series = metrics.lines().filter(|line| !line.starts_with('#'));
    let labels = series.map(|line| line.rsplit_once(' ').unwrap().0);
    for label in labels {
        // Neither a path nor an address of any kind.
        assert!(!label.contains(['/', '@']), "{label}");
        // One series per credential names the host of its site, and nothing else of it.
        let host = label.starts_with("jira_credential_info{");
        for word in places.iter().copied().chain(secrets) {
            let is_host = host && word == ".localhost";
            assert!(is_host || !label.contains(word), "{word}: {label}");
        }
    }

    stage.delete("bot").await;
    operator
        .until("without the series", |process| {
            let metrics = process.metrics();
            !metrics.contains(r#"name="bot""#) && metrics.contains(&ready("robot"))
        })
        .await;

    let lines = operator.log_lines();
    let started = |line: &Value| line["message"] == "started" && line["level"] == "INFO";
    assert!(lines.iter().any(started), "{lines:?}");
    assert!(lines.iter().all(|line| line["timestamp"].is_string()));
    let log = operator.log();
    for secret in secrets {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_without_its_binding_is_logged_exported_and_shown_by_readyz() {
    let plane = ControlPlane::start().await.unwrap();
    let stage = Stage::on(&plane).await;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(stage.client());
    let name = "jira-credential-operator";
    bindings
        .delete(name, &DeleteParams::default())
        .await
        .unwrap();
    let mut operator = stage.operator().await;
    operator
        .until("looked for the policy", |process| {
            let metrics = process.metrics();
            let shown = |line: &str| line == "jira_credential_admission_policy 0";
            metrics.lines().any(shown)
        })
        .await;
    let lines = operator.log_lines();
    let warns = |line: &&Value| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == "WARN" && message.contains("Apply deploy/admission-policy.yaml")
    };
    assert_eq!(lines.iter().filter(warns).count(), 1, "{lines:?}");
    let (status, text) = operator.get_health("/readyz?verbose");
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("[-] admission policy"), "{text}");
    operator.kill();
    plane.stop().await.unwrap();
}
