//! A forward proxy: it leads every host of a CONNECT to the simulator, or fails as proxies do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::config::SimError;
use crate::sim::Sim;
use crate::tls::Flaw;

const METHOD: &[u8] = b"CONNECT ";
/// The name of a proxy that speaks TLS.
const NAME: &str = "proxy.localhost";

/// What clients speak with the proxy itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyTransport {
    /// Plain HTTP.
    Plain,
    /// TLS, with a certificate of the simulator's authority.
    Tls,
    /// TLS, with a certificate of an authority that nobody trusts.
    UnknownAuthority,
}

/// How the proxy answers CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyAnswer {
    /// With a tunnel to the simulator.
    Tunnel,
    /// With this status, and no tunnel.
    Status(u16),
    /// Not at all.
    Silence,
    /// With something that is no HTTP.
    Garbage,
    /// By closing the connection.
    Close,
}

/// A CONNECT as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Host and port.
    pub authority: String,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<String>,
    /// Everything that was sent with it.
    pub head: String,
}

/// A running proxy; it ends, with its connections, when it is dropped: its port refuses from then on.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    transport: ProxyTransport,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    simulator: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    answer: Mutex<ProxyAnswer>,
    credentials: Mutex<Option<String>>,
    connects: Mutex<Vec<Connect>>,
}

impl ForwardProxy {
    /// Starts a proxy on 127.0.0.1, on a thread of its own; port 0 takes a free one.
    pub fn start(sim: &Sim, port: u16, transport: ProxyTransport) -> Result<Self, SimError> {
        let tls = &sim.shared.tls;
        let state = Arc::new(State {
            simulator: sim.addr(),
            tls: match transport {
                ProxyTransport::Plain => None,
                ProxyTransport::Tls => Some(tls.good()),
                ProxyTransport::UnknownAuthority => Some(tls.flawed(NAME, Flaw::OtherCa)?),
            },
            answer: Mutex::new(ProxyAnswer::Tunnel),
            credentials: Mutex::default(),
            connects: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let served = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else {
                    return;
                };
                tokio::select! {
                    () = serve(served, listener) => {}
                    // Ends, with an error, when the handle is dropped; the runtime and its tasks follow.
                    _ = stopped => {}
                }
            });
        });
        Ok(Self {
            address,
            transport,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address of the proxy, as clients write it.
    pub fn url(&self) -> String {
        let port = self.address.port();
        match self.transport {
            ProxyTransport::Plain => format!("http://127.0.0.1:{port}"),
            ProxyTransport::Tls | ProxyTransport::UnknownAuthority => {
                format!("https://{NAME}:{port}")
            }
        }
    }

    /// Host and port, as people name it.
    pub fn name(&self) -> String {
        let url = self.url();
        let (_, name) = url.split_once("://").unwrap_or_default();
        name.to_owned()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on, CONNECT is answered like this.
    pub fn answer(&self, answer: ProxyAnswer) {
        *lock(&self.state.answer) = answer;
    }

    /// From now on, a CONNECT without this user and password is answered with 407.
    pub fn require(&self, user: &str, password: &str) {
        *lock(&self.state.credentials) = Some(crate::token::basic(user, password));
    }

    /// Every CONNECT that was asked for.
    pub fn connects(&self) -> Vec<Connect> {
        lock(&self.state.connects).clone()
    }

    /// Every CONNECT to a host.
    pub fn connects_to(&self, host: &str) -> usize {
        let to = |connect: &&Connect| connect.authority.split(':').next() == Some(host);
        lock(&self.state.connects).iter().filter(to).count()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Nothing is learnt from how it ended.
            let _ = thread.join();
        }
    }
}

async fn serve(state: Arc<State>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            // A client may break off.
            let _ = match &state.tls {
                None => tunnel(&state, stream).await,
                Some(tls) => match TlsAcceptor::from(Arc::clone(tls)).accept(stream).await {
                    Ok(stream) => tunnel(&state, stream).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

async fn tunnel<S>(state: &State, mut client: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(connect) = read_connect(&mut client).await? else {
        return client
            .write_all(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
            .await;
    };
    let authorized = match &*lock(&state.credentials) {
        Some(wanted) => connect.authorization.as_ref() == Some(wanted),
        None => true,
    };
    lock(&state.connects).push(connect);
    let answer = *lock(&state.answer);
    match answer {
        ProxyAnswer::Tunnel if authorized => {
            let mut server = TcpStream::connect(state.simulator).await?;
            let head = b"HTTP/1.1 200 Connection established\r\n\r\n";
            client.write_all(head).await?;
            copy_bidirectional(&mut client, &mut server).await?;
            Ok(())
        }
        ProxyAnswer::Tunnel => refuse(&mut client, 407).await,
        ProxyAnswer::Status(status) => refuse(&mut client, status).await,
        ProxyAnswer::Silence => {
            // Until the client goes.
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.map(|_| ())
        }
        ProxyAnswer::Close => client.shutdown().await,
        ProxyAnswer::Garbage => client.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").await,
    }
}

async fn refuse<S: AsyncWrite + Unpin>(client: &mut S, status: u16) -> io::Result<()> {
    let page = "<html>refused by the proxy</html>";
    let head = format!(
        "HTTP/1.1 {status} Refused\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    );
    client.write_all(head.as_bytes()).await?;
    client.shutdown().await
}

async fn read_connect<S: AsyncRead + Unpin>(client: &mut S) -> io::Result<Option<Connect>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
        let known = head.len().min(METHOD.len());
        if head.get(..known) != METHOD.get(..known) {
            return Ok(None);
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let Some(authority) = first.strip_prefix("CONNECT ") else {
        return Ok(None);
    };
    let authority = authority.split(' ').next().unwrap_or_default().to_owned();
    let values = lines.filter_map(|line| line.split_once(": "));
    let mut authorization =
        values.filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    let authorization = authorization.next().map(|(_, value)| value.to_owned());
    Ok(Some(Connect {
        authority,
        authorization,
        head,
    }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_proxy_that_is_dropped_has_stopped_listening() {
        let sim = Sim::start_blocking(Config::default()).unwrap();
        for _ in 0..50 {
            let proxy = ForwardProxy::start(&sim, 0, ProxyTransport::Plain).unwrap();
            let port = proxy.port();
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            drop(proxy);
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();
        }
    }
}
