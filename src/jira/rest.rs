//! Calls to the resources where a Data Center keeps tokens and sessions.

use std::time::Duration;

use http::header;
use reqwest::Method;
use url::{Host, Url};

use super::credential::Credential;
use super::failure;
use super::survey::verdict_of;
use super::whoami::{Jira, Raw};
use crate::core::answer::{Forbidden, Outage, Refusal, Verdict};
use crate::core::site::Site;

/// Where a resource is, and how long it is waited for.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The site.
    pub site: &'a Site,
    /// Authorities that are trusted there beside those of the system.
    pub ca_pem: Option<&'a [u8]>,
    /// A call is cut after this time.
    pub limit: Duration,
}

impl Jira {
    /// One call to a resource.
    pub(super) async fn call_resource(
        &self,
        place: &Place<'_>,
        method: Method,
        path: &str,
        credential: Option<&Credential>,
        body: Option<Vec<u8>>,
    ) -> Result<Raw, Verdict> {
        let url = resource(place.site, path)?;
        let client = self
            .clients
            .get(place.site.hosting, place.ca_pem)
            .map_err(|_| Verdict::NoVerdict(Outage::BadCaBundle))?;
        let mut call = client
            .request(method, url.clone())
            .timeout(place.limit)
            .header(header::ACCEPT, "application/json")
            .header(header::CACHE_CONTROL, "no-store")
            // Jira refuses writes that look as if a browser had been tricked into them.
            .header("x-atlassian-token", "no-check");
        if let Some(credential) = credential {
            let proof = credential.proof(&url, self.clock.now());
            let (name, value) = proof.ok_or(Verdict::Refused(Refusal::Rejected))?;
            call = call.header(name, value);
        }
        if let Some(body) = body {
            call = call
                .header(header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let response = call.send().await;
        Raw::read(response.map_err(|error| failure::verdict(&error))?).await
    }

    /// Ends what is kept at a resource, in its turn at the site. What Jira does not know any more has
    /// ended.
    pub(super) async fn end(
        &self,
        place: &Place<'_>,
        operation: &'static str,
        path: &str,
        credential: &Credential,
    ) -> Result<(), Verdict> {
        let call = async {
            let call = self.call_resource(place, Method::DELETE, path, Some(credential), None);
            ended(call.await?.status)
        };
        self.in_turn(place.site, operation, call, verdict_of)
            .await?
    }
}

fn resource(site: &Site, path: &str) -> Result<Url, Verdict> {
    match Url::parse(&format!("{}{path}", site.base)) {
        Ok(url) if matches!(url.host(), Some(Host::Domain(_))) => Ok(url),
        _ => Err(Verdict::NotAllowed(Forbidden::Reserved)),
    }
}

/// Whether what was to be ended has ended: what is ended proves itself, so that a 401 says so too.
fn ended(status: u16) -> Result<(), Verdict> {
    match status {
        200..=299 | 401 | 404 => Ok(()),
        429 => Err(Verdict::NoVerdict(Outage::RateLimited {
            retry_after: None,
        })),
        403 => Err(Verdict::Refused(Refusal::Forbidden)),
        status @ 500..=599 => Err(Verdict::NoVerdict(Outage::ServerError(status))),
        status => Err(Verdict::NoVerdict(Outage::Unexpected(status))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_told_from_what_could_not_be_asked() {
        for status in [200, 204, 401, 404] {
            assert_eq!(ended(status), Ok(()));
        }
        for status in [302, 400, 403, 429, 500, 503] {
            assert!(ended(status).is_err(), "{status}");
        }
    }
}
