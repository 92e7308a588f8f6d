//! Cookie sessions: begun by one login, kept up, ended when replaced, and never a storm of logins.

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{
    ConditionStatus, ConditionType, JiraCredential, Reason, SecretKeyRef,
};
use jira_credential_operator::core::spec::grant_name;
use serde_json::{Value, json};

use crate::support::{Running, World, keys, says, value};

mod late;

pub(crate) const SESSION: &str = "/jira/rest/auth/1/session";

impl World {
    pub(crate) async fn login_secret(&self, name: &str, user: &str, password: &str) {
        let data = [("username", user), ("password", password)];
        self.secret(&format!("{name}-login"), &data).await;
    }

    pub(crate) fn session_spec(&self, name: &str) -> Value {
        json!({
            "site": self.data_center().url(),
            "auth": {"session": {"secretRef": {"name": format!("{name}-login")}}},
        })
    }

    pub(crate) async fn session(&self, name: &str, user: &str, password: &str) {
        self.login_secret(name, user, password).await;
        self.create(name, self.session_spec(name)).await;
    }

    async fn not_begun(&self, name: &str, reason: Reason) -> JiraCredential {
        let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
        self.wait(name, kind, status, reason).await
    }

    /// Requests that try to log in.
    fn login_attempts(&self) -> usize {
        let calls = self.sim.calls_for(self.data_center().host());
        let logs_in = |call: &&atlassian_sim::Call| call.path == SESSION && call.method == "POST";
        calls.iter().filter(logs_in).count()
    }

    /// Waits until a published value is another one, and returns it.
    pub(crate) async fn until_other(&self, secret: &str, key: &str, before: &str) -> String {
        self.until("another value", || async {
            let secret = self.secrets().get_opt(secret).await.unwrap()?;
            Some(value(&secret, key)).filter(|now| now != before)
        })
        .await
    }

    async fn cookie(&self, name: &str) -> String {
        value(&self.secrets().get(name).await.unwrap(), "cookie")
    }

    pub(crate) async fn login_grant(&self, name: &str) -> Option<Value> {
        let grant = grant_name(&SecretKeyRef {
            name: format!("{name}-login"),
            key: "password".into(),
        });
        let secret = self.secrets().get_opt(&grant).await.unwrap()?;
        Some(serde_json::from_str(&value(&secret, "grant")).unwrap())
    }

    fn at_login(&self, fault: Fault) -> Rule {
        Rule::new(fault)
            .host(self.data_center().host())
            .path(SESSION)
            .method("POST")
            .once()
    }
}

