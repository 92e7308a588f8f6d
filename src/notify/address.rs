//! The address of a sink: secret, since who knows it can write there.

use std::fmt;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::net::HostPatterns;

/// Longest file with an address.
const LONGEST: u64 = 4096;

/// What an address must be.
const EXPECTED: &str = "must be one address that begins with https://, has a host, and has neither a user nor a fragment";

/// What the host of an address must be.
const NOT_ALLOWED: &str =
    "must have a host that --notify-hosts names: add it there, or correct the address";

/// The path of Alertmanager's API.
const ALERTS: &str = "/api/v2/alerts";

/// Where a sink is: in the file of the configuration, or in one of its own.
#[derive(Clone)]
pub(super) enum Address {
    Known(SecretString),
    /// Read for each request, so that a new one in a mounted Secret needs no restart.
    File(PathBuf),
}

/// Nothing of it is shown.
impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Address")
    }
}

impl Address {
    /// The address now.
    ///
    /// # Errors
    /// When there is none: what is wrong, without a part of it.
    pub(super) async fn url(&self, alerts: bool, hosts: &HostPatterns) -> Result<Url, String> {
        match self {
            Self::Known(text) => parse(text.expose_secret(), alerts, hosts),
            Self::File(path) => {
                check_file(tokio::fs::metadata(path).await.ok())?;
                let text = tokio::fs::read_to_string(path).await;
                let text = SecretString::from(text.map_err(|_| UNREADABLE.to_owned())?);
                parse(text.expose_secret(), alerts, hosts)
            }
        }
    }

    /// Checks the address as it is at the start.
    ///
    /// # Errors
    /// As [`Self::url`].
    pub(super) fn check(&self, alerts: bool, hosts: &HostPatterns) -> Result<(), String> {
        let text = match self {
            Self::Known(text) => return parse(text.expose_secret(), alerts, hosts).map(drop),
            Self::File(path) => read_now(path)?,
        };
        parse(text.expose_secret(), alerts, hosts).map(drop)
    }
}

const UNREADABLE: &str =
    "names a file that cannot be read: mount it beside the configuration, or write its whole path";

/// Reading anything but a file, such as a pipe, may never end.
fn check_file(about: Option<Metadata>) -> Result<(), String> {
    match about.filter(Metadata::is_file) {
        None => Err(UNREADABLE.to_owned()),
        Some(about) if about.len() > LONGEST => Err(format!(
            "names a file of more than {LONGEST} bytes: it must hold one address alone"
        )),
        Some(_) => Ok(()),
    }
}

fn read_now(path: &Path) -> Result<SecretString, String> {
    check_file(std::fs::metadata(path).ok())?;
    let text = std::fs::read_to_string(path);
    text.map(SecretString::from)
        .map_err(|_| UNREADABLE.to_owned())
}

fn parse(text: &str, alerts: bool, hosts: &HostPatterns) -> Result<Url, String> {
    let text = text.trim();
    let url = Url::parse(text).map_err(|_| EXPECTED.to_owned())?;
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let in_one_line = !text.contains(char::is_whitespace);
    if url.scheme() != "https" || url.host().is_none() || !bare || !in_one_line {
        return Err(EXPECTED.to_owned());
    }
    // An address with digits for a host is no name, and no pattern matches it.
    if !url.host_str().is_some_and(|host| hosts.matches(host)) {
        return Err(NOT_ALLOWED.to_owned());
    }
    if !alerts || url.path().ends_with(ALERTS) {
        return Ok(url);
    }
    let mut whole = url;
    let path = format!("{}{ALERTS}", whole.path().trim_end_matches('/'));
    whole.set_path(&path);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> HostPatterns {
        HostPatterns::parse("--notify-hosts", ["am.example", "*.chat.example"]).unwrap()
    }

    #[test]
    fn an_address_has_an_allowed_host() {
        for (text, is_allowed) in [
            ("https://am.example/canary", true),
            ("https://AM.example.:8443/canary", true),
            ("https://hooks.chat.example/canary", true),
            ("https://chat.example/canary", false),
            ("https://am.example.evil.example/canary", false),
            ("https://127.0.0.1/canary", false),
            ("https://[::1]/canary", false),
            ("https://kubernetes.default.svc/canary", false),
        ] {
            let read = parse(text, false, &hosts());
            assert_eq!(read.is_ok(), is_allowed, "{text}");
            if let Err(what) = read {
                assert!(what.contains("--notify-hosts") && !what.contains("canary"));
            }
        }
    }

    #[test]
    fn an_address_of_alertmanager_is_completed() {
        for (text, url) in [
            (
                "https://am.example:9093",
                "https://am.example:9093/api/v2/alerts",
            ),
            (
                "https://am.example/am/\n",
                "https://am.example/am/api/v2/alerts",
            ),
            (
                "https://am.example/api/v2/alerts",
                "https://am.example/api/v2/alerts",
            ),
        ] {
            assert_eq!(parse(text, true, &hosts()).unwrap().as_str(), url);
        }
    }

    #[test]
    fn an_address_is_not_shown() {
        let known = Address::Known("https://hooks.example/canary".into());
        let file = Address::File("/canary".into());
        assert!(!format!("{known:?} {file:?}").contains("canary"));
        for bad in [
            "http://hooks.example/canary",
            "https://canary@hooks.example",
            "https://hooks.example/a\nhttps://canary.example",
            "https://hooks.example/#canary",
            "canary",
            "",
        ] {
            let error = parse(bad, false, &hosts()).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
            assert!(error.contains("https://"), "{error}");
        }
    }
}
