//! `doctor`, on a real installation whose operator has no replica.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::counting::Counting;
use crate::support::{Done, World, finish};

/// `level about: message` of each finding.
fn lines(json: &Value) -> Vec<String> {
    let findings = json["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .map(|one| {
            format!(
                "{} {}: {}",
                text(&one["level"]),
                text(&one["about"]),
                text(&one["message"])
            )
        })
        .collect()
}

#[tokio::test]
async fn an_installation_is_examined_from_rights_to_secrets() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let token = world.api_token("well").await;
    world
        .create("no-secret", world.api_token_spec("no-secret"))
        .await;
    world.secret("no-key-source", &[("other", "x")]).await;
    world.create("no-key", world.api_token_spec("no-key")).await;
    world.secret("empty-source", &[("token", "")]).await;
    world.create("empty", world.api_token_spec("empty")).await;
    let mut strange = world.api_token_spec("strange");
    strange["site"] = json!("https://jira.example.com");
    world.secret("strange-source", &[("token", "x")]).await;
    world.create("strange", strange).await;
    world.until_ready("well").await;
    for name in ["no-secret", "no-key", "empty", "strange"] {
        world.until_seen(name).await;
    }
    let done = world.plugin(&["doctor", "-o", "json"]).await;
    // The Deployment of deploy/ has no node to run on.
    done.ended(3);
    let found = lines(&done.json());
    let about = |name: &str| format!("{}/{name}: ", world.namespace);
    for line in [
        "ok your rights: you have every right".to_owned(),
        "ok CustomResourceDefinition: v1alpha1 is that of this plugin".to_owned(),
        "ok admission policy jira-credential-operator: in force".to_owned(),
        "ok admission policy jira-credential-operator-restart: in force".to_owned(),
        "ok admission policy jira-credential-operator-writes: in force".to_owned(),
        "ok admission policy jira-credential-operator-restart-writes: in force".to_owned(),
        "ok admission policy jira-credential-operator-lease-writes: in force".to_owned(),
        "bad operator: jira-credential-operator/jira-credential-operator has no available"
            .to_owned(),
        format!("ok {}its Secrets have values", about("well")),
        format!(
            "bad {}the Secret no-secret-source does not exist",
            about("no-secret")
        ),
        format!(
            "bad {}the Secret no-key-source has no key token",
            about("no-key")
        ),
        format!(
            "bad {}the key token of the Secret empty-source is empty",
            about("empty")
        ),
        format!(
            "bad {}allowed hosts and site (HostNotAllowed)",
            about("strange")
        ),
    ] {
        assert!(
            found.iter().any(|other| other.starts_with(&line)),
            "{line}\n{found:#?}"
        );
    }
    let nexts = done.json()["findings"].as_array().unwrap().clone();
    for one in nexts.iter().filter(|one| one["level"] != "ok") {
        assert!(
            one["next"].as_str().is_some_and(|next| !next.is_empty()),
            "{one}"
        );
    }
    assert!(!done.out.contains(token.secret()), "a value was printed");
    let text = world.plugin(&["doctor", "well"]).await;
    assert!(
        text.ended(3).starts_with("ok       your rights: "),
        "{}",
        text.out
    );
}

#[tokio::test]
async fn what_may_not_be_read_is_said_so() {
    let world = World::new().await;
    let _operator = world.operator().await;
    world.api_token("bot").await;
    world.until_ready("bot").await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "reader", "namespace": world.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "jira-credential-operator-view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "berta"}],
    });
    world
        .plane
        .kubectl_apply(&binding.to_string())
        .await
        .unwrap();
    let started = Instant::now();
    let done = loop {
        let done = world
            .plugin(&["doctor", "bot", "-o", "json", "--as", "berta"])
            .await;
        // The authorizer of the API server learns of a binding a moment later.
        if done.code == 0 || started.elapsed() > Duration::from_secs(20) {
            break done;
        }
    };
    done.ended(0);
    let found = lines(&done.json());
    for line in [
        "warning your rights: you may not get secrets",
        "unknown CustomResourceDefinition: cannot read",
        "unknown admission policy jira-credential-operator: it could not be read",
        "unknown operator: cannot read",
    ] {
        assert!(
            found.iter().any(|other| other.starts_with(line)),
            "{line}\n{found:#?}"
        );
    }
    let unread = format!(
        "unknown {}/bot: whether the key token of the Secret bot-source has a value is not known",
        world.namespace
    );
    assert!(
        found.iter().any(|other| other.starts_with(&unread)),
        "{found:#?}"
    );
}

#[tokio::test]
async fn what_is_not_known_is_no_fault_and_a_missing_name_is_told() {
    let world = World::new().await;
    let mut spec = world.api_token_spec("bot");
    spec["auth"] =
        json!({"personalAccessToken": {"tokenSecretRef": {"name": "bot-source", "key": "token"}}});
    spec["hosting"] = json!("DataCenter");
    spec["tls"] = json!({"caConfigMapRef": {"name": "ca", "key": "ca.crt"}});
    world.create("bot", spec).await;
    let done = world
        .plugin(&["doctor", "bot", "other", "-o", "json"])
        .await;
    done.ended(3);
    let found = lines(&done.json());
    for line in [
        format!(
            "bad {}/bot: the ConfigMap ca does not exist",
            world.namespace
        ),
        format!("bad {}/other: there is no JiraCredential", world.namespace),
    ] {
        assert!(
            found.iter().any(|one| one.starts_with(&line)),
            "{line}\n{found:#?}"
        );
    }
    let done = world
        .plugin(&["doctor", "-o", "json", "--as", "nobody"])
        .await;
    // Without the right to list, nothing works.
    done.ended(3);
    let found = lines(&done.json());
    for line in [
        "bad your rights: you may not list jiracredentials",
        "warning your rights: you may not create secrets",
        "warning your rights: you may not get configmaps",
        "unknown credentials: cannot list JiraCredentials",
    ] {
        assert!(
            found.iter().any(|one| one.starts_with(line)),
            "{line}\n{found:#?}"
        );
    }
}

/// The doctor over a way to the API server that is slow.
async fn examine(world: &World, counting: &Counting, more: &[&str]) -> Done {
    let mut command = world.command(&["doctor"]);
    command.args(more).env("KUBECONFIG", counting.kubeconfig());
    finish(command.spawn().unwrap()).await
}

#[tokio::test]
async fn a_request_without_an_answer_ends_with_4_and_many_credentials_are_read_at_once() {
    let world = World::new().await;
    for index in 0..12 {
        let name = format!("bot-{index}");
        world.create(&name, world.api_token_spec(&name)).await;
    }
    let counting = Counting::start(world.client.clone()).await;
    counting.gather("/secrets/", 8);
    examine(&world, &counting, &[]).await.ended(3);
    assert_eq!(counting.most(), 8);
    for part in [
        "/secrets/",
        "/validatingadmissionpolicies/",
        "/jiracredentials",
    ] {
        counting.hold(part);
        let done = examine(&world, &counting, &["--request-timeout", "2s"]).await;
        done.ended(4);
        assert!(
            done.err.contains("within --request-timeout"),
            "{}",
            done.err
        );
    }
}
