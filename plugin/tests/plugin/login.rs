//! `login`: a consent in the browser becomes a credential, and no secret is shown on the way.

use std::net::TcpListener;
use std::time::Instant;

use jira_credential_operator::api::{ConditionStatus, ConditionType};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::desk::{ANN, BOB, Desk, MACHINE_TIME, parameter, visit};
use crate::support::{PATIENCE, World};

const SCOPES: [&str; 3] = ["read:jira-work", "read:jira-user", "offline_access"];

#[tokio::test]
async fn a_first_consent_ends_ready_and_shows_no_secret() {
    let desk = Desk::new().await;
    let opened = desk.browser();
    let started = Instant::now();
    let mut login = desk.first(&["--account", ANN]).await;
    let url = login.url().await;
    // The browser is sent on by this machine: the state is in no argument.
    let start = crate::support::until_file(&opened).await;
    assert!(start.starts_with(desk.callback.trim_end_matches("/callback")));
    let response = visit(&start).await;
    assert!(
        response.contains(&format!("Location: {url}\r\n")),
        "{response}"
    );
    let callback = desk.accepted(ANN, &url);
    let (code, state) = (parameter(&callback, "code"), parameter(&url, "state"));
    assert_eq!(state.len(), 64);
    assert!(
        !start.contains(&state),
        "an argument of the browser: {start}"
    );
    // An idle connection, as browsers make them, holds nobody up.
    let host = callback.split('/').nth(2).unwrap();
    let _idle = TcpStream::connect(host).await.unwrap();
    let wrong = callback.replace(&state, &"0".repeat(64));
    let response = visit(&wrong).await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert!(response.contains("It was not accepted"), "{response}");
    desk.nothing_is_stored().await;
    let shown = login.shown_to_others();
    let response = visit(&callback).await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(response.contains("Consent received"), "{response}");
    assert!(response.contains("Content-Security-Policy: default-src 'none'"));
    let done = login.end().await;
    let took = started.elapsed();
    assert!(took < MACHINE_TIME, "from nothing to Ready: {took:?}");
    let told = done.ended(0);
    assert!(told.starts_with("bot: Ready True (Validated)"), "{told}");
    assert!(
        done.err.contains("Ann (ann@acme.example) consented."),
        "{}",
        done.err
    );
    let token = desk.world.value("bot-consent", "refresh-token").await;
    let secret = desk.app.secret();
    assert_eq!(
        desk.world.value("bot-consent", "client-secret").await,
        secret
    );
    for (name, canary) in [("code", &code), ("token", &token), ("secret", &secret)] {
        for text in [&done.out, &done.err, &response, &shown] {
            assert!(!text.contains(canary.as_str()), "the {name} is shown");
        }
    }
    assert!(!shown.contains(&state) && !done.out.contains(&state) && !response.contains(&state));
    let seed = desk.world.secrets().get("bot-consent").await.unwrap();
    let source = [("jira-operator.dev/source".to_owned(), "true".to_owned())];
    assert_eq!(seed.metadata.labels, Some(source.into()));
    let object = desk.world.credentials().get("bot").await.unwrap();
    let spec: Value = serde_json::to_value(&object.spec).unwrap();
    assert_eq!(
        spec["auth"]["oauth2"]["scopes"],
        json!(["read:jira-work", "read:jira-user"])
    );
    // The port is free again.
    TcpStream::connect(host).await.unwrap_err();
}

#[tokio::test]
async fn a_dead_consent_is_healed_by_the_account_that_gave_it() {
    let desk = Desk::new().await;
    let (world, site) = (&desk.world, &desk.site);
    let consent = desk.app.consent(ANN, &[site], &SCOPES);
    world.secret("app", &[("secret", &desk.app.secret())]).await;
    let seed = [
        ("seed", consent.refresh_token()),
        ("other", "kept".to_owned()),
    ];
    let seed: Vec<(&str, &str)> = seed
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    world.secret("seed", &seed).await;
    let spec = json!({
        "site": site.url(), "hosting": "Cloud",
        "auth": {"oauth2": {
            "clientId": desk.app.client_id(),
            "clientSecretRefs": [{"name": "app", "key": "secret"}],
            "refreshTokenSecretRef": {"name": "seed", "key": "seed"},
            "scopes": ["read:jira-work", "read:jira-user"],
        }},
    });
    world.create("bot", spec).await;
    let before = world.until_ready("bot").await;
    consent.revoke();
    world.plugin(&["renew", "bot"]).await.ended(3);
    world
        .until("bot", |object| {
            let status = object.status.as_ref().unwrap();
            let valid = status.condition(ConditionType::Valid);
            valid.is_some_and(|valid| valid.status == ConditionStatus::False)
        })
        .await;
    // Somebody else's consent changes nothing.
    let mut login = desk.login(&["--no-browser"]);
    let url = login.url().await;
    assert!(
        login.seen.contains("Log in at Atlassian as Ann ("),
        "{}",
        login.seen
    );
    visit(&desk.accepted(BOB, &url)).await;
    let done = login.end().await;
    done.ended(3);
    assert!(
        done.err
            .contains("consented, but Ann (ann@acme.example) must"),
        "{}",
        done.err
    );
    assert_eq!(world.value("seed", "seed").await, consent.refresh_token());
    // Nor does another site or app.
    let done = world
        .plugin(&["login", "bot", "--site", "https://other.atlassian.net"])
        .await;
    done.ended(2);
    assert!(done.err.contains("--site is not spec.site"), "{}", done.err);
    let mut login = desk.login(&["--no-browser"]);
    let url = login.url().await;
    visit(&desk.accepted(ANN, &url)).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    assert_ne!(world.value("seed", "seed").await, consent.refresh_token());
    assert_eq!(world.value("seed", "other").await, "kept");
    let after = world.credentials().get("bot").await.unwrap();
    assert_eq!(after.metadata.generation, before.metadata.generation);
    assert_eq!(world.secrets().get_opt("bot-consent").await.unwrap(), None);
}

