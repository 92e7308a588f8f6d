//! The messages for a call that got no usable answer.

use crate::api::{ConditionStatus, ConditionType, Hosting, Reason};
use crate::core::facts::Facts;
use crate::core::messages::{host, proxy, still};
use crate::core::probe::{Forbidden, Judgement, Outage, WaitCause};

/// What the message starts with when a password was sent and nothing is known of it.
const INTERRUPTED: &str = "Validation interrupted.";

/// How earlier versions of the operator began it.
const EARLIER_INTERRUPTED: &str = "NotYetProven: interrupted.";

/// What a 403 of a Data Center for a password may mean where it does not say so.
pub(crate) const DENIED_PASSWORD: &str = "For a user name and password it may mean a CAPTCHA after failed logins (log in as this user in a browser), that Basic authentication is disabled, or that the stored password is a token (use auth.personalAccessToken).";

/// What an outage means, and what pods have meanwhile.
pub fn outage(facts: &Facts, outage: Outage) -> String {
    format!("{} {}", cause(facts, outage), still(facts))
}

/// What an outage means.
pub fn cause(facts: &Facts, outage: Outage) -> String {
    let what = message(facts, outage);
    let before = if facts.progress.refused_at_site.is_some() {
        format!(
            "{} refuses the API token at its own address; a token with scopes works only at Atlassian's gateway, which has not answered yet. ",
            host(facts)
        )
    } else {
        String::new()
    };
    let retries = match outage {
        Outage::RateLimited { .. } | Outage::Unavailable { .. } => {
            "The operator retries after the requested wait."
        }
        _ => "The operator retries.",
    };
    format!("{before}{what} {retries}")
}

