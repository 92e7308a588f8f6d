//! Connections to sites: direct, or through the proxy. In either case TLS is spoken with the site, and
//! its certificate is verified here.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::clock::Clock;
use crate::core::probe::{Forbidden, ProxyFault};
use crate::net::causes::find;
use crate::net::dns::{NameError, Resolver};
use crate::net::proxy::Proxy;
use crate::net::tunnel;

/// An idle connection is asked this often whether it still lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Why there is no connection. Nothing has reached the site.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The site has no address that may be connected to.
    #[error("the address of the site is not allowed: {0:?}")]
    NotAllowed(Forbidden),
    /// The name of the site does not resolve.
    #[error("the name of the site does not resolve")]
    Unresolved,
    /// No connection to the site.
    #[error("no connection to the site")]
    Unreachable,
    /// The TLS handshake with the site failed.
    #[error("the TLS handshake with the site failed")]
    Tls,
    /// The certificate of the site is not accepted.
    #[error("the certificate of the site is not accepted")]
    Certificate,
    /// The proxy opened no tunnel.
    #[error("the proxy opened no tunnel: {0:?}")]
    Proxy(ProxyFault),
}

impl ConnectError {
    /// The same for what is no site of Jira, in words that need no other.
    pub(crate) fn cause(self) -> &'static str {
        match self {
            Self::NotAllowed(_) => {
                "its address is not allowed: loopback and link-local addresses need --allowed-addresses"
            }
            Self::Unresolved => "the name does not resolve",
            Self::Unreachable => "no connection",
            Self::Tls => "the TLS handshake failed",
            Self::Certificate => "the certificate is not accepted",
            Self::Proxy(_) => "the proxy opened no tunnel",
        }
    }
}

/// What TLS to a site is spoken over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a site.
pub(super) struct SiteConnection(TokioIo<TlsStream<Box<dyn Stream>>>);

/// The way to the proxy.
#[derive(Clone)]
pub(super) struct ProxyRoute {
    pub(super) proxy: Arc<Proxy>,
    /// Finds the proxy, which may have any address: the administrator has named it.
    pub(super) resolver: Resolver,
    /// Trusts the authorities of the system and the administrator's, never those of a credential.
    pub(super) tls: Arc<ClientConfig>,
    pub(super) clock: Clock,
}

/// Makes connections to the sites of one client.
#[derive(Clone)]
pub(super) struct Connector {
    sites: Resolver,
    direct: HttpConnector<Resolver>,
    to_proxy: Option<(ProxyRoute, HttpConnector<Resolver>)>,
    tls: Arc<ClientConfig>,
    limit: Duration,
}

impl Connector {
    pub(super) fn new(
        sites: Resolver,
        tls: Arc<ClientConfig>,
        proxy: Option<ProxyRoute>,
        limit: Duration,
    ) -> Self {
        let to_proxy = proxy.map(|route| {
            let tcp = tcp(route.resolver.clone(), limit);
            (route, tcp)
        });
        Self {
            direct: tcp(sites.clone(), limit),
            sites,
            to_proxy,
            tls,
            limit,
        }
    }

    async fn connect(self, to: Uri) -> Result<SiteConnection, ConnectError> {
        let until = Instant::now() + self.limit;
        let host = to.host().ok_or(ConnectError::Unresolved)?.to_owned();
        let port = to.port_u16().unwrap_or(443);
        let route = self.to_proxy.as_ref();
        let route = route.filter(|(route, _)| route.proxy.carries(&host, port));
        let stream: Box<dyn Stream> = if let Some((route, tcp)) = route {
            self.sites.check_known(&host).map_err(of_name)?;
            let authority = format!("{host}:{port}");
            let opened = tunnelled(route, tcp.clone(), &authority, until).await;
            route.proxy.note(opened.as_ref().err().copied());
            opened.map_err(ConnectError::Proxy)?
        } else {
            let opened = timeout_at(until, call(self.direct.clone(), to)).await;
            let opened = opened.map_err(|_| ConnectError::Unreachable)?;
            Box::new(opened.map_err(|error| of_site(error.as_ref()))?)
        };
        let opened = timeout_at(until, handshake(self.tls, &host, stream)).await;
        let opened = opened.map_err(|_| ConnectError::Unreachable)?;
        opened
            .map(|stream| SiteConnection(TokioIo::new(stream)))
            .map_err(|error| match tls_fault(&error) {
                Some(TlsFault::Certificate) => ConnectError::Certificate,
                Some(TlsFault::Other) => ConnectError::Tls,
                None => ConnectError::Unreachable,
            })
    }
}

