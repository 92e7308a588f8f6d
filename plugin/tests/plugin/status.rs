//! `status`, on objects whose status the test writes and on one that the operator keeps.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use jira_credential_operator::clock::Clock;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::counting::Counting;
use crate::support::{World, finish};

#[tokio::test]
async fn one_credential_is_shown_with_everything() {
    let world = World::new().await;
    let _operator = world.operator().await;
    world.api_token("bot").await;
    world.until_ready("bot").await;
    let done = world.plugin(&["status", "bot"]).await;
    let text = done.ended(0);
    for part in [
        "Name:       bot\n",
        "Ready:      True (Validated)\n",
        "Method:     ApiToken\n",
        "Secrets:    bot\n",
        "CONDITION",
        "Published",
        "Workloads: no pod of this namespace reads the Secrets.",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("Owner:"), "nobody is named: {text}");
    assert!(!text.contains('\u{1b}'), "no colour in a pipe: {text}");
    let wide = world.plugin(&["status", "-o", "wide"]).await;
    let mut lines = wide.ended(0).lines();
    let head: Vec<&str> = lines
        .next()
        .unwrap()
        .split("   ")
        .filter(|word| !word.is_empty())
        .collect();
    let head: Vec<&str> = head.into_iter().map(str::trim).collect();
    assert_eq!(
        head,
        [
            "NAME",
            "READY",
            "REASON",
            "METHOD",
            "ACCOUNT",
            "ENDS",
            "VALIDATED",
            "SITE",
            "SECRETS",
            "NEXT STEP"
        ]
    );
    let row = lines.next().unwrap();
    assert!(
        row.starts_with("bot    True    Validated   ApiToken   "),
        "{row}"
    );
    let json = world.plugin(&["status", "bot", "-o", "json"]).await.json();
    let one = &json["items"][0];
    assert_eq!(one["ready"], "True");
    assert_eq!(one["upToDate"], true);
    assert_eq!(one["readers"]["workloads"], json!([]));
    let yaml = world.plugin(&["status", "-o", "yaml"]).await;
    assert!(yaml.ended(0).contains("reason: Validated"), "{}", yaml.out);
}

#[tokio::test]
async fn who_looks_after_it_is_named() {
    let world = World::new().await;
    for (name, owner, line) in [
        (
            "both",
            json!({"team": "platform", "contact": "#platform"}),
            "Owner:      platform, #platform\n",
        ),
        ("one", json!({"contact": "a\u{202e}b"}), "Owner:      a b\n"),
    ] {
        let mut spec = world.api_token_spec(name);
        spec["owner"] = owner.clone();
        world.create(name, spec).await;
        let shown = world.plugin(&["status", name]).await;
        assert!(shown.ended(0).contains(line), "{}", shown.out);
        let json = world.plugin(&["status", name, "-o", "json"]).await.json();
        assert_eq!(json["items"][0]["owner"], owner);
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let world = World::new().await;
    let empty = world.plugin(&["status"]).await;
    assert_eq!(empty.ended(0), "");
    assert!(
        empty.err.contains("no JiraCredential in the namespace"),
        "{}",
        empty.err
    );
    let one = world.plugin(&["status", "bot"]).await;
    one.ended(1);
    assert!(one.err.contains("\"bot\" not found"), "{}", one.err);
    world.create("there", world.api_token_spec("there")).await;
    let two = world.plugin(&["status", "there", "bot"]).await;
    two.ended(1);
    assert!(two.err.contains("no JiraCredential bot in"), "{}", two.err);
    let unseen = world.plugin(&["status", "there"]).await;
    assert!(
        unseen
            .ended(0)
            .contains("The operator has not looked at it yet"),
        "{}",
        unseen.out
    );
}

#[tokio::test]
async fn workloads_are_told_with_how_they_read_the_secret() {
    let world = World::new().await;
    world.create("bot", world.api_token_spec("bot")).await;
    let container = |more: Value| {
        let mut container = json!({"name": "c", "image": "none"});
        container
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        container
    };
    let volume = json!([{"name": "v", "secret": {"secretName": "bot"}}]);
    let projected = json!([{"name": "v", "projected": {"sources": [{"secret": {"name": "bot"}}]}}]);
    let env = json!({"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "bot", "key": "token"}}}]});
    let pods = [
        ("by-env", json!({"containers": [container(env)]})),
        (
            "by-env-from",
            json!({"containers": [container(json!({"envFrom": [{"secretRef": {"name": "bot"}}]}))]}),
        ),
        (
            "by-file",
            json!({"volumes": volume, "containers": [container(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}))]}),
        ),
        (
            "by-sub-path",
            json!({"volumes": projected, "containers": [container(json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "token"}]}))]}),
        ),
        (
            "by-init",
            json!({"volumes": volume, "containers": [container(json!({}))],
                "initContainers": [{"name": "i", "image": "none", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}),
        ),
        (
            "not-at-all",
            json!({"containers": [container(json!({"envFrom": [{"secretRef": {"name": "other"}}]}))]}),
        ),
    ];
    let api: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    for (name, spec) in pods {
        let mut spec = spec;
        spec["automountServiceAccountToken"] = json!(false);
        let pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        api.create(&PostParams::default(), &pod).await.unwrap();
    }
    let done = world.plugin(&["status", "bot", "-o", "json"]).await;
    let found = done.json()["items"][0]["readers"]["workloads"].clone();
    let found: Vec<String> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{}/{} {}", one["kind"], one["name"], one["how"]).replace('"', ""))
        .collect();
    assert_eq!(
        found,
        [
            "Pod/by-env env",
            "Pod/by-env-from envFrom",
            "Pod/by-file file",
            "Pod/by-init file",
            "Pod/by-sub-path subPath",
        ]
    );
    let text = world.plugin(&["status", "bot"]).await;
    let line = text
        .ended(0)
        .lines()
        .find(|line| line.contains("by-sub-path"))
        .unwrap();
    assert!(line.ends_with("after a restart"), "{line}");
}

