//! Every write fails once, in every way: the end is the same, and Jira is not asked more for it.

use std::time::Duration;

use atlassian_sim::{Fault as Outage, Rule};
use chrono::TimeDelta;
use control_plane::faults::{Cut, Fault, Requests, Verb};
use jira_credential_operator::api::{ConditionStatus, ConditionType};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::support::{Running, World, says, value};

/// How a write can fail.
const FAULTS: [(&str, Fault); 6] = [
    ("conflict", Fault::Status(409)),
    ("error", Fault::Status(500)),
    ("unavailable", Fault::Status(503)),
    ("unreachable", Fault::Unreachable),
    ("lost", Fault::LostAnswer),
    ("gateway", Fault::LostAnswerStatus(504)),
];

/// The writes of a reconcile.
#[derive(Clone, Copy, Debug)]
enum Write {
    Create,
    Patch,
    Status,
}

/// One credential, one write of it, one way to fail.
struct Case {
    name: String,
    write: Write,
    nth: usize,
    fault: Fault,
}

/// A case for each of some writes (with the number of the request that fails) and each fault.
fn cases(prefix: &str, writes: &[(Write, usize)]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (write, nth) in writes {
        for (word, fault) in FAULTS {
            let name = format!("{prefix}-{write:?}-{nth}-{word}").to_lowercase();
            cases.push(Case {
                name,
                write: *write,
                nth: *nth,
                fault,
            });
        }
    }
    cases
}

impl Case {
    fn arm(&self, operator: &Running) {
        let requests = match self.write {
            Write::Create => Requests::verb(Verb::Create).resource("secrets"),
            Write::Patch => Requests::verb(Verb::Patch).resource("secrets"),
            Write::Status => Requests::verb(Verb::Update).resource("jiracredentials/status"),
        };
        let requests = requests.name(&self.name);
        operator
            .faults
            .add(requests, self.nth..=self.nth, self.fault);
    }

    /// How often the write was asked for in all.
    fn asked(&self, operator: &Running) -> usize {
        let (verb, resource) = match self.write {
            Write::Create => (Verb::Create, "secrets"),
            Write::Patch => (Verb::Patch, "secrets"),
            Write::Status => (Verb::Update, "jiracredentials/status"),
        };
        let requests = Requests::verb(verb).resource(resource).name(&self.name);
        operator.faults.count(&requests)
    }
}

