//! `rotate`: a right token is validated and stored, a wrong one is not, and none is ever shown.

use std::process::Stdio;
use std::time::{Duration, Instant};

use atlassian_sim::Token;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Done, PATIENCE, World, until_line};

/// The flags with which this machine calls the simulator.
struct Flags {
    folder: tempfile::TempDir,
    gateway: String,
}

impl Flags {
    fn of(world: &World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        world.sim.write_ca(folder.path().join("ca.pem")).unwrap();
        Self {
            folder,
            gateway: world.sim.gateway_url(),
        }
    }

    fn args<'a>(&'a self, name: &'a str, more: &[&'a str]) -> Vec<String> {
        let authorities = self.folder.path().join("ca.pem");
        let mut args = vec![
            "rotate",
            name,
            "--allowed-addresses",
            "127.0.0.0/8,::1",
            "--api-url",
            &self.gateway,
            "--extra-ca-file",
            authorities.to_str().unwrap(),
        ];
        args.extend(more);
        args.into_iter().map(str::to_owned).collect()
    }
}

fn shows_nothing(done: &Done, token: &Token) {
    assert!(!done.out.contains(token.secret()), "on standard output");
    assert!(!done.err.contains(token.secret()), "on standard error");
}

async fn ready_world() -> (World, crate::support::Running, Token) {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.api_token("bot").await;
    world.until_ready("bot").await;
    (world, operator, token)
}

#[tokio::test]
async fn a_new_token_is_validated_stored_and_published() {
    let (world, _operator, old) = ready_world().await;
    let flags = Flags::of(&world);
    let new = world.sim.cloud_site("acme").api_token("bot@acme.example");
    let input = format!("{}\n", new.secret());
    let args = flags.args("bot", &["--expires-at", "2099-01-01"]);
    let done = world.plugin_reading(&args, &input).await;
    assert!(
        done.ended(0)
            .starts_with("bot: Ready True (Validated): Jira at "),
        "{}",
        done.out
    );
    assert!(
        done.err
            .contains("https://id.atlassian.com/manage-profile/security/api-tokens"),
        "{}",
        done.err
    );
    assert!(
        done.err.contains("Jira accepts the token as Bot"),
        "{}",
        done.err
    );
    shows_nothing(&done, &new);
    shows_nothing(&done, &old);
    assert_eq!(world.value("bot-source", "token").await, new.secret());
    assert_eq!(world.value("bot", "token").await, new.secret());
    let object = world.credentials().get("bot").await.unwrap();
    let spec: Value = serde_json::to_value(&object.spec).unwrap();
    assert_eq!(spec["auth"]["apiToken"]["expiresAt"], "2099-01-01");
    assert_eq!(spec["auth"]["apiToken"].get("issuedAt"), None);
    // The same once more is no rotation.
    let done = world.plugin_reading(&flags.args("bot", &[]), &input).await;
    done.ended(1);
    assert!(done.err.contains("stored already"), "{}", done.err);
}

#[tokio::test]
async fn a_wrong_token_stores_nothing() {
    let (world, _operator, old) = ready_world().await;
    let flags = Flags::of(&world);
    let site = world.sim.cloud_site("acme");
    let other = site.api_token("bot@acme.example");
    world.sim.revoke(&other);
    let before = world.secrets().get("bot-source").await.unwrap();
    for (name, input, code, told) in [
        ("revoked", other.secret(), 3, "refuses the token"),
        ("no token", "\n", 1, "no token was given"),
        ("two words", "two words", 1, "this is no token"),
    ] {
        let done = world.plugin_reading(&flags.args("bot", &[]), input).await;
        assert_eq!(done.code, code, "{name}: {}", done.err);
        assert!(done.err.contains(told), "{name}: {}", done.err);
        assert!(
            done.err.to_lowercase().contains("nothing was stored"),
            "{name}: {}",
            done.err
        );
        shows_nothing(&done, &other);
    }
    let after = world.secrets().get("bot-source").await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );
    assert_eq!(world.value("bot-source", "token").await, old.secret());
}