fn message(facts: &Facts, outage: Outage) -> String {
    let host = asked_host(facts);
    match outage {
        Outage::Dns => {
            format!("The name {host} does not resolve. Check spec.site and the cluster's DNS.")
        }
        Outage::Connect => format!(
            "No connection to {host}. Check spec.site, network policies and whether Jira is up."
        ),
        Outage::Tls => format!(
            "The TLS handshake with {host} failed. Check for a proxy that does not pass TLS, and which versions of TLS Jira takes."
        ),
        Outage::Certificate => format!(
            "The certificate of {host} is not trusted, expired, or made for another name.{}",
            ca_hint(facts)
        ),
        Outage::Timeout => format!("{host} did not answer in time."),
        Outage::ConnectionLost => {
            format!("The connection to {host} broke before the answer was complete.")
        }
        Outage::TooLarge => format!(
            "{host} answered with more data than a Jira user has. Check that spec.site is the base address of Jira."
        ),
        Outage::Redirect => format!(
            "{host} answered with a redirect to another page; the operator never follows a redirect with a credential. Check that spec.site is the base address of Jira, and that no proxy or single sign-on in front of Jira redirects the REST API."
        ),
        Outage::SingleSignOn => format!(
            "{host} redirects the call to what looks like the login page of single sign-on; the operator never follows a redirect with a credential. Have the administrator of Jira exempt the REST API (/rest/) from single sign-on in front of Jira; leave spec.site as it is."
        ),
        Outage::Moved => format!(
            "{host} redirects the call to the same path at another address; the operator never follows a redirect with a credential. If Jira has moved, set spec.site to its new address."
        ),
        Outage::NotJson => format!(
            "{host} answered with a web page instead of data, as login pages of single sign-on and proxies do. Check that spec.site is the base address of Jira and that the REST API is reachable without a login page."
        ),
        Outage::BrokenJson => format!(
            "{host} answered with JSON that is cut off or damaged. Check for a proxy in front of Jira that changes or shortens responses."
        ),
        Outage::Anonymous => format!(
            "{host} answered with a user, but by its headers Jira treated the call as anonymous: a proxy in front of Jira removes the credential, or answers from a cache. Check that it passes the Authorization header to Jira and caches nothing under /rest/."
        ),
        Outage::ContextPath if is_cloud(facts) => format!(
            "{host} redirects the call to another path, which Jira Cloud does not do; the operator never follows a redirect with a credential. Check spec.site and the proxies of the cluster."
        ),
        Outage::ContextPath => format!(
            "{host} redirects the call to another path, so Jira probably has a context path; the operator never follows a redirect with a credential. Add the path to spec.site, such as https://HOST/jira."
        ),
        Outage::PermissionsUntold => format!(
            "Jira at {host} accepts the credential but does not answer what its account may do (mypermissions), which spec.validation.requiredPermissions needs."
        ),
        Outage::NotAUser => format!(
            "{host} answered with something that is not a Jira user. Check that spec.site is the base address of Jira."
        ),
        Outage::NotFound => not_found(facts, &host),
        Outage::NoCloudSite => format!(
            "{host} is an address of Atlassian's cloud, and Atlassian has no Jira there: the site was renamed or deleted, or Jira was removed from it. Check the name in spec.site, and whether the site still has Jira."
        ),
        Outage::CrossSiteCheck => format!(
            "Jira at {host} took the call for one of a browser (XSRF check). Have the proxy in front of Jira pass the header X-Atlassian-Token, and add neither Origin nor Referer."
        ),
        Outage::RateLimited { .. } => format!("{host} limits the rate of calls."),
        Outage::Unavailable { .. } => format!("{host} is unavailable."),
        Outage::ServerError(status) => format!("{host} answered with the server error {status}."),
        Outage::Unexpected(403) if facts.is_password() => format!(
            "{host} answered with a page and the status 403, which is from a firewall or proxy in front of Jira, or from an older Data Center. {DENIED_PASSWORD}"
        ),
        Outage::Unexpected(status) => {
            format!("{host} answered with the unexpected status {status}.")
        }
        Outage::ClockSkew => format!(
            "Jira at {host} refuses the time of signed requests: the clock of Jira's machine and that of the operator's node differ by more than five minutes. This says nothing about the credential. Synchronise both clocks with NTP."
        ),
        Outage::NonceUsed => {
            format!("Jira at {host} treats a signed request as a repeated one.")
        }
        Outage::OAuthForm => format!(
            "Jira at {host} rejects the form of a signed request, which says nothing about the credential. Check that no proxy in front of Jira changes the Authorization header."
        ),
        Outage::NotSigned => {
            "The request could not be signed: the operator's machine provides no random numbers.".to_owned()
        }
        Outage::Internal => {
            "The operator could not make the call; this is a fault of the operator and says nothing about the credential."
                .to_owned()
        }
        Outage::TooLate => format!("The call to {host} was not made in time."),
        Outage::Paused {
            cause: WaitCause::Proxy,
            ..
        } => proxy::paused_for_others(facts, &host),
        Outage::Paused { .. } => format!(
            "{host} does not answer the calls for other credentials either, so the operator has paused calls to it."
        ),
        Outage::Proxy(fault) => proxy::message(facts, fault, &host),
        Outage::BadCaBundle => {
            "The CA certificates of spec.tls cannot be used. Store valid PEM certificates."
                .to_owned()
        }
    }
}

/// Who was asked last: a site, or Atlassian's gateway about a token that the site refuses.
fn asked_host(facts: &Facts) -> String {
    let base = facts.gateway().filter(|_| !facts.renews());
    match base.filter(|_| facts.cloud_id().is_some()) {
        Some(gateway) => gateway.trim_start_matches("https://").to_owned(),
        None => host(facts),
    }
}

/// A 404 of Jira, or of whatever else is at the address.
fn not_found(facts: &Facts, host: &str) -> String {
    let found = format!("No Jira was found at {host}. Check the name in spec.site");
    let Ok(site) = facts.plan.as_ref().map(|plan| &plan.site) else {
        return format!("{found}.");
    };
    let has_path = site.base.trim_start_matches("https://").contains('/');
    match (site.hosting, has_path) {
        (Hosting::Cloud, true) => format!(
            "No Jira was found at {host}. spec.site has a path, which Jira Cloud never has: remove it, so that spec.site is https://HOST. Use hosting: DataCenter if Jira is a Data Center with a context path."
        ),
        (Hosting::Cloud, false) if facts.gateway().is_some() => format!(
            "Atlassian has no Jira Cloud site at {host}. Check the name in spec.site, and cloudId in spec.auth if it is set."
        ),
        (Hosting::Cloud, false) => format!("{found}."),
        (Hosting::DataCenter, true) => format!(
            "{found}, and whether the path in it is the context path of Jira; without one, spec.site is https://HOST."
        ),
        (Hosting::DataCenter, false) => format!(
            "{found}, and whether Jira has a context path there, such as https://HOST/jira."
        ),
    }
}

