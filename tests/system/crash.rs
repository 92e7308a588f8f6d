//! The operator ends at any moment, and the next one finishes what it began.
//!
//! Every scenario runs once undisturbed, which tells how many effects it has (writes to the
//! cluster, calls to Jira) and how it ends. Then it runs once for every effect and either side of
//! it: the operator ends before the server has heard of the effect, or after the server has done
//! it and before the answer is here. An operator with an empty memory must lead to the same end,
//! and then do nothing more.

use std::sync::Mutex;

use atlassian_sim::{DataCenter, Fault, Rule, Token, basic};
use chrono::TimeDelta;
use control_plane::faults::{Mark, Requests, Side, Verb};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use jira_credential_operator::api::{
    AttemptOutcome, ConditionStatus, ConditionType, JiraCredential, RENEW_ANNOTATION, Reason,
};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Map, Value, json};

use crate::support::{PATIENCE, Running, World, says};

/// The one credential of every scenario.
const BOT: &str = "bot";

/// The user whose password is sent.
const ROBOT: &str = "robot";

/// Scenarios at a time in one test.
const ABREAST: usize = 4;

/// More than what lies between two looks of the operator while it confirms a refusal.
const A_MINUTE: TimeDelta = TimeDelta::seconds(61);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scenario {
    ApiToken,
    Password,
    WrongPassword,
    TwoTargets,
    NewToken,
    NewPassword,
    ProofDue,
    PasswordProofDue,
    RevokedToken,
    TargetEdited,
    TargetDeleted,
    TargetRenamed,
    TargetRelabelled,
    TargetOfAnotherType,
}

impl Scenario {
    fn is_password(self) -> bool {
        matches!(
            self,
            Self::Password | Self::WrongPassword | Self::NewPassword | Self::PasswordProofDue
        )
    }

    /// Whether the credential is there, proven and published when the scenario begins.
    fn begins_ready(self) -> bool {
        !matches!(
            self,
            Self::ApiToken | Self::Password | Self::WrongPassword | Self::TwoTargets
        )
    }

    /// What `Ready` says at the end.
    fn ready(self) -> (ConditionStatus, Reason) {
        match self {
            Self::WrongPassword | Self::RevokedToken => (ConditionStatus::False, Reason::Rejected),
            _ => (ConditionStatus::True, Reason::Proven),
        }
    }

    /// Whether this is the end that a user would expect.
    fn is_over(self, state: &Value) -> bool {
        let (status, reason) = self.ready();
        let conditions = state["credential"]["status"]["conditions"].as_array();
        let settled = conditions.into_iter().flatten().any(|condition| {
            condition["type"] == json!(ConditionType::Ready)
                && condition["status"] == json!(status)
                && condition["reason"] == json!(reason)
                && condition["observedGeneration"] == state["credential"]["generation"]
        });
        let target = |name: &str, key: &str| state["secrets"][name]["data"][key].clone();
        settled
            && match self {
                Self::WrongPassword => state["secrets"].get(BOT).is_none(),
                Self::Password => target(BOT, "password") == "PASSWORD",
                Self::NewPassword => target(BOT, "password") == "NEW-PASSWORD",
                Self::TwoTargets => {
                    target("one", "token") == "TOKEN" && target("two", "token") == "TOKEN"
                }
                Self::NewToken => target(BOT, "token") == "NEW-TOKEN",
                Self::ProofDue | Self::PasswordProofDue => state["credential"]["proofs"] == 2,
                Self::TargetRenamed => {
                    target("fresh", "token") == "TOKEN" && state["secrets"].get(BOT).is_none()
                }
                Self::TargetRelabelled => {
                    state["secrets"][BOT]["labels"]["app.kubernetes.io/part-of"] == "after"
                }
                Self::TargetOfAnotherType => state["secrets"][BOT]["type"] == "example.dev/jira",
                Self::TargetEdited => {
                    target(BOT, "token") == "TOKEN" && target(BOT, "more").is_null()
                }
                Self::ApiToken | Self::RevokedToken | Self::TargetDeleted => {
                    target(BOT, "token") == "TOKEN"
                }
            }
    }
}

/// One effect, counted from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Effect {
    Write(usize),
    Call(usize),
}

