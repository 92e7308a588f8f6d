//! The handle on a running simulator.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::admin::{self, StateDocument};
use crate::calls::{Call, Counters};
use crate::clock::VirtualClock;
use crate::cloud_site::CloudSite;
use crate::config::{Config, SimError};
use crate::data_center::DataCenter;
use crate::fault::{Fault, Rule};
use crate::organization::Organization;
use crate::request::host_of;
use crate::rules::{FaultHandle, RuleStatus};
use crate::server;
use crate::service::Shared;
use crate::tls::Tls;
use crate::token::Token;
use crate::webhook::Webhook;
use crate::world::{Place, TokenRecord};

/// A running simulator. Clones share it; it stops when the last clone (site and instance handles
/// hold one each) is dropped.
#[derive(Debug, Clone)]
pub struct Sim {
    pub(crate) shared: Arc<Shared>,
    /// None in the admin API's own handle, which must not keep the simulator alive.
    _life: Option<Arc<Life>>,
    admin: Option<SocketAddr>,
}

#[derive(Debug)]
struct Life {
    /// Dropped with the last handle; the thread waits for that.
    _stop: oneshot::Sender<()>,
}

impl Sim {
    /// Starts a simulator on a thread and a runtime of its own.
    pub fn start_blocking(config: Config) -> Result<Self, SimError> {
        let (listener, address) = server::bind(config.address, config.port)?;
        let admin = config.admin_port;
        let admin = admin.map(|port| server::bind(config.address, port));
        let admin = admin.transpose()?;
        let (admin, admin_address) = admin.unzip();
        let tls = Tls::new(certificate_names(&config))?;
        let threads = config.worker_threads;
        let shared = Arc::new(Shared::new(config, address.port(), tls));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, started) = mpsc::channel();
        let served = Self {
            shared: Arc::clone(&shared),
            _life: None,
            admin: admin_address,
        };

        std::thread::Builder::new()
            .name("atlassian-sim".to_owned())
            .spawn(move || {
                let runtime = match runtime(threads) {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                runtime.block_on(async move {
                    if let Err(error) = spawn_servers(served, listener, admin) {
                        return drop(ready.send(Err(error)));
                    }
                    let _ = ready.send(Ok(()));
                    // Ends, with an error, when the last handle is dropped.
                    let _ = stopped.await;
                });
            })?;
        started.recv().map_err(|_| SimError::Thread)??;
        let life = Some(Arc::new(Life { _stop: stop }));
        Ok(Self {
            shared,
            _life: life,
            admin: admin_address,
        })
    }

    /// Starts a simulator as [`Sim::start_blocking`] does, from asynchronous code: it does not
    /// run on the caller's runtime.
    pub async fn start(config: Config) -> Result<Self, SimError> {
        tokio::task::spawn_blocking(|| Self::start_blocking(config))
            .await
            .map_err(|_| SimError::Thread)?
    }

    /// The address of the HTTPS port.
    pub fn addr(&self) -> SocketAddr {
        (self.shared.config.address, self.shared.port).into()
    }

    /// The HTTPS port.
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// The base URL of the admin API, if it was asked for.
    pub fn admin_url(&self) -> Option<String> {
        self.admin.map(|address| format!("http://{address}"))
    }

    /// Makes what a JSON state document says: `cloudSites`, `dataCenters`, `users`, `tokens`,
    /// `oauthSettings`, `oauthApps`, `serviceClients`, `consents`, `faults`, `clock`, with the same
    /// fields as the admin API.
    pub fn load_state(&self, json: &str) -> Result<(), SimError> {
        let document: StateDocument =
            serde_json::from_str(json).map_err(|error| SimError::Invalid(error.to_string()))?;
        document.apply(self)
    }

    /// The certificate of the simulator's authority, for clients to trust.
    pub fn ca_pem(&self) -> &str {
        self.shared.tls.ca_pem()
    }

    /// Writes the authority's certificate to a file.
    pub fn write_ca(&self, path: impl AsRef<Path>) -> Result<(), SimError> {
        Ok(std::fs::write(path, self.ca_pem())?)
    }

    /// The gateway's base URL, the stand-in for `https://api.atlassian.com`.
    pub fn gateway_url(&self) -> String {
        format!("https://{}:{}", self.gateway_host(), self.port())
    }

    /// The gateway's host.
    pub fn gateway_host(&self) -> &str {
        self.shared
            .config
            .gateway_hosts
            .first()
            .map_or(crate::GATEWAY_HOST, String::as_str)
    }

    /// The simulator's clock.
    pub fn clock(&self) -> &VirtualClock {
        &self.shared.clock
    }

    /// The Cloud site `<name>.cloud.localhost`, made unless it exists.
    pub fn cloud_site(&self, name: &str) -> CloudSite {
        self.cloud_site_at(&format!("{name}.{}", self.shared.config.cloud_suffix))
    }

    /// The Cloud site on any host, made unless it exists.
    pub fn cloud_site_at(&self, host: &str) -> CloudSite {
        let host = host_of(host);
        self.shared.world().ensure_site(&host);
        CloudSite::new(self.clone(), host)
    }

    /// The Data Center instance `<name>.dc.localhost`, made unless it exists.
    pub fn data_center(&self, name: &str) -> DataCenter {
        self.data_center_at(&format!("{name}.{}", self.shared.config.data_center_suffix))
    }

    /// The Data Center instance on any host, made unless it exists.
    pub fn data_center_at(&self, host: &str) -> DataCenter {
        let host = host_of(host);
        self.shared.world().ensure_instance(&host);
        DataCenter::new(self.clone(), host)
    }

