//! HTTPS clients that may carry a credential: their limits of time, size and number, and what they read.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use reqwest::{Client, Response, redirect, retry};

use crate::api::Hosting;
use crate::jira::address_policy::AddressPolicy;
use crate::jira::dns::{Names, SiteResolver};
use crate::jira::tls::{Trust, TrustError};

/// Longest answer that is read. A user is a few kilobytes.
const LONGEST_BODY: usize = 64 * 1024;
/// Clients for private authorities that are kept; the one unused for longest goes first.
const MOST_CLIENTS: usize = 32;
const IDLE_CONNECTIONS_PER_HOST: usize = 4;
const USER_AGENT: &str = concat!("jira-credential-operator/", env!("CARGO_PKG_VERSION"));

/// How long each part of a call may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Resolution of the name; part of `connect`.
    pub resolve: Duration,
    /// Resolution, connection and TLS handshake.
    pub connect: Duration,
    /// Silence while an answer is awaited or read.
    pub read: Duration,
    /// The whole call.
    pub total: Duration,
    /// How long an unused connection is kept. Shorter than what servers keep (Tomcat, which
    /// carries Data Center: 20 s): a request on a connection that is just being closed is lost
    /// without an answer, and a password that may have been counted is not sent twice.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(4),
            connect: Duration::from_secs(5),
            read: Duration::from_secs(10),
            total: Duration::from_secs(20),
            idle: Duration::from_secs(15),
        }
    }
}

type Digest = [u8; SHA256_OUTPUT_LEN];

/// The clients: one per hosting, since the addresses that are allowed differ, and one per bundle
/// of private authorities, so that the trust of one credential never reaches another.
pub(super) struct Clients {
    trust: Trust,
    names: Names,
    addresses: Arc<AddressPolicy>,
    timeouts: Timeouts,
    cloud: Client,
    data_center: Client,
    /// Most recently used last.
    private: Mutex<VecDeque<(Digest, Client)>>,
}

impl Clients {
    pub(super) fn new(
        addresses: AddressPolicy,
        names: &[(String, IpAddr)],
        timeouts: Timeouts,
        extra_ca_pem: Option<&[u8]>,
    ) -> Result<Self, TrustError> {
        let trust = Trust::of_the_machine(extra_ca_pem)?;
        let names = Names::of_the_machine(timeouts.resolve).with(names);
        let addresses = Arc::new(addresses);
        let client = |hosting| {
            let resolver = SiteResolver::new(names.clone(), Arc::clone(&addresses), hosting);
            build(&trust, None, resolver, timeouts)
        };
        let (cloud, data_center) = (client(Hosting::Cloud)?, client(Hosting::DataCenter)?);
        let private = Mutex::default();
        Ok(Self {
            trust,
            names,
            addresses,
            timeouts,
            cloud,
            data_center,
            private,
        })
    }

    /// The client for a site. Atlassian's cloud has public certificates, so that the authorities
    /// of a credential count for Data Center only.
    pub(super) fn get(
        &self,
        hosting: Hosting,
        ca_pem: Option<&[u8]>,
    ) -> Result<Client, TrustError> {
        match (hosting, ca_pem) {
            (Hosting::Cloud, _) => Ok(self.cloud.clone()),
            (Hosting::DataCenter, None) => Ok(self.data_center.clone()),
            (Hosting::DataCenter, Some(pem)) => self.trusting(pem),
        }
    }

    fn trusting(&self, pem: &[u8]) -> Result<Client, TrustError> {
        let mut key = Digest::default();
        key.copy_from_slice(digest(&SHA256, pem).as_ref());
        let mut clients = self.private.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.iter().position(|(digest, _)| *digest == key);
        let client = if let Some((_, client)) = known.and_then(|at| clients.remove(at)) {
            client
        } else {
            let addresses = Arc::clone(&self.addresses);
            let resolver = SiteResolver::new(self.names.clone(), addresses, Hosting::DataCenter);
            build(&self.trust, Some(pem), resolver, self.timeouts)?
        };
        clients.push_back((key, client.clone()));
        if clients.len() > MOST_CLIENTS {
            clients.pop_front();
        }
        Ok(client)
    }
}

/// A client that sends a credential to the site only: no redirect, no retry, no cookie, no
/// referer, and no proxy. The proxy of the environment is left out on purpose: the name would be
/// resolved by the proxy, behind the check of the address.
fn build(
    trust: &Trust,
    ca_pem: Option<&[u8]>,
    resolver: SiteResolver,
    timeouts: Timeouts,
) -> Result<Client, TrustError> {
    Client::builder()
        .tls_backend_preconfigured(trust.client_config(ca_pem)?)
        .https_only(true)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .dns_resolver(Arc::new(resolver))
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.read)
        .timeout(timeouts.total)
        .pool_idle_timeout(timeouts.idle)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
        .user_agent(USER_AGENT)
        .build()
        .map_err(|_| TrustError::Unsupported)
}

/// The beginning of a body.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// Whether that is all of it.
    pub(super) complete: bool,
}

/// Reads the body of an answer of the usual length.
pub(super) async fn read_body(response: &mut Response) -> Result<Body, reqwest::Error> {
    read_body_up_to(response, LONGEST_BODY).await
}

/// Reads a body up to a limit; what lies beyond is never asked for.
pub(super) async fn read_body_up_to(
    response: &mut Response,
    longest: usize,
) -> Result<Body, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = longest - bytes.len();
        if chunk.len() > room {
            bytes.extend(chunk.iter().take(room));
            return Ok(Body {
                bytes,
                complete: false,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body {
        bytes,
        complete: true,
    })
}
