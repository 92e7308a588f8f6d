//! What ends in Jira when the operator is removed, and what a person asked for.

use std::process::Output;

use chrono::TimeDelta;
use serde_json::json;

use crate::support::World;

impl World {
    /// Runs `deploy/revoke.sh` as an administrator does.
    async fn revoke(&self) -> Output {
        let ca = self.plane.directory().join("jira-ca.pem");
        std::fs::write(&ca, self.sim.ca_pem()).unwrap();
        let mut command = self.shell();
        command
            .args([
                concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/revoke.sh"),
                "--cacert",
            ])
            .arg(&ca);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_made_is_ended_by_one_command_and_nothing_else() {
    let world = World::alone().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    // A token that has been replaced, another that has not, a session, and a consent.
    let first = world.made_by_hand("bot").await;
    world.create("bot", world.automatic_spec("bot")).await;
    world.wait_ready("bot").await;
    let own = world.made_by_hand("own").await;
    world.create("own", world.automatic_spec("own")).await;
    world.wait_ready("own").await;
    let password = jira.new_password("clerk");
    world
        .secret("login", &[("username", "clerk"), ("password", &password)])
        .await;
    let spec = json!({"site": jira.url(), "auth": {"session": {"secretRef": {"name": "login"}}}});
    world.create("session", spec).await;
    world.wait_ready("session").await;
    world.oauth("consent").await;
    world.wait_ready("consent").await;
    world.advance(TimeDelta::minutes(6));
    world.annotate("bot", "jira-operator.dev/renew", "1").await;
    let made = world
        .until("the token is replaced", || async {
            let secret = world.secrets().get("bot").await.unwrap();
            let token = crate::support::value(&secret, "token");
            (token != first.secret()).then_some(token)
        })
        .await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    operator.stop().await;
    assert!(jira.accepts(&made) && jira.accepts(own.secret()));
    assert_eq!(jira.live_sessions(), 1);
    let output = world.revoke().await;
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!jira.accepts(&made), "{told}");
    assert!(jira.accepts(own.secret()), "a person made it: {told}");
    assert_eq!(jira.live_sessions(), 0, "{told}");
    assert!(told.contains("session ended"), "{told}");
    for secret in [made.as_str(), first.secret(), own.secret(), &password] {
        assert!(!told.contains(secret));
    }
    // Again: there is nothing left to end.
    let again = world.revoke().await;
    assert!(again.status.success(), "{again:?}");
    let told = String::from_utf8(again.stdout).unwrap();
    assert!(
        told.contains("was gone") && !told.contains("ended"),
        "{told}"
    );
    // A server that does not answer is reported, and the command fails.
    world.sim.refuse_connections(true);
    let failed = world.revoke().await;
    assert!(!failed.status.success(), "{failed:?}");
    world.plane.stop_api_server().await.unwrap();
}