#[tokio::test]
async fn a_site_that_does_not_answer_stores_nothing() {
    let (world, _operator, old) = ready_world().await;
    let flags = Flags::of(&world);
    let new = world.sim.cloud_site("acme").api_token("bot@acme.example");
    world.sim.refuse_connections(true);
    let done = world
        .plugin_reading(&flags.args("bot", &[]), new.secret())
        .await;
    done.ended(1);
    assert!(done.err.contains("Nothing was stored"), "{}", done.err);
    assert_eq!(world.value("bot-source", "token").await, old.secret());
}

#[tokio::test]
async fn a_personal_access_token_of_somebody_else_is_not_stored() {
    let world = World::new().await;
    let jira = world.sim.data_center("jira").context_path("/jira");
    let flags = Flags::of(&world);
    let spec = json!({
        "site": jira.url(), "hosting": "DataCenter",
        "auth": {"personalAccessToken": {"tokenSecretRef": {"name": "bot-source", "key": "token"}}},
    });
    let old = jira.pat("robot");
    world.secret("bot-source", &[("token", old.secret())]).await;
    world.create("bot", spec).await;
    let others = jira.pat("somebody");
    // Before the operator has called the site, no token is sent there.
    let early = world
        .plugin_reading(&flags.args("bot", &[]), others.secret())
        .await;
    early.ended(1);
    assert!(early.err.contains("no token is sent to"), "{}", early.err);
    assert!(world.sim.calls_with(&others).is_empty());
    let _operator = world.operator().await;
    world.until_ready("bot").await;
    let done = world
        .plugin_reading(&flags.args("bot", &[]), others.secret())
        .await;
    done.ended(3);
    assert!(
        done.err
            .contains("Nothing was stored; log in to Jira as that account"),
        "{}",
        done.err
    );
    assert!(
        done.err.contains("/jira/secure/ViewProfile.jspa?"),
        "{}",
        done.err
    );
    assert_eq!(world.value("bot-source", "token").await, old.secret());
    let own = jira.pat("robot");
    let done = world
        .plugin_reading(&flags.args("bot", &[]), own.secret())
        .await;
    done.ended(0);
    shows_nothing(&done, &own);
    assert_eq!(world.value("bot", "token").await, own.secret());
}

#[tokio::test]
async fn a_token_with_scopes_is_validated_at_the_gateway() {
    let (world, _operator, _) = ready_world().await;
    let flags = Flags::of(&world);
    let scopes = ["read:jira-user", "read:jira-work"];
    let new = world
        .sim
        .cloud_site("acme")
        .scoped_token("bot@acme.example", &scopes);
    let done = world
        .plugin_reading(&flags.args("bot", &[]), new.secret())
        .await;
    done.ended(0);
    assert_eq!(world.value("bot-source", "token").await, new.secret());
}

#[tokio::test]
async fn a_password_is_not_sent_to_the_gateway() {
    let (world, _operator, _) = ready_world().await;
    let flags = Flags::of(&world);
    let password = world
        .sim
        .cloud_site("acme")
        .new_password("bot@acme.example");
    world.sim.clear_calls();
    let done = world
        .plugin_reading(&flags.args("bot", &[]), &password)
        .await;
    done.ended(3);
    assert!(done.err.contains("create an API token"), "{}", done.err);
    let calls = world.sim.calls();
    let at_gateway = calls
        .iter()
        .filter(|call| call.host == world.sim.gateway_host());
    assert_eq!(at_gateway.count(), 0, "{calls:?}");
    assert!(!calls.is_empty());
}