async fn logged_in() -> (World, Running) {
    let world = World::new().await;
    let operator = world.operator().await;
    let password = world.data_center().new_password("robot");
    world.session("bot", "robot", &password).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    (world, operator)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_begun_published_and_replaced_before_it_idles_away() {
    let (world, operator) = logged_in().await;
    let jira = world.data_center();
    let secret = world.secrets().get("bot").await.unwrap();
    let expected = [
        "JSESSIONID",
        "accountId",
        "cookie",
        "expiresAt",
        "hosting",
        "scheme",
        "site",
        "url",
    ];
    assert_eq!(keys(&secret), expected);
    assert_eq!(value(&secret, "scheme"), "Cookie");
    let first = value(&secret, "cookie");
    let id = value(&secret, "JSESSIONID");
    assert!(first.starts_with(&format!("JSESSIONID={id}; ")), "and more");
    assert_eq!(jira.logins_and_logouts(), (1, 0));
    // A fifth of its life before the end another is begun.
    let (mark, calls) = (operator.mark(), world.calls());
    world.advance(TimeDelta::minutes(250));
    operator.look_again(1).await;
    let second = world.until_other("bot", "cookie", &first).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let expected = [
        "get secrets",
        "get secrets",
        "update secrets",
        "update secrets",
        "patch secrets",
        "update secrets",
        "update jiracredentials/status",
    ];
    assert_eq!(operator.requests_since(mark), expected);
    assert_eq!(world.calls() - calls, 2);
    assert_eq!(
        jira.logins_and_logouts(),
        (2, 0),
        "pods may still use the first"
    );
    assert_eq!(jira.live_sessions(), 2);
    for _ in 0..3 {
        world.advance(TimeDelta::minutes(3));
        operator.look_again(1).await;
        operator.quiet().await;
    }
    assert_eq!(jira.logins_and_logouts(), (2, 1), "it is logged out");
    assert_eq!(jira.live_sessions(), 1);
    assert_eq!(world.cookie("bot").await, second);
    let kept = world.login_grant("bot").await.unwrap().to_string();
    assert!(!kept.contains(&id), "nothing is left of the first");
    // The password stands nowhere but in the Secret of the user.
    let password = world.secrets().get("bot-login").await.unwrap();
    assert!(!kept.contains(&value(&password, "password")));
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(mark), Vec::<String>::new());
    assert_eq!(world.asked("tokens"), 0, "a session is in no list");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_jira_dropped_is_replaced_once() {
    let (world, operator) = logged_in().await;
    let jira = world.data_center();
    let first = world.cookie("bot").await;
    jira.restart();
    world.advance(TimeDelta::minutes(70));
    operator.look_again(1).await;
    let second = world.until_other("bot", "cookie", &first).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(
        jira.logins_and_logouts(),
        (2, 0),
        "what is gone needs no logout"
    );
    // A Jira that drops every session at once is not logged into again and again.
    jira.configure(|settings| settings.session_idle_seconds = 0);
    for minutes in [70, 10, 10, 10] {
        world.advance(TimeDelta::minutes(minutes));
        operator.look_again(1).await;
        operator.quiet().await;
    }
    assert!(world.login_attempts() <= 4, "{}", world.login_attempts());
    assert_eq!(
        world.cookie("bot").await,
        second,
        "what is unvalidated stays out"
    );
    jira.configure(|settings| settings.session_idle_seconds = 18_000);
    world.advance(TimeDelta::hours(7));
    operator.look_again(1).await;
    world.wait_ready("bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_once_by_all_together() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let right = jira.new_password("robot");
    world.session("bot", "robot", "wrong").await;
    let object = world.not_begun("bot", Reason::Rejected).await;
    let message = says(&object, ConditionType::Ready).message;
    assert!(
        message.contains("Correct the Secret bot-login"),
        "{message}"
    );
    assert_eq!(
        says(&object, ConditionType::Stalled).reason,
        Reason::Rejected
    );
    for hours in [0, 1, 23] {
        world.advance(TimeDelta::hours(hours));
        operator.look_again(1).await;
    }
    operator.crash();
    let operator = world.operator().await;
    world.advance(TimeDelta::hours(24));
    operator.look_again(1).await;
    assert_eq!(
        (world.login_attempts(), jira.failed_logins("robot")),
        (1, 1)
    );
    // The same password elsewhere, as a session and as Basic, by a process that has sent nothing.
    world.session("other", "robot", "wrong").await;
    world.not_begun("other", Reason::Rejected).await;
    world.password("plain", "robot", "wrong").await;
    world.not_begun("plain", Reason::Rejected).await;
    assert_eq!(
        (world.login_attempts(), jira.failed_logins("robot")),
        (1, 1)
    );
    // A person corrects it.
    world.login_secret("bot", "robot", &right).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.login_attempts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_login_lacks_is_told_and_not_tried_again() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let password = jira.new_password("robot");
    for (name, reason) in [
        ("captcha", Reason::CaptchaRequired),
        ("steps", Reason::LoginDenied),
        ("off", Reason::BasicAuthDisabled),
    ] {
        jira.configure(|settings| {
            settings.captcha_after = (name == "captcha").then_some(0);
            settings.more_steps = name == "steps";
            settings.basic = Some(name != "off");
        });
        let before = world.login_attempts();
        let user = if name == "steps" { "robot" } else { name };
        jira.set_password(name, &password);
        world.session(name, user, &password).await;
        let object = world.not_begun(name, reason).await;
        assert_eq!(says(&object, ConditionType::Stalled).reason, reason);
        world.advance(TimeDelta::hours(7));
        operator.look_again(1).await;
        operator.quiet().await;
        assert_eq!(world.login_attempts() - before, 1, "{name}");
    }
    jira.configure(|settings| {
        settings.captcha_after = Some(3);
        settings.basic = Some(true);
    });
    for name in ["captcha", "steps", "off"] {
        world.annotate(name, "jira-operator.dev/renew", "1").await;
        world.wait_ready(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_answer_was_lost_waits_for_a_person_unless_the_password_is_known() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let password = jira.new_password("robot");
    world.sim.fault(world.at_login(Fault::DropAfter));
    world.session("bot", "robot", &password).await;
    let object = world.not_begun("bot", Reason::NotValidated).await;
    let message = says(&object, ConditionType::Ready).message;
    assert!(message.contains("its result is unknown"), "{message}");
    assert_eq!(
        says(&object, ConditionType::Stalled).reason,
        Reason::NotValidated
    );
    for hours in [1, 23] {
        world.advance(TimeDelta::hours(hours));
        operator.look_again(1).await;
    }
    operator.quiet().await;
    assert_eq!(world.login_attempts(), 1);
    world.annotate("bot", "jira-operator.dev/renew", "1").await;
    world.wait_ready("bot").await;
    assert_eq!(world.login_attempts(), 2);
    // Once accepted, it is repeated by itself.
    let first = world.cookie("bot").await;
    world.sim.fault(world.at_login(Fault::DropAfter));
    world.advance(TimeDelta::minutes(250));
    operator.look_again(1).await;
    operator.quiet().await;
    assert_eq!(world.cookie("bot").await, first);
    world.advance(TimeDelta::minutes(10));
    operator.look_again(1).await;
    world.until_other("bot", "cookie", &first).await;
    world.wait_ready("bot").await;
    assert_eq!(world.login_attempts(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_takes_over_once_it_is_validated() {
    let (world, operator) = logged_in().await;
    let jira = world.data_center();
    let first = world.cookie("bot").await;
    // One that Jira refuses ends nothing.
    world.login_secret("bot", "robot", "mistyped").await;
    let object = world
        .wait(
            "bot",
            ConditionType::RotationDue,
            ConditionStatus::True,
            Reason::RotationFailed,
        )
        .await;
    let message = says(&object, ConditionType::RotationDue).message;
    assert!(
        message.contains("new pair of user name and password"),
        "{message}"
    );
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.cookie("bot").await, first);
    assert_eq!(jira.failed_logins("robot"), 1);
    let password = jira.new_password("robot");
    world.login_secret("bot", "robot", &password).await;
    world.until_other("bot", "cookie", &first).await;
    let (kind, status) = (ConditionType::RotationDue, ConditionStatus::False);
    world.wait("bot", kind, status, Reason::NotDue).await;
    world.wait_ready("bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_password_is_gone_ends_with_one_reason() {
    let (world, operator) = logged_in().await;
    world.login_secret("bot", "robot", "mistyped").await;
    let (kind, status) = (ConditionType::RotationDue, ConditionStatus::True);
    world
        .wait("bot", kind, status, Reason::RotationFailed)
        .await;
    world.data_center().restart();
    for minutes in [70, 2, 2, 2, 70] {
        world.advance(TimeDelta::minutes(minutes));
        operator.look_again(1).await;
        operator.quiet().await;
    }
    world.not_begun("bot", Reason::Rejected).await;
    assert_eq!(world.login_attempts(), 2);
    let calls = world.calls();
    for _ in 0..3 {
        world.advance(TimeDelta::minutes(10));
        operator.look_again(1).await;
    }
    assert_eq!(world.calls(), calls, "nobody asks about it again and again");
}

/// A new password whose login has no answer, or that was refused elsewhere, ends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_of_which_nothing_is_known_holds_nothing_up() {
    let (world, operator) = logged_in().await;
    let first = world.cookie("bot").await;
    world.sim.fault(world.at_login(Fault::DropAfter));
    let password = world.data_center().new_password("robot");
    world.login_secret("bot", "robot", &password).await;
    let (kind, status) = (ConditionType::RotationDue, ConditionStatus::True);
    let object = world
        .wait("bot", kind, status, Reason::RotationFailed)
        .await;
    let message = says(&object, ConditionType::RotationDue).message;
    assert!(message.contains("is unknown"), "{message}");
    world.password("plain", "robot", "wrong").await;
    world.not_begun("plain", Reason::Rejected).await;
    world.login_secret("bot", "robot", "wrong").await;
    operator.quiet().await;
    world.advance(TimeDelta::minutes(70));
    operator.look_again(2).await;
    let object = world.wait_ready("bot").await;
    let rotation = says(&object, ConditionType::RotationDue);
    assert_eq!(rotation.reason, Reason::RotationFailed);
    assert_eq!(
        world.login_attempts(),
        2,
        "the one that Basic has sent counts for all"
    );
    assert_eq!(world.cookie("bot").await, first);
    world.login_secret("bot", "robot", &password).await;
    operator.quiet().await;
    world.annotate("bot", "jira-operator.dev/renew", "1").await;
    world.until_other("bot", "cookie", &first).await;
    let status = ConditionStatus::False;
    world.wait("bot", kind, status, Reason::NotDue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_point_of_a_login_causes_no_login_loop() {
    let world = World::new().await;
    let jira = world.data_center();
    let password = jira.new_password("robot");
    let mut operator = world.operator().await;
    let hang = world.sim.hang_after(world.at_login(Fault::HangAfter));
    world.session("bot", "robot", &password).await;
    hang.reached(1).await;
    operator.crash();
    hang.release();
    for _ in 0..3 {
        operator = world.operator().await;
        world.advance(TimeDelta::minutes(5));
        operator.look_again(1).await;
        operator.quiet().await;
        operator.crash();
    }
    operator = world.operator().await;
    world.not_begun("bot", Reason::NotValidated).await;
    // Nor by another credential with the same password.
    world.session("other", "robot", &password).await;
    world.not_begun("other", Reason::NotValidated).await;
    world.password("plain", "robot", &password).await;
    world.observed("plain").await;
    operator.look_again(3).await;
    assert_eq!(
        (world.login_attempts(), world.calls()),
        (1, 1),
        "nobody knows whether Jira counted it"
    );
    world.annotate("bot", "jira-operator.dev/renew", "1").await;
    world.wait_ready("bot").await;
    // Now that Jira has accepted it, the others need nobody.
    for _ in 0..2 {
        operator.quiet().await;
        world.advance(TimeDelta::seconds(3));
        operator.look_again(3).await;
    }
    for name in ["other", "plain"] {
        world.wait_ready(name).await;
    }
    operator.quiet().await;
    assert_eq!(world.login_attempts(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_refused_beside_sessions_that_go_on_is_sent_once_over_a_restart() {
    let (world, mut operator) = logged_in().await;
    let login = world.secrets().get("bot-login").await.unwrap();
    world
        .session("other", "robot", &value(&login, "password"))
        .await;
    world.wait_ready("other").await;
    operator.quiet().await;
    for name in ["bot", "other"] {
        world.login_secret(name, "robot", "mistyped").await;
        let (kind, status) = (ConditionType::RotationDue, ConditionStatus::True);
        world.wait(name, kind, status, Reason::RotationFailed).await;
        operator.quiet().await;
    }
    assert_eq!(world.login_attempts(), 3);
    for _ in 0..2 {
        operator.crash();
        operator = world.operator().await;
        world.advance(TimeDelta::minutes(70));
        operator.look_again(2).await;
        operator.quiet().await;
    }
    assert_eq!(world.login_attempts(), 3);
    // Once the sessions have ended there is nothing left that goes on.
    world.advance(TimeDelta::hours(5));
    operator.look_again(2).await;
    for name in ["bot", "other"] {
        let object = world.not_begun(name, Reason::Rejected).await;
        let stalled = says(&object, ConditionType::Stalled).reason;
        assert_eq!(stalled, Reason::Rejected);
    }
    assert_eq!(world.login_attempts(), 3);
}

/// A session that is never validated is never shown: what it replaced is dropped when it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_refused_account_do_not_pile_up() {
    let world = World::new().await;
    let operator = world.operator().await;
    let password = world.data_center().new_password("robot");
    world.login_secret("bot", "robot", &password).await;
    let mut spec = world.session_spec("bot");
    spec["validation"] = json!({"accountId": "JIRAUSER1"});
    world.create("bot", spec).await;
    world.not_begun("bot", Reason::AccountChanged).await;
    for _ in 0..12 {
        world.advance(TimeDelta::minutes(130));
        operator.look_again(1).await;
        operator.quiet().await;
    }
    world.not_begun("bot", Reason::AccountChanged).await;
    let kept = world.login_grant("bot").await.unwrap();
    let retired = kept["retired"].as_array().map_or(0, Vec::len);
    assert!(world.login_attempts() >= 5 && retired <= 2, "{kept}");
}
