//! The client of Jira: which calls may be made, on whose behalf, and over which connection.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use crate::api::Hosting;
use crate::clock::Clock;
use crate::core::probe::{Outage, SiteWait, Verdict};
use crate::core::spec::Site;
use crate::jira::http::Clients;
use crate::jira::observer::{self, Holder, Observer};
use crate::jira::response::Answer;
use crate::jira::site_limiter::{Caller, Gates, Urgency};
use crate::jira::transport_error;
use crate::net::{AddressPolicy, Body, Network, Proxy, Response, Timeouts, TrustError, read_body};

/// How Jira is called.
#[derive(Clone, Default)]
pub struct JiraConfig {
    /// Which addresses may be connected to.
    pub addresses: AddressPolicy,
    /// Addresses of names that no name server is asked for, like lines of `/etc/hosts`.
    pub names: Vec<(String, IpAddr)>,
    /// Authorities that the administrator trusts beside those of the system, in PEM form.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// The proxy that everything goes through, if there is one.
    pub proxy: Option<Proxy>,
    /// How long each part of a call may take.
    pub timeouts: Timeouts,
    /// Receives every call.
    pub observer: Option<Arc<dyn Observer>>,
    /// Asked immediately before a call whether it may be made; `None`: it always may. Not asked for what
    /// only ends what an earlier call has made.
    pub permit: Option<Permit>,
}

/// Tells whether a call may be made now.
pub type Permit = Arc<dyn Fn() -> bool + Send + Sync>;

/// Why Jira cannot be called at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JiraError {
    /// The administrator's certificates, or TLS itself.
    #[error("--extra-ca-file: {0}")]
    Trust(#[from] TrustError),
}

/// Calls Jira, for one caller. Copies share connections and limits.
#[derive(Clone)]
pub struct Jira {
    pub(super) clients: Arc<Clients>,
    gates: Arc<Gates>,
    pub(super) clock: Clock,
    observer: Option<Arc<dyn Observer>>,
    permit: Option<Permit>,
    caller: Caller,
    holder: Option<Arc<Holder>>,
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
            proxy,
            timeouts,
            observer,
            permit,
        } = config;
        let extra = extra_ca_pem.as_deref();
        let network = Network::new(addresses, &names, timeouts, extra, proxy, &clock)?;
        let clients = Clients::new(network)?;
        Ok(Self {
            clients: Arc::new(clients),
            gates: Arc::new(Gates::new(clock.clone())),
            clock,
            observer,
            permit,
            caller: Caller::default(),
            holder: None,
        })
    }

    /// What its connections are made with.
    pub fn network(&self) -> &Network {
        self.clients.network()
    }

    /// The same client, for another caller.
    #[must_use]
    pub fn on_behalf_of(&self, caller: Caller) -> Self {
        Self {
            caller,
            ..self.clone()
        }
    }

    /// The same client; the audit log names this credential with each call.
    #[must_use]
    pub fn with_holder(&self, holder: Holder) -> Self {
        Self {
            holder: Some(Arc::new(holder)),
            ..self.clone()
        }
    }

    /// The same client, for a call that sends no credential.
    pub(super) fn anonymous(&self) -> Self {
        Self {
            holder: None,
            ..self.clone()
        }
    }

    /// Whether the caller has to wait at a site.
    pub fn site_wait(&self, site: &Site, urgency: Urgency) -> Option<SiteWait> {
        self.gates.wait(site, &self.caller, urgency)
    }

    /// Whether a call may still be made that must not be made twice: `until` is the time from which
    /// another process may make it.
    pub(super) fn is_in_time(&self, until: Option<DateTime<Utc>>) -> bool {
        until.is_none_or(|until| self.clock.now() <= until && self.is_permitted())
    }

    fn is_permitted(&self) -> bool {
        self.permit.as_ref().is_none_or(|permit| permit())
    }

    /// One GET.
    pub(super) async fn fetch(
        &self,
        hosting: Hosting,
        ca_pem: Option<&[u8]>,
        url: Url,
        header: Option<(HeaderName, HeaderValue)>,
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
        if let Some((name, value)) = header {
            // At once: Jira never asks for it, because anonymous access is its default.
            request = request.header(name, value);
        }
        if !self.is_permitted() {
            return Err(Verdict::NoVerdict(Outage::TooLate));
        }
        let response = request.send().await;
        Raw::read(response.map_err(transport_error::verdict)?).await
    }

    /// Makes a call if the caller need not wait, and reports it to the limiter and the observer.
    pub(super) async fn limited<T>(
        &self,
        site: &Site,
        (operation, urgency): (&'static str, Urgency),
        call: impl Future<Output = T>,
        verdict_of: impl Fn(&T) -> Verdict,
    ) -> Result<T, Verdict> {
        let entered = self.gates.enter(site, &self.caller, urgency);
        let entered = entered.map_err(Verdict::NoVerdict)?;
        let started = Instant::now();
        let answer = call.await;
        let verdict = verdict_of(&answer);
        entered.learn(&verdict);
        let outcome = observer::outcome(&verdict);
        tracing::debug!(site = %site.base, operation, outcome, "called Jira");
        if let Some(holder) = self
            .holder
            .as_ref()
            .filter(|_| observer::was_sent(&verdict))
        {
            observer::audit(holder, site, operation, outcome);
        }
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

    pub(super) async fn read(mut response: Response) -> Result<Self, Verdict> {
        let status = response.status;
        let body = match read_body(&mut response).await {
            Ok(body) => body,
            // What these statuses mean does not depend on the body.
            Err(_) if status == 429 || status >= 500 => Body {
                bytes: Vec::new(),
                complete: false,
            },
            Err(error) => return Err(transport_error::verdict(error)),
        };
        Ok(Self {
            status,
            headers: response.headers,
            body,
        })
    }
}