    /// A receiver of webhooks on any host, made unless the host answers already.
    pub fn webhook(&self, host: &str) -> Webhook {
        let host = host_of(host);
        let mut world = self.shared.world();
        let places = &mut world.places;
        places
            .entry(host.clone())
            .or_insert_with(|| Place::Webhook(Vec::new()));
        drop(world);
        Webhook::new(self.clone(), host)
    }

    /// A new organisation, which manages no account yet.
    pub fn organization(&self) -> Organization {
        Organization::new(self.clone())
    }

    /// Takes a site or an instance away, as if it had never been.
    pub fn remove_host(&self, host: &str) -> bool {
        let host = host_of(host);
        let mut world = self.shared.world();
        world.cloud_ids.retain(|_, named| *named != host);
        world.places.remove(&host).is_some()
    }

    /// Revokes a token.
    pub fn revoke(&self, token: &Token) {
        self.revoke_id(token.id());
    }

    /// Revokes a token by its id; says whether there is one.
    pub fn revoke_id(&self, id: &str) -> bool {
        self.change_token(id, |token| token.revoked = true)
    }

    /// Lets a token end at `at`, in virtual time.
    pub fn expire_at(&self, token: &Token, at: DateTime<Utc>) {
        self.change_token(token.id(), |token| token.expires_at = Some(at));
    }

    /// Takes a token's end away.
    pub fn never_expire(&self, token: &Token) {
        self.change_token(token.id(), |token| token.expires_at = None);
    }

    /// When a token ends, if it does.
    pub fn expiry(&self, token: &Token) -> Option<DateTime<Utc>> {
        self.shared
            .world()
            .token(token.id())
            .and_then(|token| token.expires_at)
    }

    pub(crate) fn change_token(&self, id: &str, change: impl FnOnce(&mut TokenRecord)) -> bool {
        self.shared.world().token_mut(id).map(change).is_some()
    }

    /// Puts a fault rule in force.
    pub fn fault(&self, rule: Rule) -> FaultHandle {
        self.shared.rules.add(rule)
    }

    /// The next matching request hangs before it is processed; [`FaultHandle::reached`] tells
    /// when. The fault in `rule` is replaced.
    pub fn hang_before(&self, rule: Rule) -> FaultHandle {
        self.fault(Rule {
            fault: Fault::HangBefore,
            times: rule.times.or(Some(1)),
            ..rule
        })
    }

    /// The next matching request is processed and then hangs; see [`Sim::hang_before`].
    pub fn hang_after(&self, rule: Rule) -> FaultHandle {
        self.fault(Rule {
            fault: Fault::HangAfter,
            times: rule.times.or(Some(1)),
            ..rule
        })
    }

    /// The rules in force.
    pub fn faults(&self) -> Vec<RuleStatus> {
        self.shared.rules.list()
    }

    /// Takes a rule out of force.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.shared.rules.remove(id)
    }

    /// Lets everything go on that hangs by a rule.
    pub fn release_fault(&self, id: u64) -> bool {
        self.shared.rules.release(id)
    }

    /// Takes all rules out of force.
    pub fn clear_faults(&self) {
        self.shared.rules.clear();
    }

    /// Closes every open connection, so that the next request needs a new handshake.
    pub fn cut_connections(&self) {
        self.shared.orders.send_modify(|orders| orders.cut += 1);
    }

    /// While `true`, new connections are closed at once, as by a machine that is going down;
    /// open ones live on (see [`Sim::cut_connections`]).
    pub fn refuse_connections(&self, refuse: bool) {
        self.shared
            .orders
            .send_modify(|orders| orders.refuse = refuse);
    }

    /// The calls in the log, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.log().calls(|_| true)
    }

    /// The calls to a host, oldest first.
    pub fn calls_for(&self, host: &str) -> Vec<Call> {
        let host = host_of(host);
        self.shared.log().calls(|call| call.host == host)
    }

    /// The calls made with a token, oldest first.
    pub fn calls_with(&self, token: &Token) -> Vec<Call> {
        self.shared
            .log()
            .calls(|call| call.token_id.as_deref() == Some(token.id()))
    }

    /// Waits until the log holds `count` calls that `keep` picks, and returns them. Works on any
    /// runtime, and also for calls that came before.
    pub async fn wait_for_calls(&self, count: usize, keep: impl Fn(&Call) -> bool) -> Vec<Call> {
        let mut logged = self.shared.logged.subscribe();
        loop {
            logged.borrow_and_update();
            let calls = self.shared.log().calls(&keep);
            if calls.len() >= count || logged.changed().await.is_err() {
                return calls;
            }
        }
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        self.shared.log().counters()
    }

    /// Empties the log and sets the counters to zero.
    pub fn clear_calls(&self) {
        self.shared.log().clear();
    }
}

/// Starts the tasks that serve; they end with the runtime.
fn spawn_servers(
    sim: Sim,
    listener: std::net::TcpListener,
    admin: Option<std::net::TcpListener>,
) -> std::io::Result<()> {
    tokio::spawn(server::serve(
        Arc::clone(&sim.shared),
        TcpListener::from_std(listener)?,
    ));
    if let Some(admin) = admin {
        let admin = TcpListener::from_std(admin)?;
        tokio::spawn(async move { axum::serve(admin, admin::router(sim)).await });
    }
    Ok(())
}

fn runtime(threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    if threads <= 1 {
        return tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("atlassian-sim")
        .enable_all()
        .build()
}

fn certificate_names(config: &Config) -> Vec<String> {
    let (cloud, data_center) = (&config.cloud_suffix, &config.data_center_suffix);
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
        cloud.clone(),
        format!("*.{cloud}"),
        format!("*.{data_center}"),
    ];
    names.extend(
        config
            .extra_names
            .iter()
            .map(|name| name.to_ascii_lowercase()),
    );
    names
}
