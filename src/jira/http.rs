//! HTTPS clients that may carry a credential: their limits of time, size and number, and what they read.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use rustls::ClientConfig;

use crate::api::Hosting;
use crate::clock::Clock;
use crate::jira::address_policy::AddressPolicy;
use crate::jira::call::{Client, Response, Timeouts};
use crate::jira::connect::{Connector, ProxyRoute};
use crate::jira::dns::{Names, Resolver};
use crate::jira::proxy::Proxy;
use crate::jira::tls::{Trust, TrustError};
use crate::jira::transport_error::CallError;

/// Longest answer that is read. A user is a few kilobytes.
const LONGEST_BODY: usize = 64 * 1024;
/// Clients for private authorities that are kept; the one unused for longest goes first.
const MOST_CLIENTS: usize = 32;

type Digest = [u8; SHA256_OUTPUT_LEN];

/// The clients: one per hosting, since the addresses that are allowed differ, and one per bundle
/// of private authorities, so that the trust of one credential never reaches another.
pub(super) struct Clients {
    trust: Trust,
    names: Names,
    addresses: Arc<AddressPolicy>,
    proxy: Option<ProxyRoute>,
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
        proxy: Option<Proxy>,
        clock: &Clock,
    ) -> Result<Self, TrustError> {
        let trust = Trust::of_the_machine(extra_ca_pem)?;
        let names = Names::of_the_machine(timeouts.resolve).with(names);
        let addresses = Arc::new(addresses);
        let tls = Arc::new(trust.client_config(None)?);
        let proxy = proxy.map(|proxy| ProxyRoute {
            proxy: Arc::new(proxy),
            resolver: Resolver::of_the_proxy(names.clone()),
            tls: Arc::clone(&tls),
            clock: clock.clone(),
        });
        let client = |hosting| {
            let resolver = Resolver::of_sites(names.clone(), Arc::clone(&addresses), hosting);
            build(resolver, Arc::clone(&tls), proxy.clone(), timeouts)
        };
        let (cloud, data_center) = (client(Hosting::Cloud), client(Hosting::DataCenter));
        let private = Mutex::default();
        Ok(Self {
            trust,
            names,
            addresses,
            proxy,
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
            let resolver = Resolver::of_sites(self.names.clone(), addresses, Hosting::DataCenter);
            let tls = Arc::new(self.trust.client_config(Some(pem))?);
            build(resolver, tls, self.proxy.clone(), self.timeouts)
        };
        clients.push_back((key, client.clone()));
        if clients.len() > MOST_CLIENTS {
            clients.pop_front();
        }
        Ok(client)
    }
}

fn build(
    resolver: Resolver,
    tls: Arc<ClientConfig>,
    proxy: Option<ProxyRoute>,
    timeouts: Timeouts,
) -> Client {
    let connector = Connector::new(resolver, tls, proxy, timeouts.connect);
    Client::new(connector, timeouts)
}

/// The beginning of a body.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// Whether that is all of it.
    pub(super) complete: bool,
}

/// Reads the body of an answer of the usual length.
pub(super) async fn read_body(response: &mut Response) -> Result<Body, CallError> {
    read_body_up_to(response, LONGEST_BODY).await
}

/// Reads a body up to a limit; what lies beyond is never asked for.
pub(super) async fn read_body_up_to(
    response: &mut Response,
    longest: usize,
) -> Result<Body, CallError> {
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
