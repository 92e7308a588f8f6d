//! The people around the operator: one who consents again when she is asked to, and others who
//! touch Secrets while nobody wants them to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use jira_credential_operator::api::{ConditionType, JiraCredential, Reason};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use super::cast::Cast;
use super::dice::Dice;

/// A consent that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) family: u64,
    pub(crate) message: String,
    /// When the operator said so.
    pub(crate) since: DateTime<Utc>,
    /// When the person consented.
    pub(crate) at: DateTime<Utc>,
}

/// All consents that were asked for.
#[derive(Default)]
pub(crate) struct Requests(Mutex<Vec<Asked>>);

impl Requests {
    pub(crate) fn all(&self) -> Vec<Asked> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Consents again wherever that is asked for and the last consent is over indeed.
pub(crate) async fn consent_on(cast: Arc<Cast>, requests: Arc<Requests>) {
    loop {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let all = ListParams::default();
        let Ok(credentials) = cast.stage.credentials().list(&all).await else {
            continue;
        };
        for object in credentials {
            let Some((message, since)) = reconsent(&object) else {
                continue;
            };
            let member = cast.member(&object.name_any());
            let consent = member.consent();
            if consent.is_alive() {
                continue;
            }
            requests.0.lock().unwrap().push(Asked {
                name: member.name.clone(),
                family: consent.family(),
                message,
                since,
                at: cast.stage.sim.clock().now(),
            });
            cast.consent(member).await;
        }
    }
}

/// What the operator says when a person must consent again, and since when.
fn reconsent(object: &JiraCredential) -> Option<(String, DateTime<Utc>)> {
    let ready = object.status.as_ref()?.condition(ConditionType::Ready)?;
    let asked = ready.reason == Reason::ReconsentRequired;
    asked.then(|| (ready.message.clone(), ready.last_transition_time))
}

/// Touches the seeds, as a person does who applies them again from a repository, and the grants.
pub(crate) async fn meddle_on(cast: Arc<Cast>, mut dice: Dice) {
    for round in 0_u64.. {
        tokio::time::sleep(Duration::from_millis(100 + dice.below(200))).await;
        let index = usize::try_from(dice.below(cast.members.len() as u64)).unwrap();
        let name = &cast.members[index].name;
        let secret = if dice.below(2) == 0 {
            format!("{name}-seed")
        } else {
            match cast.grants().await.remove(name) {
                Some(grant) => grant.secret,
                None => continue,
            }
        };
        let label = json!({"metadata": {"labels": {"touched": round.to_string()}}});
        let patch = Patch::Merge(label);
        let params = PatchParams::default();
        // The API server may be away.
        let _ = cast.stage.secrets().patch(&secret, &params, &patch).await;
    }
}

/// How often each credential's event asked for a consent.
pub(crate) async fn events(cast: &Cast) -> BTreeMap<String, usize> {
    let api: Api<Event> = Api::namespaced(cast.stage.client(), &cast.stage.namespace);
    let mut counts = BTreeMap::new();
    for event in api.list(&ListParams::default()).await.unwrap() {
        let about = event.regarding.and_then(|about| about.name);
        if event.reason.as_deref() == Some("ReconsentRequired") {
            *counts.entry(about.unwrap_or_default()).or_default() += 1;
        }
    }
    counts
}
