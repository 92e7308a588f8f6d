//! Passwords: Jira counts every refusal, so each is sent once, however many credentials name it.

use std::time::Duration;

use atlassian_sim::{Fault, FaultHandle, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential, Reason};
use jira_credential_operator::core::time::next_validation;
use serde_json::json;

use crate::support::{Running, World, says};

impl World {
    /// Each call opens a connection, so that connections can be refused.
    async fn operator_without_idle_connections(&self) -> Running {
        self.operator_with(|config| config.jira.timeouts.idle = Duration::from_millis(1))
            .await
    }

    async fn refused(&self, name: &str, reason: Reason) -> JiraCredential {
        let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
        self.wait(name, kind, status, reason).await
    }

    async fn interrupted(&self, name: &str) {
        let (kind, status) = (ConditionType::Valid, ConditionStatus::Unknown);
        let object = self.wait(name, kind, status, Reason::NotValidated).await;
        let message = says(&object, ConditionType::Valid).message;
        assert!(message.contains("interrupted"), "{message}");
        let stalled = says(&object, ConditionType::Stalled).reason;
        assert_eq!(stalled, Reason::NotValidated);
    }

    async fn asks(&self, name: &str, value: &str) {
        self.annotate(name, "jira-operator.dev/renew", value).await;
    }

    async fn handled(&self, name: &str, value: &str) {
        self.until_status(name, "the annotation is handled", |status| {
            status.last_handled_renew.as_deref() == Some(value)
        })
        .await;
    }

    async fn pending(&self, name: &str, value: &str) {
        self.until_status(name, "the request is pending", |status| {
            status.pending_renew.as_deref() == Some(value)
        })
        .await;
    }

