//! Calls to the resources where a Data Center keeps tokens and sessions.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{Method, header};
use url::{Host, Url};

use crate::core::probe::{Forbidden, Outage, Refusal, Verdict};
use crate::core::spec::Site;
use crate::jira::client::{Jira, Raw};
use crate::jira::credential::Credential;
use crate::jira::gateway::verdict_of;
use crate::jira::response::{self, Answer};
use crate::jira::site_limiter::Urgency;
use crate::jira::transport_error;

/// Where a resource is, and how long it is waited for.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The site.
    pub site: &'a Site,
    /// Authorities that are trusted there beside those of the system.
    pub ca_pem: Option<&'a [u8]>,
    /// A call is cut after this time.
    pub limit: Duration,
    /// No call starts after this time, however long it waited for its turn: another process may
    /// have made it.
    pub until: Option<DateTime<Utc>>,
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
            let header = credential.authorization(&url, self.clock.now());
            let (name, value) = header.ok_or(Verdict::Refused(Refusal::Rejected))?;
            call = call.header(name, value);
        }
        if let Some(body) = body {
            call = call
                .header(header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        if !self.is_in_time(place.until) {
            return Err(Verdict::NoVerdict(Outage::TooLate));
        }
        let response = call.send().await;
        Raw::read(response.map_err(transport_error::verdict)?).await
    }

    /// Ends what is kept at a resource, in its turn at the site. What Jira does not know any more
    /// has ended.
    pub(super) async fn end(
        &self,
        place: &Place<'_>,
        operation: &'static str,
        path: &str,
        credential: &Credential,
    ) -> Result<(), Verdict> {
        let call = async {
            let call = self.call_resource(place, Method::DELETE, path, Some(credential), None);
            let raw = call.await?;
            ended(&raw.answer(place.site.hosting, self.clock.now()))
        };
        self.limited(place.site, (operation, Urgency::Routine), call, verdict_of)
            .await?
    }
}

/// The word for metrics and logs of a call from which nothing was learnt.
pub fn silence(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::NotAllowed(_) => "not_allowed",
        Verdict::NoVerdict(Outage::TooLate) => "too_late",
        Verdict::Accepted(_) | Verdict::Refused(_) | Verdict::NoVerdict(_) => "no_verdict",
    }
}

fn resource(site: &Site, path: &str) -> Result<Url, Verdict> {
    match Url::parse(&format!("{}{path}", site.base)) {
        Ok(url) if matches!(url.host(), Some(Host::Domain(_))) => Ok(url),
        _ => Err(Verdict::NotAllowed(Forbidden::Reserved)),
    }
}

/// Whether what was to be ended has ended. Only Jira's own word counts: a proxy without Jira behind
/// it answers 404 as well, and an old token would be forgotten that still works. A 401 is a
/// refusal: it is for who knows what was asked in whose name.
fn ended(answer: &Answer<'_>) -> Result<(), Verdict> {
    match answer.status {
        200..=299 if !response::is_html(answer) => Ok(()),
        404 if response::is_json(answer.headers) => Ok(()),
        status => Err(match response::read(answer) {
            Verdict::Accepted(_) => Verdict::NoVerdict(Outage::Unexpected(status)),
            other => other,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use chrono::TimeDelta;
    use http::HeaderMap;
    use secrecy::SecretString;

    use super::*;
    use crate::api::Hosting;
    use crate::clock::Clock;
    use crate::jira::{JiraConfig, Login, LoginAnswer, MintAnswer, Owner};

    #[tokio::test]
    async fn what_somebody_else_may_have_done_by_now_is_not_sent() {
        let clock = Clock::standing_at(chrono::DateTime::UNIX_EPOCH);
        let config = JiraConfig {
            names: vec![("jira.example".into(), Ipv4Addr::LOCALHOST.into())],
            ..JiraConfig::default()
        };
        let jira = Jira::new(config, clock.clone()).unwrap();
        let site = Site {
            hosting: Hosting::DataCenter,
            base: "https://jira.example".into(),
            host: "jira.example".into(),
        };
        let place = Place {
            site: &site,
            ca_pem: None,
            limit: Duration::from_secs(3),
            until: Some(clock.now() + TimeDelta::seconds(60)),
        };
        let (token, user) = (SecretString::from("t"), "robot");
        let owner = Owner {
            place,
            token: &token,
        };
        let login = Login {
            place,
            user,
            password: &token,
        };
        // No call leaves this machine: the address is checked and refused.
        let mut expected = Verdict::NotAllowed(Forbidden::Loopback);
        for _ in 0..2 {
            let silent = |verdict: Verdict| assert_eq!(verdict, expected);
            match jira.log_in(&login).await {
                LoginAnswer::Silent(verdict) => silent(verdict),
                other => panic!("{other:?}"),
            }
            match jira.mint(&owner, "name", 1).await {
                MintAnswer::Silent(verdict) => silent(verdict),
                other => panic!("{other:?}"),
            }
            silent(jira.list_tokens(&owner).await.unwrap_err().verdict());
            silent(jira.revoke(&owner, "1").await.unwrap_err());
            silent(jira.log_out(&place, &token).await.unwrap_err());
            clock.advance(TimeDelta::seconds(61));
            expected = Verdict::NoVerdict(Outage::TooLate);
        }
    }

    fn word(status: u16, headers: &[(&'static str, &str)], body: &str) -> Result<(), Verdict> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(*name, value.parse().unwrap());
        }
        ended(&Answer {
            hosting: Hosting::DataCenter,
            status,
            headers: &all,
            body: body.as_bytes(),
            complete: true,
            now: chrono::DateTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn what_has_ended_is_told_from_what_could_not_be_asked() {
        let json = ("content-type", "application/json");
        let html = ("content-type", "text/html");
        let jira = ("x-arequestid", "1x1x1");
        assert_eq!(word(204, &[jira], ""), Ok(()));
        assert_eq!(word(200, &[json], "{}"), Ok(()));
        let unknown = r#"{"errorMessages":["gone"]}"#;
        assert_eq!(word(404, &[json, jira], unknown), Ok(()));
        let refused = Err(Verdict::Refused(Refusal::Rejected));
        let seraph = ("x-seraph-loginreason", "AUTHENTICATED_FAILED");
        assert_eq!(word(401, &[json, jira, seraph], "{}"), refused);
        for (status, headers) in [
            (200, [html]),
            (404, [html]),
            (401, [html]),
            (302, [html]),
            (500, [json]),
            (503, [json]),
            (429, [json]),
        ] {
            let word = word(status, &headers, "<html></html>");
            let silent = matches!(word, Err(Verdict::NoVerdict(_)));
            assert!(silent, "{status} {headers:?}: {word:?}");
        }
    }
}
