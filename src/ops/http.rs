//! The listeners for metrics and health. They outlive the controller, so that a pod that is
//! finishing its work still answers.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_ipv6_v6only;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::metrics::Metrics;
use crate::cluster::{PolicyState, Standing};

/// Tells how the process is.
pub type Readiness = Arc<dyn Fn() -> Health + Send + Sync>;

/// How the process is.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Whether everything that exists has been listed: the process can serve.
    pub listed: bool,
    /// Which list the API server refuses, while not everything has been listed.
    pub refused_list: Option<String>,
    /// What the API server does not let the process watch, for more than a minute.
    pub broken_watch: Option<String>,
    /// What became of the admission policy, if the operator has looked. It does not make the process
    /// unready: without it, credentials are still kept alive.
    pub policy: Option<PolicyState>,
    /// What the election has made of this process; `None` without an election. A standby is ready, too. A
    /// process that has lost the lease is not: it does not lead again before it is started again.
    pub standing: Option<Standing>,
}

/// What one listener grants its clients, so that nobody who holds connections open costs memory
/// without bound or keeps the kubelet's probes out.
#[derive(Clone, Copy)]
struct Limits {
    /// Connections at a time. One more closes the oldest.
    connections: usize,
    /// The time for the head of a request to arrive, counted again for each request.
    head: Duration,
    /// The life of a connection, however many requests it carries.
    life: Duration,
}

/// Connections that wait to be accepted, as the standard library has it.
const BACKLOG: u32 = 1024;

const LIMITS: Limits = Limits {
    connections: 32,
    head: Duration::from_secs(10),
    life: Duration::from_secs(120),
};

/// Serves `/metrics`.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_metrics(
    address: SocketAddr,
    metrics: Arc<Metrics>,
) -> std::io::Result<SocketAddr> {
    let app = Router::new().route("/metrics", get(move || async move { render(&metrics) }));
    serve(address, app).await
}

/// Serves `/healthz` and `/readyz`. Neither asks Jira: an outage there is no reason to restart.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_health(address: SocketAddr, health: Readiness) -> std::io::Result<SocketAddr> {
    let readyz = move |RawQuery(query): RawQuery| async move {
        let verbose = query.is_some_and(|query| query.split('&').any(is_verbose));
        readiness(&health(), verbose)
    };
    let app = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz));
    serve(address, app).await
}

/// `?verbose`, as at the API server.
fn is_verbose(parameter: &str) -> bool {
    parameter == "verbose" || parameter.starts_with("verbose=")
}

fn readiness(health: &Health, verbose: bool) -> (StatusCode, String) {
    let lists = match &health.refused_list {
        _ if health.listed => "ok".to_owned(),
        None => "the first lists have not arrived".to_owned(),
        Some(refusal) => format!("the first lists have not arrived: {refusal}"),
    };
    let watches = health.broken_watch.as_ref().map_or_else(
        || "ok".to_owned(),
        |what| format!("the watch on {what} has failed for more than a minute, see the log"),
    );
    let is_over = health.standing == Some(Standing::Over);
    let election = health.standing.map(election).unwrap_or_default();
    let (status, word) = if is_over {
        (StatusCode::SERVICE_UNAVAILABLE, election)
    } else if !health.listed {
        (StatusCode::SERVICE_UNAVAILABLE, lists.as_str())
    } else if health.broken_watch.is_some() {
        (StatusCode::SERVICE_UNAVAILABLE, watches.as_str())
    } else {
        (StatusCode::OK, lists.as_str())
    };
    if !verbose {
        return (status, word.to_owned());
    }
    let sign = |well: bool| if well { '+' } else { '-' };
    let policy = health.policy;
    let in_force = policy.and_then(PolicyState::in_force) == Some(true);
    let policy = policy.map_or_else(|| "not looked at yet".to_owned(), |state| state.to_string());
    let signs = [health.listed, health.broken_watch.is_none(), in_force].map(sign);
    let [first, second, third] = signs;
    let text = format!(
        "[{first}] lists: {lists}\n[{second}] watches: {watches}\n[{third}] admission policy (does not affect readiness): {policy}\n"
    );
    let election = health.standing.map(|_| {
        let sign = sign(!is_over);
        format!("[{sign}] leader election: {election}\n")
    });
    (status, text + &election.unwrap_or_default())
}

fn election(standing: Standing) -> &'static str {
    match standing {
        Standing::Leads { .. } => "this process leads",
        Standing::Standby => "this process stands by",
        Standing::Over => {
            "this process has lost the lease; it keeps a result until it is stored, and ends"
        }
    }
}

async fn serve(address: SocketAddr, app: Router) -> std::io::Result<SocketAddr> {
    let listener = match address.ip() {
        // `:8080`
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => listen_everywhere(address)?,
        _ => TcpListener::bind(address).await?,
    };
    let bound = listener.local_addr()?;
    tokio::spawn(accept(listener, app, LIMITS));
    Ok(bound)
}

/// Listens on all addresses of the machine; without IPv6, on those of IPv4.
fn listen_everywhere(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if let Ok(socket) = TcpSocket::new_v6() {
        // The default of the machine may be to leave IPv4 out.
        set_ipv6_v6only(&socket, false)?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket
    } else {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::UNSPECIFIED, address.port()).into())?;
        socket
    };
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, app: Router, limits: Limits) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, as a rule: accepting at once would fail at once.
                tracing::warn!(%error, "a listener could not accept a connection");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= limits.connections
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(answer(stream, app.clone(), limits)).abort_handle());
    }
}

