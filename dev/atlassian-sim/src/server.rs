//! The accept loop: TCP, TLS with its faults, HTTP/1.1.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};

use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::fault::Fault;
use crate::service::{self, Shared};
use crate::tls::Flaw;

/// What the handles tell the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Raised to close every open connection.
    pub(crate) cut: u64,
    /// New connections are closed at once.
    pub(crate) refuse: bool,
}

/// Serves until the future is dropped.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let orders = shared.orders.subscribe();

    let mut http = http1::Builder::new();
    http.header_read_timeout(None::<Duration>);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: give others a chance to close some.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if orders.borrow().refuse {
            continue;
        }
        let connection = connection(Arc::clone(&shared), http.clone(), stream);
        let mut orders = orders.clone();
        let cut = orders.borrow_and_update().cut;
        tokio::spawn(async move {
            tokio::select! {
                () = connection => {}
                _ = orders.wait_for(|orders| orders.cut != cut) => {}
            }
        });
    }
}

async fn connection(shared: Arc<Shared>, http: http1::Builder, stream: TcpStream) {
    // Small answers must not wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    shared.log().handshake();
    let Some(stream) = handshake(&shared, stream).await else {
        shared.log().handshake_failed();
        return;
    };
    let service = service_fn(move |request| service::answer(Arc::clone(&shared), request));
    // An error here is a client gone away, or a fault that closes the connection.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn handshake(shared: &Shared, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
        .await
        .ok()?;
    let host = start
        .client_hello()
        .server_name()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let strike = shared.rules.handshake(&host, shared.clock.now());
    let config = match strike.as_ref().map(|strike| &strike.fault) {
        None => Some(shared.tls.good()),
        Some(Fault::TlsUnknownCa) => flawed(shared, &host, Flaw::OtherCa),
        Some(Fault::TlsWrongName) => flawed(shared, &host, Flaw::OtherName),
        Some(Fault::TlsExpired) => flawed(shared, &host, Flaw::Expired),
        Some(_) => None,
    };
    if let Some(strike) = strike {
        strike.signal.strike();
    }
    start.into_stream(config?).await.ok()
}

fn flawed(shared: &Shared, host: &str, flaw: Flaw) -> Option<Arc<ServerConfig>> {
    // A client without SNI asked for an address.
    let name = if host.is_empty() { "127.0.0.1" } else { host };
    shared.tls.flawed(name, flaw).ok()
}

/// Binds a loopback port; 0 takes a free one.
pub(crate) fn bind(address: IpAddr, port: u16) -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind((address, port))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
