//! The operator ends at any moment, and the next one finishes what it began.
//!
//! Every scenario runs once undisturbed, which tells how many effects it has (writes to the
//! cluster, calls to Jira) and how it ends. Then it runs once for every effect and either side of
//! it: the operator ends before the server has heard of the effect, or after the server has done
//! it and before the answer is here. An operator with an empty memory must lead to the same end,
//! and then do nothing more.

mod case;
mod scenario;

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use control_plane::faults::Side;
use futures::{StreamExt, stream};
use jira_credential_operator::api::{
    AttemptOutcome, ConditionStatus, ConditionType, JiraCredential, RENEW_ANNOTATION, Reason,
};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use self::case::{A_MINUTE, BOT, Case, ROBOT, writes, writes_since};
use self::scenario::Scenario;
use crate::support::{PATIENCE, Running, says};

/// Scenarios at a time in one test.
const ABREAST: usize = 4;

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

/// Whether nobody can know if Jira has seen a password that it never accepted.
fn is_interrupted(object: &JiraCredential) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    status.attempt.as_ref().is_some_and(|attempt| {
        attempt.outcome == AttemptOutcome::Started
            && status.validated_fingerprint.as_ref() != Some(&attempt.fingerprint)
    })
}

async fn undisturbed(scenario: Scenario) -> Course {
    let (case, operator) = Case::begin(scenario).await;
    let (mark, calls) = (operator.mark(), case.world.calls());
    case.act().await;
    case.is_over(&operator).await;
    let course = Course {
        writes: writes_since(&operator, mark),
        calls: case.world.calls() - calls,
        end: case.state().await,
    };
    case.assert_at_rest(&operator).await;
    course
}

/// Lets a scenario begin and ends the operator at one effect.
async fn cut_short(scenario: Scenario, cut: Cut) -> Case {
    let (case, operator) = Case::begin(scenario).await;
    let before = case.world.calls();
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
    let calls = case.world.calls();
    let next = case.world.operator().await;
    if interrupted {
        wait_for_a_person(&case, &next, cut).await;
        assert_eq!(
            case.world.calls(),
            calls,
            "{scenario:?} {cut:?}: sent again"
        );
        assert!(case.jira().failed_logins(ROBOT) <= 1);
        case.world.annotate(BOT, RENEW_ANNOTATION, "please").await;
    }
    let what = format!("after {cut:?}, {:#}", course.end);
    case.drive(&next, |state| *state == course.end, &what).await;
    case.assert_at_rest(&next).await;
    let calls = case.world.calls() - usize::from(scenario.begins_ready());
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
        (ConditionStatus::Unknown, Reason::NotValidated),
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
    let interrupted: Vec<Option<Cut>> = stream::iter(cases)
        .buffer_unordered(ABREAST)
        .collect()
        .await;
    let mut interrupted: Vec<Cut> = interrupted.into_iter().flatten().collect();
    interrupted.sort_by_key(|cut| format!("{cut:?}"));
    interrupted
}

async fn converges(scenario: Scenario, writes: &[&str], calls: usize) {
    assert_eq!(at_every_effect(scenario, writes, calls).await, []);
}

const STATUS: &str = "update jiracredentials/status";
const EVENT: &str = "create events";
const CREATE: &str = "create secrets";
const REHEARSAL: &str = "create secrets, dry run";
const PATCH: &str = "patch secrets";
const DELETE: &str = "delete secrets";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_api_token_survives_every_crash() {
    converges(Scenario::ApiToken, &[CREATE, EVENT, STATUS], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_targets_survive_every_crash() {
    converges(Scenario::TwoTargets, &[CREATE, CREATE, EVENT, STATUS], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_survives_every_crash() {
    converges(Scenario::NewToken, &[PATCH, EVENT, STATUS], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_validation_survives_every_crash() {
    converges(Scenario::ValidationDue, &[STATUS], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_rejected_after_every_crash() {
    converges(Scenario::RevokedToken, &[EVENT, STATUS, EVENT, STATUS], 2).await;
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
    // Whether it will be accepted is asked before the old one goes.
    let writes = [PATCH, REHEARSAL, DELETE, CREATE, STATUS];
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
    let writes = [STATUS, PATCH, STATUS, EVENT];
    let asked = at_every_effect(Scenario::NewPassword, &writes, 1).await;
    assert_eq!(asked, between_attempt_and_answer(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_jira_accepted_before_is_validated_again_after_every_crash() {
    converges(Scenario::PasswordValidationDue, &[STATUS, STATUS], 1).await;
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
        let calls = case.world.calls();
        let next = case.world.operator().await;
        only_the_source_is_left(&case).await;
        next.quiet().await;
        assert_eq!(
            writes_since(&next, next.start),
            Vec::<String>::new(),
            "{cut:?}"
        );
        assert_eq!(case.world.calls(), calls, "{cut:?}");
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
    assert_eq!(case.world.calls(), 1);
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
        let calls = case.world.calls();
        let spec = case.world.credential(BOT).await.spec;
        case.world.create("twin", json!(spec)).await;
        let next = case.world.operator().await;
        for _ in 0..2 {
            next.look_again(2).await;
            case.world.advance(TimeDelta::hours(13));
        }
        assert_eq!(case.world.calls(), calls, "{cut:?}: sent again");
        for name in [BOT, "twin"] {
            let object = case.world.credential(name).await;
            let valid = says(&object, ConditionType::Valid);
            assert_eq!(
                valid.reason,
                Reason::NotValidated,
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
        assert_eq!(case.world.calls(), calls + 1, "{cut:?}");
    });
    let cases = stream::iter(cases).buffer_unordered(ABREAST);
    cases.collect::<Vec<()>>().await;
}

/// What the spec no longer names goes, even if only the process that ended knew of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_was_written_before_a_crash_and_renamed_after_it_is_retracted() {
    for scenario in [Scenario::ApiToken, Scenario::TargetRenamed] {
        let case = cut_short(scenario, Cut(Effect::Write(1), Side::After)).await;
        case.retarget(json!({"name": "last"})).await;
        let next = case.world.operator().await;
        let only_the_last = |state: &Value| {
            let secrets = state["secrets"].as_object().unwrap();
            secrets.keys().eq(["bot-source", "last"])
        };
        case.drive(&next, only_the_last, "one target").await;
        case.world.wait_ready(BOT).await;
        case.assert_at_rest(&next).await;
    }
}
