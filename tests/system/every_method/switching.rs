//! A credential that changes its method: the new one is published once it is validated, and nothing
//! of the old one is left.

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType};
use serde_json::{Value, json};

use super::{Person, Way, grant_of};
use crate::support::World;

const PAIRS: [(Way, Way); 14] = [
    (Way::Pat, Way::PatThatReplacesItself),
    (Way::PatThatReplacesItself, Way::Pat),
    (Way::PatThatReplacesItself, Way::Password),
    (Way::Password, Way::Session),
    (Way::Session, Way::Password),
    (Way::Session, Way::Pat),
    (Way::Session, Way::PatThatReplacesItself),
    (Way::Pat, Way::Signed),
    (Way::Signed, Way::Session),
    (Way::Consent, Way::Pat),
    (Way::Consent, Way::PatThatReplacesItself),
    (Way::Client, Way::Signed),
    (Way::Password, Way::Consent),
    (Way::CloudConsent, Way::ClassicToken),
];

/// A credential on its way from one method to another.
struct Change {
    from: Way,
    to: Way,
    name: String,
    person: Person,
}

impl Change {
    async fn begin(world: &World, (from, to): (Way, Way)) -> Self {
        let name = format!("{from:?}-{to:?}").to_lowercase();
        let person = Person::new(world, &name);
        let change = Self {
            from,
            to,
            name,
            person,
        };
        let source = change.source(from);
        let data = change.person.data(world, from);
        world.fill(&source, &data).await;
        let spec = change.person.spec(world, from, &source);
        world.create(&change.name, spec).await;
        change
    }

    fn source(&self, way: Way) -> String {
        format!("{}-for-{}", self.name, format!("{way:?}").to_lowercase())
    }

    /// Names the new method in the place of the old one.
    async fn name_the_new(&self, world: &World) {
        let mut auth = json!({self.from.member(): null});
        auth[self.to.member()] = self.person.auth(self.to, &self.source(self.to));
        world.change(&self.name, json!({"auth": auth})).await;
    }

    async fn published(&self, world: &World) -> Value {
        json!(world.secrets().get(&self.name).await.unwrap().data)
    }

    async fn until_unvalidated(&self, world: &World) {
        world
            .until_status(&self.name, "the new one is not validated", |status| {
                let ready = status
                    .conditions
                    .iter()
                    .find(|condition| condition.kind == ConditionType::Ready);
                ready.is_some_and(|ready| ready.status != ConditionStatus::True)
            })
            .await;
    }

    /// The status is what it would be, had there never been another method.
    async fn assert_nothing_is_left(&self, world: &World) {
        let mut status = world.wait_ready(&self.name).await.status.unwrap();
        let Self { name, to, .. } = self;
        // That there was another one may be known.
        status.rotated_time = None;
        let grant = status.grant.as_ref().map(|grant| grant.name.clone());
        assert_eq!(grant, grant_of(*to, &self.source(*to)), "{name}");
        let fresh = format!("{name}-fresh");
        let spec = self.person.spec(world, *to, &self.source(*to));
        world.create(&fresh, spec).await;
        let fresh = world.wait_ready(&fresh).await.status.unwrap();
        let (left, new) = (shape("", &json!(status)), shape("", &json!(fresh)));
        assert_eq!(left, new, "{name}");
    }
}

/// Every path of a document, with those values that another credential of the same kind has, too.
fn shape(path: &str, value: &Value) -> Vec<String> {
    const SAME: [&str; 7] = [
        "method", "reason", "status", "type", "hosting", "apiUrl", "scopes",
    ];
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| shape(&format!("{path}.{name}"), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(n, value)| shape(&format!("{path}.{n}"), value))
            .collect(),
        leaf => {
            let told = SAME
                .iter()
                .any(|name| path.split('.').any(|part| part == *name));
            vec![if told {
                format!("{path}={leaf}")
            } else {
                path.to_owned()
            }]
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_is_published_once_validated_and_leaves_nothing_of_the_one_before() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut changes = Vec::new();
    for pair in PAIRS {
        changes.push(Change::begin(&world, pair).await);
    }
    for change in &changes {
        world.wait_ready(&change.name).await;
        let Change { name, from, .. } = change;
        world.assert_of_use(name, *from, &change.person).await;
    }
    for change in &changes {
        let before = change.published(&world).await;
        let wrong = change.person.wrong_data(&world, change.to);
        world.fill(&change.source(change.to), &wrong).await;
        change.name_the_new(&world).await;
        change.until_unvalidated(&world).await;
        operator.quiet().await;
        assert_eq!(change.published(&world).await, before, "{}", change.name);
    }
    for change in &changes {
        let right = change.person.data(&world, change.to);
        world.fill(&change.source(change.to), &right).await;
    }
    for change in &changes {
        world.wait_ready(&change.name).await;
    }
    operator.quiet().await;
    for change in &changes {
        let Change { name, to, .. } = change;
        world.assert_of_use(name, *to, &change.person).await;
        change.assert_nothing_is_left(&world).await;
    }
    // What was kept for a method that is no more goes with its seed, after a day; the rest stays.
    for change in &changes {
        world.delete_secret(&change.source(change.from)).await;
    }
    operator.quiet().await;
    operator.operator.collect_grants().await;
    operator.quiet().await;
    world.advance(TimeDelta::hours(25));
    operator.operator.collect_grants().await;
    for change in &changes {
        for (way, kept) in [(change.from, false), (change.to, true)] {
            let Some(grant) = grant_of(way, &change.source(way)) else {
                continue;
            };
            let found = world.secrets().get_opt(&grant).await.unwrap();
            assert_eq!(found.is_some(), kept, "{} of {}", grant, change.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_waits_for_a_jira_that_is_down() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut changes = Vec::new();
    // A token that both methods use is validated already.
    let same = |way| matches!(way, Way::Pat | Way::PatThatReplacesItself);
    let waits = |(from, to): &(Way, Way)| !(from.is_cloud() || same(*from) && same(*to));
    for pair in PAIRS.into_iter().filter(waits) {
        changes.push(Change::begin(&world, pair).await);
    }
    let mut before = Vec::new();
    for change in &changes {
        world.wait_ready(&change.name).await;
        before.push(change.published(&world).await);
    }
    operator.quiet().await;
    let down = Fault::ServerError { status: 503 };
    let down = world
        .sim
        .fault(Rule::new(down).host(world.data_center().host()));
    for change in &changes {
        let data = change.person.data(&world, change.to);
        world.fill(&change.source(change.to), &data).await;
        change.name_the_new(&world).await;
        change.until_unvalidated(&world).await;
    }
    operator.quiet().await;
    for (change, before) in changes.iter().zip(&before) {
        assert_eq!(change.published(&world).await, *before, "{}", change.name);
    }
    world.sim.remove_fault(down.id());
    // A password that was sent and not answered is not sent again without a person.
    for change in &changes {
        world
            .annotate(&change.name, "jira-operator.dev/renew", "1")
            .await;
    }
    world.advance(TimeDelta::minutes(30));
    operator.look_again(changes.len() as u64).await;
    for change in &changes {
        let Change { name, to, .. } = change;
        world.wait_ready(name).await;
        world.assert_of_use(name, *to, &change.person).await;
    }
}