#[tokio::test]
async fn a_declined_consent_stores_nothing() {
    let desk = Desk::new().await;
    let mut login = desk.first(&["--no-browser"]).await;
    let url = login.url().await;
    let ann = desk.world.sim.person(ANN).at(&[&desk.site]);
    let landing = ann.decline(&url);
    // A browser may take either address of localhost.
    let mut callback = landing.callback().unwrap().to_owned();
    if TcpListener::bind("[::1]:0").is_ok() {
        callback = callback.replace("localhost", "[::1]");
    }
    let response = visit(&callback).await;
    assert!(response.contains("Consent declined"), "{response}");
    let done = login.end().await;
    done.ended(3);
    assert!(
        done.err.contains("error: the consent was declined"),
        "{}",
        done.err
    );
    desk.nothing_is_stored().await;
}

#[tokio::test]
async fn the_callback_can_be_pasted_even_when_the_port_is_taken() {
    let desk = Desk::new().await;
    let host = desk.callback.split('/').nth(2).unwrap();
    let _taken = TcpListener::bind(host.replace("localhost", "127.0.0.1")).unwrap();
    // Without a way to paste, that is the end.
    let login = desk.first(&[]).await;
    let done = login.end().await;
    done.ended(1);
    assert!(
        done.err.contains("is taken by another program"),
        "{}",
        done.err
    );
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    desk.nothing_is_stored().await;
    let mut login = desk.first(&["--no-browser"]).await;
    let url = login.url().await;
    let callback = desk.accepted(ANN, &url);
    let state = parameter(&url, "state");
    login.write("what?").await;
    login.until("This is not the address of the callback").await;
    login.write(&callback.replace(&state, "0")).await;
    login.until("This address belongs to another login").await;
    login.write(&callback).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    assert!(!done.err.contains(&parameter(&callback, "code")));
}

#[tokio::test]
async fn a_consent_for_another_site_or_with_a_wrong_secret_stores_nothing() {
    let desk = Desk::new().await;
    let globex = desk.world.sim.cloud_site("globex").user(ANN);
    let mut login = desk.first(&["--no-browser"]).await;
    let url = login.url().await;
    let landing = desk.world.sim.person(ANN).at(&[&globex]).accept(&url);
    visit(landing.callback().unwrap()).await;
    let done = login.end().await;
    done.ended(3);
    let told = format!(
        "the consent covers {}, not {}",
        globex.url(),
        desk.site.url()
    );
    assert!(done.err.contains(&told), "{}", done.err);
    desk.nothing_is_stored().await;
    let site = desk.site.url();
    let flags = [
        "--no-browser",
        "--site",
        &site,
        "--client-id",
        desk.app.client_id(),
    ];
    let mut login = desk.login(&flags);
    login.write("wrong").await;
    let url = login.url().await;
    visit(&desk.accepted(ANN, &url)).await;
    let done = login.end().await;
    done.ended(3);
    assert!(
        done.err
            .contains("refuses the client id or the client secret"),
        "{}",
        done.err
    );
    desk.nothing_is_stored().await;
}

#[tokio::test]
async fn a_secret_that_somebody_made_meanwhile_is_not_overwritten() {
    let desk = Desk::new().await;
    // Neither one that is new, nor one that was read.
    for theirs in ["theirs", "newer"] {
        let mut login = desk.first(&["--no-browser"]).await;
        let url = login.url().await;
        let values = [("refresh-token", theirs)];
        desk.world.secret("bot-consent", &values).await;
        visit(&desk.accepted(ANN, &url)).await;
        let done = login.end().await;
        done.ended(1);
        let told = "somebody changed the Secret bot-consent meanwhile. Nothing was stored";
        assert!(done.err.contains(told), "{}", done.err);
        let value = desk.world.value("bot-consent", "refresh-token").await;
        assert_eq!(value, theirs);
    }
    let object = desk.world.credentials().get_opt("bot").await.unwrap();
    assert!(object.is_none());
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_before_the_consent() {
    let world = World::new().await;
    let group = "rbac.authorization.k8s.io";
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Role",
        "metadata": {"name": "creator", "namespace": world.namespace},
        "rules": [
            {"apiGroups": ["jira-operator.dev"], "resources": ["jiracredentials"],
                "verbs": ["get", "list", "watch", "create"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
            // The admission policy wants these for the published Secret.
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["bot"],
                "verbs": ["create", "update"]},
        ],
    });
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
        "metadata": {"name": "creator", "namespace": world.namespace},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "creator"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "carla"}],
    });
    for object in [role, binding] {
        let text = object.to_string();
        world.plane.kubectl_apply(&text).await.unwrap();
    }
    let site = "https://acme.atlassian.net";
    let args = ["login", "bot", "--as", "carla", "--site", site];
    let args = [&args[..], &["--client-id", "id", "--no-browser"]].concat();
    let started = Instant::now();
    let done = loop {
        let done = world.plugin_reading(&args, "example\n").await;
        // The authorizer of the API server learns of a binding a moment later.
        let is_unknown =
            done.err.contains("the JiraCredential") || done.err.contains("cannot read");
        if !is_unknown || started.elapsed() > PATIENCE {
            break done;
        }
    };
    done.ended(1);
    let told = "refused to write the Secret bot-consent (403 Forbidden). Nothing was stored; ask";
    assert!(done.err.contains(told), "{}", done.err);
    assert!(!done.err.contains("consent at"), "{}", done.err);
}