async fn answer(stream: TcpStream, app: Router, limits: Limits) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    // Errors are the client's: it went away, sent no HTTP, or was too slow.
    let _ = timeout(limits.life, connection).await;
}

fn render(metrics: &Metrics) -> impl IntoResponse + use<> {
    let kind = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    match metrics.render() {
        Ok(text) => (StatusCode::OK, kind, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, kind, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    async fn listener(limits: Limits) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/healthz", get(|| async { "ok" }));
        tokio::spawn(accept(listener, app, limits));
        address
    }

    async fn ask(connection: &mut TcpStream) -> String {
        let request = b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n";
        connection.write_all(request).await.unwrap();
        let mut answer = vec![0; 1024];
        let length = connection.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(answer.get(..length).unwrap()).into_owned()
    }

    /// The server has closed the connection. A test that waits for ever fails by its runner.
    async fn is_closed(connection: &mut TcpStream) {
        let mut rest = Vec::new();
        let _ = connection.read_to_end(&mut rest).await;
    }

    #[test]
    fn readyz_tells_of_the_policy_when_asked_and_stays_ready_without_it() {
        let health = Health {
            listed: true,
            refused_list: None,
            broken_watch: None,
            policy: Some(PolicyState::NoPolicy),
            standing: None,
        };
        assert_eq!(readiness(&health, false), (StatusCode::OK, "ok".to_owned()));
        let (status, text) = readiness(&health, true);
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("[+] lists: ok"), "{text}");
        assert!(text.contains("[-] admission policy"), "{text}");
        assert!(text.contains("does not exist"), "{text}");
        assert!(!text.contains("leader election"), "{text}");
        let until = tokio::time::Instant::now();
        for (standing, code, word) in [
            (
                Standing::Leads { until },
                200,
                "[+] leader election: this process leads",
            ),
            (
                Standing::Standby,
                200,
                "[+] leader election: this process stands by",
            ),
            (
                Standing::Over,
                503,
                "[-] leader election: this process has lost the lease; it keeps",
            ),
        ] {
            let elected = Health {
                standing: Some(standing),
                ..health.clone()
            };
            let (status, text) = readiness(&elected, true);
            assert!(status.as_u16() == code && text.contains(word), "{text}");
            let (status, text) = readiness(&elected, false);
            assert_eq!(
                (status.as_u16(), text == "ok"),
                (code, code == 200),
                "{text}"
            );
        }
        let (status, text) = readiness(&Health::default(), true);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("[-] lists: the first lists"), "{text}");
        let refused = Health {
            refused_list: Some("no right to list secrets in the namespace a".to_owned()),
            ..Health::default()
        };
        let (status, text) = readiness(&refused, false);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.ends_with("have not arrived: no right to list secrets in the namespace a"));
        let broken = Health {
            broken_watch: Some("Secrets".to_owned()),
            ..health
        };
        let (status, text) = readiness(&broken, false);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("the watch on Secrets has failed"), "{text}");
        assert!(is_verbose("verbose") && is_verbose("verbose=true") && !is_verbose("verb"));
    }

    #[tokio::test]
    async fn a_port_alone_is_served_on_addresses_of_both_families() {
        if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
            let _ = writeln!(std::io::stderr(), "skipped: this machine has no ::1");
            return;
        }
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let app = || Router::new().route("/healthz", get(|| async { "ok" }));
        let port = serve(everywhere, app()).await.unwrap().port();
        for ip in [
            Ipv4Addr::LOCALHOST.into(),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ] {
            let mut connection = TcpStream::connect((ip, port)).await.unwrap();
            assert!(ask(&mut connection).await.ends_with("ok"), "{ip}");
        }
        // A port that is taken is no reason to serve IPv4 alone.
        let only_v6 = TcpSocket::new_v6().unwrap();
        set_ipv6_v6only(&only_v6, true).unwrap();
        only_v6.bind(everywhere).unwrap();
        let listener = only_v6.listen(1).unwrap();
        let taken = listener.local_addr().unwrap();
        assert!(serve(taken, app()).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_sends_no_request_is_cut_off() {
        let address = listener(Limits {
            connections: 8,
            head: Duration::from_millis(20),
            life: LONG,
        })
        .await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"GET /healthz HT").await.unwrap();
        is_closed(&mut silent).await;
    }

    #[tokio::test]
    async fn a_connection_ends_however_busy_it_is() {
        let address = listener(Limits {
            connections: 8,
            head: LONG,
            life: Duration::from_millis(500),
        })
        .await;
        let mut busy = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut busy).await.ends_with("ok"));
        is_closed(&mut busy).await;
    }

    #[tokio::test]
    async fn held_connections_do_not_block_new_ones() {
        let address = listener(Limits {
            connections: 2,
            head: LONG,
            life: LONG,
        })
        .await;
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut connection = TcpStream::connect(address).await.unwrap();
            assert!(ask(&mut connection).await.ends_with("ok"));
            held.push(connection);
        }
        for oldest in held.iter_mut().take(2) {
            is_closed(oldest).await;
        }
        for newest in held.iter_mut().skip(2) {
            assert!(ask(newest).await.ends_with("ok"));
        }
    }
}