/// Opens a tunnel to `authority` through the proxy.
async fn tunnelled(
    route: &ProxyRoute,
    tcp: HttpConnector<Resolver>,
    authority: &str,
    until: Instant,
) -> Result<Box<dyn Stream>, ProxyFault> {
    let proxy = &route.proxy;
    let credentials = proxy.authorization().await;
    let credentials = credentials.map_err(|_| ProxyFault::NoCredentials)?;
    let attempt = credentials.as_ref().map(|sent| proxy.attempts.of(sent));
    if let Some(attempt) = &attempt {
        attempt.check(route.clock.steady())?;
    }
    let address = format!("http://{}", proxy.name).parse();
    let address = address.map_err(|_| ProxyFault::Unresolved)?;
    let opened = timeout_at(until, call(tcp, address)).await;
    let opened = opened.map_err(|_| ProxyFault::Unreachable)?;
    let opened = opened.map_err(|error| match find::<NameError>(error.as_ref()) {
        Some(_) => ProxyFault::Unresolved,
        None => ProxyFault::Unreachable,
    })?;
    let mut stream: Box<dyn Stream> = Box::new(opened);
    if proxy.is_tls {
        let tls = handshake(Arc::clone(&route.tls), &proxy.host, stream);
        let tls = timeout_at(until, tls).await;
        let tls = tls.map_err(|_| ProxyFault::Tls)?;
        stream = Box::new(tls.map_err(|error| match tls_fault(&error) {
            Some(TlsFault::Certificate) => ProxyFault::Certificate,
            Some(TlsFault::Other) | None => ProxyFault::Tls,
        })?);
    }
    let _turn = match &attempt {
        Some(attempt) => {
            let turn = timeout_at(until, attempt.enter(route.clock.steady())).await;
            turn.map_err(|_| ProxyFault::Silent)??
        }
        None => None,
    };
    let opened = tunnel::open(&mut stream, authority, credentials.as_ref());
    let opened = timeout_at(until, opened).await;
    let opened = opened.unwrap_or(Err(ProxyFault::Silent));
    if let Some(attempt) = &attempt {
        attempt.learn(opened, route.clock.steady());
    }
    opened.map(|()| stream)
}

fn tcp(resolver: Resolver, limit: Duration) -> HttpConnector<Resolver> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(KEEP_ALIVE));
    connector.set_connect_timeout(Some(limit));
    connector
}

async fn call(
    mut tcp: HttpConnector<Resolver>,
    to: Uri,
) -> Result<tokio::net::TcpStream, Box<dyn Error + Send + Sync>> {
    Ok(tcp.call(to).await?.into_inner())
}

async fn handshake(
    tls: Arc<ClientConfig>,
    host: &str,
    stream: Box<dyn Stream>,
) -> io::Result<TlsStream<Box<dyn Stream>>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(tls).connect(name, stream).await
}

enum TlsFault {
    Certificate,
    Other,
}

fn tls_fault(error: &io::Error) -> Option<TlsFault> {
    find::<rustls::Error>(error).map(|error| match error {
        rustls::Error::InvalidCertificate(_) => TlsFault::Certificate,
        _ => TlsFault::Other,
    })
}

fn of_site(error: &(dyn Error + 'static)) -> ConnectError {
    find::<NameError>(error).map_or(ConnectError::Unreachable, |error| of_name(*error))
}

fn of_name(error: NameError) -> ConnectError {
    match error {
        NameError::NotAllowed(forbidden) => ConnectError::NotAllowed(forbidden),
        NameError::Unresolved => ConnectError::Unresolved,
    }
}

impl Service<Uri> for Connector {
    type Response = SiteConnection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<SiteConnection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

impl Connection for SiteConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for SiteConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for SiteConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, parts)
    }
}
