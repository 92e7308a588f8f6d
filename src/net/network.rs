//! What all connections of the process have in common, and the clients that are made of it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::api::Hosting;
use crate::clock::Clock;
use crate::net::address_policy::AddressPolicy;
use crate::net::call::{Client, Timeouts};
use crate::net::connect::{Connector, ProxyRoute};
use crate::net::dns::{Names, Resolver};
use crate::net::proxy::Proxy;
use crate::net::tls::{Trust, TrustError};

/// Authorities, names, addresses and the proxy. Copies share what they have read.
#[derive(Clone)]
pub struct Network {
    trust: Trust,
    names: Names,
    addresses: Arc<AddressPolicy>,
    proxy: Option<ProxyRoute>,
    timeouts: Timeouts,
}

impl Network {
    /// Reads the authorities and name servers of the machine.
    ///
    /// # Errors
    /// When the administrator's certificates cannot be used.
    pub fn new(
        addresses: AddressPolicy,
        names: &[(String, IpAddr)],
        timeouts: Timeouts,
        extra_ca_pem: Option<&[u8]>,
        proxy: Option<Proxy>,
        clock: &Clock,
    ) -> Result<Self, TrustError> {
        let trust = Trust::of_the_machine(extra_ca_pem)?;
        let names = Names::of_the_machine(timeouts.resolve).with(names);
        let tls = Arc::new(trust.client_config(None)?);
        let proxy = proxy.map(|proxy| ProxyRoute {
            proxy: Arc::new(proxy),
            resolver: Resolver::of_the_proxy(names.clone()),
            tls,
            clock: clock.clone(),
        });
        Ok(Self {
            trust,
            names,
            addresses: Arc::new(addresses),
            proxy,
            timeouts,
        })
    }

    /// A client for hosts that run there, which trusts the usual authorities or these alone.
    pub(crate) fn client(
        &self,
        hosting: Hosting,
        ca_pem: Option<&[u8]>,
    ) -> Result<Client, TrustError> {
        let addresses = Arc::clone(&self.addresses);
        let resolver = Resolver::of_sites(self.names.clone(), addresses, hosting);
        let tls = Arc::new(self.trust.client_config(ca_pem)?);
        let connector = Connector::new(resolver, tls, self.proxy.clone(), self.timeouts.connect);
        Ok(Client::new(connector, self.timeouts))
    }
}
