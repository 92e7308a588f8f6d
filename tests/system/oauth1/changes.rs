//! What becomes of a published credential of OAuth 1.0a when key or method change.

use super::*;

/// An administrator pastes another public key; the person stores the private key that belongs to
/// it some time later.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_without_losing_what_worked() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let operator = world.operator().await;
    stage.create().await;
    world.wait_ready("sync").await;
    let first = stage.published().await;
    let next = LinkKey::generate().unwrap();
    stage.link.set_key(&next);
    world.advance(TimeDelta::minutes(70));
    operator.look_again(1).await;
    world.wait("sync", Valid, Unknown, Reason::Confirming).await;
    world.advance(TimeDelta::minutes(2));
    operator.look_again(1).await;
    world
        .wait("sync", Ready, False, Reason::SignatureRejected)
        .await;
    let calls = world.calls();
    world.advance(TimeDelta::minutes(70));
    operator.look_again(1).await;
    assert_eq!(world.calls(), calls, "a refusal is not asked about again");
    assert_eq!(stage.published().await.data, first.data);
    stage.nothing_leaked().await;
    stage.store(&next.private_pem()).await;
    world.wait_ready("sync").await;
    let secret = stage.published().await;
    assert_eq!(value(&secret, "privateKey"), next.private_pem().trim_end());
    assert!(matches!(
        consume(world, &secret).await,
        Verdict::Accepted(_)
    ));
}

/// The private key is worth more than a token: it must not outlive the method that needs it.
#[tokio::test(flavor = "multi_thread")]
async fn another_method_leaves_nothing_to_sign_with_and_the_way_back_brings_it() {
    let stage = Stage::new().await;
    let (world, jira) = (&stage.world, &stage.jira);
    let operator = world.operator().await;
    stage.create().await;
    world.wait_ready("sync").await;
    let first = stage.published().await;
    let pat = jira.pat("robot");
    world.sim.revoke(&pat);
    world.secret("pat", &[("token", pat.secret())]).await;
    let reference = json!({"name": "pat", "key": "token"});
    let auth = json!({"oauth1": null, "personalAccessToken": {"tokenSecretRef": reference}});
    world.change("sync", json!({"auth": auth})).await;
    world.wait("sync", Ready, False, Reason::Rejected).await;
    operator.quiet().await;
    // What was validated stays until the other is.
    assert_eq!(stage.published().await.data, first.data);
    let pat = jira.pat("robot");
    world.secret("pat", &[("token", pat.secret())]).await;
    world.wait_ready("sync").await;
    let secret = stage.published().await;
    let keys: Vec<&str> = secret
        .data
        .iter()
        .flatten()
        .map(|(key, _)| &**key)
        .collect();
    assert_eq!(
        keys.join(" "),
        "accountId authorization hosting scheme site token url"
    );
    assert_eq!(value(&secret, "token"), pat.secret());
    let back = stage.spec(&json!({}))["auth"].clone();
    let auth = json!({"oauth1": back["oauth1"], "personalAccessToken": null});
    world.change("sync", json!({"auth": auth})).await;
    world.wait_ready("sync").await;
    let secret = stage.published().await;
    assert_eq!(secret.data, first.data);
    assert!(matches!(
        consume(world, &secret).await,
        Verdict::Accepted(_)
    ));
    stage.nothing_leaked().await;
}