#[tokio::test]
async fn who_may_not_list_pods_still_gets_the_rest() {
    let world = World::new().await;
    world.create("bot", world.api_token_spec("bot")).await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "reader", "namespace": world.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "jira-credential-operator-view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "anna"}],
    });
    world
        .plane
        .kubectl_apply(&binding.to_string())
        .await
        .unwrap();
    let args = ["status", "bot", "--as", "anna"];
    let started = Instant::now();
    let done = loop {
        // The authorizer of the API server learns of a binding a moment later.
        let done = world.plugin(&args).await;
        if done.code == 0 || started.elapsed() > Duration::from_secs(20) {
            break done;
        }
    };
    assert!(
        done.ended(0).contains("Workloads: cannot list pods"),
        "{}",
        done.out
    );
}

#[tokio::test]
async fn a_thousand_credentials_take_less_than_two_seconds_and_one_list() {
    let world = World::new().await;
    let spec = world.api_token_spec("bot");
    let ends = Clock::system().now() + TimeDelta::days(12);
    let create = async |index: usize| {
        let name = format!("bot-{index:04}");
        world.create(&name, spec.clone()).await;
        let now = Clock::system().now();
        let status = json!({
            "observedGeneration": 1, "method": "ApiToken", "expiresAt": ends, "lastValidatedTime": now,
            "account": {"id": format!("557058:{index}"), "displayName": "A Robot"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "Validated",
                "message": "The published credential is current and validated.", "lastTransitionTime": now}],
        });
        world.write_status(&name, status).await;
    };
    for chunk in 0..50 {
        futures::future::join_all((0..20).map(|index| create(chunk * 20 + index))).await;
    }
    let started = Instant::now();
    let done = world.plugin(&["status"]).await;
    let took = started.elapsed();
    let text = done.ended(0);
    assert_eq!(text.lines().count(), 1_001);
    assert!(
        text.contains("credential in 11d"),
        "{}",
        text.lines().nth(1).unwrap()
    );
    assert!(took < Duration::from_secs(2), "{took:?}");
    let counting = Counting::start(world.client.clone()).await;
    let all = "GET /apis/jira-operator.dev/v1alpha1/jiracredentials".to_owned();
    let group = all.replace("/jiracredentials", "");
    let namespace = format!("{group}/namespaces/{}/jiracredentials", world.namespace);
    let one = format!("{namespace}/bot-0001");
    let pods = format!("GET /api/v1/namespaces/{}/pods", world.namespace);
    for (args, expected) in [
        (&["status"][..], vec![&namespace]),
        (&["status", "-A", "-o", "wide"], vec![&all]),
        (&["status", "-o", "json"], vec![&namespace]),
        (&["status", "bot-0001", "bot-0002"], vec![&namespace]),
        (&["status", "bot-0001"], vec![&one, &pods]),
        (&["check", "--within", "1d"], vec![&namespace]),
    ] {
        let mut command = world.command(args);
        command.env("KUBECONFIG", counting.kubeconfig());
        finish(command.spawn().unwrap()).await.ended(0);
        let asked = counting.take();
        assert_eq!(asked.iter().collect::<Vec<_>>(), expected, "{args:?}");
    }
}

#[tokio::test]
async fn what_a_status_says_does_not_control_the_terminal() {
    let world = World::new().await;
    world.create("bot", world.api_token_spec("bot")).await;
    let said = "Jira \u{1b}]0;title\u{7}says \u{202e}no";
    let condition = |kind: &str| {
        json!({"type": kind, "status": "False", "reason": "AccountInactive", "message": said,
            "lastTransitionTime": "2027-01-01T00:00:00Z"})
    };
    let status = json!({
        "observedGeneration": 1, "conditions": [condition("Ready"), condition("Valid")],
        "account": {"id": "a", "displayName": said},
    });
    world.write_status("bot", status).await;
    for (args, code) in [
        (&["status", "bot"][..], 0),
        (&["status", "-o", "wide"], 0),
        (&["check", "bot"], 3),
        (&["doctor", "bot"], 3),
        (&["renew", "bot", "--timeout", "1s"], 4),
    ] {
        let done = world.plugin(args).await;
        done.ended(code);
        let shown = format!("{}{}", done.out, done.err);
        assert!(
            shown.contains("Jira  ]0;title says  no"),
            "{args:?}: {shown}"
        );
        let control = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(control), "{args:?}: {shown:?}");
    }
}
