//! From the name of a site to addresses that the operator may connect to.
//!
//! The check sits here and not before the call, so that the address that was judged is the one
//! that is connected to: a name that changes its address in between gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use hyper_util::client::legacy::connect::dns;
use tower_service::Service;

use crate::api::Hosting;
use crate::core::probe::Forbidden;
use crate::net::address_policy::AddressPolicy;

const LOCALHOST: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
/// Names whose answers are remembered.
const CACHE_SIZE: usize = 64;
/// Longest that a wrong "no such name" is believed, and that a moved site stays unfound.
const LONGEST_NEGATIVE: Duration = Duration::from_secs(10);
const LONGEST_POSITIVE: Duration = Duration::from_secs(300);
/// One lost datagram must leave time for a second try within the limit.
const LONGEST_TRY: Duration = Duration::from_millis(1500);

/// Why a name leads nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NameError {
    /// It resolves, but only to addresses that the operator must not connect to.
    #[error("the address of the site is not allowed: {0:?}")]
    NotAllowed(Forbidden),
    /// It does not resolve, or not in time.
    #[error("the name does not resolve")]
    Unresolved,
}

/// Asks the name servers of the machine. Their list and `/etc/hosts` are read once, at start.
#[derive(Clone)]
pub(super) struct Names {
    servers: Arc<TokioResolver>,
    hosts: Arc<Hosts>,
    known: Arc<[(String, IpAddr)]>,
    limit: Duration,
}

/// Resolves the sites of one hosting, or the proxy.
#[derive(Clone)]
pub(super) struct Resolver {
    names: Names,
    hosting: Hosting,
    /// `None` for the proxy: the administrator has named it, and no user.
    addresses: Option<Arc<AddressPolicy>>,
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
            return LOCALHOST.to_vec();
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

impl Resolver {
    pub(super) fn of_sites(names: Names, addresses: Arc<AddressPolicy>, hosting: Hosting) -> Self {
        Self {
            names,
            hosting,
            addresses: Some(addresses),
        }
    }

    pub(super) fn of_the_proxy(names: Names) -> Self {
        Self {
            names,
            // The search list of the pod counts: the proxy may be a Service of the cluster.
            hosting: Hosting::DataCenter,
            addresses: None,
        }
    }

    /// Whether a site may be called whose name the proxy resolves. Most have the address that the proxy
    /// finds; that of some is known without asking.
    ///
    /// # Errors
    /// When it may not.
    pub(super) fn check_known(&self, host: &str) -> Result<(), NameError> {
        let literal = host.trim_matches(['[', ']']).parse();
        let known = match literal {
            Ok(address) => vec![address],
            Err(_) if is_localhost(host) => LOCALHOST.to_vec(),
            Err(_) => return Ok(()),
        };
        self.allowed(&known).map(|_| ())
    }

    /// The addresses that may be connected to.
    fn allowed(&self, found: &[IpAddr]) -> Result<Vec<IpAddr>, NameError> {
        match &self.addresses {
            Some(policy) => allowed(policy, self.hosting, found),
            None if found.is_empty() => Err(NameError::Unresolved),
            None => Ok(found.to_vec()),
        }
    }
}

impl Service<dns::Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NameError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NameError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NameError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: dns::Name) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let found = this.names.lookup(name.as_str(), this.hosting).await;
            let allowed = this.allowed(&found)?.into_iter();
            let sockets: Vec<_> = allowed.map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(sockets.into_iter())
        })
    }
}

/// The addresses that may be connected to; the first objection when there are none.
fn allowed(
    policy: &AddressPolicy,
    hosting: Hosting,
    found: &[IpAddr],
) -> Result<Vec<IpAddr>, NameError> {
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
        Some(forbidden) => Err(NameError::NotAllowed(forbidden)),
        None => Err(NameError::Unresolved),
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
            assert_eq!(error, NameError::NotAllowed(forbidden));
        }
        assert_eq!(cloud(&[]), Err(NameError::Unresolved));
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
    async fn what_is_an_address_by_its_name_is_judged_without_asking() {
        let names = Names::of_the_machine(Duration::from_millis(1));
        let policy = Arc::new(AddressPolicy::default());
        let sites = Resolver::of_sites(names.clone(), policy, Hosting::DataCenter);
        for (host, expected) in [
            ("169.254.169.254", Err(Forbidden::LinkLocal)),
            ("[fe80::1]", Err(Forbidden::LinkLocal)),
            ("127.0.0.1", Err(Forbidden::Loopback)),
            ("jira.localhost", Err(Forbidden::Loopback)),
            ("10.0.0.1", Ok(())),
            ("no-such-name.invalid", Ok(())),
        ] {
            let checked = sites.check_known(host);
            assert_eq!(checked, expected.map_err(NameError::NotAllowed), "{host}");
        }
        // The administrator's proxy may be anywhere.
        let proxy = Resolver::of_the_proxy(names);
        assert_eq!(proxy.allowed(&ips(&["127.0.0.1"])), Ok(ips(&["127.0.0.1"])));
        assert_eq!(proxy.allowed(&[]), Err(NameError::Unresolved));
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