    /// Has everything looked at for two days, over a restart as well.
    async fn two_days(&self, operator: Running, credentials: u64) -> Running {
        for hours in [0, 1, 23] {
            self.advance(TimeDelta::hours(hours));
            operator.look_again(credentials).await;
        }
        operator.crash();
        let operator = self.operator().await;
        for hours in [0, 24] {
            self.advance(TimeDelta::hours(hours));
            operator.look_again(credentials).await;
        }
        operator
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_sent_once_by_all_together() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let right = jira.new_password("robot");
    // At the same moment.
    tokio::join!(
        world.password("a", "robot", "wrong"),
        world.password("b", "robot", "wrong"),
    );
    for name in ["a", "b"] {
        world.refused(name, Reason::Rejected).await;
    }
    assert_eq!(jira.failed_logins("robot"), 1);
    let operator = world.two_days(operator, 2).await;
    // Later, and by a process that has sent nothing itself.
    world.password("c", "robot", "wrong").await;
    let object = world.refused("c", Reason::Rejected).await;
    let message = says(&object, ConditionType::Ready).message;
    assert!(message.contains("for another JiraCredential"), "{message}");
    for name in ["a", "b", "c"] {
        let change = json!({"validation": {"interval": "2h"}, "rotation": {"maxAge": "90d"}});
        world.change(name, change).await;
        world.label(name, json!({"team": "a"})).await;
        world.observed(name).await;
    }
    let operator = world.two_days(operator, 3).await;
    assert_eq!((jira.failed_logins("robot"), world.calls()), (1, 1));
    // A person asks: once more, by the one that is asked, and never again.
    world.asks("b", "now").await;
    world.handled("b", "now").await;
    operator.look_again(3).await;
    assert_eq!((jira.failed_logins("robot"), world.calls()), (2, 2));
    // Another password is another matter.
    let source = [("username", "robot"), ("password", right.as_str())];
    world.secret("a-source", &source).await;
    world.wait_ready("a").await;
    world.until_value("a", "password", &right).await;
    operator.look_again(3).await;
    assert_eq!(world.calls(), 3);
    for name in ["b", "c"] {
        world.refused(name, Reason::Rejected).await;
        assert!(world.secrets().get_opt(name).await.unwrap().is_none());
    }
    // The other one may have been told first that its answer is on its way to its twin.
    world.until_told("c", "Rejected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_jira_does_not_look_at_waits_for_a_person() {
    let world = World::new().await;
    let operator = world.operator().await;
    let captcha = world.data_center();
    let disabled = world.sim.data_center("basic-off").basic(false);
    let captcha_password = captcha.new_password("robot");
    for wrong in ["one", "two", "three"] {
        world.password(wrong, "robot", wrong).await;
        world.refused(wrong, Reason::Rejected).await;
        world.delete(wrong).await;
    }
    assert!(captcha.captcha_required("robot"));
    world.password("captcha", "robot", &captcha_password).await;
    let password = disabled.new_password("robot");
    let source = [("username", "robot"), ("password", password.as_str())];
    world.secret("disabled-source", &source).await;
    let spec = json!({"site": disabled.url(), "auth": {"basic": {"secretRef": {"name": "disabled-source"}}}});
    world.create("disabled", spec).await;
    let cases = [
        ("captcha", Reason::CaptchaRequired, "CAPTCHA"),
        ("disabled", Reason::BasicAuthDisabled, "disabled"),
    ];
    for (name, reason, words) in cases {
        let object = world.refused(name, reason).await;
        assert_eq!(says(&object, ConditionType::Valid).reason, reason);
        assert_eq!(says(&object, ConditionType::Stalled).reason, reason);
        let message = says(&object, ConditionType::Ready).message;
        assert!(message.contains(words), "{message}");
    }
    let calls = world.calls();
    let operator = world.two_days(operator, 2).await;
    assert_eq!(world.calls(), calls);
    assert_eq!(captcha.denied_logins("robot"), 1);
    captcha.solve_captcha("robot");
    let disabled = disabled.basic(true);
    operator.look_again(2).await;
    assert_eq!(world.calls(), calls, "nobody has asked");
    for (name, reason, _) in cases {
        world.asks(name, "now").await;
        world.wait_ready(name).await;
        world
            .until_told(name, &format!("{reason:?} Validated"))
            .await;
    }
    assert_eq!(world.calls(), calls + 2);
    drop(disabled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_whose_answer_was_lost_is_not_sent_again_unasked() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let password = jira.new_password("robot");
    let lost = world.sim.fault(Rule::new(Fault::DropAfter).once());
    world.password("a", "robot", &password).await;
    world.interrupted("a").await;
    assert_eq!(lost.hits(), 1);
    world.password("b", "robot", &password).await;
    world.interrupted("b").await;
    // Nor when its process died while it waited for the answer.
    let other = jira.new_password("other");
    let hang = world
        .sim
        .hang_after(Rule::new(Fault::HangAfter).user("other"));
    world.password("c", "other", &other).await;
    hang.reached(1).await;
    operator.crash();
    hang.remove();
    let operator = world.operator().await;
    world.interrupted("c").await;
    let operator = world.two_days(operator, 3).await;
    assert_eq!(world.calls(), 2);
    for name in ["a", "c"] {
        world.asks(name, "now").await;
        world.wait_ready(name).await;
    }
    // What is no longer in doubt is in doubt for nobody.
    operator.look_again(3).await;
    world.wait_ready("b").await;
    assert_eq!(world.calls(), 5);
}

/// A validated password, and a fault that strikes its next probe, which is due at once.
async fn validated_and_due(world: &World, fault: Fault) -> (FaultHandle, TimeDelta) {
    let password = world.data_center().new_password("robot");
    world.password("bot", "robot", &password).await;
    let uid = world.wait_ready("bot").await.metadata.uid.unwrap();
    let now = world.clock.now();
    let wait = next_validation(now, TimeDelta::hours(1), &uid) - now;
    let fault = world.sim.fault(Rule::new(fault).once());
    world.advance(wait);
    (fault, wait)
}

impl World {
    /// For three quarters of an hour nothing is sent, and all is well.
    async fn is_in_no_hurry(&self, operator: &Running) {
        for minutes in [0, 1, 5, 39] {
            self.advance(TimeDelta::minutes(minutes));
            operator.look_again(1).await;
            self.wait_ready("bot").await;
        }
        assert_eq!(self.calls(), 2, "not before the usual time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validated_password_whose_answer_was_lost_stays_ready_and_is_asked_at_the_usual_time() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (lost, wait) = validated_and_due(&world, Fault::DropAfter).await;
    operator.look_again(1).await;
    assert_eq!(lost.hits(), 1);
    world.is_in_no_hurry(&operator).await;
    // When the last validation is two intervals old it would no longer count.
    world.advance(TimeDelta::minutes(120 - 45) - wait);
    operator.look_again(1).await;
    assert_eq!(world.calls(), 3);
    world.wait_ready("bot").await;
    world
        .until_told("bot", "Validated SiteUnavailable Validated")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validated_password_whose_process_died_is_asked_at_the_usual_time() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (hang, wait) = validated_and_due(&world, Fault::HangAfter).await;
    operator.poke();
    hang.reached(1).await;
    operator.crash();
    let operator = world.operator().await;
    world.is_in_no_hurry(&operator).await;
    world.advance(wait - TimeDelta::minutes(45));
    operator.look_again(1).await;
    assert_eq!(world.calls(), 3);
    world.wait_ready("bot").await;
    world
        .until_told("bot", "Validated NotValidated Validated")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_could_not_be_sent_is_tried_again_after_a_while() {
    let world = World::new().await;
    let operator = world.operator_without_idle_connections().await;
    let jira = world.data_center();
    let password = jira.new_password("robot");
    world.sim.refuse_connections(true);
    world.password("bot", "robot", &password).await;
    let (kind, status) = (ConditionType::Valid, ConditionStatus::Unknown);
    let object = world
        .wait("bot", kind, status, Reason::SiteUnavailable)
        .await;
    assert_eq!(
        says(&object, ConditionType::Reconciling).reason,
        Reason::SiteUnavailable
    );
    world.sim.refuse_connections(false);
    operator.look_again(1).await;
    assert_eq!(world.calls(), 0, "before the back-off has run out");
    world.advance(TimeDelta::seconds(20));
    operator.look_again(1).await;
    world.wait_ready("bot").await;
    assert_eq!(world.calls(), 1);
}

/// The word of a person is for one credential: while it cannot be followed, a refusal holds for
/// others.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_that_could_not_be_sent_again_is_sent_by_nobody_else() {
    let world = World::new().await;
    let operator = world.operator_without_idle_connections().await;
    world.data_center().new_password("robot");
    for name in ["bot", "twin"] {
        world.password(name, "robot", "wrong").await;
        world.refused(name, Reason::Rejected).await;
    }
    operator.quiet().await;
    world.sim.refuse_connections(true);
    world.asks("twin", "1").await;
    world.pending("twin", "1").await;
    operator.quiet().await;
    world.sim.refuse_connections(false);
    world.password("third", "robot", "wrong").await;
    world.refused("third", Reason::Rejected).await;
    operator.quiet().await;
    assert_eq!(world.calls(), 1, "that of the first");
    world.advance(TimeDelta::seconds(20));
    operator.look_again(3).await;
    assert_eq!(world.calls(), 2, "and then the one that was asked for");
}

/// Also by a process that came later.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_a_refused_password_waits_for_a_connection_that_works() {
    let world = World::new().await;
    let operator = world.operator_without_idle_connections().await;
    let jira = world.data_center();
    jira.new_password("robot");
    world.password("bot", "robot", "late").await;
    world.refused("bot", Reason::Rejected).await;
    operator.quiet().await;
    world.sim.refuse_connections(true);
    world.asks("bot", "1").await;
    world.pending("bot", "1").await;
    world.refused("bot", Reason::Rejected).await;
    operator.quiet().await;
    operator.crash();
    let operator = world.operator().await;
    operator.look_again(1).await;
    world.sim.refuse_connections(false);
    assert_eq!(jira.failed_logins("robot"), 1);
    // It is sent once, and another request makes it accepted.
    world.advance(TimeDelta::minutes(1));
    operator.look_again(1).await;
    world
        .until_status("bot", "the request is handled", |status| {
            status.pending_renew.is_none()
        })
        .await;
    let operator = world.two_days(operator, 1).await;
    assert_eq!(jira.failed_logins("robot"), 2);
    assert_eq!(world.calls(), 2);
    jira.set_password("robot", "late");
    world.asks("bot", "2").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_elsewhere_demands_no_person_when_the_released_find_no_connection() {
    let world = World::new().await;
    let operator = world.operator_without_idle_connections().await;
    let jira = world.data_center();
    jira.new_password("robot");
    // Jira has refused it of two, and the third has heard of that.
    let names = ["second", "third", "bot"];
    for name in names {
        world.password(name, "robot", "late").await;
        world.refused(name, Reason::Rejected).await;
    }
    world.asks("third", "1").await;
    world.handled("third", "1").await;
    operator.quiet().await;
    assert_eq!(jira.failed_logins("robot"), 2);
    jira.set_password("robot", "late");
    let outage = Rule::new(Fault::TlsAbort).host(jira.host()).skip(1);
    let outage = world.sim.fault(outage);
    world.asks("bot", "1").await;
    world.wait_ready("bot").await;
    // One may find another in flight, or the calls to the site paused, and waits for that.
    for _ in 0..6 {
        operator.quiet().await;
        world.advance(TimeDelta::seconds(40));
        operator.look_again(3).await;
    }
    for name in ["second", "third"] {
        let object = world.refused(name, Reason::Rejected).await;
        let attempt = object.status.unwrap().attempt.unwrap();
        assert!(attempt.next_attempt_time.is_some(), "{name} tries again");
    }
    world.sim.remove_fault(outage.id());
    for minutes in [61, 1, 1] {
        world.advance(TimeDelta::minutes(minutes));
        operator.look_again(3).await;
    }
    for name in names {
        world.wait_ready(name).await;
    }
    assert_eq!(jira.failed_logins("robot"), 0, "as a login resets it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_that_could_not_be_written_down_needs_no_person() {
    use control_plane::faults::{Fault, Requests, Verb};
    let world = World::new().await;
    let operator = world.operator().await;
    let password = world.data_center().new_password("robot");
    // The attempt is recorded; the answer finds no API server, however often it is tried.
    let status = Requests::verb(Verb::Update).resource("jiracredentials/status");
    operator.faults.add(status, 2..=7, Fault::Status(503));
    world.password("bot", "robot", &password).await;
    world.wait_ready("bot").await;
    assert_eq!(world.calls(), 2, "asked again, since it does no harm");
    assert_eq!(world.data_center().failed_logins("robot"), 0);
}

/// An answer that says nothing of the password tells at least what is to be mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_answered_by_something_else_is_sent_once_and_says_what_answered() {
    let world = World::new().await;
    let operator = world.operator().await;
    let password = world.data_center().new_password("robot");
    world.sim.fault(Rule::new(Fault::HtmlPage).once());
    world.password("bot", "robot", &password).await;
    world.interrupted("bot").await;
    let message = || async {
        let object = world.credential("bot").await;
        says(&object, ConditionType::Valid).message
    };
    let told = message().await;
    assert!(told.contains("a web page instead of data"), "{told}");
    let mark = operator.mark();
    world.advance(TimeDelta::hours(2));
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    assert_eq!((message().await, world.calls()), (told, 1));
    world.asks("bot", "now").await;
    world.wait_ready("bot").await;
}

/// Two have had it refused themselves, one has heard of it, and one logs in for a session: Jira's
/// acceptance is enough for all of them, and in this namespace only.
#[tokio::test(flavor = "multi_thread")]
async fn one_word_of_a_person_releases_all_with_the_same_password() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    jira.new_password("robot");
    for name in ["bot", "second", "third"] {
        world.password(name, "robot", "late").await;
        world.refused(name, Reason::Rejected).await;
    }
    let spec = json!({
        "site": jira.url(),
        "auth": {"session": {"secretRef": {"name": "third-source"}}},
    });
    world.create("session", spec).await;
    world.refused("session", Reason::Rejected).await;
    world.asks("second", "1").await;
    world.handled("second", "1").await;
    operator.quiet().await;
    assert_eq!(jira.failed_logins("robot"), 2);
    jira.set_password("robot", "late");
    world.advance(TimeDelta::minutes(11));
    operator.look_again(4).await;
    assert_eq!(jira.failed_logins("robot"), 2, "nobody sends it unasked");
    world.asks("bot", "1").await;
    for name in ["bot", "second", "third"] {
        world.wait_ready(name).await;
    }
    // It may have found another in flight, for whose answer it waits two seconds.
    operator.quiet().await;
    world.advance(TimeDelta::seconds(3));
    operator.look_again(4).await;
    world.wait_ready("session").await;
}
