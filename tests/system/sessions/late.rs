//! Logins that are held up, overtaken, or not sent at all.

use std::time::Duration;

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use control_plane::faults::{Fault as ApiFault, Requests, Verb};
use jira_credential_operator::api::{RENEW_ANNOTATION, Reason};
use jira_credential_operator::controller::OperatorConfig;

use super::logged_in;
use crate::support::{World, be_patient};

/// A write of which the operator hears so late that a test can act meanwhile.
const HELD_UP: ApiFault = ApiFault::DelayAfter(Duration::from_secs(2));

impl World {
    async fn until_login_is_written_down(&self, name: &str) {
        self.until("the login is written down", || async {
            let grant = self.login_grant(name).await?;
            (!grant["intent"].is_null()).then_some(())
        })
        .await;
    }
}

/// What was written down and held up is not sent later, and stands in nobody's way: not even when
/// the credential is another one by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_held_up_is_made_for_the_credential_that_was_applied_again() {
    let (world, operator) = logged_in().await;
    let first = world.cookie("bot").await;
    let intend = Requests::verb(Verb::Update).resource("secrets");
    operator.faults.add(intend, 1..=1, HELD_UP);
    world.advance(TimeDelta::minutes(250));
    operator.poke();
    world.until_login_is_written_down("bot").await;
    world.delete("bot").await;
    world.advance(TimeDelta::minutes(2));
    assert_eq!(world.login_attempts(), 1, "it is held up");
    world.create("bot", world.session_spec("bot")).await;
    world.wait_ready("bot").await;
    for _ in 0..3 {
        operator.quiet().await;
        world.advance(TimeDelta::minutes(3));
        operator.look_again(1).await;
    }
    world.until_other("bot", "cookie", &first).await;
    world.wait_ready("bot").await;
    assert_eq!(world.login_attempts(), 2);
}

/// A password that was never accepted waits for a person only if it may have been sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_login_that_was_not_sent_needs_no_person() {
    // Written and reported as failed; and the next time not written.
    let unheard = vec![ApiFault::LostAnswerStatus(504)];
    let twice = vec![ApiFault::LostAnswerStatus(504), ApiFault::Status(503)];
    for faults in [vec![HELD_UP], unheard, twice] {
        let world = World::new().await;
        let operator = world.operator().await;
        for (nth, fault) in (1..).zip(&faults) {
            let intend = Requests::verb(Verb::Update).resource("secrets");
            operator.faults.add(intend, nth..=nth, *fault);
        }
        let password = world.data_center().new_password("robot");
        world.session("bot", "robot", &password).await;
        if faults == [HELD_UP] {
            world.until_login_is_written_down("bot").await;
            world.advance(TimeDelta::minutes(2));
            assert_eq!(world.login_attempts(), 0, "it is held up");
        }
        world.wait_ready("bot").await;
        operator.quiet().await;
        assert_eq!(world.login_attempts(), 1, "{faults:?}");
    }
}

/// The next process cannot know what was not sent, unless it is written down.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_login_that_was_held_up_until_the_end_needs_no_person() {
    let world = World::new().await;
    let operator = world.operator().await;
    let intend = Requests::verb(Verb::Update).resource("secrets");
    operator.faults.add(intend, 1..=1, HELD_UP);
    let password = world.data_center().new_password("robot");
    world.session("bot", "robot", &password).await;
    world.until_login_is_written_down("bot").await;
    world.advance(TimeDelta::minutes(2));
    operator.stop().await;
    assert_eq!(world.login_attempts(), 0);
    let _next = world.operator().await;
    world.wait_ready("bot").await;
    assert_eq!(world.login_attempts(), 1);
}

/// Nor when that it was not sent could not be written down.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_login_without_a_connection_needs_no_person() {
    let world = World::new().await;
    let operator = world.operator().await;
    let host = world.data_center().host().to_owned();
    let refused = world
        .sim
        .fault(Rule::new(Fault::TlsUnknownCa).host(host).once());
    let writes = Requests::verb(Verb::Update).resource("secrets");
    operator.faults.add(writes, 2..=6, ApiFault::Unreachable);
    let password = world.data_center().new_password("robot");
    world.session("bot", "robot", &password).await;
    refused.reached(1).await;
    world
        .until("all tries to write it down", || async {
            (operator.faults.struck() == 5).then_some(())
        })
        .await;
    operator.quiet().await;
    world.advance(TimeDelta::minutes(1));
    operator.look_again(1).await;
    world.wait_ready("bot").await;
}

/// What a person wants tried again is tried, if not at once; others do not send it meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_persons_request_survives_a_login_that_was_not_sent() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    jira.new_password("robot");
    world.session("bot", "robot", "wrong").await;
    world.not_begun("bot", Reason::Rejected).await;
    jira.set_password("robot", "wrong");
    let busy = Fault::RateLimit {
        retry_after: Some(300),
        html: false,
    };
    let busy = world.sim.fault(world.at_login(busy));
    world.annotate("bot", RENEW_ANNOTATION, "1").await;
    busy.reached(1).await;
    operator.quiet().await;
    world.session("other", "robot", "wrong").await;
    world.not_begun("other", Reason::Rejected).await;
    world.advance(TimeDelta::minutes(2));
    operator.look_again(2).await;
    assert_eq!(world.login_attempts(), 2, "Jira wants to rest");
    world.advance(TimeDelta::minutes(4));
    operator.look_again(2).await;
    world.wait_ready("bot").await;
    assert_eq!(
        jira.failed_logins("robot"),
        0,
        "but the first, which was forgiven"
    );
    world.annotate("other", RENEW_ANNOTATION, "1").await;
    world.wait_ready("other").await;
}

