//! The proxy that Jira and Atlassian are called through, if the administrator has set one.
//!
//! The proxy resolves the names of sites, so the check of their addresses (`dns`) is not made for what
//! goes through it: which hosts may be called is decided by name alone, and TLS is between the
//! operator and the site. The variables that other programs read (`HTTPS_PROXY`) are left aside: they are often
//! set for a whole node, and this is a decision about credentials.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use url::{Host, Url};

use crate::core::probe::ProxyFault;
use crate::net::no_proxy::{NoProxy, NoProxyError};
use crate::net::proxy_attempts::Attempts;

/// Longest file with credentials that is read.
const LONGEST_CREDENTIALS: u64 = 4096;

/// The proxy, and who is called without it.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Host and port, for people and for the connection.
    pub(super) name: String,
    /// Its host alone, as TLS knows it.
    pub(super) host: String,
    /// Whether TLS is spoken with the proxy itself.
    pub(super) is_tls: bool,
    /// The file with its credentials.
    credentials: Option<PathBuf>,
    direct: NoProxy,
    /// What was wrong with it last, so that the log tells a change once. Shared by copies.
    fault: Arc<Mutex<Option<ProxyFault>>>,
    /// What became of its credentials. Shared by copies.
    pub(super) attempts: Arc<Attempts>,
}

/// Why the flags of the proxy cannot be used. The address is not repeated: it may contain a
/// password, which must not reach a log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProxyError {
    /// No address of a proxy.
    #[error("--https-proxy: write http://HOST:PORT or https://HOST:PORT, and nothing behind it")]
    Address,
    /// A user or password in the address.
    #[error(
        "--https-proxy: the address contains a user or a password: leave them out, store user:password in a file, and name the file in --https-proxy-credentials-file"
    )]
    UserInfo,
    /// Credentials for no proxy.
    #[error("--https-proxy-credentials-file needs --https-proxy")]
    NoProxy,
    /// The file cannot be read, or holds something else.
    #[error("--https-proxy-credentials-file: {0}")]
    Credentials(#[from] CredentialsError),
    /// A value of `--no-proxy`.
    #[error(transparent)]
    Direct(#[from] NoProxyError),
}

/// Why a file has no credentials for a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Unreadable,
    /// It does not hold what it should.
    #[error("the file must hold one line, user:password")]
    Malformed,
}

impl Proxy {
    /// Reads the flags; `None` when there is no proxy.
    ///
    /// # Errors
    /// When a flag cannot be used.
    pub fn parse<I>(
        address: &str,
        direct: I,
        credentials: Option<&Path>,
    ) -> Result<Option<Self>, ProxyError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let direct = NoProxy::parse(direct)?;
        let credentials = credentials.filter(|path| !path.as_os_str().is_empty());
        let address = address.trim();
        if address.is_empty() {
            return match credentials {
                Some(_) => Err(ProxyError::NoProxy),
                None => Ok(None),
            };
        }
        let url = read(address)?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(ProxyError::Address);
        };
        if let Some(path) = credentials {
            authorization(&std::fs::read(path).map_err(|_| CredentialsError::Unreadable)?)?;
        }
        Ok(Some(Self {
            name: format!("{host}:{port}"),
            host: host.trim_matches(['[', ']']).to_owned(),
            is_tls: url.scheme() == "https",
            credentials: credentials.map(Path::to_owned),
            direct,
            fault: Arc::default(),
            attempts: Arc::default(),
        }))
    }

    /// Host and port of the proxy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether credentials are sent to the proxy.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// Whether others on the way to the proxy can read its credentials.
    pub fn sends_in_clear(&self) -> bool {
        self.has_credentials() && !self.is_tls
    }

    /// Whether `--no-proxy` has addresses, which no site is.
    pub fn has_idle_addresses(&self) -> bool {
        self.direct.has_addresses()
    }

    /// Logs when the proxy as a whole stops or begins to let calls through.
    pub(super) fn note(&self, fault: Option<ProxyFault>) {
        if fault.is_some_and(|fault| !fault.is_of_the_proxy()) {
            return;
        }
        let mut last = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            _ if *last == fault => {}
            Some(fault) => tracing::warn!(
                proxy = self.name,
                fault = fault.word(),
                "the proxy lets no call through"
            ),
            None => tracing::info!(proxy = self.name, "the proxy lets calls through again"),
        }
        *last = fault;
    }

    /// Whether a host is called through the proxy.
    pub(super) fn carries(&self, host: &str, port: u16) -> bool {
        !self.direct.contains(host, port)
    }

    /// What the proxy is sent as credentials. Read for each connection, so that a new password in a
    /// mounted Secret needs no restart.
    pub(super) async fn authorization(&self) -> Result<Option<SecretString>, CredentialsError> {
        let Some(path) = &self.credentials else {
            return Ok(None);
        };
        let about = tokio::fs::metadata(path).await;
        let about = about.map_err(|_| CredentialsError::Unreadable)?;
        if about.len() > LONGEST_CREDENTIALS {
            return Err(CredentialsError::Malformed);
        }
        let bytes = tokio::fs::read(path).await;
        let bytes = Zeroizing::new(bytes.map_err(|_| CredentialsError::Unreadable)?);
        authorization(&bytes).map(Some)
    }
}

