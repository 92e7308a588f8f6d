//! How the three processes are started.

use std::{
    ffi::OsString,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::{IpAddr, SocketAddr, TcpListener},
    path::Path,
    time::{Duration, Instant},
};

use kube::Client;

use crate::{
    Binaries, Error,
    error::Context,
    processes::{Guard, Process},
};

/// How long one process may take to become ready. A machine that compiles on
/// all cores at the same time is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// A random port below those the kernel hands out to outgoing connections:
/// the many connections of tests then never take a port we have chosen. Another
/// server may still be quicker.
pub(crate) fn free_address(ip: IpAddr) -> Result<SocketAddr, Error> {
    const FIRST: u16 = 20_000;
    const COUNT: u64 = 12_000;
    for _ in 0..1_000 {
        let random = RandomState::new().build_hasher().finish() % COUNT;
        let port = FIRST + u16::try_from(random).unwrap_or_default();
        let address = SocketAddr::new(ip, port);
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(std::io::Error::from(std::io::ErrorKind::AddrInUse)).context("finding a free port")
}

/// Sockets in the directory, so that nobody else can be mistaken for our etcd.
/// It wants them in the form of a host and a port.
const CLIENT_SOCKET: &str = "etcd.sock:0";
const PEER_SOCKET: &str = "peer.sock:0";

/// There are no other members: nobody ever connects here.
const ADVERTISED: &str = "http://127.0.0.1:1";

pub(crate) async fn etcd(guard: &Guard, binaries: &Binaries) -> Result<Process, Error> {
    let arguments = Arguments::default()
        // All of the path: the watchdog knows its processes by it.
        .path("--data-dir", &guard.directory().join("etcd"))
        .set("--listen-client-urls", &format!("unix://{CLIENT_SOCKET}"))
        .set("--listen-peer-urls", &format!("unix://{PEER_SOCKET}"))
        .set("--advertise-client-urls", ADVERTISED)
        .set("--initial-advertise-peer-urls", ADVERTISED)
        .set("--initial-cluster", &format!("default={ADVERTISED}"))
        // The data are thrown away with the directory.
        .flag("--unsafe-no-fsync")
        .set("--logger", "zap")
        .set("--log-level", "error");
    let mut process = guard.spawn("etcd", &binaries.etcd, arguments.0)?;
    let socket = guard.directory().join(CLIENT_SOCKET);
    ready(&mut process, async || {
        tokio::net::UnixStream::connect(&socket).await.is_ok()
    })
    .await?;
    Ok(process)
}

pub(crate) async fn api_server(
    guard: &Guard,
    binaries: &Binaries,
    address: SocketAddr,
    client: &Client,
) -> Result<Process, Error> {
    let directory = guard.directory();
    // Of the family of its own address.
    let services = match address.ip() {
        IpAddr::V4(_) => "10.0.0.0/24",
        IpAddr::V6(_) => "fd00:10::/112",
    };
    let arguments = Arguments::default()
        .set("--etcd-servers", &format!("unix://{CLIENT_SOCKET}"))
        .set("--bind-address", &address.ip().to_string())
        .set("--secure-port", &address.port().to_string())
        .path("--cert-dir", directory)
        .path("--tls-cert-file", &directory.join("server.pem"))
        .path("--tls-private-key-file", &directory.join("server.key"))
        .set("--service-account-issuer", "https://kubernetes.default.svc")
        .path("--service-account-key-file", &directory.join("sa.pub"))
        .path("--service-account-signing-key-file", &directory.join("sa.key"))
        .path("--token-auth-file", &directory.join("tokens.csv"))
        .set("--authorization-mode", "RBAC")
        .set("--anonymous-auth", "false")
        .set("--service-cluster-ip-range", services)
        // There is nobody to tell where the API server is, and no reason to
        // linger at shutdown to take the announcement back.
        .set("--endpoint-reconciler-type", "none")
        .set("--allow-privileged", "true")
        .set("--max-requests-inflight", "4000")
        .set("--max-mutating-requests-inflight", "2000");
    let mut process = guard.spawn("kube-apiserver", &binaries.kube_apiserver, arguments.0)?;
    ready(&mut process, async || {
        let request = http::Request::get("/readyz").body(Vec::new());
        match request {
            Ok(request) => client.request_text(request).await.is_ok(),
            Err(_) => false,
        }
    })
    .await?;
    Ok(process)
}

/// Runs what a namespaced operator and its users can observe. Without a
/// scheduler and a kubelet, pods stay pending.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,\
    serviceaccount-controller,serviceaccount-token-controller,\
    root-ca-certificate-publisher-controller,clusterrole-aggregation-controller,\
    validatingadmissionpolicy-status-controller,disruption-controller,\
    deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller";

pub(crate) fn controller_manager(guard: &Guard, binaries: &Binaries) -> Result<Process, Error> {
    let directory = guard.directory();
    let arguments = Arguments::default()
        .path("--kubeconfig", &directory.join("admin.kubeconfig"))
        // No serving: nobody asks it, and its self-signed certificate is slow.
        .set("--secure-port", "0")
        .set("--leader-elect", "false")
        .path("--service-account-private-key-file", &directory.join("sa.key"))
        .path("--root-ca-file", &directory.join("ca.pem"))
        .set("--use-service-account-credentials", "false")
        .set("--controllers", CONTROLLERS)
        .set("--kube-api-qps", "2000")
        .set("--kube-api-burst", "4000");
    guard.spawn(
        "kube-controller-manager",
        &binaries.kube_controller_manager,
        arguments.0,
    )
}

/// Command line arguments.
#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(mut self, name: &str) -> Self {
        self.0.push(name.into());
        self
    }

    fn set(self, name: &str, value: &str) -> Self {
        self.flag(&format!("{name}={value}"))
    }

    fn path(mut self, name: &str, value: &Path) -> Self {
        let mut argument = OsString::from(format!("{name}="));
        argument.push(value);
        self.0.push(argument);
        self
    }
}

/// Waits until a process is ready, has ended, or time is up.
pub(crate) async fn ready(
    process: &mut Process,
    probe: impl AsyncFn() -> bool,
) -> Result<(), Error> {
    let begun = Instant::now();
    loop {
        // A silent peer must not outlast our patience either.
        if let Ok(true) = tokio::time::timeout(Duration::from_secs(5), probe()).await {
            return Ok(());
        }
        process.check()?;
        if begun.elapsed() > PATIENCE {
            return Err(process.failure(format!("it was not ready after {PATIENCE:?}")));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
