//! Personal access tokens that make their own successors: none is lost, no stray is left.

use atlassian_sim::{DateStyle, Fault, Pat, Rule, Token, TooLong};
use chrono::TimeDelta;
use control_plane::faults::{self, Requests, Verb};
use jira_credential_operator::api::{
    ConditionStatus, ConditionType, JiraCredential, Reason, SecretKeyRef, WorkloadKind,
};
use jira_credential_operator::core::spec::grant_name;
use serde_json::{Value, json};

use crate::support::{Running, World, keys, says, value};

mod denials;
mod strays;

pub(crate) const TOKENS: &str = "/jira/rest/pat/latest/tokens";

impl World {
    /// A token that a person made, good for 90 days, and its Secret.
    pub(crate) async fn made_by_hand(&self, name: &str) -> Token {
        let token = self.data_center().pat("robot");
        self.sim
            .expire_at(&token, self.clock.now() + TimeDelta::days(90));
        self.secret(&format!("{name}-pat"), &[("token", token.secret())])
            .await;
        token
    }

    pub(crate) fn automatic_spec(&self, name: &str) -> Value {
        json!({
            "site": self.data_center().url(),
            "auth": {"personalAccessToken": {
                "tokenSecretRef": {"name": format!("{name}-pat"), "key": "token"},
                "rotation": "Automatic",
            }},
        })
    }

    fn pats(&self) -> Vec<Pat> {
        self.data_center().pats_of("robot")
    }

    async fn pat_grant(&self, name: &str) -> Value {
        let grant = grant_name(&SecretKeyRef {
            name: format!("{name}-pat"),
            key: "token".into(),
        });
        let secret = self.secrets().get(&grant).await.unwrap();
        serde_json::from_str(&value(&secret, "grant")).unwrap()
    }

    async fn pat_of(&self, name: &str) -> String {
        value(&self.secrets().get(name).await.unwrap(), "token")
    }

    fn at_tokens(&self, method: &str, fault: Fault) -> Rule {
        Rule::new(fault)
            .host(self.data_center().host())
            .path(TOKENS)
            .method(method)
            .once()
    }

    pub(crate) fn mints(&self) -> usize {
        let calls = self.sim.calls_for(self.data_center().host());
        let mint = |call: &&atlassian_sim::Call| call.path == TOKENS && call.method == "POST";
        calls.iter().filter(mint).count()
    }

    /// Stores a token of another account, to which the credential is pinned then.
    async fn replaced_by_another(&self, operator: &Running) -> Token {
        let jira = self.data_center();
        let other = jira.pat("other");
        let pin = json!({"validation": {"accountId": jira.user_key("other")}});
        self.change("bot", pin).await;
        self.secret("bot-pat", &[("token", other.secret())]).await;
        self.until_value("bot", "token", other.secret()).await;
        self.wait_ready("bot").await;
        operator.quiet().await;
        other
    }

    /// Lets the grace of what was replaced pass.
    async fn grace(&self, operator: &Running, credentials: u64) {
        for _ in 0..6 {
            self.advance(TimeDelta::minutes(3));
            operator.look_again(credentials).await;
            operator.quiet().await;
        }
    }

    async fn rotation(&self, name: &str, reason: Reason) -> JiraCredential {
        let (kind, status) = (ConditionType::RotationDue, ConditionStatus::True);
        self.wait(name, kind, status, reason).await
    }
}

