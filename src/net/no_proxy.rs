//! Which hosts are called without the proxy.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

/// The hosts of `--no-proxy`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Entry {
    /// `*`.
    All,
    /// A name and what is below it, or only what is below it.
    Name {
        name: String,
        itself: bool,
        port: Option<u16>,
    },
    /// An address or a network. Sites have names, so that none is one of these.
    Address,
}

/// A value of `--no-proxy` that is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "--no-proxy: {0:?} is not a host: write NAME (with all names below it), .NAME (only those below it), NAME:PORT or *"
)]
pub struct NoProxyError(String);

impl NoProxy {
    /// Reads the values of the flag. Empty values are left out.
    pub(super) fn parse<I>(values: I) -> Result<Self, NoProxyError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let entries = values
            .into_iter()
            .map(|value| value.as_ref().trim().to_owned())
            .filter(|value| !value.is_empty())
            .map(|value| Entry::parse(&value).ok_or(NoProxyError(value)))
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Whether a host is called without the proxy.
    pub(super) fn contains(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.entries.iter().any(|entry| entry.matches(&host, port))
    }

    /// Whether a value is an address, which no site is.
    pub(super) fn has_addresses(&self) -> bool {
        self.entries.contains(&Entry::Address)
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        if is_address(bare.unwrap_or(text)) {
            return Some(Self::Address);
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        };
        if is_address(name.trim_matches(['[', ']'])) {
            return Some(Self::Address);
        }
        let below = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
        // The same reading as for the site of a spec: lower case, Punycode.
        let Ok(Host::Domain(read)) = Host::parse(below.unwrap_or(name)) else {
            return None;
        };
        let read = read.strip_suffix('.').unwrap_or(&read);
        let is_name = !read.is_empty() && !read.contains(['*', '/', '@']);
        is_name.then(|| Self::Name {
            name: read.to_owned(),
            itself: below.is_none(),
            port,
        })
    }

    fn matches(&self, host: &str, asked: u16) -> bool {
        match self {
            Self::All => true,
            Self::Address => false,
            Self::Name { name, itself, port } => {
                let is_below = host
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.ends_with('.'));
                port.is_none_or(|port| port == asked) && (is_below || (*itself && host == name))
            }
        }
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<IpNet>().is_ok() || text.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_direct_by_its_name_its_suffix_or_its_port() {
        let list = "jira.example.com, .corp.example.com,*.lab.example,bücher.example,dc.example:8443,10.0.0.0/8,";
        let list = NoProxy::parse(list.split(',')).unwrap();
        for (host, port, direct) in [
            ("jira.example.com", 443, true),
            ("JIRA.example.com.", 443, true),
            ("x.jira.example.com", 443, true),
            ("notjira.example.com", 443, false),
            ("jira.example.com.evil.org", 443, false),
            ("a.corp.example.com", 8443, true),
            ("corp.example.com", 443, false),
            ("a.lab.example", 443, true),
            ("lab.example", 443, false),
            ("xn--bcher-kva.example", 443, true),
            ("dc.example", 8443, true),
            ("dc.example", 443, false),
            ("acme.atlassian.net", 443, false),
        ] {
            assert_eq!(list.contains(host, port), direct, "{host}:{port}");
        }
        assert!(list.has_addresses());
        assert!(NoProxy::parse(["*"]).unwrap().contains("any.example", 443));
        let none = NoProxy::parse(["", " "]).unwrap();
        assert!(!none.contains("any.example", 443) && !none.has_addresses());
    }

    #[test]
    fn an_address_is_taken_in_every_form_and_matches_no_site() {
        for address in [
            "10.1.2.3",
            "10.1.2.3:3128",
            "10.0.0.0/8",
            "::1",
            "[::1]",
            "[::1]:3128",
            "fd00::/8",
        ] {
            let list = NoProxy::parse([address]).unwrap();
            assert!(list.has_addresses(), "{address}");
            assert!(!list.contains("jira.example.com", 443), "{address}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_by_its_flag() {
        for bad in [
            "https://jira.example.com",
            "jira.example.com/jira",
            "j*.example.com",
            "jira.example.com:port",
            "user@jira.example.com",
            ".",
            "*.",
        ] {
            let error = NoProxy::parse([bad]).unwrap_err().to_string();
            assert!(
                error.contains("--no-proxy") && error.contains(".NAME"),
                "{error}"
            );
        }
    }
}
