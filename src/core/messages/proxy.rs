//! Messages about a call that did not get through the proxy: what is wrong, who can correct it, and how.

use crate::core::facts::Facts;
use crate::core::probe::ProxyFault;

/// What is wrong with the proxy, and what to do, for a call to `host`.
pub(crate) fn message(facts: &Facts, fault: ProxyFault, host: &str) -> String {
    let what = what(fault, name(facts));
    format!(
        "The operator calls {host} through a proxy, and {what}. {}",
        remedy(fault, host)
    )
}

/// The same in one sentence without a full stop inside, for a call to the issuer of tokens.
pub(crate) fn sentence(facts: &Facts, fault: ProxyFault, who: &str) -> String {
    let what = what(fault, name(facts));
    format!("{who} was not reached: {what}.")
}

/// Why no calls are made to a site behind the proxy.
pub(crate) fn paused(facts: &Facts, host: &str) -> String {
    format!(
        "The operator calls {host} through the proxy {}, which did not let the calls of several credentials through; the operator has paused calls to it and retries. This is for the administrator of the operator: the log of the operator and the messages of other credentials say what is wrong.",
        name(facts)
    )
}

/// Why a call was not made.
pub(crate) fn paused_for_others(facts: &Facts, host: &str) -> String {
    format!(
        "The operator calls {host} through the proxy {}, which does not let the calls for other credentials through either, so the operator has paused calls. This is for the administrator of the operator: the log of the operator says what is wrong.",
        name(facts)
    )
}

fn name(facts: &Facts) -> &str {
    facts.proxy.as_deref().unwrap_or("of the operator")
}

fn what(fault: ProxyFault, proxy: &str) -> String {
    match fault {
        ProxyFault::Unresolved => format!("the name of the proxy {proxy} does not resolve"),
        ProxyFault::Unreachable => format!("there is no connection to the proxy {proxy}"),
        ProxyFault::Tls => format!("the TLS handshake with the proxy {proxy} fails"),
        ProxyFault::Certificate => format!(
            "the certificate of the proxy {proxy} is not trusted, has expired or is made for another name"
        ),
        ProxyFault::NoCredentials => {
            format!("the operator cannot read the credentials for the proxy {proxy}")
        }
        ProxyFault::Unauthorized { sent: true } => {
            format!("the proxy {proxy} does not accept the operator's credentials for it (407)")
        }
        ProxyFault::Unauthorized { sent: false } => {
            format!(
                "the proxy {proxy} requires credentials (407), and the operator has none for it"
            )
        }
        ProxyFault::Refused(status) => {
            format!("the proxy {proxy} does not let the call through (status {status})")
        }
        ProxyFault::Failed(status) => {
            format!("the proxy {proxy} got no connection to it (status {status})")
        }
        ProxyFault::Silent => {
            format!("the proxy {proxy} did not open a connection to it in time")
        }
        ProxyFault::Closed => {
            format!("the proxy {proxy} closed the connection without an answer")
        }
        ProxyFault::Strange => {
            format!(
                "what answers at the address of the proxy {proxy} does not speak as an HTTP proxy does"
            )
        }
    }
}

fn remedy(fault: ProxyFault, host: &str) -> String {
    let administrator = "This is for the administrator of the operator";
    match fault {
        ProxyFault::Unresolved => {
            format!("{administrator}: check --https-proxy and the cluster's DNS.")
        }
        ProxyFault::Unreachable => format!(
            "{administrator}: check --https-proxy, network policies and whether the proxy is up."
        ),
        ProxyFault::Tls => format!(
            "{administrator}: check the scheme in --https-proxy, and which versions of TLS the proxy takes."
        ),
        ProxyFault::Certificate => format!(
            "{administrator}: check the name in --https-proxy, and add the proxy's authority to --extra-ca-file."
        ),
        ProxyFault::NoCredentials => format!(
            "{administrator}: the file of --https-proxy-credentials-file must be readable and hold one line, user:password."
        ),
        ProxyFault::Unauthorized { sent: true } => format!(
            "{administrator}: correct user and password in the file of --https-proxy-credentials-file. The credential for Jira has nothing to do with it."
        ),
        ProxyFault::Unauthorized { sent: false } => format!(
            "{administrator}: set --https-proxy-credentials-file. The credential for Jira has nothing to do with it."
        ),
        ProxyFault::Refused(_) => format!(
            "Check spec.site; the administrator of the proxy has to allow CONNECT to {host}, or that of the operator to add it to --no-proxy."
        ),
        ProxyFault::Failed(_) | ProxyFault::Silent => format!(
            "Check spec.site and whether Jira is up; the administrator of the proxy sees in its log why {host} cannot be reached from there."
        ),
        ProxyFault::Closed => format!(
            "Check spec.site; the administrator of the proxy sees in its log why it closes connections for {host}."
        ),
        ProxyFault::Strange => {
            format!("{administrator}: check scheme, host and port in --https-proxy.")
        }
    }
}