/// An earlier login without an answer is set aside by a person's word as well as a refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_persons_request_survives_an_outage_after_an_unanswered_login() {
    let world = World::new().await;
    let operator = world.operator().await;
    let password = world.data_center().new_password("robot");
    world.sim.fault(world.at_login(Fault::DropAfter));
    world.session("bot", "robot", &password).await;
    world.not_begun("bot", Reason::NotValidated).await;
    operator.quiet().await;
    let host = world.data_center().host().to_owned();
    let away = Rule::new(Fault::TlsUnknownCa).host(host).once();
    let away = world.sim.fault(away);
    world.annotate("bot", RENEW_ANNOTATION, "1").await;
    away.reached(1).await;
    operator.quiet().await;
    assert_eq!(world.login_attempts(), 1);
    world.advance(TimeDelta::minutes(1));
    operator.look_again(1).await;
    world.wait_ready("bot").await;
    assert_eq!(world.login_attempts(), 2);
}

/// The one login that a dropped session earns may go unanswered.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_jira_dropped_is_replaced_though_the_first_answer_is_lost() {
    let busy = Fault::RateLimit {
        retry_after: Some(90),
        html: false,
    };
    for fault in [Fault::DropAfter, Fault::DropBefore, busy] {
        let (world, operator) = logged_in().await;
        let first = world.cookie("bot").await;
        world.data_center().restart();
        world.sim.fault(world.at_login(fault));
        world.advance(TimeDelta::minutes(70));
        operator.look_again(1).await;
        for _ in 0..4 {
            world.advance(TimeDelta::minutes(2));
            operator.look_again(1).await;
        }
        world.until_other("bot", "cookie", &first).await;
        world.wait_ready("bot").await;
        assert_eq!(world.login_attempts(), 3);
        world.advance(TimeDelta::minutes(10));
        operator.look_again(1).await;
        assert_eq!(world.login_attempts(), 3, "and only then");
    }
}

/// A login is written down when it is its turn: what stands in a grant is sent at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_waits_for_its_turn_is_not_written_down() {
    let world = World::new().await;
    let one_at_a_time = |config: &mut OperatorConfig| {
        config.max_concurrent_calls_per_site = 1;
        be_patient(config);
    };
    let operator = world.operator_with(one_at_a_time).await;
    let names = ["bot", "other"];
    let mut cookies = Vec::new();
    for name in names {
        let password = world.data_center().new_password(name);
        world.session(name, name, &password).await;
        world.wait_ready(name).await;
        cookies.push(world.cookie(name).await);
    }
    operator.quiet().await;
    let hang = world.sim.hang_after(world.at_login(Fault::HangAfter));
    world.advance(TimeDelta::minutes(250));
    operator.poke();
    hang.reached(1).await;
    operator.quiet().await;
    let mut in_the_queue = 0;
    for name in names {
        let grant = world.login_grant(name).await.unwrap();
        in_the_queue += usize::from(grant["intent"].is_null());
    }
    assert_eq!(in_the_queue, 1);
    hang.release();
    for (name, before) in names.iter().zip(&cookies) {
        world.until_other(name, "cookie", before).await;
        world.wait_ready(name).await;
    }
    assert_eq!(world.login_attempts(), 4);
}

/// A process that hears late that its login is written down sends nothing: another one has taken over.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_written_down_long_ago_is_not_sent() {
    let (world, operator) = logged_in().await;
    let first = world.cookie("bot").await;
    let intend = Requests::verb(Verb::Update).resource("secrets");
    let held_up = ApiFault::DelayAfter(Duration::from_secs(8));
    operator.faults.add(intend, 1..=1, held_up);
    let passes = operator.operator.passes();
    world.advance(TimeDelta::minutes(250));
    operator.poke();
    world.until_login_is_written_down("bot").await;
    let next = world.operator().await;
    for _ in 0..4 {
        world.advance(TimeDelta::seconds(95));
        next.look_again(1).await;
    }
    world.until_other("bot", "cookie", &first).await;
    world
        .until("the first process goes on", || async {
            (operator.operator.passes() > passes).then_some(())
        })
        .await;
    operator.quiet().await;
    assert_eq!(world.login_attempts(), 2);
    world.wait_ready("bot").await;
}

/// Who hears of a session when somebody else has begun another ends it: nobody else knows of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_comes_when_another_has_taken_over_is_ended() {
    let world = World::new().await;
    let operator = world.patient_operator().await;
    let password = world.data_center().new_password("robot");
    world.session("bot", "robot", &password).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let first = world.cookie("bot").await;
    let hang = world.sim.hang_after(world.at_login(Fault::HangAfter));
    world.advance(TimeDelta::minutes(250));
    operator.poke();
    hang.reached(1).await;
    let next = world.operator().await;
    for _ in 0..4 {
        world.advance(TimeDelta::seconds(95));
        next.look_again(1).await;
    }
    let second = world.until_other("bot", "cookie", &first).await;
    let jira = world.data_center();
    assert_eq!(
        (jira.logins_and_logouts(), jira.live_sessions()),
        ((3, 0), 3)
    );
    hang.release();
    world
        .until("the session that came too late is ended", || async {
            (jira.logins_and_logouts() == (3, 1)).then_some(())
        })
        .await;
    operator.quiet().await;
    assert_eq!(world.cookie("bot").await, second);
    world.wait_ready("bot").await;
    for _ in 0..3 {
        world.advance(TimeDelta::minutes(3));
        next.look_again(1).await;
    }
    assert_eq!(
        (jira.logins_and_logouts(), jira.live_sessions()),
        ((3, 2), 1)
    );
    assert_eq!(world.cookie("bot").await, second);
}
