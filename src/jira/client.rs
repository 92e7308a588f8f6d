//! Asks Jira which account a credential belongs to.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::{Host, Url};

use crate::api::Hosting;
use crate::clock::Clock;
use crate::core::probe::{Forbidden, Outage, Refusal, Verdict};
use crate::core::spec::Site;
use crate::jira::address_policy::AddressPolicy;
use crate::jira::credential::Credential;
use crate::jira::http::{Body, Clients, Timeouts, read_body};
use crate::jira::observer::{self, Observer};
use crate::jira::response::{self, Answer};
use crate::jira::site_limiter::Gates;
use crate::jira::tls::TrustError;
use crate::jira::transport_error;

/// The name of the call, for the observer.
const OPERATION: &str = "myself";

/// How Jira is called.
#[derive(Clone)]
pub struct JiraConfig {
    /// Which addresses may be connected to.
    pub addresses: AddressPolicy,
    /// Addresses of names that no name server is asked for, like lines of `/etc/hosts`.
    pub names: Vec<(String, IpAddr)>,
    /// Authorities that the administrator trusts beside those of the system, in PEM form.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// How long each part of a call may take.
    pub timeouts: Timeouts,
    /// Calls to one site at a time.
    pub concurrency: usize,
    /// Receives every call.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for JiraConfig {
    fn default() -> Self {
        Self {
            addresses: AddressPolicy::default(),
            names: Vec::new(),
            extra_ca_pem: None,
            timeouts: Timeouts::default(),
            concurrency: 4,
            observer: None,
        }
    }
}

/// Why Jira cannot be called at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JiraError {
    /// The administrator's certificates, or TLS itself.
    #[error("--extra-ca-file: {0}")]
    Trust(#[from] TrustError),
}

/// Calls Jira.
pub struct Jira {
    pub(super) clients: Clients,
    gates: Gates,
    pub(super) clock: Clock,
    observer: Option<Arc<dyn Observer>>,
}

impl fmt::Debug for Jira {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jira").finish_non_exhaustive()
    }
}

impl Jira {
    /// Reads the authorities and name servers of the machine, once.
    ///
    /// # Errors
    /// When the administrator's certificates cannot be used.
    pub fn new(config: JiraConfig, clock: Clock) -> Result<Self, JiraError> {
        let JiraConfig {
            addresses,
            names,
            extra_ca_pem,
            timeouts,
            concurrency,
            observer,
        } = config;
        let clients = Clients::new(addresses, &names, timeouts, extra_ca_pem.as_deref())?;
        Ok(Self {
            clients,
            gates: Gates::new(clock.clone(), concurrency),
            clock,
            observer,
        })
    }

    /// Asks the site which account a credential belongs to: one call, or none while the site rests.
    ///
    /// Whether the host may be called is the caller's to check, with
    /// [`HostPolicy`](super::HostPolicy); so is whether the credential
    /// [can be sent](Credential::is_sendable): one that cannot is refused here without a call.
    pub async fn whoami(
        &self,
        site: &Site,
        ca_pem: Option<&[u8]>,
        credential: &Credential,
    ) -> Verdict {
        if !credential.is_sendable() {
            return Verdict::Refused(Refusal::Rejected);
        }
        let call = async {
            match self.call(site, ca_pem, credential).await {
                Ok(verdict) | Err(verdict) => without_echo(verdict, credential),
            }
        };
        match self.in_turn(site, OPERATION, call, Verdict::clone).await {
            Ok(verdict) | Err(verdict) => verdict,
        }
    }

    /// Until when a site that asked for rest is not called.
    pub fn rate_limited_until(&self, site: &Site) -> Option<DateTime<Utc>> {
        self.gates.resting_until(site)
    }

    async fn call(
        &self,
        site: &Site,
        ca_pem: Option<&[u8]>,
        credential: &Credential,
    ) -> Result<Verdict, Verdict> {
        let url = myself(site)?;
        let now = self.clock.now();
        let validation = credential
            .validation(&url, now)
            .ok_or(Verdict::NoVerdict(Outage::NotSigned))?;
        let raw = self
            .fetch(site.hosting, ca_pem, url.clone(), Some(validation))
            .await?;
        let verdict = response::read(&raw.answer(site.hosting, self.clock.now()));
        Ok(with_destination(verdict, &url, &raw.headers))
    }

