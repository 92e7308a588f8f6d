//! A namespace that a backup tool has saved is restored into an empty one, in the order of
//! `docs/operations.md`: every object has another uid, and no status is left.

use atlassian_sim::Consent;
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionType, JiraCredential, RENEW_ANNOTATION, Reason};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams};
use serde_json::json;

use crate::oauth::{RENEWAL_IS_DUE, assert_none_was_spent_late};
use crate::support::{OPERATOR, Running, World, says, value};

/// The credentials, each with the Secret and the key that hold what is published.
const ALL: [(&str, &str, &str); 4] = [
    ("consent", "consent", "token"),
    ("pat", "pat", "token"),
    ("session", "session", "JSESSIONID"),
    ("merged", "app", "jira"),
];

/// What cannot be taken back: exchanges of refresh tokens, logins, and tokens that were made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Spent {
    exchanges: usize,
    logins: u64,
    mints: usize,
}

impl Spent {
    fn of(world: &World) -> Self {
        Self {
            exchanges: world.outcomes().len(),
            logins: world.data_center().logins_and_logouts().0,
            mints: world.mints(),
        }
    }
}

/// What a backup tool keeps of the operator's namespace and of that of the credentials.
struct Backup {
    home: Vec<Secret>,
    secrets: Vec<Secret>,
    credentials: Vec<JiraCredential>,
}

/// What is not of one cluster only. Owner references stay, with uids that nothing will have.
fn portable(metadata: ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name,
        labels: metadata.labels,
        annotations: metadata.annotations,
        owner_references: metadata.owner_references,
        ..ObjectMeta::default()
    }
}

fn at_home(world: &World) -> Api<Secret> {
    Api::namespaced(world.client.clone(), OPERATOR)
}

async fn saved(secrets: &Api<Secret>) -> Vec<Secret> {
    let all = secrets.list(&ListParams::default()).await.unwrap().items;
    let all = all.into_iter().map(|secret| Secret {
        metadata: portable(secret.metadata),
        ..secret
    });
    all.collect()
}

/// Deletes everything of a kind, and waits until it is gone.
async fn wiped<K>(world: &World, objects: &Api<K>)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let (all, one) = (ListParams::default(), DeleteParams::default());
    world
        .until("everything is deleted", || async {
            let left = objects.list(&all).await.unwrap().items;
            for object in &left {
                // The garbage collector may have been faster.
                let _ = objects.delete(&object.name_any(), &one).await;
            }
            left.is_empty().then_some(())
        })
        .await;
}

async fn put_back<K>(objects: &Api<K>, saved: &[K])
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    for object in saved {
        objects
            .create(&PostParams::default(), object)
            .await
            .unwrap();
    }
}

impl Backup {
    async fn take(world: &World) -> Self {
        let credentials = world.credentials().list(&ListParams::default()).await;
        let credentials = credentials.unwrap().items.into_iter();
        let credentials = credentials.map(|object| JiraCredential {
            metadata: portable(object.metadata),
            spec: object.spec,
            status: None,
        });
        Self {
            home: saved(&at_home(world)).await,
            secrets: saved(&world.secrets()).await,
            credentials: credentials.collect(),
        }
    }

    /// The key, then the other Secrets, then what names them.
    async fn restore(&self, world: &World) {
        put_back(&at_home(world), &self.home).await;
        put_back(&world.secrets(), &self.secrets).await;
        put_back(&world.credentials(), &self.credentials).await;
    }
}

/// Credentials of each kind, Ready.
async fn begun(world: &World) -> Consent {
    let (_, consent) = world.oauth("consent").await;
    world.made_by_hand("pat").await;
    world.create("pat", world.automatic_spec("pat")).await;
    let password = world.data_center().new_password("clerk");
    world.session("session", "clerk", &password).await;
    world.app_for("merged").await;
    world.merging("merged", "jira").await;
    for (name, ..) in ALL {
        world.wait_ready(name).await;
    }
    consent
}

/// Lets time pass in which the access token of the consent is renewed so many times.
async fn renewals_pass(world: &World, operator: &Running, renewals: usize) {
    for _ in 0..renewals {
        world.advance(RENEWAL_IS_DUE);
        operator.look_again(ALL.len() as u64).await;
        for (name, ..) in ALL {
            world.wait_ready(name).await;
        }
        operator.quiet().await;
    }
}

