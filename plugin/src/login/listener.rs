//! Waiting for the browser, on loopback.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::login::consent::{Expected, Judged, Outcome, Redirect};
use crate::login::page::{self, Page};

/// The path that sends the browser to the authorize page, once. The program that opens the browser
/// has its address among its arguments, where every user of the machine can read it; so the state
/// is not in that address.
pub const START: &str = "/login-start";

/// The longest head of a request that is read.
const LONGEST_HEAD: usize = 32 * 1024;

/// How long a browser may take for its request and the response.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sockets on the port of the callback.
pub struct Listener {
    sockets: Vec<TcpListener>,
}

impl Listener {
    /// Takes the port on every loopback address that the callback URL means.
    ///
    /// # Errors
    /// When it is taken, may not be used, or the callback is not on this machine.
    pub async fn bind(redirect: &Redirect) -> Result<Self, Failure> {
        let Some((addresses, port)) = redirect.loopback() else {
            return Err(Failure::error(format!(
                "the browser does not call back this machine at {}; give --no-browser, and paste the address where the browser ends",
                redirect.text
            )));
        };
        let mut sockets = Vec::new();
        let mut problem = None;
        for address in addresses {
            match TcpListener::bind(SocketAddr::new(address, port)).await {
                Ok(socket) => sockets.push(socket),
                Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(taken(port)),
                // A machine may have no IPv6.
                Err(error) => problem = Some(error),
            }
        }
        match problem {
            Some(error) if sockets.is_empty() => Err(Failure::error(format!(
                "cannot listen on port {port}: {error}; give --no-browser, or register a callback URL with another port and give --redirect-uri. Nothing was stored"
            ))),
            _ => Ok(Self { sockets }),
        }
    }

    /// Takes any free port of this machine, for the browser to be sent on from; the callback goes elsewhere.
    /// Returns the address to open, too.
    ///
    /// # Errors
    /// When no port can be used.
    pub async fn anywhere() -> Result<(Self, String), Failure> {
        let bound = async {
            let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = socket.local_addr()?;
            Ok::<_, std::io::Error>((socket, address))
        };
        let (socket, address) = bound.await.map_err(|error| {
            Failure::error(format!(
                "cannot listen on 127.0.0.1: {error}; give --no-browser. Nothing was stored"
            ))
        })?;
        let sockets = vec![socket];
        Ok((Self { sockets }, format!("http://{address}{START}")))
    }

    /// Waits for the answer; then the port is free again.
    pub async fn wait(self, expected: Arc<Expected>, authorize_url: String) -> Option<Outcome> {
        let (send, mut receive) = mpsc::channel(1);
        let desk = Arc::new(Desk {
            expected,
            authorize_url,
            started: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        });
        let mut accepting = JoinSet::new();
        for socket in self.sockets {
            accepting.spawn(accept(socket, desk.clone(), send.clone()));
        }
        receive.recv().await
    }
}

fn taken(port: u16) -> Failure {
    Failure::error(format!(
        "port {port} is taken by another program: end it, give --no-browser, or register a callback URL with another port and give --redirect-uri. Nothing was stored"
    ))
}

/// Browsers open connections that they may never use, so each has a task.
async fn accept(socket: TcpListener, desk: Arc<Desk>, send: mpsc::Sender<Outcome>) {
    loop {
        // Accepting fails for one connection, not for those that follow.
        if let Ok((stream, _)) = socket.accept().await {
            let (desk, send) = (desk.clone(), send.clone());
            tokio::spawn(async move {
                // A slow browser is not waited for; an answer that was read counts even so.
                let mut outcome = None;
                let served = serve(stream, &desk, &mut outcome);
                let _ = tokio::time::timeout(PATIENCE, served).await;
                if let Some(outcome) = outcome {
                    let _ = send.send(outcome).await;
                }
            });
        } else {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    desk: &Desk,
    outcome: &mut Option<Outcome>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > LONGEST_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let response;
    (response, *outcome) = desk.respond(&String::from_utf8_lossy(line));
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

/// What is answered to browsers.
struct Desk {
    expected: Arc<Expected>,
    authorize_url: String,
    started: AtomicBool,
    answered: AtomicBool,
}

impl Desk {
    /// The response to a request line, and the outcome that it brings.
    fn respond(&self, line: &str) -> (String, Option<Outcome>) {
        let mut words = line.split(' ');
        let (Some("GET"), Some(target)) = (words.next(), words.next()) else {
            return (Page::NotAllowed.response(), None);
        };
        let page = match self.expected.judge(target) {
            Judged::Elsewhere if target == START && !self.started.swap(true, Ordering::SeqCst) => {
                return (page::redirect(&self.authorize_url), None);
            }
            Judged::Elsewhere => Page::NotFound,
            Judged::Foreign | Judged::Malformed if self.answered.load(Ordering::SeqCst) => {
                Page::Used
            }
            Judged::Foreign => Page::Foreign,
            Judged::Malformed => Page::Malformed,
            Judged::Answer(_) if self.answered.swap(true, Ordering::SeqCst) => Page::Used,
            Judged::Answer(outcome) => {
                let page = match &outcome {
                    Outcome::Code(_) => Page::Received,
                    Outcome::Declined => Page::Declined,
                    Outcome::Failed(_) => Page::Failed,
                };
                return (page.response(), Some(outcome));
            }
        };
        (page.response(), None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn one_answer_counts_and_the_way_to_the_browser_opens_once() {
        let redirect = Redirect::parse("http://localhost:8765/callback").unwrap();
        let desk = Desk {
            expected: Arc::new(Expected::new(redirect, "ab12".into())),
            authorize_url: "https://auth.example/authorize?state=ab12".into(),
            started: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        };
        for (line, status, ends) in [
            ("POST /callback?state=ab12&code=c HTTP/1.1", "405", false),
            ("GET /favicon.ico HTTP/1.1", "404", false),
            ("GET /login-start HTTP/1.1", "302", false),
            ("GET /login-start HTTP/1.1", "404", false),
            ("GET /callback?state=other&code=c HTTP/1.1", "400", false),
            ("GET /callback?state=ab12 HTTP/1.1", "400", false),
            ("GET /callback?state=ab12&code=c HTTP/1.1", "200", true),
            ("GET /callback?state=ab12&code=c HTTP/1.1", "409", false),
            ("", "405", false),
        ] {
            let (response, outcome) = desk.respond(line);
            assert_eq!(response.split(' ').nth(1), Some(status), "{line}");
            assert_eq!(outcome.is_some(), ends, "{line}");
            for header in [
                "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
                "Referrer-Policy: no-referrer\r\n",
                "Cache-Control: no-store\r\n",
            ] {
                assert!(response.contains(header), "{line}: {header}");
            }
            assert!(!response.contains("<script"), "{line}");
        }
    }
}
