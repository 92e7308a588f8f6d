//! A site that does not answer, or a tenant with many credentials, holds up nobody else.

use std::time::Duration;

use atlassian_sim::{Fault, FaultHandle, Rule};
use chrono::TimeDelta;
use control_plane::faults::{Fault as ApiFault, Requests, Verb};
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredentialStatus, Reason};
use serde_json::json;

use super::{FALSE, READY, tenants};
use crate::oauth::RENEWAL_IS_DUE;
use crate::support::{Running, World, be_patient, says};

/// More than the operator has slots and turns altogether.
const MANY: usize = 40;

/// How many calls the attacker may make at once to one site.
const SHARE: u64 = 3;

/// Two tenants, and an operator that waits for answers for as long as a test does.
async fn patient_tenants() -> (World, World, Running) {
    let victim = World::alone().await;
    let attacker = victim.neighbour().await;
    let operator = victim
        .operator_with(|config| {
            config.watch_namespaces.clear();
            be_patient(config);
        })
        .await;
    (victim, attacker, operator)
}

/// The same, and a site that hangs until it is released.
async fn with_hanging_site() -> (World, World, Running, FaultHandle, String) {
    let (victim, attacker, operator) = patient_tenants().await;
    let slow = victim.sim.data_center("slow");
    let hang = Rule::new(Fault::HangBefore).host(slow.host());
    let hang = victim.sim.fault(hang);
    (victim, attacker, operator, hang, slow.url())
}

impl World {
    /// Personal access tokens of this tenant at an address.
    async fn tokens_at(&self, address: &str, count: usize) {
        let site = self.sim.data_center("slow");
        for number in 0..count {
            let token = site.pat(&format!("user-{number}"));
            let (name, source) = (format!("token-{number}"), format!("token-{number}-source"));
            self.secret(&source, &[("token", token.secret())]).await;
            let reference = json!({"name": source, "key": "token"});
            let auth = json!({"personalAccessToken": {"tokenSecretRef": reference}});
            self.create(&name, json!({"site": address, "auth": auth}))
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_site_holds_up_neither_new_credentials_nor_renewals_of_others() {
    let (victim, attacker, operator, hang, slow) = with_hanging_site().await;
    victim.oauth("renewing").await;
    victim.wait_ready("renewing").await;
    attacker.tokens_at(&slow, MANY).await;
    hang.reached(SHARE).await;
    victim.api_token("new").await;
    victim.wait_ready("new").await;
    let before = victim.published("renewing").await;
    victim.advance(RENEWAL_IS_DUE);
    operator.poke();
    victim.until_other("renewing", "token", &before).await;
    assert_eq!(hang.hits(), SHARE, "nobody else was let through");

    // Those who are in the queue say so, and can be changed: one is suspended, one goes elsewhere.
    operator.quiet().await;
    operator.poke();
    let last = format!("token-{}", MANY - 1);
    let queued = |status: &JiraCredentialStatus| {
        let valid = status.condition(ConditionType::Valid);
        valid.is_some_and(|valid| valid.message.contains("in the queue"))
    };
    let object = attacker
        .until_status(&last, "it is in the queue", queued)
        .await;
    let valid = says(&object, ConditionType::Valid);
    assert_eq!(valid.reason, Reason::NotValidated);
    assert_eq!(valid.status, ConditionStatus::Unknown);
    attacker.change(&last, json!({"suspend": true})).await;
    attacker.wait(&last, READY, FALSE, Reason::Suspended).await;
    hang.release();
    for number in 0..MANY - 1 {
        attacker.wait_ready(&format!("token-{number}")).await;
    }
}

/// Two tenants share a host, and one of them chose a path on it that hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_hangs_does_not_take_the_whole_site() {
    let (victim, attacker, _operator) = patient_tenants().await;
    let shared = victim.data_center();
    let path = Rule::new(Fault::HangBefore).host(shared.host());
    let hang = victim.sim.fault(path.path("/slow"));
    let address = format!("{}/slow", shared.url().trim_end_matches("/jira"));
    attacker.tokens_at(&address, MANY).await;
    hang.reached(SHARE).await;
    victim.pat("new").await;
    victim.wait_ready("new").await;
    assert_eq!(hang.hits(), SHARE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_answers_nobody_is_paused_for_all_and_resumed() {
    let victim = World::alone().await;
    let attacker = victim.neighbour().await;
    let operator = victim
        .operator_with(|config| {
            config.watch_namespaces.clear();
            config.jira.timeouts.read = Duration::from_secs(1);
        })
        .await;
    let slow = victim.sim.data_center("slow");
    let hang = Rule::new(Fault::HangBefore).host(slow.host());
    let hang = victim.sim.fault(hang);
    let silent = async |world: &World| {
        let unavailable = Reason::SiteUnavailable;
        world.wait("token-0", READY, FALSE, unavailable).await
    };
    for world in [&victim, &attacker] {
        world.tokens_at(&slow.url(), 1).await;
        silent(world).await;
    }
    let calls = hang.hits();
    let newcomer = victim.neighbour().await;
    newcomer.tokens_at(&slow.url(), 1).await;
    let object = silent(&newcomer).await;
    let message = says(&object, READY).message;
    assert!(message.contains("paused calls"), "{message}");
    assert_eq!(hang.hits(), calls, "a newcomer waits without a call");
    hang.release();
    hang.remove();
    victim.advance(TimeDelta::minutes(1));
    operator.poke();
    for world in [&newcomer, &victim, &attacker] {
        world.wait_ready("token-0").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_many_credentials_leaves_room_for_others() {
    let (victim, attacker, operator) = tenants().await;
    // The writes of the attacker take long, so that they hold all the slots that they may have.
    let writes = Requests::verb(Verb::Create).resource("secrets");
    let writes = writes.namespace(&attacker.namespace);
    let delay = ApiFault::DelayBefore(Duration::from_secs(120));
    operator.faults.add(writes.clone(), 1.., delay);
    let site = victim.sim.data_center("slow").url();
    attacker.tokens_at(&site, MANY / 4).await;
    let slots = async || (operator.faults.count(&writes) >= 3).then_some(());
    attacker.until("three of four slots are taken", slots).await;
    victim.api_token("new").await;
    victim.wait_ready("new").await;
}
