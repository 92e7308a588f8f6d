//! The tunnel through a proxy (CONNECT, RFC 9110, section 9.3.6).

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::core::probe::ProxyFault;

/// What the operator calls itself.
pub(super) const USER_AGENT: &str = concat!("jira-credential-operator/", env!("CARGO_PKG_VERSION"));
/// Longest answer to CONNECT that is read.
const LONGEST_HEAD: usize = 8 * 1024;
const END: &[u8] = b"\r\n\r\n";
/// What every answer begins with.
const HTTP: &[u8] = b"HTTP/";

/// Asks for a tunnel to `authority`, host and port. What follows on the connection is for the site.
pub(super) async fn open<S>(
    stream: &mut S,
    authority: &str,
    authorization: Option<&SecretString>,
) -> Result<(), ProxyFault>
where
    S: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let mut request = Zeroizing::new(format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {USER_AGENT}\r\n"
    ));
    if let Some(value) = authorization {
        request.push_str("Proxy-Authorization: ");
        request.push_str(value.expose_secret());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.map_err(|_| ProxyFault::Closed)?;
    stream.flush().await.map_err(|_| ProxyFault::Closed)?;
    match status(&read_head(stream).await?) {
        Some(200..=299) => Ok(()),
        Some(status) => Err(ProxyFault::of_status(status, authorization.is_some())),
        None => Err(ProxyFault::Strange),
    }
}

/// The answer up to the empty line. A tunnel has nothing behind it: a TLS server does not speak first.
/// A refusal may have a page, of which nothing is read.
async fn read_head<S>(stream: &mut S) -> Result<Vec<u8>, ProxyFault>
where
    S: AsyncRead + Unpin + ?Sized,
{
    let mut head = Vec::with_capacity(512);
    loop {
        let read = stream.read_buf(&mut head).await;
        let read = read.map_err(|_| ProxyFault::Closed)?;
        if let Some(at) = head.windows(END.len()).position(|found| found == END) {
            let is_all = at + END.len() == head.len();
            let is_tunnel = matches!(status(&head), Some(200..=299));
            return if is_all || !is_tunnel {
                Ok(head)
            } else {
                Err(ProxyFault::Strange)
            };
        }
        let could_be_http = head.iter().zip(HTTP).all(|(read, known)| read == known);
        if head.len() > LONGEST_HEAD || !could_be_http {
            return Err(ProxyFault::Strange);
        }
        if read == 0 {
            return Err(ProxyFault::Closed);
        }
    }
}

/// The status of an answer of HTTP/1.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let code = rest.split(' ').next()?;
    let is_http = matches!(version, "HTTP/1.0" | "HTTP/1.1");
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    (is_http && is_code).then(|| code.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a proxy that gives this answer was sent, and what became of it.
    async fn asked(answer: &[u8], secret: Option<&str>) -> (String, Result<(), ProxyFault>) {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(answer).await.unwrap();
        let secret = secret.map(SecretString::from);
        let opened = open(&mut ours, "jira.example:443", secret.as_ref());
        let closed = async {
            let mut sent = vec![0; 1024];
            let read = theirs.read(&mut sent).await.unwrap();
            theirs.shutdown().await.unwrap();
            String::from_utf8(sent[..read].to_vec()).unwrap()
        };
        tokio::join!(closed, opened)
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_with_the_credentials_of_the_proxy_alone() {
        let ok = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 x\r\n\r\n";
        let (sent, opened) = asked(ok, Some("Basic abc")).await;
        assert_eq!(opened, Ok(()));
        assert_eq!(
            sent,
            format!(
                "CONNECT jira.example:443 HTTP/1.1\r\nHost: jira.example:443\r\nUser-Agent: {USER_AGENT}\r\nProxy-Authorization: Basic abc\r\n\r\n"
            )
        );
        let (sent, opened) = asked(b"HTTP/1.0 200\r\n\r\n", None).await;
        assert_eq!(opened, Ok(()));
        assert!(!sent.contains("Authorization"), "{sent}");
    }

    #[tokio::test]
    async fn a_connection_that_breaks_was_closed_by_the_proxy() {
        let (mut ours, theirs) = tokio::io::duplex(64);
        drop(theirs);
        let opened = open(&mut ours, "jira.example:443", None).await;
        assert_eq!(opened, Err(ProxyFault::Closed));
    }

    #[tokio::test]
    async fn an_answer_that_opens_no_tunnel_is_told_apart() {
        let long = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'a'; 9000]].concat();
        for (answer, expected) in [
            (
                &b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n<html>"[..],
                ProxyFault::Unauthorized { sent: false },
            ),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", ProxyFault::Refused(403)),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", ProxyFault::Failed(502)),
            (b"HTTP/1.1 302 Found\r\n\r\n", ProxyFault::Strange),
            (b"HTTP/1.1 2000 OK\r\n\r\n", ProxyFault::Strange),
            (b"HTTP/2 200\r\n\r\n", ProxyFault::Strange),
            (b"SSH-2.0-x\r\n\r\n", ProxyFault::Strange),
            // A greeting of another protocol, or a TLS alert, has no end as an answer has.
            (b"220 mail\r\n", ProxyFault::Strange),
            (b"\x15\x03\x03\0\x02\x02\x46", ProxyFault::Strange),
            (b"HTTP/1.1 200 OK\r\n", ProxyFault::Closed),
            (b"", ProxyFault::Closed),
            // What comes behind the answer would be taken for the site's.
            (b"HTTP/1.1 200 OK\r\n\r\nHELLO", ProxyFault::Strange),
            (&long, ProxyFault::Strange),
        ] {
            let (_, opened) = asked(answer, None).await;
            let shown = String::from_utf8_lossy(answer);
            assert_eq!(opened, Err(expected), "{shown}");
        }
    }
}
