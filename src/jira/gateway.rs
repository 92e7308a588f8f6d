//! Which site a token is for: the site's own word, and the gateway's.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::{Host, Url};

use crate::api::Hosting;
use crate::core::probe::{Forbidden, Outage, Resource, Verdict};
use crate::core::spec::Site;
use crate::jira::client::Jira;
use crate::jira::credential::Credential;
use crate::jira::response::{self, Answer};
use crate::jira::site_limiter::Urgency;

/// Resources that are read; no account has more sites.
const MOST_RESOURCES: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TenantInfo {
    cloud_id: String,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    scopes: Vec<String>,
}

impl Jira {
    /// Asks a site for its id on the gateway: one call without a credential. The resource is
    /// undocumented but named in a support article of Atlassian, and works behind custom domains.
    pub async fn locate(&self, site: &Site) -> Result<String, Verdict> {
        let call = async {
            let raw = self
                .fetch(
                    site.hosting,
                    None,
                    named(&format!("{}/_edge/tenant_info", site.base))?,
                    None,
                )
                .await?;
            let answer = raw.answer(site.hosting, self.clock.now());
            read_tenant(&answer).ok_or_else(|| outage(&answer))
        };
        self.anonymous()
            .limited(site, ("tenant_info", Urgency::Routine), call, verdict_of)
            .await?
    }

    /// Asks the gateway what a token covers; `None` when it will not tell: scoped tokens of
    /// service accounts get 401 there although they work (reported).
    pub async fn survey(
        &self,
        gateway: &str,
        token: &SecretString,
    ) -> Result<Option<Vec<Resource>>, Verdict> {
        let site = endpoint(gateway, Hosting::Cloud)?;
        let call = async {
            let url = named(&format!("{gateway}/oauth/token/accessible-resources"))?;
            let credential = Credential::Bearer(token.clone());
            let header = credential.authorization(&url, self.clock.now());
            let raw = self.fetch(Hosting::Cloud, None, url, header).await?;
            let answer = raw.answer(Hosting::Cloud, self.clock.now());
            match answer.status {
                401 | 403 => Ok(None),
                _ => read_resources(&answer, token)
                    .map(Some)
                    .ok_or_else(|| outage(&answer)),
            }
        };
        self.limited(
            &site,
            ("accessible_resources", Urgency::Routine),
            call,
            verdict_of,
        )
        .await?
    }
}

/// Why an answer says nothing.
pub(super) fn outage(answer: &Answer<'_>) -> Verdict {
    match response::read(answer) {
        outage @ Verdict::NoVerdict(_) => outage,
        // What is a word on a credential elsewhere is none here.
        Verdict::Accepted(_) | Verdict::Refused(_) | Verdict::NotAllowed(_) => {
            Verdict::NoVerdict(Outage::Unexpected(answer.status))
        }
    }
}

pub(super) fn verdict_of<T>(answer: &Result<T, Verdict>) -> Verdict {
    match answer {
        // The outcome of a call that is no question about an account.
        Ok(_) => Verdict::Accepted(crate::api::Account {
            id: String::new(),
            kind: None,
            display_name: None,
            user_name: None,
        }),
        Err(verdict) => verdict.clone(),
    }
}

/// An address of Atlassian's, in the form that gates and clients know.
pub(super) fn endpoint(address: &str, hosting: Hosting) -> Result<Site, Verdict> {
    let url = named(address)?;
    let host = url.host_str().unwrap_or_default().to_owned();
    Ok(Site {
        hosting,
        base: address.trim_end_matches('/').to_owned(),
        host,
    })
}

/// An address with a name for a host: one with an address would never meet the check of addresses.
pub(super) fn named(address: &str) -> Result<Url, Verdict> {
    match Url::parse(address) {
        Ok(url) if matches!(url.host(), Some(Host::Domain(_))) => Ok(url),
        _ => Err(Verdict::NotAllowed(Forbidden::Reserved)),
    }
}

/// The id of a site, as the site says it; `None` when it does not.
pub fn read_tenant(answer: &Answer<'_>) -> Option<String> {
    if answer.status != 200 || !answer.complete {
        return None;
    }
    let info: TenantInfo = serde_json::from_slice(answer.body).ok()?;
    is_id(&info.cloud_id).then_some(info.cloud_id)
}

/// The sites that a token covers, as the gateway says it; `None` when it does not.
pub fn read_resources(answer: &Answer<'_>, token: &SecretString) -> Option<Vec<Resource>> {
    if answer.status != 200 || !answer.complete {
        return None;
    }
    let entries: Vec<Entry> = serde_json::from_slice(answer.body).ok()?;
    let sane = |entry: &Entry| is_id(&entry.id) && entry.id != token.expose_secret();
    Some(
        entries
            .into_iter()
            .filter(sane)
            .take(MOST_RESOURCES)
            .map(|entry| Resource {
                id: entry.id,
                url: entry.url,
                scopes: entry.scopes,
            })
            .collect(),
    )
}

/// The id becomes part of an address and of a status.
fn is_id(id: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !id.is_empty() && id.len() <= 64 && id.bytes().all(known)
}