/// Has all looked at until each is Ready and its target holds `wanted` of it.
async fn converge(
    world: &World,
    operator: &Running,
    cases: &[Case],
    key: &str,
    wanted: impl Fn(&Case) -> String,
) {
    let all = cases.len() as u64;
    for case in cases {
        world
            .until(&format!("{} is Ready", case.name), || async {
                operator.poke();
                let object = world.credential(&case.name).await;
                let ready = object.status.as_ref()?.condition(ConditionType::Ready);
                let ready = ready.is_some_and(|ready| ready.status == ConditionStatus::True);
                let target = world.secrets().get_opt(&case.name).await.unwrap();
                let whole = target.is_some_and(|target| value(&target, key) == wanted(case));
                if ready && whole {
                    return Some(());
                }
                None
            })
            .await;
        assert!(
            case.asked(operator) >= case.nth,
            "{} did not fail",
            case.name
        );
    }
    // Once more: nothing is left to do.
    operator.look_again(all).await;
    let mark = operator.mark();
    operator.look_again(all).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    for case in cases {
        let label = format!("jira-operator.dev/credential={}", case.name);
        let params = ListParams::default().labels(&label);
        let found = world.secrets().list(&params).await.unwrap();
        let names: Vec<String> = found.iter().map(Secret::name_any).collect();
        assert_eq!(names, std::slice::from_ref(&case.name));
        let object = world.credential(&case.name).await;
        for kind in [ConditionType::Valid, ConditionType::Published] {
            assert_eq!(
                says(&object, kind).status,
                ConditionStatus::True,
                "{}",
                case.name
            );
        }
        let status = object.status.unwrap();
        assert_eq!(
            status.conditions.len(),
            4,
            "{}: {:#?}",
            case.name,
            status.conditions
        );
        assert_eq!(status.attempt, None, "{}", case.name);
        assert_eq!(status.targets.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_becomes_ready_whichever_write_fails() {
    let world = World::new().await;
    let operator = world.operator().await;
    let cases = cases("token", &[(Write::Create, 1), (Write::Status, 1)]);
    let mut tokens = std::collections::BTreeMap::new();
    for case in &cases {
        case.arm(&operator);
        let token = world.api_token(&case.name).await;
        tokens.insert(case.name.clone(), token);
    }
    let wanted = |case: &Case| tokens[&case.name].secret().to_owned();
    converge(&world, &operator, &cases, "token", wanted).await;
    for case in &cases {
        let calls = world.calls_with(&tokens[&case.name]);
        assert_eq!(calls, 1, "{}", case.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_becomes_ready_by_one_call_whichever_write_fails() {
    let world = World::new().await;
    let operator = world.operator().await;
    let writes = [(Write::Create, 1), (Write::Status, 1), (Write::Status, 2)];
    let cases = cases("password", &writes);
    let jira = world.data_center();
    let mut passwords = std::collections::BTreeMap::new();
    for case in &cases {
        case.arm(&operator);
        let password = jira.new_password(&case.name);
        world.password(&case.name, &case.name, &password).await;
        passwords.insert(case.name.clone(), password);
    }
    let wanted = |case: &Case| passwords[&case.name].clone();
    converge(&world, &operator, &cases, "password", wanted).await;
    for case in &cases {
        let calls = world.sim.calls();
        let mine = calls
            .iter()
            .filter(|call| call.user.as_ref() == Some(&case.name))
            .filter(|call| call.path.ends_with("/myself"));
        assert_eq!(mine.count(), 1, "{}", case.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_made_once_and_a_target_is_repaired_whichever_write_fails() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut probes = cases("probe", &[(Write::Status, 1)]);
    let mut edits = cases("edit", &[(Write::Patch, 1), (Write::Status, 1)]);
    let mut deletions = cases("deletion", &[(Write::Create, 1), (Write::Status, 1)]);
    let mut tokens = std::collections::BTreeMap::new();
    for case in probes.iter().chain(&edits).chain(&deletions) {
        tokens.insert(case.name.clone(), world.api_token(&case.name).await);
    }
    let all = tokens.len() as u64;
    for name in tokens.keys() {
        world.wait_ready(name).await;
    }
    operator.quiet().await;
    // From here on the numbers start again.
    operator.faults.reset();
    for case in edits.iter().chain(&deletions) {
        case.arm(&operator);
    }
    for case in &edits {
        let damage = json!({"stringData": {"token": "x"}});
        world.edit_secret(&case.name, damage).await;
    }
    for case in &deletions {
        world.delete_secret(&case.name).await;
    }
    let mut cases = Vec::new();
    cases.append(&mut edits);
    cases.append(&mut deletions);
    let wanted = |case: &Case| tokens[&case.name].secret().to_owned();
    // Quiet ones beside them are looked at as well.
    converge(&world, &operator, &cases, "token", wanted).await;
    assert_eq!(world.calls(), tokens.len(), "a repair costs no call");
    for case in &probes {
        case.arm(&operator);
    }
    let last = world.credential(&probes[0].name).await.status.unwrap();
    world.advance(TimeDelta::minutes(67));
    operator.look_again(all).await;
    for case in &probes {
        world
            .until_status(&case.name, "it is validated again", |status| {
                status.last_validated_time > last.last_validated_time
            })
            .await;
    }
    cases.append(&mut probes);
    operator.look_again(all).await;
    let mark = operator.mark();
    operator.look_again(all).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    for case in &cases {
        let calls = world.calls_with(&tokens[&case.name]);
        assert_eq!(calls, 2, "{}", case.name);
        world.until_told(&case.name, "Validated").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_event_holds_nothing_up() {
    let world = World::new().await;
    let operator = world.operator().await;
    let events = Requests::verb(Verb::Create).resource("events");
    operator.faults.add(events, .., Fault::Status(500));
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.look_again(1).await;
    assert_eq!(world.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_changes_under_a_probe_costs_no_second_call() {
    let world = World::new().await;
    let operator = world
        .operator_with(|config| {
            config.jira.timeouts.read = Duration::from_secs(20);
            config.jira.timeouts.total = Duration::from_secs(20);
        })
        .await;
    world.api_token("bot").await;
    let first = world.wait_ready("bot").await.status.unwrap();
    operator.quiet().await;
    let (label, spec) = (
        json!({"metadata": {"labels": {"team": "a"}}}),
        json!({"spec": {"rotation": {"warnBefore": "3d"}}}),
    );
    for (what, change) in [("label", label), ("spec", spec)] {
        let hang = world.sim.hang_before(Rule::new(Outage::HangBefore));
        world.advance(TimeDelta::minutes(67));
        let mark = operator.mark();
        operator.poke();
        hang.reached(1).await;
        world
            .credentials()
            .patch("bot", &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap();
        hang.release();
        world
            .until_status("bot", "it is validated again", |status| {
                status.last_validated_time == Some(world.clock.now())
            })
            .await;
        operator.quiet().await;
        if what == "label" {
            let expected = [
                "get secrets",
                "update jiracredentials/status",
                "get jiracredentials",
                "update jiracredentials/status",
            ];
            assert_eq!(operator.requests_since(mark), expected);
        }
    }
    let last = world.observed("bot").await.status.unwrap();
    assert_eq!(world.calls(), 3);
    assert_eq!(last.validated_fingerprint, first.validated_fingerprint);
    world.until_told("bot", "Validated").await;
}

/// Lists fail, too: a list that begins is no sign of a watch that works.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_fails_for_a_minute_makes_the_operator_unready_until_it_shows_something() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(operator.operator.broken_watch(), None);
    let secrets = Requests::verb(Verb::Watch)
        .or_verb(Verb::List)
        .resource("secrets");
    operator.faults.add(secrets.clone(), .., Fault::Status(503));
    operator.faults.cut_watches(&secrets, Cut::Gone);
    for failures in 1..=4 {
        world
            .until("another attempt has failed", || async {
                (operator.faults.struck() >= failures).then_some(())
            })
            .await;
        world.advance(TimeDelta::seconds(30));
    }
    world
        .until("the watch counts as broken", || async {
            operator.operator.broken_watch()
        })
        .await;
    let broken = format!("Secrets in the namespace {}", world.namespace);
    assert_eq!(operator.operator.broken_watch(), Some(broken));
    operator.faults.heal();
    // What changes before the watch is open again is in its list.
    let count = std::sync::atomic::AtomicUsize::new(0);
    world
        .until("the watch shows a change", || async {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let touched = json!({"metadata": {"labels": {"touched": n.to_string()}}});
            world.edit_secret("bot-source", touched).await;
            operator.operator.broken_watch().is_none().then_some(())
        })
        .await;
    world.until_value("bot", "token", token.secret()).await;
}