/// Has the personal access token replaced, or a copy confirmed.
async fn renewed(world: &World, name: &str, request: &str) {
    let before = world.published(name).await;
    world.annotate(name, RENEW_ANNOTATION, request).await;
    world.until_other(name, "token", &before).await;
    world.wait_ready(name).await;
}

async fn published(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for (_, secret, key) in ALL {
        all.push(value(&world.secrets().get(secret).await.unwrap(), key));
    }
    all
}

/// Waits until the targets are there, owned by the new objects, with what they held before. The garbage
/// collector deletes those that were restored with owners of before, when it comes to them.
async fn are_published_again(world: &World, values: &[String]) {
    for ((name, secret, key), wanted) in ALL.iter().zip(values) {
        let object = world.credential(name).await;
        let found = world
            .until(&format!("{secret} is of the new {name}"), || async {
                let found = world.secrets().get_opt(secret).await.unwrap()?;
                let owners = found.owner_references();
                let owned = owners
                    .iter()
                    .all(|owner| Some(&owner.uid) == object.uid().as_ref());
                (owned && value(&found, key) == *wanted).then_some(found)
            })
            .await;
        assert_eq!(found.owner_references().is_empty(), *name == "merged");
    }
}

/// What is published can be used.
fn works(world: &World, values: &[String], consent_lives: bool) {
    let [consent, pat, session, _] = values else {
        panic!("{} values", values.len());
    };
    assert_eq!(world.sim.access_token_lives(consent), consent_lives);
    assert!(world.data_center().accepts(pat));
    assert!(world.data_center().accepts_session(session));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_restored_in_the_documented_order_spends_nothing_unasked() {
    let world = World::alone().await;
    let operator = world.operator().await;
    let consent = begun(&world).await;
    world.advance(TimeDelta::minutes(6));
    renewed(&world, "pat", "before").await;
    renewals_pass(&world, &operator, 6).await;
    operator.stop().await;
    let spent = Spent::of(&world);
    assert!(
        spent.exchanges > 2 && spent.logins > 1 && spent.mints == 1,
        "{spent:?}"
    );
    let values = published(&world).await;
    let backup = Backup::take(&world).await;
    wiped(&world, &world.credentials()).await;
    wiped(&world, &world.secrets()).await;
    wiped(&world, &at_home(&world)).await;
    // Longer than the leeway of a refresh token.
    world.advance(TimeDelta::minutes(11));

    backup.restore(&world).await;
    let operator = world.operator().await;
    for name in ["consent", "pat"] {
        let object = world.wait_unready(name, Reason::GrantRestored).await;
        let stalled = says(&object, ConditionType::Stalled);
        assert!(stalled.message.contains(RENEW_ANNOTATION), "{stalled:?}");
    }
    world.wait_ready("session").await;
    // Nothing says any more that the key is the operator's own.
    let refused = world.wait_unready("merged", Reason::WriteRefused).await;
    let said = says(&refused, ConditionType::Ready).message;
    assert!(said.contains("remove them from the Secret"), "{said}");
    let without = json!({"data": {"jira": null}});
    world.edit_secret("app", without).await;
    world.wait_ready("merged").await;
    are_published_again(&world, &values).await;
    works(&world, &values, true);
    let app = world.secrets().get("app").await.unwrap();
    assert_eq!(value(&app, "theirs"), "x");
    operator.quiet().await;
    operator.look_again(4).await;
    assert_eq!(Spent::of(&world), spent);

    // The access token ends; nothing is used without a word of a person.
    world.advance(TimeDelta::minutes(62));
    operator.look_again(4).await;
    operator.quiet().await;
    for name in ["consent", "pat"] {
        world.wait_unready(name, Reason::GrantRestored).await;
    }
    assert_eq!(published(&world).await, values);
    works(&world, &values, false);
    assert_eq!(Spent::of(&world), spent);

    // The original is gone for good.
    renewed(&world, "consent", "confirmed").await;
    renewed(&world, "pat", "confirmed").await;
    let confirmed = Spent {
        exchanges: spent.exchanges + 1,
        mints: spent.mints + 1,
        ..spent
    };
    assert_eq!(Spent::of(&world), confirmed);
    // The session has its end before it, once.
    renewals_pass(&world, &operator, 4).await;
    assert!(consent.holds_newest(&world.kept("consent").await));
    works(&world, &published(&world).await, true);
    let after = Spent::of(&world);
    assert_eq!(
        (after.logins, after.mints),
        (spent.logins + 1, confirmed.mints)
    );
    assert_none_was_spent_late(&world);
    operator.stop().await;
    world.plane.stop_api_server().await.unwrap();
}
