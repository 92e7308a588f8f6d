//! The pods: they read the published Secrets and use what is in them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use kube::ResourceExt;
use kube::api::ListParams;

use super::cast::Cast;
use crate::stage::texts;

/// A token that Jira did not accept while it stood in a published Secret.
#[derive(Clone, Debug)]
pub(crate) struct Dead {
    pub(crate) name: String,
    pub(crate) at: DateTime<Utc>,
}

/// What the readers have seen.
#[derive(Default)]
pub(crate) struct Seen {
    dead: Mutex<Vec<Dead>>,
    uses: Mutex<u64>,
    /// Secrets of which one key was of another renewal than another.
    mixed: Mutex<Vec<String>>,
}

impl Seen {
    pub(crate) fn dead(&self) -> Vec<Dead> {
        let dead = self.dead.lock();
        dead.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn mixed(&self) -> Vec<String> {
        let mixed = self.mixed.lock();
        mixed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn uses(&self) -> u64 {
        *self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads and uses all published Secrets again and again.
pub(crate) async fn read_on(cast: Arc<Cast>, seen: Arc<Seen>) {
    let sim = &cast.stage.sim;
    let authority = reqwest::Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .tls_certs_only([authority])
        .resolve(sim.gateway_host(), sim.addr())
        .no_proxy()
        .build()
        .unwrap();
    let myself = format!("{}/rest/api/3/myself", cast.stage.cloud().gateway_url());
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let Ok(secrets) = cast.stage.secrets().list(&ListParams::default()).await else {
            continue;
        };
        for secret in secrets {
            let name = secret.name_any();
            if !cast.members.iter().any(|member| member.name == name) {
                continue;
            }
            let values = texts(&secret);
            let token = values["token"].clone();
            if values["authorization"] != format!("Bearer {token}") {
                seen.mixed.lock().unwrap().push(name.clone());
            }
            let answer = http.get(&myself).bearer_auth(&token).send().await;
            *seen.uses.lock().unwrap() += 1;
            if answer.is_ok_and(|answer| answer.status() == 401) {
                let at = sim.clock().now();
                // What was replaced meanwhile counts for nobody.
                let now = cast.stage.secrets().get(&name).await;
                if now.is_ok_and(|now| texts(&now)["token"] == token) {
                    seen.dead.lock().unwrap().push(Dead { name, at });
                }
            }
        }
    }
}