/// Why a validation waits because of other calls to the site, if it does.
pub fn pause(facts: &Facts) -> Option<(Reason, String)> {
    facts.site_wait.map(|wait| paused_by(facts, wait.cause))
}

/// Why no calls are made to the site.
pub fn paused_by(facts: &Facts, cause: WaitCause) -> (Reason, String) {
    let host = host(facts);
    match cause {
        WaitCause::Proxy => (Reason::SiteUnavailable, proxy::paused(facts, &host)),
        WaitCause::RateLimited => (
            Reason::RateLimited,
            format!("{host} limits the rate of calls; the operator waits before the next call."),
        ),
        WaitCause::Unresponsive => (
            Reason::SiteUnavailable,
            format!(
                "{host} did not answer calls for several credentials; the operator has paused calls to it and retries."
            ),
        ),
    }
}

/// A validation that waits for its turn.
pub fn queued(facts: &Facts) -> String {
    format!(
        "The operator makes a limited number of calls to Jira at a time; the credential is in the queue to be validated at {}. {}",
        host(facts),
        still(facts)
    )
}

/// An outage of which nothing but the kind is recorded.
pub fn not_asked(facts: &Facts) -> String {
    format!(
        "The credential could not be validated at {}. The operator retries. {}",
        host(facts),
        still(facts)
    )
}

/// Why a site was not called, and what pods have meanwhile.
pub fn not_allowed(facts: &Facts, forbidden: Forbidden) -> String {
    format!("{} {}", address(facts, forbidden), still(facts))
}

/// Why a site was not called.
pub fn address(facts: &Facts, forbidden: Forbidden) -> String {
    let kind = match forbidden {
        Forbidden::Loopback => "a loopback address",
        Forbidden::LinkLocal => "a link-local address",
        Forbidden::Private => "a private address",
        Forbidden::Reserved => "a reserved address",
    };
    format!(
        "The name {} resolves to {kind}, to which the operator sends no credential. Correct spec.site; the administrator can allow addresses with --allowed-addresses.",
        host(facts)
    )
}

/// A password whose process died before it heard the answer.
pub fn interrupted(facts: &Facts) -> String {
    format!(
        "{INTERRUPTED} The password was sent to {} and the response was lost. The operator does not send it again, because Jira may have counted it as a failed login. Set the annotation jira-operator.dev/renew to a new value to try again, or change the Secret. {}",
        host(facts),
        still(facts)
    )
}

/// A password whose answer says nothing about it, or was lost.
pub fn unanswered(facts: &Facts) -> String {
    if let Some(Judgement::NoVerdict(outage)) = &facts.progress.judgement {
        return format!(
            "{INTERRUPTED} The password was sent once and its result is unknown. {} The operator does not send it again, because Jira may have counted it as a failed login. Set the annotation jira-operator.dev/renew to a new value to try again, or change the Secret. {}",
            message(facts, *outage),
            still(facts)
        );
    }
    let told = facts
        .status
        .condition(ConditionType::Valid)
        .filter(|old| old.status == ConditionStatus::Unknown && old.reason == Reason::NotValidated)
        .and_then(|old| {
            let rest = old.message.strip_prefix(INTERRUPTED);
            rest.or_else(|| old.message.strip_prefix(EARLIER_INTERRUPTED))
        });
    told.map_or_else(|| interrupted(facts), |rest| format!("{INTERRUPTED}{rest}"))
}

fn is_cloud(facts: &Facts) -> bool {
    let plan = facts.plan.as_ref();
    plan.is_ok_and(|plan| plan.site.hosting == Hosting::Cloud)
}

fn ca_hint(facts: &Facts) -> &'static str {
    match facts.plan.as_ref().map(|plan| plan.site.hosting) {
        Ok(Hosting::DataCenter) => " For a private CA set spec.tls.",
        Ok(Hosting::Cloud) | Err(_) => "",
    }
}