fn read(address: &str) -> Result<Url, ProxyError> {
    // A password may contain what no URL can.
    if address.contains('@') {
        return Err(ProxyError::UserInfo);
    }
    let url = Url::parse(address).map_err(|_| ProxyError::Address)?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let has_host = match url.host() {
        Some(Host::Domain(name)) => !name.is_empty(),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    };
    if matches!(url.scheme(), "http" | "https") && has_host && bare {
        Ok(url)
    } else {
        Err(ProxyError::Address)
    }
}

/// The value of `Proxy-Authorization` (RFC 7617).
fn authorization(file: &[u8]) -> Result<SecretString, CredentialsError> {
    let text = std::str::from_utf8(file).map_err(|_| CredentialsError::Malformed)?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let is_pair = line
        .split_once(':')
        .is_some_and(|(user, _)| !user.is_empty());
    if !is_pair || line.chars().any(char::is_control) {
        return Err(CredentialsError::Malformed);
    }
    let encoded = Zeroizing::new(STANDARD.encode(line));
    Ok(SecretString::from(format!("Basic {}", encoded.as_str())))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn of(address: &str) -> Result<Option<Proxy>, ProxyError> {
        Proxy::parse(address, [""; 0], None)
    }

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port() {
        for (address, name, is_tls) in [
            (
                "http://proxy.example.com:3128",
                "proxy.example.com:3128",
                false,
            ),
            ("http://proxy.example.com", "proxy.example.com:80", false),
            ("https://Proxy.example.com/", "proxy.example.com:443", true),
            ("http://10.1.2.3:8080", "10.1.2.3:8080", false),
            ("https://[fd00::1]:8443", "[fd00::1]:8443", true),
        ] {
            let proxy = of(address).unwrap().unwrap();
            assert_eq!((proxy.name(), proxy.is_tls), (name, is_tls), "{address}");
        }
        for bad in [
            "proxy.example.com:3128",
            "proxy.example.com",
            "socks5://proxy.example.com:1080",
            "http://proxy.example.com/path",
            "http://proxy.example.com/?q",
            "http://",
        ] {
            assert_eq!(of(bad).unwrap_err(), ProxyError::Address, "{bad}");
        }
        assert!(of(" ").unwrap().is_none());
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        for address in [
            "http://robot:canary@proxy.example.com:3128",
            "http://canary@proxy.example.com",
            "http://robot:ca nary/#@proxy.example.com:port",
        ] {
            let error = of(address).unwrap_err();
            assert_eq!(error, ProxyError::UserInfo);
            assert!(!format!("{error} {error:?}").contains("canary"));
            assert!(error.to_string().contains("--https-proxy-credentials-file"));
        }
    }

    #[test]
    fn credentials_are_one_line_with_a_colon() {
        let good = authorization(b"robot:pass:word\r\n").unwrap();
        assert_eq!(good.expose_secret(), "Basic cm9ib3Q6cGFzczp3b3Jk");
        for bad in [
            &b""[..],
            b"robot",
            b":password",
            b"robot:a\nb",
            b"robot:\xff",
            b"robot:a\n\n",
        ] {
            let error = authorization(bad).unwrap_err();
            assert_eq!(error, CredentialsError::Malformed, "{bad:?}");
        }
    }

    #[test]
    fn flags_that_need_another_say_which() {
        let file = Path::new("/nonexistent/file");
        let alone = Proxy::parse("", [""; 0], Some(file)).unwrap_err();
        assert_eq!(alone, ProxyError::NoProxy);
        let gone = Proxy::parse("http://proxy:3128", [""; 0], Some(file)).unwrap_err();
        assert_eq!(gone, CredentialsError::Unreadable.into());
        let empty = Proxy::parse("", [""; 0], Some(Path::new("")));
        assert!(empty.unwrap().is_none());
    }
}
