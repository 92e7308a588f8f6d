//! What tests of a proxy share.

use std::path::Path;

use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential, Reason};
use jira_credential_operator::controller::OperatorConfig;
use jira_credential_operator::jira::{HostPolicy, Proxy};
use serde_json::json;

use crate::support::{Running, World};

/// More than an interval and its splay.
pub(crate) const INTERVAL: TimeDelta = TimeDelta::minutes(67);

pub(crate) fn allow_hosts(config: &mut OperatorConfig) {
    let data_centers = ["*.dc.closed.invalid", "*.dc.localhost", "localhost"];
    config.hosts = HostPolicy::parse(["*.cloud.closed.invalid"], data_centers).unwrap();
}

/// An operator that calls everything but `*.dc.localhost` through a proxy.
pub(crate) async fn through(world: &World, url: &str, credentials: Option<&Path>) -> Running {
    let proxy = Proxy::parse(url, [".dc.localhost"], credentials).unwrap();
    let change = |config: &mut OperatorConfig| {
        allow_hosts(config);
        config.jira.proxy = proxy;
    };
    world.operator_with(change).await
}

/// A personal access token, and the credential that uses it.
pub(crate) async fn pat(world: &World, name: &str, dc: &atlassian_sim::DataCenter) {
    let token = dc.pat(name);
    world
        .secret(&format!("{name}-source"), &[("token", token.secret())])
        .await;
    let mut spec = world.pat_spec(name);
    spec["site"] = json!(dc.url());
    world.create(name, spec).await;
}

/// Waits until `Reconciling` tells of an outage in these words.
pub(crate) async fn told(world: &World, name: &str, words: &str) -> String {
    world
        .until("the status reports the outage", async || {
            let object = world.credential(name).await;
            let status = object.status.as_ref()?;
            let found = status.condition(ConditionType::Reconciling)?;
            let is_told = found.reason == Reason::SiteUnavailable && found.message.contains(words);
            is_told.then(|| found.message.clone())
        })
        .await
}

/// Has the credential validated, and waits until nothing is wrong.
pub(crate) async fn recovers(world: &World, operator: &Running, name: &str) -> JiraCredential {
    world.advance(INTERVAL);
    operator.look_again(1).await;
    world
        .until("the outage is over", async || {
            let object = world.credential(name).await;
            let status = object.status.as_ref()?;
            let ready = status.condition(ConditionType::Ready)?;
            let is_over = status.attempt.is_none() && ready.status == ConditionStatus::True;
            is_over.then_some(object.clone())
        })
        .await
}
