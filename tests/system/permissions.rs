//! What the account may do: required permissions, and rights that nobody asked for.

use atlassian_sim::{Canned, Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::json;

use crate::support::{World, says};

const MISSING: (ConditionStatus, Reason) = (ConditionStatus::False, Reason::PermissionMissing);

impl World {
    async fn until_missing(&self, name: &str) -> String {
        let (status, reason) = MISSING;
        let object = self.wait(name, ConditionType::Ready, status, reason).await;
        says(&object, ConditionType::Valid).message
    }

    async fn until_administrator(&self, name: &str) -> String {
        let kind = ConditionType::OverPrivileged;
        let object = self
            .wait(name, kind, ConditionStatus::True, Reason::Administrator)
            .await;
        says(&object, kind).message
    }

    fn silence_about_permissions(&self) -> atlassian_sim::FaultHandle {
        let rule = Rule::new(Fault::DropBefore);
        self.sim.fault(rule.path("/rest/api/3/mypermissions"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_permission_is_missing_until_it_is_given() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("bot");
    spec["validation"] = json!({"requiredPermissions": ["BROWSE_PROJECTS", "BULK_CHANGE"]});
    world.create("bot", spec).await;
    let text = world.until_missing("bot").await;
    assert!(text.contains(": BULK_CHANGE."), "{text}");
    operator.look_again(1).await;
    assert_eq!(
        (world.calls(), world.questions()),
        (1, 1),
        "not again at once"
    );
    assert!(world.secrets().get_opt("bot").await.unwrap().is_none());
    world.until_told("bot", "PermissionMissing").await;
    world
        .cloud()
        .set_permission("bot@acme.example", "BULK_CHANGE", true);
    world.advance(TimeDelta::hours(7));
    operator.poke();
    world.wait_ready("bot").await;
    // Lost again: what is published stays.
    world
        .cloud()
        .set_permission("bot@acme.example", "BULK_CHANGE", false);
    world.advance(TimeDelta::hours(2));
    operator.poke();
    let text = world.until_missing("bot").await;
    assert!(
        text.contains("still hold the last validated credential"),
        "{text}"
    );
    world.secrets().get("bot").await.unwrap();
    // Another spec ends it.
    let spec = json!({"validation": {"requiredPermissions": ["BROWSE_PROJECTS"]}});
    world.change("bot", spec).await;
    world.wait_ready("bot").await;
    let asked = world.questions();
    world.advance(TimeDelta::hours(2));
    operator.look_again(1).await;
    assert_eq!(world.questions(), asked + 1, "with every validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_does_not_exist_is_told_on_either_hosting() {
    let world = World::new().await;
    let operator = world.operator().await;
    let wrong = json!({"requiredPermissions": ["LAUNCH_ROCKETS"]});
    world.api_token("cloud").await;
    world.pat("own").await;
    for name in ["cloud", "own"] {
        world.wait_ready(name).await;
        world.change(name, json!({"validation": wrong})).await;
        let text = world.until_missing(name).await;
        assert!(
            text.contains("does not know the permissions LAUNCH_ROCKETS"),
            "{text}"
        );
        assert!(
            text.contains("spec.validation.requiredPermissions"),
            "{text}"
        );
        let spec = json!({"validation": {"requiredPermissions": null}});
        world.change(name, spec).await;
        world.wait_ready(name).await;
    }
    operator.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_of_an_administrator_are_told_for_every_method() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (site, jira) = (world.cloud(), world.data_center());
    site.set_permission("cloud@acme.example", "ADMINISTER", true);
    jira.set_permission("own", "SYSTEM_ADMIN", true);
    jira.set_permission("robot", "ADMINISTER", true);
    world.api_token("cloud").await;
    world.pat("own").await;
    let password = jira.new_password("robot");
    world.password("basic", "robot", &password).await;
    for (name, right) in [
        ("cloud", "ADMINISTER"),
        ("own", "SYSTEM_ADMIN"),
        ("basic", "ADMINISTER"),
    ] {
        let text = world.until_administrator(name).await;
        assert!(text.contains(&format!(": {right}.")), "{text}");
        world.wait_ready(name).await;
        world.until_told(name, "Validated Administrator").await;
    }
    assert_eq!(jira.failed_logins("robot"), 0);
    // Meant, it is no surplus.
    let spec = json!({"validation": {"requiredPermissions": ["ADMINISTER"]}});
    world.change("cloud", spec).await;
    world
        .until_status("cloud", "nothing is surplus", |status| {
            status.condition(ConditionType::OverPrivileged).is_none()
        })
        .await;
    world.wait_ready("cloud").await;
    // Taken away, it is no longer reported, a day later at the latest.
    jira.set_permission("own", "SYSTEM_ADMIN", false);
    world.advance(TimeDelta::hours(25));
    operator.poke();
    world
        .until_status("own", "nothing is surplus", |status| {
            status.condition(ConditionType::OverPrivileged).is_none()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_about_permissions_hinders_only_those_who_require_some() {
    let world = World::new().await;
    let operator = world.operator().await;
    let fault = world.silence_about_permissions();
    world.api_token("free").await;
    world.wait_ready("free").await;
    let token = world.cloud().api_token("bound@acme.example");
    world
        .secret("bound-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("bound");
    spec["validation"] = json!({"requiredPermissions": ["BROWSE_PROJECTS"]});
    world.create("bound", spec).await;
    world
        .wait(
            "bound",
            ConditionType::Valid,
            ConditionStatus::Unknown,
            Reason::SiteUnavailable,
        )
        .await;
    operator.quiet().await;
    assert!(world.secrets().get_opt("bound").await.unwrap().is_none());
    fault.remove();
    world.advance(TimeDelta::minutes(2));
    operator.poke();
    world.wait_ready("bound").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_not_refused_by_an_answer_about_permissions() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let password = jira.new_password("robot");
    let status = Fault::Canned(Canned {
        status: 401,
        headers: std::collections::BTreeMap::new(),
        body: String::new(),
    });
    let fault = world
        .sim
        .fault(Rule::new(status).path("/jira/rest/api/2/mypermissions"));
    world.password("basic", "robot", &password).await;
    world.wait_ready("basic").await;
    let spec = json!({"validation": {"requiredPermissions": ["BROWSE_PROJECTS"]}});
    world.change("basic", spec).await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::Unknown);
    world
        .wait("basic", kind, status, Reason::SiteUnavailable)
        .await;
    fault.remove();
    world.advance(TimeDelta::minutes(2));
    operator.poke();
    world.wait_ready("basic").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_scope_for_work_is_told_only_when_it_matters() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let email = "bot@acme.example";
    let token = world.cloud().scoped_token(email, &["read:jira-user"]);
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    world.create("bot", world.api_token_spec("bot")).await;
    world.wait_ready("bot").await;
    let spec = json!({"validation": {"requiredPermissions": ["BROWSE_PROJECTS"]}});
    world.change("bot", spec).await;
    let reason = Reason::InsufficientScope;
    let object = world
        .wait("bot", ConditionType::Valid, ConditionStatus::False, reason)
        .await;
    let text = says(&object, ConditionType::Valid).message;
    assert!(text.contains("read:jira-work"), "{text}");
}