async fn adopted() -> (World, Running, Token) {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.made_by_hand("bot").await;
    world.create("bot", world.automatic_spec("bot")).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    (world, operator, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_found_in_the_list_and_replaced_before_its_end() {
    let (world, operator, token) = adopted().await;
    let first = world.pats();
    assert_eq!(world.pat_of("bot").await, token.secret());
    let grant = world.pat_grant("bot").await;
    assert_eq!(grant["live"]["access"]["id"], first[0].id.to_string());
    let status = world.credential("bot").await.status.unwrap();
    assert_eq!(
        status
            .next_renewal_time
            .map(|time| time < first[0].expires.unwrap()),
        Some(true)
    );
    // The list told the end after the validation: it stands everywhere, and is not looked for
    // again.
    assert_eq!(status.expires_at, first[0].expires);
    let published = world.secrets().get("bot").await.unwrap();
    assert!(keys(&published).contains(&"expiresAt"));
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    // 14 days before its end at the latest, and a little earlier for some.
    world.advance(TimeDelta::days(72));
    operator.look_again(1).await;
    operator.quiet().await;
    assert_eq!(world.mints(), 0, "not before its time");
    let (mark, calls) = (operator.mark(), world.calls());
    world.advance(TimeDelta::days(4));
    operator.look_again(1).await;
    let second = world.until_other("bot", "token", token.secret()).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let expected = [
        "get secrets",
        "update secrets",
        "update secrets",
        "update secrets",
        "patch secrets",
        "update secrets",
        "update jiracredentials/status",
    ];
    assert_eq!(operator.requests_since(mark), expected);
    assert_eq!(world.calls() - calls, 3);
    let pats = world.pats();
    assert_eq!(pats.len(), 2, "pods may still use the first");
    assert!(pats[1].name.starts_with("jco-"));
    let life = pats[1].expires.unwrap() - pats[1].created;
    assert_eq!(life.num_days(), 90, "as long as the one before");
    let secret = world.secrets().get("bot").await.unwrap();
    let object = world.credential("bot").await;
    let rotation = says(&object, ConditionType::RotationDue).reason;
    assert_eq!(rotation, Reason::NotDue, "what it descends from may stay");
    let expected = [
        "accountId",
        "authorization",
        "expiresAt",
        "hosting",
        "scheme",
        "site",
        "token",
        "url",
    ];
    assert_eq!(keys(&secret), expected);
    world.grace(&operator, 1).await;
    let pats = world.pats();
    assert_eq!(pats.len(), 1, "the first is revoked");
    assert_eq!(world.pat_of("bot").await, second);
    let kept = world.pat_grant("bot").await.to_string();
    assert!(!kept.contains(token.secret()) && kept.contains(&second));
    // And so on, for the successor as well.
    world.advance(TimeDelta::days(76));
    operator.look_again(1).await;
    world.until_other("bot", "token", &second).await;
    world.grace(&operator, 1).await;
    assert_eq!((world.pats().len(), world.mints()), (1, 2));
    world.wait_ready("bot").await;
    operator.quiet().await;
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(mark), Vec::<String>::new());
}

/// Whatever is lost on the way: the old token is valid until the new one is published, and in the
/// end there is one token.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_that_is_lost_loses_a_token_or_leaves_a_stray() {
    for (method, fault) in [
        ("GET", Fault::DropBefore),
        ("GET", Fault::DropAfter),
        ("POST", Fault::DropBefore),
        ("POST", Fault::DropAfter),
        ("POST", Fault::ServerError { status: 502 }),
        ("POST", Fault::GarbageJson),
        ("DELETE", Fault::DropBefore),
        ("DELETE", Fault::DropAfter),
        ("DELETE", Fault::ServerError { status: 503 }),
    ] {
        let (world, operator, token) = adopted().await;
        world.sim.fault(world.at_tokens(method, fault.clone()));
        world.advance(TimeDelta::days(76));
        for _ in 0..12 {
            operator.look_again(1).await;
            operator.quiet().await;
            let published = world.pat_of("bot").await;
            let lives = world.data_center().accepts(&published);
            assert!(lives, "{method} {fault:?}: pods have a token that works");
            world.advance(TimeDelta::minutes(11));
        }
        assert_ne!(world.pat_of("bot").await, token.secret());
        assert_eq!(
            world.pats().len(),
            1,
            "{method} {fault:?}: {:?}",
            world.pats()
        );
        world.wait_ready("bot").await;
    }
}