/// Where the operator ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Cut(Effect, Side);

/// What a scenario does when nothing disturbs it.
struct Course {
    writes: Vec<String>,
    calls: usize,
    end: Value,
}

impl Course {
    /// Every effect, from either side.
    fn cuts(&self) -> Vec<Cut> {
        let writes = (1..=self.writes.len()).map(Effect::Write);
        let effects = writes.chain((1..=self.calls).map(Effect::Call));
        effects
            .flat_map(|effect| [Cut(effect, Side::Before), Cut(effect, Side::After)])
            .collect()
    }
}

/// One run of a scenario, in a world of its own.
struct Case {
    scenario: Scenario,
    world: World,
    token: Token,
    /// What differs between two runs, and what stands for it.
    words: Mutex<Vec<(String, &'static str)>>,
}

impl Case {
    /// Prepares the world, and an operator that has come to rest in it.
    async fn begin(scenario: Scenario) -> (Self, Running) {
        let world = World::new().await;
        let token = match scenario {
            Scenario::TwoTargets => world.data_center().pat(ROBOT),
            _ => world.cloud().api_token("bot@acme.example"),
        };
        let case = Self {
            scenario,
            token,
            words: Mutex::new(vec![
                (world.namespace.clone(), "NAMESPACE"),
                (world.sim.port().to_string(), "PORT"),
            ]),
            world,
        };
        case.note_token(&case.token, ["TOKEN", "BASIC TOKEN"]);
        let operator = case.world.operator().await;
        if scenario.begins_ready() {
            case.make().await;
            case.world.wait_ready(BOT).await;
            operator.quiet().await;
        }
        (case, operator)
    }

    fn jira(&self) -> DataCenter {
        self.world.data_center()
    }

    fn note(&self, text: &str, word: &'static str) {
        self.words.lock().unwrap().push((text.to_owned(), word));
    }

