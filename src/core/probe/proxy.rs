//! What can go wrong between the operator and the proxy that it calls Jira through.

/// Why no call got through the proxy. Nothing has reached the site in any of these cases.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProxyFault {
    /// The name of the proxy does not resolve.
    Unresolved,
    /// No connection to the proxy.
    Unreachable,
    /// The TLS handshake with the proxy failed for another reason than its certificate.
    Tls,
    /// The certificate of the proxy is not trusted, expired, or of another name.
    Certificate,
    /// The file with the credentials for the proxy cannot be read, or holds none.
    NoCredentials,
    /// The proxy wants credentials, or other ones.
    Unauthorized {
        /// Whether some were sent.
        sent: bool,
    },
    /// The proxy does not let the call through.
    Refused(u16),
    /// The proxy got no connection to the site.
    Failed(u16),
    /// The proxy did not answer in time.
    Silent,
    /// The proxy closed the connection without an answer.
    Closed,
    /// What answers does not speak as a proxy does.
    Strange,
}

impl ProxyFault {
    /// What an answer to CONNECT means that opens no tunnel.
    pub fn of_status(status: u16, sent: bool) -> Self {
        match status {
            // Some proxies answer wrong credentials as a server does.
            401 | 407 => ProxyFault::Unauthorized { sent },
            // 408 and 429 are a lack of time or of room, and no word about whether the site may be called.
            408 | 429 | 500..=599 => ProxyFault::Failed(status),
            400..=499 => ProxyFault::Refused(status),
            _ => ProxyFault::Strange,
        }
    }

    /// Whether it concerns every call through the proxy, and not the one to this site.
    pub fn is_of_the_proxy(self) -> bool {
        match self {
            ProxyFault::Unresolved
            | ProxyFault::Unreachable
            | ProxyFault::Tls
            | ProxyFault::Certificate
            | ProxyFault::NoCredentials
            | ProxyFault::Unauthorized { .. }
            | ProxyFault::Strange => true,
            // Proxies close a connection to deny a site, too.
            ProxyFault::Refused(_)
            | ProxyFault::Failed(_)
            | ProxyFault::Silent
            | ProxyFault::Closed => false,
        }
    }

    /// The word for metrics and logs.
    pub fn word(self) -> &'static str {
        match self {
            ProxyFault::Unresolved => "proxy_dns",
            ProxyFault::Unreachable => "proxy_connect",
            ProxyFault::Tls => "proxy_tls",
            ProxyFault::Certificate => "proxy_certificate",
            ProxyFault::NoCredentials => "proxy_no_credentials",
            ProxyFault::Unauthorized { .. } => "proxy_unauthorized",
            ProxyFault::Refused(_) => "proxy_refused",
            ProxyFault::Failed(_) => "proxy_failed",
            ProxyFault::Silent => "proxy_timeout",
            ProxyFault::Closed => "proxy_closed",
            ProxyFault::Strange => "proxy_strange",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_connect_is_told_apart_by_who_must_act() {
        for (status, expected) in [
            (407, ProxyFault::Unauthorized { sent: true }),
            (401, ProxyFault::Unauthorized { sent: true }),
            (403, ProxyFault::Refused(403)),
            (404, ProxyFault::Refused(404)),
            (408, ProxyFault::Failed(408)),
            (429, ProxyFault::Failed(429)),
            (502, ProxyFault::Failed(502)),
            (504, ProxyFault::Failed(504)),
            (302, ProxyFault::Strange),
            (101, ProxyFault::Strange),
        ] {
            assert_eq!(ProxyFault::of_status(status, true), expected, "{status}");
        }
    }

    #[test]
    fn what_one_site_meets_is_not_said_of_the_proxy() {
        for fault in [
            ProxyFault::Refused(403),
            ProxyFault::Failed(502),
            ProxyFault::Silent,
            ProxyFault::Closed,
        ] {
            assert!(!fault.is_of_the_proxy(), "{fault:?}");
        }
    }
}
