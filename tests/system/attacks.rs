//! What a tenant tries who may write `JiraCredentials` and read no Secret; the part of the list
//! that the operator decides, on the real API server with the policy of `deploy/` in force.

mod targets;

use std::net::IpAddr;

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential, Reason};
use jira_credential_operator::jira::{AddressPolicy, HostPolicy};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::{World, says};

const FALSE: ConditionStatus = ConditionStatus::False;
const READY: ConditionType = ConditionType::Ready;

/// A person who may write `JiraCredentials`, get the Secret `own` and write the Secret
/// `own-target`. Comes back when the policy is in force and knows these rights.
async fn tenant(world: &World) -> Api<JiraCredential> {
    let role: Role = serde_json::from_value(json!({"metadata": {"name": "mallory"}, "rules": [
        {"apiGroups": ["jira-operator.dev"], "resources": ["jiracredentials"],
         "verbs": ["get", "list", "create", "update", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["own"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "update"],
         "resourceNames": ["own-target"]},
    ]}))
    .unwrap();
    let binding: RoleBinding = serde_json::from_value(json!({"metadata": {"name": "mallory"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mallory"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}],
    }))
    .unwrap();
    let params = PostParams::default();
    Api::namespaced(world.client.clone(), &world.namespace)
        .create(&params, &role)
        .await
        .unwrap();
    Api::namespaced(world.client.clone(), &world.namespace)
        .create(&params, &binding)
        .await
        .unwrap();
    let client = world.plane.user_client("mallory", &[]).unwrap();
    let theirs: Api<JiraCredential> = Api::namespaced(client, &world.namespace);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let (fair, unfair) = (credential("own", "own-target"), credential("own", "x"));
    world
        .until("policy and rights are in force", || async {
            let good = theirs.create(&dry, &fair).await;
            let bad = theirs.create(&dry, &unfair).await;
            (good.is_ok() && bad.is_err()).then_some(())
        })
        .await;
    theirs
}

fn credential(source: &str, target: &str) -> JiraCredential {
    serde_json::from_value(json!({
        "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
        "metadata": {"name": "attack"},
        "spec": {
            "site": "https://jira.dc.localhost",
            "auth": {"personalAccessToken": {"tokenSecretRef": {"name": source, "key": "token"}}},
            "targets": [{"name": target}],
        },
    }))
    .unwrap()
}

async fn refusal(api: &Api<JiraCredential>, object: &JiraCredential) -> String {
    let answer = api.create(&PostParams::default(), object).await;
    answer.unwrap_err().to_string()
}

async fn person_makes(world: &World, secret: Value) -> Secret {
    world
        .secrets()
        .create(
            &PostParams::default(),
            &serde_json::from_value(secret).unwrap(),
        )
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_somebody_else_holds_stays_as_it_is() {
    let world = World::new().await;
    let _operator = world.operator().await;
    world.api_token("other").await;
    let other = world.wait_ready("other").await;
    let controlled = |kind: &str, api_version: &str| {
        json!([{"apiVersion": api_version, "kind": kind, "name": "other", "controller": true,
            "uid": other.metadata.uid.clone().unwrap()}])
    };
    let ours = |name: &str| {
        json!({"app.kubernetes.io/managed-by": "jira-credential-operator",
            "jira-operator.dev/credential": name})
    };
    for (name, metadata, more, reason) in [
        ("plain", json!({}), json!({}), Reason::TargetForeign),
        (
            "immutable",
            json!({}),
            json!({"immutable": true}),
            Reason::TargetForeign,
        ),
        (
            "half-labelled",
            json!({"labels": {"jira-operator.dev/credential": "half-labelled"}}),
            json!({}),
            Reason::TargetForeign,
        ),
        // Prepared as if it were another credential's.
        (
            "labelled",
            json!({"labels": ours("other")}),
            json!({}),
            Reason::TargetConflict,
        ),
        // Prepared as if it were this one's, but somebody living holds it.
        (
            "of-a-workload",
            json!({"labels": ours("of-a-workload"), "ownerReferences": controlled("Deployment", "apps/v1")}),
            json!({}),
            Reason::TargetForeign,
        ),
        (
            "of-a-namesake",
            json!({"labels": ours("of-a-namesake"), "ownerReferences": controlled("JiraCredential", "example.com/v1")}),
            json!({}),
            Reason::TargetForeign,
        ),
        (
            "of-another",
            json!({"labels": ours("of-another"), "ownerReferences": controlled("JiraCredential", "jira-operator.dev/v1alpha1")}),
            json!({}),
            Reason::TargetConflict,
        ),
    ] {
        let mut secret = json!({"metadata": metadata, "stringData": {"keep": "me"}});
        secret["metadata"]["name"] = json!(name);
        // What the garbage collector would take for an orphan has to stay for the test.
        let orphan = secret["metadata"]["ownerReferences"].is_array() && name != "of-another";
        if orphan {
            secret["metadata"]["finalizers"] = json!(["example.com/hold"]);
        }
        secret
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        person_makes(&world, secret).await;
        let before = world.secrets().get(name).await.unwrap();
        let mut spec = world.api_token_spec("other");
        spec["targets"] = json!([{"name": name}]);
        world.create(name, spec).await;
        let object = world.wait(name, READY, FALSE, reason).await;
        let said = says(&object, READY).message;
        assert!(
            said.contains(&format!("The Secret {name}")) && said.contains("spec.targets"),
            "{name}: {said}"
        );
        // Nor does it go, or change, when the credential goes.
        world
            .credentials()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        let after = world.secrets().get(name).await.unwrap();
        assert_eq!(after.data, before.data, "{name}");
        assert_eq!(after.type_, before.type_, "{name}");
        assert_eq!(after.metadata.labels, before.metadata.labels, "{name}");
        assert_eq!(
            after.metadata.owner_references, before.metadata.owner_references,
            "{name}"
        );
        if orphan {
            let let_go = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            let params = PatchParams::default();
            world.secrets().patch(name, &params, &let_go).await.unwrap();
        } else {
            assert_eq!(after, before, "{name}");
        }
    }
    let published = world.secrets().get("other").await.unwrap();
    assert_eq!(
        published.metadata.owner_references.unwrap()[0].uid,
        other.metadata.uid.unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_inside_gets_no_connection() {
    let world = World::new().await;
    let inside = [
        ("loopback", "127.0.0.1", "a loopback address"),
        ("loopback-six", "::1", "a loopback address"),
        ("mapped", "::ffff:127.0.0.1", "a loopback address"),
        ("nat64", "64:ff9b::7f00:1", "a loopback address"),
        ("metadata", "169.254.169.254", "a link-local address"),
        ("metadata-six", "fd00:ec2::254", "a link-local address"),
        (
            "mapped-metadata",
            "::ffff:169.254.169.254",
            "a link-local address",
        ),
        ("alibaba", "100.100.100.200", "a link-local address"),
        ("link-local", "fe80::1", "a link-local address"),
        ("unspecified", "0.0.0.0", "a reserved address"),
        ("multicast", "224.0.0.1", "a reserved address"),
    ];
    let private = [
        ("ten", "10.96.0.1", "a private address"),
        ("home", "192.168.1.1", "a private address"),
        ("shared", "100.64.0.1", "a private address"),
        ("unique-local", "fd12::1", "a private address"),
    ];
    let names: Vec<(String, IpAddr)> = inside
        .iter()
        .chain(&private)
        .flat_map(|(name, address, _)| {
            let address = address.parse().unwrap();
            ["cloud", "dc"].map(|zone| (format!("{name}.{zone}.example"), address))
        })
        .collect();
    let operator = world
        .operator_with(|config| {
            let (cloud, allowed) = (
                ["*.cloud.example", "*.cloud.localhost"],
                ["*.dc.example", "*.dc.localhost"],
            );
            config.hosts = HostPolicy::parse(cloud, allowed).unwrap();
            config.jira.addresses = AddressPolicy::default();
            config.jira.names = names;
        })
        .await;
    world.secret("own", &[("token", "t0k3n-for-nobody")]).await;
    let reference = json!({"name": "own", "key": "token"});
    let cloud = json!({"apiToken": {"email": "m@x.example", "tokenSecretRef": reference}});
    let data_center = json!({"personalAccessToken": {"tokenSecretRef": reference}});
    let mut cases = Vec::new();
    for (name, _, kind) in inside {
        cases.push((format!("{name}.cloud.example"), &cloud, kind));
        cases.push((format!("{name}.dc.example"), &data_center, kind));
    }
    for (name, _, kind) in private {
        cases.push((format!("{name}.cloud.example"), &cloud, kind));
    }
    cases.push(("x.cloud.localhost".into(), &cloud, "a loopback address"));
    cases.push(("x.dc.localhost".into(), &data_center, "a loopback address"));
    for (host, auth, _) in &cases {
        // With the port at which the simulator would hear of it.
        let site = format!("https://{host}:{}", world.sim.port());
        world
            .create(host, json!({"site": site, "auth": auth}))
            .await;
    }
    for (host, _, kind) in &cases {
        let object = world.wait(host, READY, FALSE, Reason::HostNotAllowed).await;
        let said = says(&object, READY).message;
        assert!(
            said.contains(kind) && said.contains("--allowed-addresses"),
            "{host}: {said}"
        );
        assert_eq!(
            says(&object, ConditionType::Stalled).reason,
            Reason::HostNotAllowed
        );
    }
    operator.quiet().await;
    assert_eq!(world.sim.counters().handshakes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_the_administrator_has_not_allowed_gets_no_connection() {
    let world = World::new().await;
    let operator = world
        .operator_with(|config| {
            config.hosts = HostPolicy::parse(["*.atlassian.net"], ["jira.dc.localhost"]).unwrap();
        })
        .await;
    let reference = json!({"name": "own", "key": "token"});
    world.secret("own", &[("token", "t0k3n-for-nobody")]).await;
    let token = json!({"apiToken": {"email": "m@x.example", "tokenSecretRef": reference}});
    let pat = json!({"personalAccessToken": {"tokenSecretRef": reference}});
    let port = world.sim.port();
    for (name, site, auth, flag) in [
        (
            "cloud",
            format!("https://acme.cloud.localhost:{port}"),
            &token,
            "--cloud-hosts",
        ),
        (
            "dc",
            format!("https://evil.dc.localhost:{port}"),
            &pat,
            "--allowed-hosts",
        ),
        (
            "below",
            format!("https://x.jira.dc.localhost:{port}"),
            &pat,
            "--allowed-hosts",
        ),
        (
            "suffix",
            format!("https://jira.dc.localhost.evil.localhost:{port}"),
            &pat,
            "--allowed-hosts",
        ),
        (
            "cloud-as-cloud",
            format!("https://x.atlassian.net.evil.localhost:{port}"),
            &token,
            "--cloud-hosts",
        ),
    ] {
        world
            .create(name, json!({"site": site, "auth": auth}))
            .await;
        let object = world.wait(name, READY, FALSE, Reason::HostNotAllowed).await;
        let said = says(&object, READY).message;
        assert!(said.contains(flag), "{name}: {said}");
    }
    operator.quiet().await;
    assert_eq!(world.sim.counters().handshakes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_takes_the_credential_nowhere() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (good, evil) = (world.data_center(), world.sim.data_center("evil"));
    let token = good.pat("bot");
    world.secret("own", &[("token", token.secret())]).await;
    let auth = json!({"personalAccessToken": {"tokenSecretRef": {"name": "own", "key": "token"}}});
    let mut expected = 0;
    for status in [301, 302, 303, 307, 308] {
        world.sim.clear_faults();
        let location = format!("{}/rest/api/2/myself", evil.url());
        let rule = Rule::new(Fault::Redirect { status, location }).host(good.host());
        world.sim.fault(rule);
        let name = format!("bot-{status}");
        world
            .create(&name, json!({"site": good.url(), "auth": auth}))
            .await;
        let object = world
            .wait(&name, READY, FALSE, Reason::SiteUnavailable)
            .await;
        let said = says(&object, READY).message;
        assert!(
            said.contains("never follows a redirect with a credential"),
            "{said}"
        );
        assert!(!said.contains("evil"), "{said}");
        expected += 1;
        operator.quiet().await;
        assert_eq!(world.calls_for(good.host()), expected);
    }
    assert!(world.sim.calls_for(evil.host()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_publishes_or_the_cluster_uses_is_no_source() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("other").await;
    world.wait_ready("other").await;
    operator.quiet().await;
    let calls = world.calls();
    let account = json!({
        "metadata": {"name": "robot", "annotations": {"kubernetes.io/service-account.name": "default"}},
        "type": "kubernetes.io/service-account-token",
    });
    person_makes(&world, account).await;
    let registry = json!({
        "metadata": {"name": "registry"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": "{}", "token": "t"},
    });
    person_makes(&world, registry).await;
    for (name, source, reason, remedy) in [
        (
            "thief",
            "other",
            Reason::SourceIsTarget,
            "name the Secret that holds the original credential",
        ),
        (
            "impostor",
            "robot",
            Reason::SourceMalformed,
            "use an Opaque Secret",
        ),
        (
            "puller",
            "registry",
            Reason::SourceMalformed,
            "use an Opaque Secret",
        ),
    ] {
        let mut spec = world.api_token_spec("x");
        spec["auth"]["apiToken"]["tokenSecretRef"]["name"] = json!(source);
        world.create(name, spec).await;
        let object = world.wait(name, READY, FALSE, reason).await;
        let said = says(&object, READY).message;
        assert!(said.contains(remedy), "{name}: {said}");
        assert_eq!(says(&object, ConditionType::Stalled).reason, reason);
        assert!(world.secrets().get_opt(name).await.unwrap().is_none());
    }
    operator.quiet().await;
    assert_eq!(world.calls(), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_no_program_can_read_is_refused() {
    let world = World::new().await;
    for (date, good) in [
        ("2027-03-01T00:00:00Z", true),
        ("2028-02-29T23:59:59.123456789Z", true),
        ("2027-03-01T00:00:00+14:00", true),
        ("2027-03-01T00:00:00-23:59", true),
        ("2027-03-01t00:00:00z", false),
        ("2027-03-01T00:00:00,5Z", false),
        ("2027-03-01T00:00:00.Z", false),
        ("2027-03-01T00:00:00.1234567890Z", false),
        ("2027-03-01T00:00:00+99:99", false),
        ("2027-03-01T00:00:00+24:00", false),
        ("2027-03-01T00:00:00ZTwords", false),
        ("2027-03-01T23:59:60Z", false),
        ("2027-02-29T00:00:00Z", false),
        ("2027-03-01", true),
        ("2027-02-29", false),
        ("2027-3-1", false),
        ("2027-03-01T", false),
        ("0000-01-01T00:00:00+01:00", false),
        ("9999-12-31T23:59:59-01:00", false),
        ("10000-01-01T00:00:00Z", false),
    ] {
        for field in ["expiresAt", "issuedAt"] {
            let mut spec = world.api_token_spec("dated");
            spec["auth"]["apiToken"][field] = json!(date);
            let object = json!({"apiVersion": "jira-operator.dev/v1alpha1",
                "kind": "JiraCredential", "metadata": {"name": "dated"}, "spec": spec});
            let uri = format!(
                "/apis/jira-operator.dev/v1alpha1/namespaces/{}/jiracredentials?dryRun=All",
                world.namespace
            );
            let request = http::Request::post(uri)
                .header("content-type", "application/json")
                .body(object.to_string().into_bytes())
                .unwrap();
            match world.client.request::<Value>(request).await {
                Ok(stored) => {
                    assert!(good, "{date} was accepted");
                    let read = serde_json::from_value::<JiraCredential>(stored);
                    assert!(read.is_ok(), "{date}: {read:?}");
                }
                Err(error) => {
                    let said = error.to_string();
                    assert!(!good && said.contains(field), "{date}: {said}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_of_any_length_is_handled_once() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let mut calls = world.calls();
    assert_eq!(calls, 1);
    for value in ["x".repeat(200_000), "y".repeat(200_000)] {
        world.advance(TimeDelta::minutes(1));
        world
            .annotate("bot", "jira-operator.dev/renew", &value)
            .await;
        world
            .until("the annotation is handled", || async {
                let status = world.credential("bot").await.status.unwrap();
                let now = status.last_validated_time == Some(world.clock.now());
                now.then_some(())
            })
            .await;
        operator.look_again(1).await;
        calls += 1;
        assert_eq!(world.calls(), calls);
    }
    // A new object's own value counts as handled.
    let mut long = world.credential("bot").await;
    long.metadata = kube::api::ObjectMeta {
        name: Some("late".into()),
        annotations: long.metadata.annotations,
        ..Default::default()
    };
    long.status = None;
    let params = PostParams::default();
    world.credentials().create(&params, &long).await.unwrap();
    world.wait_ready("late").await;
}