/// Wherever the process dies, the next one finds its way.
#[tokio::test(flavor = "multi_thread")]
async fn no_death_of_the_process_loses_a_token_or_leaves_a_stray() {
    for (method, after) in [
        ("POST", false),
        ("POST", true),
        ("DELETE", false),
        ("DELETE", true),
    ] {
        let (world, mut operator, token) = adopted().await;
        let rule = world.at_tokens(method, Fault::HangAfter);
        let hang = if after {
            world.sim.hang_after(rule)
        } else {
            world.sim.hang_before(rule)
        };
        world.advance(TimeDelta::days(76));
        operator.poke();
        if method == "DELETE" {
            world.until_other("bot", "token", token.secret()).await;
            for _ in 0..2 {
                operator.quiet().await;
                world.advance(TimeDelta::minutes(6));
                operator.poke();
            }
        }
        hang.reached(1).await;
        operator.crash();
        hang.release();
        operator = world.operator().await;
        for _ in 0..6 {
            world.advance(TimeDelta::minutes(7));
            operator.look_again(1).await;
            operator.quiet().await;
            let published = world.pat_of("bot").await;
            assert!(world.data_center().accepts(&published), "{method} {after}");
        }
        assert_ne!(world.pat_of("bot").await, token.secret());
        assert_eq!(
            world.pats().len(),
            1,
            "{method} {after}: {:?}",
            world.pats()
        );
        world.wait_ready("bot").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ended_without_a_successor_says_so() {
    let (world, operator, _) = adopted().await;
    world
        .data_center()
        .configure(|settings| settings.minting_forbidden = true);
    for days in [76, 20] {
        world.advance(TimeDelta::days(days));
        operator.look_again(1).await;
        operator.quiet().await;
    }
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    let object = world.wait("bot", kind, status, Reason::Expired).await;
    let message = says(&object, ConditionType::Ready).message;
    assert!(message.contains("was not replaced"), "{message}");
    assert_eq!(
        says(&object, ConditionType::Stalled).reason,
        Reason::Expired
    );
    let (mark, calls) = (operator.mark(), world.calls());
    world.advance(TimeDelta::days(1));
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    assert_eq!(world.calls(), calls);
    let fresh = world.made_by_hand("bot").await;
    world.until_value("bot", "token", fresh.secret()).await;
    world.wait_ready("bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_may_allow_shorter_lives_only() {
    for too_long in [TooLong::Clamped, TooLong::Refused] {
        let (world, operator, token) = adopted().await;
        world.data_center().configure(|settings| {
            settings.longest_token_days = 30;
            settings.too_long = too_long;
            settings.token_dates = DateStyle::Rfc3339;
        });
        world.advance(TimeDelta::days(76));
        operator.look_again(1).await;
        world.until_other("bot", "token", token.secret()).await;
        world.wait_ready("bot").await;
        operator.quiet().await;
        let made = world.pats().pop().unwrap();
        assert_eq!((made.expires.unwrap() - made.created).num_days(), 30);
        let status = world.credential("bot").await.status.unwrap();
        assert_eq!(status.expires_at, made.expires);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_list_does_not_tell_is_asked_of_the_user() {
    let world = World::new().await;
    let operator = world.operator().await;
    let other = world.data_center().pat("robot");
    let token = world.made_by_hand("bot").await;
    world.create("bot", world.automatic_spec("bot")).await;
    world.wait_ready("bot").await;
    let object = world.rotation("bot", Reason::ExpiryUnknown).await;
    let message = says(&object, ConditionType::RotationDue).message;
    assert!(message.contains("expiresAt"), "{message}");
    let end = world.sim.expiry(&token).unwrap();
    let mut spec = world.automatic_spec("bot");
    spec["auth"]["personalAccessToken"]["expiresAt"] = json!(
        end.date_naive()
            .and_hms_opt(0, 0, 0)
            .unwrap()
            .and_utc()
            .to_rfc3339()
    );
    world.change("bot", spec).await;
    let (kind, status) = (ConditionType::RotationDue, ConditionStatus::False);
    world.wait("bot", kind, status, Reason::NotDue).await;
    operator.quiet().await;
    let grant = world.pat_grant("bot").await;
    let id = token.id().trim_start_matches("token-");
    assert_eq!(
        grant["live"]["access"]["id"], id,
        "its day tells it from the other"
    );
    world.advance(TimeDelta::days(76));
    operator.look_again(1).await;
    world.until_other("bot", "token", token.secret()).await;
    world.grace(&operator, 1).await;
    let ids: Vec<String> = world.pats().iter().map(|pat| pat.id.to_string()).collect();
    assert!(!ids.contains(&id.to_owned()) && ids.len() == 2, "{ids:?}");
    assert!(ids.contains(&other.id().trim_start_matches("token-").to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_user_still_shows_is_not_revoked() {
    let (world, operator, token) = adopted().await;
    world.create("twin", world.automatic_spec("bot")).await;
    world.wait_ready("twin").await;
    operator.quiet().await;
    assert_eq!(world.pat_of("twin").await, token.secret());
    // The second cannot publish.
    let target = json!({"metadata": {"labels": null, "ownerReferences": null}});
    world.delete_secret("twin").await;
    world.until_value("twin", "token", token.secret()).await;
    world.edit_secret("twin", target).await;
    operator.quiet().await;
    world.advance(TimeDelta::days(76));
    operator.look_again(2).await;
    world.until_other("bot", "token", token.secret()).await;
    world.grace(&operator, 2).await;
    assert_eq!(world.pats().len(), 2, "its pods still use the first");
    assert!(world.data_center().accepts(token.secret()));
    // It follows, or is suspended, and the first may go.
    world.change("twin", json!({"suspend": true})).await;
    operator.quiet().await;
    world.grace(&operator, 1).await;
    assert_eq!(world.pats().len(), 1);
}

/// Pods that took the first into variables still use it.
#[tokio::test(flavor = "multi_thread")]
async fn what_pods_that_could_not_be_restarted_use_is_not_revoked() {
    for of in ["bot", "twin"] {
        let (world, operator, token) = adopted().await;
        world.create("twin", world.automatic_spec("bot")).await;
        world.workload(WorkloadKind::Deployment, "sync").await;
        let restart = json!([{"kind": "Deployment", "name": "sync"}]);
        world.change(of, json!({"restart": restart})).await;
        world.wait_ready("twin").await;
        operator.quiet().await;
        let patch = Requests::verb(Verb::Patch).resource("deployments");
        operator.faults.add(patch, 1.., faults::Fault::Status(422));
        world.advance(TimeDelta::days(76));
        operator.look_again(2).await;
        world.until_other("bot", "token", token.secret()).await;
        let (kind, status) = (ConditionType::RestartFailed, ConditionStatus::True);
        world.wait(of, kind, status, Reason::RestartRefused).await;
        world.grace(&operator, 2).await;
        assert_eq!(world.pats().len(), 2, "its pods still use the first");
        operator.faults.heal();
        world.advance(TimeDelta::minutes(75));
        operator.look_again(2).await;
        let status = world.credential(of).await.status.unwrap();
        assert!(status.condition(kind).is_none());
        world.advance(TimeDelta::minutes(75));
        operator.look_again(2).await;
        world.grace(&operator, 2).await;
        assert_eq!(world.pats().len(), 1, "{of}");
        operator.stop().await;
    }
}

/// Nobody knows what an object publishes that a later version has written.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_object_that_cannot_be_read_may_show_is_not_revoked() {
    let world = World::alone().await;
    let operator = world.operator().await;
    let token = world.made_by_hand("bot").await;
    for name in ["bot", "twin"] {
        world.create(name, world.automatic_spec("bot")).await;
        world.wait_ready(name).await;
    }
    operator.quiet().await;
    operator.stop().await;
    world.accept_values_of_a_later_version().await;
    world.make_unreadable("twin").await;
    let operator = world.operator().await;
    world.advance(TimeDelta::days(76));
    operator.look_again(1).await;
    world.until_other("bot", "token", token.secret()).await;
    world.grace(&operator, 1).await;
    assert_eq!(
        world.pats().len(),
        2,
        "the pods of the other may use the first"
    );
    assert!(world.data_center().accepts(token.secret()));
    world.delete("twin").await;
    operator.quiet().await;
    world.grace(&operator, 1).await;
    assert_eq!(world.pats().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_refused_and_makes_no_other() {
    let (world, operator, token) = adopted().await;
    world.sim.revoke(&token);
    world.advance(TimeDelta::days(1));
    operator.look_again(1).await;
    world.advance(TimeDelta::minutes(2));
    operator.look_again(1).await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    world.wait("bot", kind, status, Reason::Rejected).await;
    world.advance(TimeDelta::days(76));
    operator.look_again(1).await;
    operator.quiet().await;
    assert_eq!(world.mints(), 0);
    // A new one from a person.
    let fresh = world.made_by_hand("bot").await;
    world.until_value("bot", "token", fresh.secret()).await;
    world.wait_ready("bot").await;
}

/// Another site gets what a person stored, and nothing that was made at the one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_made_at_one_site_is_sent_to_no_other() {
    let (world, operator, token) = adopted().await;
    let other = world.sim.data_center("elsewhere");
    world.change("bot", json!({"site": other.url()})).await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    world.wait("bot", kind, status, Reason::Rejected).await;
    assert!(
        world.calls_for(other.host()) > 0,
        "it may be meant for this one"
    );
    world
        .change("bot", json!({"site": world.data_center().url()}))
        .await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    world.advance(TimeDelta::days(76));
    operator.look_again(1).await;
    world.until_other("bot", "token", token.secret()).await;
    operator.quiet().await;
    let calls = world.calls_for(other.host());
    world.change("bot", json!({"site": other.url()})).await;
    world.wait("bot", kind, status, Reason::GrantConflict).await;
    world.grace(&operator, 1).await;
    world.advance(TimeDelta::days(80));
    operator.look_again(1).await;
    operator.quiet().await;
    assert_eq!(world.calls_for(other.host()), calls);
    assert_eq!(world.pats().len(), 2, "nothing is ended from there either");
}

/// What a copy of a grant makes a successor of is the original's to revoke.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_grant_revokes_nothing_of_its_original() {
    let (world, operator, token) = adopted().await;
    let grant = grant_name(&SecretKeyRef {
        name: "bot-pat".into(),
        key: "token".into(),
    });
    let mut copy = world.secrets().get(&grant).await.unwrap();
    operator.crash();
    world.delete_secret(&grant).await;
    copy.metadata.uid = None;
    copy.metadata.resource_version = None;
    copy.metadata.creation_timestamp = None;
    world
        .secrets()
        .create(&kube::api::PostParams::default(), &copy)
        .await
        .unwrap();
    let operator = world.operator().await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    world.wait("bot", kind, status, Reason::GrantRestored).await;
    world.advance(TimeDelta::days(76));
    operator.look_again(1).await;
    operator.quiet().await;
    assert_eq!(world.mints(), 0, "not without a word");
    world.annotate("bot", "jira-operator.dev/renew", "1").await;
    world.until_other("bot", "token", token.secret()).await;
    world.wait_ready("bot").await;
    world.grace(&operator, 1).await;
    assert!(world.data_center().accepts(token.secret()));
    assert_eq!(world.pats().len(), 2);
}

/// What was replaced ends itself: what took its place may be of another account, which cannot.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_account_takes_over_and_the_one_before_is_revoked_all_the_same() {
    let (world, operator, token) = adopted().await;
    world.advance(TimeDelta::days(76));
    operator.look_again(1).await;
    let second = world.until_other("bot", "token", token.secret()).await;
    world.grace(&operator, 1).await;
    assert_eq!(world.pats().len(), 1);
    let jira = world.data_center();
    let other = world.replaced_by_another(&operator).await;
    assert!(jira.accepts(&second), "its pods may still use it");
    world.grace(&operator, 1).await;
    assert!(!jira.accepts(&second));
    assert!(jira.accepts(other.secret()));
}