    /// One GET.
    pub(super) async fn fetch(
        &self,
        hosting: Hosting,
        ca_pem: Option<&[u8]>,
        url: Url,
        validation: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Raw, Verdict> {
        let client = self
            .clients
            .get(hosting, ca_pem)
            .map_err(|_| Verdict::NoVerdict(Outage::BadCaBundle))?;
        let mut request = client
            .get(url)
            .header(header::ACCEPT, "application/json")
            // A cache in between must not answer for Jira.
            .header(header::CACHE_CONTROL, "no-store");
        if let Some((name, value)) = validation {
            // At once: Jira never asks for it, because anonymous access is its default.
            request = request.header(name, value);
        }
        let response = request.send().await;
        Raw::read(response.map_err(|error| transport_error::verdict(&error))?).await
    }

    /// Waits for a turn at a site, makes a call, and reports it to the limiter and the observer.
    pub(super) async fn in_turn<T>(
        &self,
        site: &Site,
        operation: &'static str,
        call: impl Future<Output = T>,
        verdict_of: impl Fn(&T) -> Verdict,
    ) -> Result<T, Verdict> {
        let turn = self.gates.enter(site).await.map_err(|remaining| {
            let retry_after = Some(remaining);
            Verdict::NoVerdict(Outage::RateLimited { retry_after })
        })?;
        let started = Instant::now();
        let answer = call.await;
        let verdict = verdict_of(&answer);
        turn.learn(&verdict);
        let outcome = observer::outcome(&verdict);
        tracing::debug!(site = %site.base, operation, outcome, "called Jira");
        if let Some(observer) = &self.observer {
            observer.call(operation, outcome, started.elapsed().as_secs_f64());
        }
        Ok(answer)
    }
}

/// An answer as it was read.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Raw {
    /// The answer of a site of this hosting, for who reads it.
    pub(super) fn answer(&self, hosting: Hosting, now: DateTime<Utc>) -> Answer<'_> {
        Answer {
            hosting,
            status: self.status,
            headers: &self.headers,
            body: &self.body.bytes,
            complete: self.body.complete,
            now,
        }
    }

    pub(super) async fn read(mut response: reqwest::Response) -> Result<Self, Verdict> {
        let status = response.status().as_u16();
        let body = match read_body(&mut response).await {
            Ok(body) => body,
            // What these statuses mean does not depend on the body.
            Err(_) if status == 429 || status >= 500 => Body {
                bytes: Vec::new(),
                complete: false,
            },
            Err(error) => return Err(transport_error::verdict(&error)),
        };
        Ok(Self {
            status,
            headers: response.headers().clone(),
            body,
        })
    }
}

/// The address of the call. Version 3 exists on Cloud only; Data Center 9 redirects it to its
/// login page although the credential is good.
fn myself(site: &Site) -> Result<Url, Verdict> {
    let version = match site.hosting {
        Hosting::Cloud => 3,
        Hosting::DataCenter => 2,
    };
    let url = Url::parse(&format!("{}/rest/api/{version}/myself", site.base));
    match url {
        // An address in place of a name would never meet the check of addresses.
        Ok(url) if matches!(url.host(), Some(Host::Domain(_))) => Ok(url),
        _ => Err(Verdict::NotAllowed(Forbidden::Reserved)),
    }
}

/// A redirect to the same call under another path of the same host is how a proxy tells that Jira
/// has a context path. It is not followed either.
fn with_destination(verdict: Verdict, asked: &Url, headers: &HeaderMap) -> Verdict {
    let is_redirect = verdict == Verdict::NoVerdict(Outage::Redirect);
    let location = || {
        let value = headers.get(header::LOCATION)?.to_str().ok()?;
        asked.join(value).ok()
    };
    let Some(to) = is_redirect.then(location).flatten() else {
        return verdict;
    };
    let call = asked
        .path()
        .find("/rest/")
        .map(|at| asked.path().split_at(at));
    let elsewhere = call.is_some_and(|(_, call)| to.path().ends_with(call));
    if to.origin() == asked.origin() && to.path() != asked.path() && elsewhere {
        Verdict::NoVerdict(Outage::ContextPath)
    } else {
        verdict
    }
}

/// A site that answers with the secret as the id of the account would have us write it into a
/// status for all to read.
fn without_echo(verdict: Verdict, credential: &Credential) -> Verdict {
    match verdict {
        Verdict::Accepted(account) if credential.is_repeated_in(&account.id) => {
            Verdict::NoVerdict(Outage::NotAUser)
        }
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_into_a_context_path_is_told_from_others() {
        let context = Verdict::NoVerdict(Outage::ContextPath);
        let other = Verdict::NoVerdict(Outage::Redirect);
        let asked = Url::parse("https://jira.example.com/rest/api/2/myself").unwrap();
        for (location, expected) in [
            ("/jira/rest/api/2/myself", &context),
            ("https://jira.example.com/jira/rest/api/2/myself", &context),
            ("https://jira.example.com/a/b/rest/api/2/myself", &context),
            ("/rest/api/2/myself", &other),
            ("https://other.example.com/jira/rest/api/2/myself", &other),
            ("http://jira.example.com/jira/rest/api/2/myself", &other),
            ("https://jira.example.com:8443/rest/api/2/myself", &other),
            (
                "/login.jsp?os_destination=%2Frest%2Fapi%2F2%2Fmyself",
                &other,
            ),
            ("/login?to=/jira/rest/api/2/myself", &other),
            ("", &other),
        ] {
            let location = HeaderValue::from_str(location).unwrap();
            let headers = [(header::LOCATION, location.clone())].into_iter().collect();
            let verdict = with_destination(other.clone(), &asked, &headers);
            assert_eq!(&verdict, expected, "{location:?}");
            let refused = Verdict::Refused(Refusal::Rejected);
            let verdict = with_destination(refused.clone(), &asked, &headers);
            assert_eq!(verdict, refused);
        }
        let verdict = with_destination(other.clone(), &asked, &HeaderMap::new());
        assert_eq!(verdict, other);
    }
}
