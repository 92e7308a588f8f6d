//! Asks Jira what an account may do: `mypermissions`.
//!
//! Anonymous callers get an answer, too (Atlassian documentation), so that the question has a
//! meaning only right after `/myself` has accepted the credential.

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use crate::api::Hosting;
use crate::core::probe::{Outage, Permissions, Refusal, Verdict};
use crate::core::spec::Site;
use crate::jira::client::{Jira, Raw};
use crate::jira::credential::Credential;
use crate::jira::gateway::named;
use crate::jira::response::{self, Answer};
use crate::jira::site_limiter::Urgency;

/// A question about permissions.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The keys of the permissions.
    pub keys: &'a [&'a str],
    /// How long an answer is worth waiting for; `None`: as long as for any other.
    pub patience: Option<Duration>,
}

impl Jira {
    /// Asks what the account of a credential may do: one call, or none while the site rests.
    ///
    /// # Errors
    /// `Refused`: Jira will not tell this credential, for want of a scope (`InsufficientScope`) or
    /// for another reason. Else: nothing was learnt.
    pub async fn permissions(
        &self,
        site: &Site,
        ca_pem: Option<&[u8]>,
        credential: &Credential,
        question: &Question<'_>,
    ) -> Result<Permissions, Verdict> {
        let call = async {
            let url = address(site, question.keys)?;
            let header = credential
                .authorization(&url, self.clock.now())
                .ok_or(Verdict::Refused(Refusal::Forbidden))?;
            let answer = self.fetch(site.hosting, ca_pem, url, Some(header));
            let raw = match question.patience {
                Some(patience) => tokio::time::timeout(patience, answer)
                    .await
                    .map_err(|_| Verdict::NoVerdict(Outage::Timeout))??,
                None => answer.await?,
            };
            self.read_permissions(site.hosting, &raw, question.keys)
        };
        let verdict_of = super::gateway::verdict_of::<Permissions>;
        self.limited(site, ("mypermissions", Urgency::Routine), call, verdict_of)
            .await?
    }

    fn read_permissions(
        &self,
        hosting: Hosting,
        raw: &Raw,
        keys: &[&str],
    ) -> Result<Permissions, Verdict> {
        let answer = Answer {
            hosting,
            status: raw.status,
            headers: &raw.headers,
            body: &raw.body.bytes,
            complete: raw.body.complete,
            now: self.clock.now(),
        };
        read(&answer, keys)
    }
}

/// Version 3 exists on Cloud only.
fn address(site: &Site, keys: &[&str]) -> Result<Url, Verdict> {
    let version = match site.hosting {
        Hosting::Cloud => 3,
        Hosting::DataCenter => 2,
    };
    let mut url = named(&format!("{}/rest/api/{version}/mypermissions", site.base))?;
    url.set_query(Some(&format!("permissions={}", keys.join(","))));
    Ok(url)
}

/// Reads a response of `mypermissions`, by the requested keys.
///
/// # Errors
/// Why nothing was learnt, as of [`Jira::permissions`].
pub fn read(answer: &Answer<'_>, keys: &[&str]) -> Result<Permissions, Verdict> {
    let untold = Verdict::Refused(Refusal::Forbidden);
    match answer.status {
        200 if response::is_anonymous(answer.headers) => Err(untold),
        200 => told(answer, keys),
        400 => unknown(answer, keys).ok_or(untold),
        // Not served here, or not for this credential.
        404 => Err(untold),
        _ => Err(match response::read(answer) {
            Verdict::Refused(Refusal::InsufficientScope | Refusal::NoConsent) => {
                Verdict::Refused(Refusal::InsufficientScope)
            }
            outage @ Verdict::NoVerdict(_) => outage,
            // What is a word on a credential elsewhere is none here.
            Verdict::Refused(_) | Verdict::Accepted(_) | Verdict::NotAllowed(_) => untold,
        }),
    }
}

/// Cloud returns what was requested, Data Center everything it knows (reported).
fn told(answer: &Answer<'_>, keys: &[&str]) -> Result<Permissions, Verdict> {
    if !answer.complete {
        return Err(Verdict::NoVerdict(Outage::TooLarge));
    }
    let body = object(answer).ok_or(Verdict::NoVerdict(response::not_parsed(answer)))?;
    let Some(Value::Object(entries)) = body.get("permissions") else {
        return Err(Verdict::Refused(Refusal::Forbidden));
    };
    let mut permissions = Permissions::default();
    for key in keys {
        let held = entries.get(*key).map(|entry| {
            let held = entry.get("havePermission");
            held.and_then(Value::as_bool).unwrap_or_default()
        });
        let list = match held {
            Some(true) => &mut permissions.held,
            Some(false) => &mut permissions.missing,
            None => &mut permissions.unknown,
        };
        list.push((*key).to_owned());
    }
    Ok(permissions)
}

/// Cloud refuses the whole question for one key that it does not know, and names it (recorded).
fn unknown(answer: &Answer<'_>, keys: &[&str]) -> Option<Permissions> {
    let body = object(answer)?;
    let errors = body.get("errors")?.as_object()?;
    let unknown: Vec<String> = keys
        .iter()
        .filter(|key| errors.contains_key(**key))
        .map(|key| (*key).to_owned())
        .collect();
    (!unknown.is_empty()).then(|| Permissions {
        unknown,
        ..Permissions::default()
    })
}

fn object(answer: &Answer<'_>) -> Option<Map<String, Value>> {
    if !response::is_json(answer.headers) {
        return None;
    }
    match serde_json::from_slice(answer.body).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
