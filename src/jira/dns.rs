//! From the name of a site to addresses that the operator may connect to.
//!
//! The check sits here and not before the call, so that the address that was judged is the one
//! that is connected to: a name that changes its address in between gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use reqwest::dns::{Addrs, Resolve, Resolving};

use crate::api::Hosting;
use crate::core::probe::Forbidden;
use crate::jira::address_policy::AddressPolicy;

/// Names whose answers are remembered.
const CACHE_SIZE: usize = 64;
/// Longest that a wrong "no such name" is believed, and that a moved site stays unfound.
const LONGEST_NEGATIVE: Duration = Duration::from_secs(10);
const LONGEST_POSITIVE: Duration = Duration::from_secs(300);
/// One lost datagram must leave time for a second try within the limit.
const LONGEST_TRY: Duration = Duration::from_millis(1500);

/// The name resolves, but only to addresses that the operator must not connect to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the address of the site is not allowed: {0:?}")]
pub(super) struct NotAllowedError(pub(super) Forbidden);

/// The name does not resolve, or not in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of the site does not resolve")]
struct UnresolvedError;

/// Asks the name servers of the machine. Their list and `/etc/hosts` are read once, at start.
#[derive(Clone)]
pub(super) struct Names {
    servers: Arc<TokioResolver>,
    hosts: Arc<Hosts>,
    known: Arc<[(String, IpAddr)]>,
    limit: Duration,
}

/// Resolves the sites of one hosting.
pub(super) struct SiteResolver {
    names: Names,
    addresses: Arc<AddressPolicy>,
    hosting: Hosting,
}

impl Names {
    pub(super) fn of_the_machine(limit: Duration) -> Self {
        let (config, mut options) = system_conf::read_system_conf().unwrap_or_else(|error| {
            tracing::warn!(%error, "no name servers: only /etc/hosts and localhost will resolve");
            (ResolverConfig::new(), ResolverOpts::default())
        });
        options.cache_size = CACHE_SIZE;
        options.positive_max_ttl = Some(LONGEST_POSITIVE);
        options.negative_max_ttl = Some(LONGEST_NEGATIVE);
        options.timeout = options.timeout.min(LONGEST_TRY);
        // A cluster may have IPv6 only behind NAT64: an IPv4 answer must not hide the other.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // Looked at below: the library would add a name server's IPv6 to the IPv4 of a hosts file.
        options.use_hosts_file = ResolveHosts::Never;
        let provider = TokioConnectionProvider::default();
        let servers = TokioResolver::builder_with_config(config, provider)
            .with_options(options)
            .build();
        let hosts = Hosts::from_system().unwrap_or_default();
        Self {
            servers: Arc::new(servers),
            hosts: Arc::new(hosts),
            known: Arc::default(),
            limit,
        }
    }

    /// Adds names to those of the hosts file.
    pub(super) fn with(mut self, names: &[(String, IpAddr)]) -> Self {
        self.known = names
            .iter()
            .map(|(name, address)| (name.to_ascii_lowercase(), *address))
            .collect();
        self
    }

    async fn lookup(&self, host: &str, hosting: Hosting) -> Vec<IpAddr> {
        if is_localhost(host) {
            return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        let known = self.known.iter().filter(|(name, _)| name == host);
        let known: Vec<IpAddr> = known.map(|(_, address)| *address).collect();
        if !known.is_empty() {
            return known;
        }
        let Ok(mut name) = Name::from_utf8(host) else {
            return Vec::new();
        };
        let listed = self.in_hosts_file(&name);
        if !listed.is_empty() {
            return listed;
        }
        // A Cloud host is a complete name: the search list of a pod would only turn one question
        // into five, and let a cluster-internal name answer for it.
        if hosting == Hosting::Cloud {
            name.set_fqdn(true);
        }
        let asked = tokio::time::timeout(self.limit, self.servers.lookup_ip(name)).await;
        asked
            .ok()
            .and_then(Result::ok)
            .map(|found| found.iter().collect())
            .unwrap_or_default()
    }

    fn in_hosts_file(&self, name: &Name) -> Vec<IpAddr> {
        [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|kind| {
                self.hosts
                    .lookup_static_host(&Query::query(name.clone(), kind))
            })
            .flat_map(|found| found.iter().filter_map(RData::ip_addr).collect::<Vec<_>>())
            .collect()
    }
}

impl SiteResolver {
    pub(super) fn new(names: Names, addresses: Arc<AddressPolicy>, hosting: Hosting) -> Self {
        Self {
            names,
            addresses,
            hosting,
        }
    }
}

impl Resolve for SiteResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let (names, addresses, hosting) = (
            self.names.clone(),
            Arc::clone(&self.addresses),
            self.hosting,
        );
        Box::pin(async move {
            let found = names.lookup(name.as_str(), hosting).await;
            let allowed = allowed(&addresses, hosting, &found)?;
            let addrs: Addrs = Box::new(allowed.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addrs)
        })
    }
}

/// The addresses that may be connected to; the first objection when there are none.
fn allowed(
    policy: &AddressPolicy,
    hosting: Hosting,
    found: &[IpAddr],
) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let mut objection = None;
    let mut allowed = Vec::with_capacity(found.len());
    for address in found {
        match policy.check(*address, hosting) {
            Ok(()) => allowed.push(*address),
            Err(forbidden) => objection = objection.or(Some(forbidden)),
        }
    }
    match objection {
        _ if !allowed.is_empty() => Ok(allowed),
        Some(forbidden) => Err(NotAllowedError(forbidden).into()),
        None => Err(UnresolvedError.into()),
    }
}

/// RFC 6761, section 6.3: these names are loopback, whatever a name server says.
fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn forbidden_addresses_are_dropped_and_named_when_none_is_left() {
        let policy = AddressPolicy::default();
        let cloud = |found: &[&str]| allowed(&policy, Hosting::Cloud, &ips(found));
        assert_eq!(
            cloud(&["127.0.0.1", "8.8.8.8", "10.0.0.1"]).unwrap(),
            ips(&["8.8.8.8"])
        );
        for (found, forbidden) in [
            (vec!["127.0.0.1", "::1"], Forbidden::Loopback),
            (vec!["10.0.0.1", "169.254.169.254"], Forbidden::Private),
            (vec!["169.254.169.254"], Forbidden::LinkLocal),
        ] {
            let error = cloud(&found).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&NotAllowedError(forbidden)));
        }
        assert!(cloud(&[]).unwrap_err().is::<UnresolvedError>());
    }

    #[tokio::test]
    async fn localhost_is_loopback_without_asking() {
        let names = Names::of_the_machine(Duration::from_millis(1));
        for host in [
            "localhost",
            "acme.cloud.localhost",
            "JIRA.LOCALHOST",
            "localhost.",
        ] {
            let found = names.lookup(host, Hosting::Cloud).await;
            assert_eq!(found, ips(&["127.0.0.1", "::1"]), "{host}");
        }
        for host in ["localhost.example.com", "notlocalhost", "xlocalhost"] {
            assert!(!is_localhost(host), "{host}");
        }
    }

    #[tokio::test]
    async fn a_silent_name_server_costs_no_more_than_the_limit() {
        let names = Names::of_the_machine(Duration::from_millis(50));
        let started = std::time::Instant::now();
        assert!(
            names
                .lookup("no-such-name.invalid", Hosting::DataCenter)
                .await
                .is_empty()
        );
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}