    fn note_token(&self, token: &Token, [plain, encoded]: [&'static str; 2]) {
        self.note(&token.basic(), encoded);
        self.note(token.secret(), plain);
    }

    async fn password(&self, password: &str, [plain, encoded]: [&'static str; 2]) {
        self.note(&basic(ROBOT, password), encoded);
        self.note(password, plain);
        let data = [("username", ROBOT), ("password", password)];
        self.world.secret("bot-source", &data).await;
    }

    async fn token(&self, token: &Token) {
        let data = [("token", token.secret())];
        self.world.secret("bot-source", &data).await;
    }

    /// Makes the source and the credential.
    async fn make(&self) {
        let mut spec = self.world.api_token_spec(BOT);
        if self.scenario.is_password() {
            let right = self.jira().new_password(ROBOT);
            let password = match self.scenario {
                Scenario::WrongPassword => "not the password".to_owned(),
                _ => right,
            };
            self.password(&password, ["PASSWORD", "BASIC PASSWORD"])
                .await;
            spec = json!({
                "site": self.jira().url(),
                "auth": {"basic": {"secretRef": {"name": "bot-source"}}},
            });
        } else {
            self.token(&self.token).await;
        }
        match self.scenario {
            Scenario::TwoTargets => {
                let reference = json!({"name": "bot-source", "key": "token"});
                spec = json!({
                    "site": self.jira().url(),
                    "auth": {"personalAccessToken": {"tokenSecretRef": reference}},
                    "targets": [{"name": "one"}, {"name": "two", "template": {
                        "labels": {"app.kubernetes.io/part-of": "shop"},
                        "annotations": {"jenkins.io/credentials-description": "Jira"},
                    }}],
                });
            }
            Scenario::TargetRelabelled => {
                let labels = json!({"app.kubernetes.io/part-of": "before", "app.kubernetes.io/component": "x"});
                spec["targets"] = json!([{"name": BOT, "template": {"labels": labels}}]);
            }
            _ => {}
        }
        self.world.create(BOT, spec).await;
    }

    /// What people or Jira do, and the operator has to react to.
    async fn act(&self) {
        match self.scenario {
            Scenario::ApiToken
            | Scenario::Password
            | Scenario::WrongPassword
            | Scenario::TwoTargets => self.make().await,
            Scenario::NewToken => {
                let fresh = self.world.cloud().api_token("bot@acme.example");
                self.note_token(&fresh, ["NEW-TOKEN", "BASIC NEW-TOKEN"]);
                self.token(&fresh).await;
            }
            Scenario::NewPassword => {
                let fresh = self.jira().new_password(ROBOT);
                self.password(&fresh, ["NEW-PASSWORD", "BASIC NEW-PASSWORD"])
                    .await;
            }
            Scenario::ProofDue | Scenario::PasswordProofDue => {
                self.world.advance(TimeDelta::hours(2));
            }
            Scenario::RevokedToken => {
                self.world.sim.revoke(&self.token);
                self.world.advance(TimeDelta::hours(2));
            }
            Scenario::TargetEdited => {
                let edit = json!({"stringData": {"token": "vandalised", "more": "x"}, "metadata": {
                    "labels": {"jira-operator.dev/credential": null},
                }});
                let (secrets, edit) = (self.world.secrets(), Patch::Merge(edit));
                let params = PatchParams::default();
                secrets.patch(BOT, &params, &edit).await.unwrap();
            }
            Scenario::TargetDeleted => {
                let secrets = self.world.secrets();
                secrets.delete(BOT, &DeleteParams::default()).await.unwrap();
            }
            Scenario::TargetRenamed => self.retarget(json!({"name": "fresh"})).await,
            Scenario::TargetRelabelled => {
                let labels = json!({"app.kubernetes.io/part-of": "after"});
                self.retarget(json!({"name": BOT, "template": {"labels": labels}}))
                    .await;
            }
            Scenario::TargetOfAnotherType => {
                self.retarget(json!({"name": BOT, "template": {"type": "example.dev/jira"}}))
                    .await;
            }
        }
    }

    async fn retarget(&self, target: Value) {
        self.world.change(BOT, json!({"targets": [target]})).await;
    }

    /// Lets the operator work, and time pass when it waits, until the state is as wanted.
    async fn drive(&self, operator: &Running, wanted: impl Fn(&Value) -> bool, what: &str) {
        let mut state = Value::Null;
        for _ in 0..8 {
            operator.quiet().await;
            state = self.state().await;
            if wanted(&state) {
                return;
            }
            self.world.advance(A_MINUTE);
            operator.look_again(1).await;
        }
        panic!(
            "{:?}: {what} is not reached, but {state:#}\nrequests: {:#?}",
            self.scenario,
            operator.requests_since(operator.start)
        );
    }

    async fn is_over(&self, operator: &Running) {
        self.drive(operator, |state| self.scenario.is_over(state), "the end")
            .await;
    }

    /// Another pass does nothing at all.
    async fn assert_at_rest(&self, operator: &Running) {
        let (mark, calls) = (operator.mark(), self.world.sim.calls().len());
        operator.look_again(1).await;
        let requests = operator.requests_since(mark);
        assert_eq!(requests, Vec::<String>::new(), "{:?}", self.scenario);
        assert_eq!(self.world.sim.calls().len(), calls, "{:?}", self.scenario);
    }

    /// Arranges the end of the operator.
    fn arrange(&self, operator: &Running, Cut(effect, side): Cut) -> BoxFuture<'static, ()> {
        match (effect, side) {
            (Effect::Write(n), side) => {
                let mut stop = operator.faults.stop_at(writes(), n, side);
                async move { stop.reached().await }.boxed()
            }
            (Effect::Call(n), side) => {
                let fault = match side {
                    Side::Before => Fault::HangBefore,
                    Side::After => Fault::HangAfter,
                };
                let skip = u64::try_from(n - 1).unwrap();
                let rule = self.world.sim.fault(Rule::new(fault).skip(skip).once());
                async move { rule.reached(1).await }.boxed()
            }
        }
    }

    /// Ends the operator, and waits until Jira, too, has noticed.
    async fn crash(&self, operator: Running, calls: usize, Cut(effect, _): Cut) {
        operator.crash();
        if let Effect::Call(n) = effect {
            let logged = self.world.sim.wait_for_calls(calls + n, |_| true);
            tokio::time::timeout(PATIENCE, logged).await.unwrap();
        }
    }

    /// Everything in the namespace, without what differs between two runs that end alike.
    async fn state(&self) -> Value {
        let credential = self.world.credentials().get_opt(BOT).await.unwrap();
        let secrets = self.world.secrets();
        let secrets = secrets.list(&ListParams::default()).await.unwrap();
        let uid = credential.as_ref().and_then(ResourceExt::uid);
        let secrets = secrets.items.into_iter().map(|secret| {
            let data = secret.data.iter().flatten().map(|(key, value)| {
                let text = String::from_utf8(value.0.clone()).unwrap();
                (key.clone(), Value::from(text))
            });
            let owners = secret.owner_references().iter().map(|owner| {
                json!({"kind": owner.kind, "name": owner.name, "controller": owner.controller,
                    "isCredential": Some(&owner.uid) == uid.as_ref()})
            });
            let state = json!({
                "data": data.collect::<Map<_, _>>(),
                "type": secret.type_,
                "labels": secret.labels(),
                "annotations": secret.annotations(),
                "owners": owners.collect::<Vec<_>>(),
            });
            (secret.name_any(), state)
        });
        let secrets: Map<String, Value> = secrets.collect();
        let account = credential
            .as_ref()
            .and_then(|object| object.status.as_ref()?.account.clone());
        let proofs = self.proofs(credential.as_ref());
        let state = json!({
            "credential": credential.map(|object| json!({
                "generation": object.metadata.generation,
                "proofs": proofs,
                "status": status(&object),
            })),
            "secrets": secrets,
        });
        let mut text = state.to_string();
        let mut words = self.words.lock().unwrap().clone();
        words.extend(account.map(|account| (account.id, "ACCOUNT")));
        words.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        for (from, to) in words {
            text = text.replace(&from, to);
        }
        serde_json::from_str(&text).unwrap()
    }

    /// 2 when the credential was proven again after the clock had moved, else 1.
    fn proofs(&self, object: Option<&JiraCredential>) -> u8 {
        let proven = object
            .and_then(|object| object.status.as_ref()?.last_validated_time)
            .unwrap_or_default();
        let recent = self.world.clock.now() - proven < TimeDelta::hours(1);
        let counted = [Scenario::ProofDue, Scenario::PasswordProofDue];
        1 + u8::from(recent && counted.contains(&self.scenario))
    }
}

fn writes() -> Requests {
    [Verb::Update, Verb::Patch, Verb::Delete]
        .into_iter()
        .fold(Requests::verb(Verb::Create), Requests::or_verb)
}

fn writes_since(operator: &Running, mark: Mark) -> Vec<String> {
    let requests = operator.faults.since(mark);
    requests
        .iter()
        .filter(|request| request.verb.is_write())
        .map(|request| format!("{} {}", request.verb, request.target()))
        .collect()
}

/// The status without times, versions, and what a person asked for on the way.
fn status(object: &JiraCredential) -> Value {
    let Some(status) = &object.status else {
        return Value::Null;
    };
    let mut value = json!(status);
    let fields = value.as_object_mut().unwrap();
    for passing in ["lastValidatedTime", "firstSeenTime", "lastHandledRenew"] {
        fields.remove(passing);
    }
    fields.insert(
        "provenFingerprint".into(),
        status.proven_fingerprint.is_some().into(),
    );
    let sources = status.sources.iter().map(|source| source.name.clone());
    fields.insert("sources".into(), sources.collect());
    let targets = status.targets.iter().map(|target| {
        let written = target.hash.is_some();
        json!({"name": target.name, "written": written})
    });
    fields.insert("targets".into(), targets.collect());
    let attempt = status.attempt.as_ref().map(|attempt| {
        json!({"outcome": attempt.outcome, "reason": attempt.reason, "failures": attempt.failures,
            "again": attempt.next_attempt_time.is_some()})
    });
    fields.insert("attempt".into(), attempt.into());
    for condition in fields["conditions"].as_array_mut().unwrap() {
        condition
            .as_object_mut()
            .unwrap()
            .remove("lastTransitionTime");
    }
    value
}

/// Whether nobody can know if Jira has seen a password that it never accepted.
fn is_interrupted(object: &JiraCredential) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    status.attempt.as_ref().is_some_and(|attempt| {
        attempt.outcome == AttemptOutcome::Started
            && status.proven_fingerprint.as_ref() != Some(&attempt.fingerprint)
    })
}

async fn undisturbed(scenario: Scenario) -> Course {
    let (case, operator) = Case::begin(scenario).await;
    let (mark, calls) = (operator.mark(), case.world.sim.calls().len());
    case.act().await;
    case.is_over(&operator).await;
    let course = Course {
        writes: writes_since(&operator, mark),
        calls: case.world.sim.calls().len() - calls,
        end: case.state().await,
    };
    case.assert_at_rest(&operator).await;
    course
}

/// Lets a scenario begin and ends the operator at one effect.
async fn cut_short(scenario: Scenario, cut: Cut) -> Case {
    let (case, operator) = Case::begin(scenario).await;
    let before = case.world.sim.calls().len();
    let reached = case.arrange(&operator, cut);
    case.act().await;
    tokio::select! {
        biased;
        () = reached => {}
        () = case.is_over(&operator) => panic!("{scenario:?} ended without {cut:?}"),
    }
    case.crash(operator, before, cut).await;
    case
}

/// Ends the operator at one effect and has another one take over. Says whether that needed a
/// person.
async fn disturbed(scenario: Scenario, cut: Cut, course: &Course) -> bool {
    let case = cut_short(scenario, cut).await;
    let interrupted = case.world.credentials().get_opt(BOT).await.unwrap();
    let interrupted = interrupted.as_ref().is_some_and(is_interrupted);
    let calls = case.world.sim.calls().len();
    let next = case.world.operator().await;
    if interrupted {
        wait_for_a_person(&case, &next, cut).await;
        assert_eq!(
            case.world.sim.calls().len(),
            calls,
            "{scenario:?} {cut:?}: sent again"
        );
        assert!(case.jira().failed_logins(ROBOT) <= 1);
        case.world.annotate(BOT, RENEW_ANNOTATION, "please").await;
    }
    let what = format!("after {cut:?}, {:#}", course.end);
    case.drive(&next, |state| *state == course.end, &what).await;
    case.assert_at_rest(&next).await;
    let calls = case.world.sim.calls().len() - usize::from(scenario.begins_ready());
    assert!(
        calls <= course.calls + 1,
        "{scenario:?} {cut:?}: {calls} calls instead of {}",
        course.calls
    );
    if scenario == Scenario::WrongPassword && !interrupted {
        assert!(case.jira().failed_logins(ROBOT) <= 1, "{cut:?}");
    }
    interrupted
}

/// However often it is looked at and however long it takes: the password stays where it is.
async fn wait_for_a_person(case: &Case, operator: &Running, cut: Cut) {
    for _ in 0..2 {
        operator.look_again(1).await;
        case.world.advance(TimeDelta::hours(13));
    }
    operator.look_again(1).await;
    let object = case.world.credential(BOT).await;
    let valid = says(&object, ConditionType::Valid);
    assert_eq!(
        (valid.status, valid.reason),
        (ConditionStatus::Unknown, Reason::NotYetProven),
        "{cut:?}: {valid:?}"
    );
    assert!(valid.message.contains("interrupted"), "{cut:?}: {valid:?}");
    assert_eq!(
        says(&object, ConditionType::Stalled).status,
        ConditionStatus::True,
        "{cut:?}"
    );
    case.assert_at_rest(operator).await;
}

/// Runs a scenario undisturbed, then with every cut. Returns what needed a person.
async fn at_every_effect(scenario: Scenario, writes: &[&str], calls: usize) -> Vec<Cut> {
    let course = undisturbed(scenario).await;
    assert_eq!(course.writes, writes, "{scenario:?}");
    assert_eq!(course.calls, calls, "{scenario:?}");
    let course = &course;
    let cases = course
        .cuts()
        .into_iter()
        .map(|cut| async move { disturbed(scenario, cut, course).await.then_some(cut) });
    let mut interrupted: Vec<Cut> = stream::iter(cases)
        .buffer_unordered(ABREAST)
        .filter_map(async |cut| cut)
        .collect()
        .await;
    interrupted.sort_by_key(|cut| format!("{cut:?}"));
    interrupted
}

async fn converges(scenario: Scenario, writes: &[&str], calls: usize) {
    assert_eq!(at_every_effect(scenario, writes, calls).await, []);
}

const STATUS: &str = "patch jiracredentials/status";
const EVENT: &str = "create events";
const CREATE: &str = "create secrets";
const PATCH: &str = "patch secrets";
const DELETE: &str = "delete secrets";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_api_token_survives_every_crash() {
    converges(Scenario::ApiToken, &[CREATE, STATUS, EVENT], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_targets_survive_every_crash() {
    converges(Scenario::TwoTargets, &[CREATE, CREATE, STATUS, EVENT], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_survives_every_crash() {
    converges(Scenario::NewToken, &[PATCH, STATUS], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_proof_survives_every_crash() {
    converges(Scenario::ProofDue, &[STATUS], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_rejected_after_every_crash() {
    converges(Scenario::RevokedToken, &[STATUS, EVENT, STATUS, EVENT], 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_target_is_repaired_after_every_crash() {
    converges(Scenario::TargetEdited, &[PATCH, STATUS], 0).await;
    converges(Scenario::TargetDeleted, &[CREATE, STATUS], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_target_replaces_the_old_one_after_every_crash() {
    converges(Scenario::TargetRenamed, &[CREATE, DELETE, STATUS], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_template_is_applied_after_every_crash() {
    converges(Scenario::TargetRelabelled, &[PATCH, PATCH, STATUS], 0).await;
    let writes = [PATCH, DELETE, CREATE, STATUS];
    converges(Scenario::TargetOfAnotherType, &writes, 0).await;
}

/// From the moment when the attempt is recorded until the answer is: whether Jira has seen the
/// password cannot be known.
fn between_attempt_and_answer(last_write: usize) -> Vec<Cut> {
    let mut cuts = vec![
        Cut(Effect::Call(1), Side::Before),
        Cut(Effect::Call(1), Side::After),
        Cut(Effect::Write(1), Side::After),
    ];
    for write in 2..last_write {
        cuts.push(Cut(Effect::Write(write), Side::Before));
        cuts.push(Cut(Effect::Write(write), Side::After));
    }
    cuts.push(Cut(Effect::Write(last_write), Side::Before));
    cuts.sort_by_key(|cut| format!("{cut:?}"));
    cuts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_whose_answer_was_lost_is_not_sent_again_without_a_person() {
    let writes = [STATUS, CREATE, STATUS, EVENT];
    let asked = at_every_effect(Scenario::Password, &writes, 1).await;
    assert_eq!(asked, between_attempt_and_answer(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_counts_once_whenever_the_operator_ends() {
    let writes = [STATUS, STATUS, EVENT];
    let asked = at_every_effect(Scenario::WrongPassword, &writes, 1).await;
    assert_eq!(asked, between_attempt_and_answer(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_waits_for_a_person_as_a_new_one_does() {
    let writes = [STATUS, PATCH, STATUS];
    let asked = at_every_effect(Scenario::NewPassword, &writes, 1).await;
    assert_eq!(asked, between_attempt_and_answer(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_jira_accepted_before_is_proven_again_after_every_crash() {
    converges(Scenario::PasswordProofDue, &[STATUS, STATUS], 1).await;
}

/// Everything that a crash leaves of a credential goes with it, and a start finds nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_deleted_after_a_crash_leaves_nothing_behind() {
    let course = undisturbed(Scenario::TwoTargets).await;
    let cases = course.cuts().into_iter().map(|cut| async move {
        let case = cut_short(Scenario::TwoTargets, cut).await;
        let credentials = case.world.credentials();
        let params = DeleteParams::default();
        credentials.delete(BOT, &params).await.unwrap();
        let calls = case.world.sim.calls().len();
        let next = case.world.operator().await;
        only_the_source_is_left(&case).await;
        next.quiet().await;
        assert_eq!(
            writes_since(&next, next.start),
            Vec::<String>::new(),
            "{cut:?}"
        );
        assert_eq!(case.world.sim.calls().len(), calls, "{cut:?}");
    });
    let cases = stream::iter(cases).buffer_unordered(ABREAST);
    cases.collect::<Vec<()>>().await;
}

/// The same without a crash: the answer comes when the credential is no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_deleted_during_a_call_leaves_nothing_behind() {
    let (case, operator) = Case::begin(Scenario::TwoTargets).await;
    let hang = case.world.sim.hang_after(Rule::new(Fault::HangAfter));
    case.act().await;
    tokio::time::timeout(PATIENCE, hang.reached(1))
        .await
        .unwrap();
    let credentials = case.world.credentials();
    let params = DeleteParams::default();
    credentials.delete(BOT, &params).await.unwrap();
    hang.release();
    operator.quiet().await;
    only_the_source_is_left(&case).await;
    assert_eq!(case.world.sim.calls().len(), 1);
}

async fn only_the_source_is_left(case: &Case) {
    let left = || async {
        let state = case.state().await;
        let secrets = state["secrets"].as_object().unwrap();
        (state["credential"].is_null() && secrets.keys().eq(["bot-source"])).then_some(())
    };
    case.world.until("only the source is left", left).await;
}

/// A crash may follow on a crash: here the operator that takes over ends at its first write.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_crash_changes_nothing_either() {
    let scenario = Scenario::TargetRenamed;
    let course = &undisturbed(scenario).await;
    let cases = course.cuts().into_iter().map(|cut| async move {
        let case = cut_short(scenario, cut).await;
        let second = case.world.operator().await;
        let mut stop = second.faults.stop_at(writes(), 1, Side::After);
        tokio::select! {
            biased;
            () = stop.reached() => {}
            // The first crash left nothing to write, or the write came before the stop.
            () = case.is_over(&second) => {}
        }
        second.crash();
        let third = case.world.operator().await;
        let what = format!("after {cut:?} and another crash, {:#}", course.end);
        case.drive(&third, |state| *state == course.end, &what)
            .await;
        case.assert_at_rest(&third).await;
    });
    let cases = stream::iter(cases).buffer_unordered(ABREAST);
    cases.collect::<Vec<()>>().await;
}

/// Two credentials hold the same wrong password. Whichever sends it, and whenever the operator
/// ends: Jira counts one attempt until a person asks for another.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_shared_by_two_credentials_is_sent_once_across_a_crash() {
    let cuts = [
        Cut(Effect::Write(1), Side::After),
        Cut(Effect::Call(1), Side::Before),
        Cut(Effect::Call(1), Side::After),
    ];
    let cases = cuts.into_iter().map(|cut| async move {
        let (case, operator) = Case::begin(Scenario::WrongPassword).await;
        let reached = case.arrange(&operator, cut);
        case.act().await;
        tokio::time::timeout(PATIENCE, reached).await.unwrap();
        case.crash(operator, 0, cut).await;
        let calls = case.world.sim.calls().len();
        let spec = case.world.credential(BOT).await.spec;
        case.world.create("twin", json!(spec)).await;
        let next = case.world.operator().await;
        for _ in 0..2 {
            next.look_again(2).await;
            case.world.advance(TimeDelta::hours(13));
        }
        assert_eq!(case.world.sim.calls().len(), calls, "{cut:?}: sent again");
        for name in [BOT, "twin"] {
            let object = case.world.credential(name).await;
            let valid = says(&object, ConditionType::Valid);
            assert_eq!(
                valid.reason,
                Reason::NotYetProven,
                "{cut:?} {name}: {valid:?}"
            );
        }
        case.world
            .annotate("twin", RENEW_ANNOTATION, "please")
            .await;
        let refused = || async {
            case.world.advance(A_MINUTE);
            next.look_again(2).await;
            for name in [BOT, "twin"] {
                let object = case.world.credential(name).await;
                if says(&object, ConditionType::Ready).reason != Reason::Rejected {
                    return None;
                }
            }
            Some(())
        };
        case.world.until("both are refused", refused).await;
        assert_eq!(case.world.sim.calls().len(), calls + 1, "{cut:?}");
    });
    let cases = stream::iter(cases).buffer_unordered(ABREAST);
    cases.collect::<Vec<()>>().await;
}