#[tokio::test]
async fn an_interrupt_while_a_pipe_is_read_ends_with_130() {
    let (world, _operator, _) = ready_world().await;
    let before = world.value("bot-source", "token").await;
    let flags = Flags::of(&world);
    let mut child = world
        .command(&flags.args("bot", &[]))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // Nothing comes through the pipe, and it stays open.
    let _pipe = child.stdin.take().unwrap();
    until_line(&mut child, "https://").await;
    let id = child.id().unwrap().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.unwrap().success());
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    assert_eq!(ended.unwrap().unwrap().code(), Some(130));
    assert_eq!(world.value("bot-source", "token").await, before);
}

#[tokio::test]
async fn a_change_by_somebody_else_is_not_overwritten() {
    let (world, _operator, _) = ready_world().await;
    let flags = Flags::of(&world);
    let new = world.sim.cloud_site("acme").api_token("bot@acme.example");
    // Another value is kept, and so is another part of the Secret beside the new value.
    for (change, code) in [
        (json!({"stringData": {"token": "theirs"}}), 1),
        (json!({"metadata": {"labels": {"touched": "yes"}}}), 0),
    ] {
        // The plugin has read the Secret when it asks for the token.
        let args = flags.args("bot", &[]);
        let mut child = world
            .command(&args)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        crate::support::until_line(&mut child, "Create the new API token").await;
        let params = PatchParams::default();
        let patch = Patch::Merge(change);
        let api = world.secrets();
        api.patch("bot-source", &params, &patch).await.unwrap();
        let done = crate::support::answer(child, new.secret()).await;
        done.ended(code);
        let told = "somebody changed the Secret bot-source meanwhile. Nothing was stored";
        assert_eq!(done.err.contains(told), code == 1, "{}", done.err);
        let value = world.value("bot-source", "token").await;
        assert_eq!(value == new.secret(), code == 0, "{code}");
    }
    let secret = world.secrets().get("bot-source").await.unwrap();
    assert_eq!(secret.metadata.labels.unwrap()["touched"], "yes");
}

#[tokio::test]
async fn other_methods_and_old_dates_are_refused_before_a_token_is_asked_for() {
    let world = World::new().await;
    let done = world
        .plugin(&["rotate", "bot", "--expires-at", "2020-01-01"])
        .await;
    done.ended(2);
    let spec = json!({
        "site": "https://jira.example.com", "hosting": "DataCenter",
        "auth": {"basic": {"secretRef": {"name": "s"}}},
    });
    world.create("bot", spec).await;
    let done = world.plugin(&["rotate", "bot"]).await;
    done.ended(1);
    assert!(
        done.err.contains("for another method see docs/methods"),
        "{}",
        done.err
    );
}

#[tokio::test]
async fn dates_that_may_not_be_written_are_told_before_a_token_is_asked_for() {
    let (world, _operator, old) = ready_world().await;
    let flags = Flags::of(&world);
    let meta = json!({"name": "reader", "namespace": world.namespace});
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta,
        "rules": [
            {"apiGroups": ["jira-operator.dev"], "resources": ["jiracredentials"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "update"]},
        ],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "berta"}],
    });
    let both = json!({"apiVersion": "v1", "kind": "List", "items": [role, binding]});
    world.plane.kubectl_apply(&both.to_string()).await.unwrap();
    let new = world.sim.cloud_site("acme").api_token("bot@acme.example");
    let args = flags.args("bot", &["--as", "berta", "--expires-at", "2027-03-01"]);
    let started = Instant::now();
    let done = loop {
        let done = world.plugin_reading(&args, new.secret()).await;
        // The authorizer of the API server learns of a binding a moment later.
        if !done.err.contains("cannot read") || started.elapsed() > Duration::from_secs(20) {
            break done;
        }
    };
    done.ended(1);
    let told = "cannot write the dates into spec.auth.apiToken (nothing was stored)";
    assert!(done.err.contains(told), "{}", done.err);
    assert!(
        !done.err.contains("Create"),
        "it names no page: {}",
        done.err
    );
    assert_eq!(world.sim.calls_with(&new).len(), 0);
    assert_eq!(world.value("bot-source", "token").await, old.secret());
}
