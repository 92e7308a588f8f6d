//! The message for each reason that blocks a session, or a personal access token that creates its
//! own successor.

use crate::api::{Method, Reason, SOURCE_LABEL};
use crate::core::facts::{Facts, Twin};
use crate::core::messages;
use crate::core::messages::endpoint;
use crate::core::messages::hint::with_hint;
use crate::core::probe::Refusal;
use crate::core::spec::RenewalKind;

/// Why no successor could be made.
pub fn replacement_message(facts: &Facts, reason: Reason) -> String {
    let host = messages::host(facts);
    let kind = facts.renewal_plan().map(|plan| plan.kind);
    if kind == Some(RenewalKind::Login) {
        return format!(
            "Could not log in with the new user name and password in {}: Jira refused them for another JiraCredential, or the result of a login is unknown, and the operator does not retry. The operator keeps using the earlier session as long as Jira accepts it. Check the Secret, then set the annotation jira-operator.dev/renew to a new value.",
            messages::source_names(facts)
        );
    }
    match reason {
        Reason::TokenLimitReached => format!(
            "The account has as many personal access tokens as Jira at {host} allows, so the operator cannot create a replacement; the current token works until it expires. Revoke one that is not needed, in the Jira profile of the account."
        ),
        Reason::MintingForbidden => format!(
            "Jira at {host} does not let the personal access token create another one; the current token works until it expires. Have an administrator allow it, or set rotation to Manual and store a new token in {} before then.",
            source_key(facts)
        ),
        Reason::MintingUnsupported => format!(
            "Jira at {host} has no resource for personal access tokens (/rest/pat/latest/tokens), so the operator cannot create a replacement; the current token works until it expires. The resource needs Jira 8.14 or later, and a proxy that passes this path; otherwise set rotation to Manual and store a new token in {} before then.",
            source_key(facts)
        ),
        Reason::CrossSiteCheck => format!(
            "Jira at {host} took the request for a replacement of the personal access token for one of a browser (XSRF check) and refused it; the current token works until it expires. The operator retries: have the proxy in front of Jira pass the header X-Atlassian-Token, and add neither Origin nor Referer."
        ),
        Reason::RateLimited => format!(
            "Jira at {host} limits the rate of calls, so the operator could not yet look up or replace the personal access token; the current token works until it expires. The operator retries after the requested wait; if that does not help, store a new token in {}.",
            source_key(facts)
        ),
        Reason::SiteUnavailable => {
            let who = format!("Jira at {host}");
            let usual = format!("{NO_REPLACEMENT}{who} answered with an error, or not at all.");
            let cause = endpoint::cause(facts, reason, NO_REPLACEMENT, &who, usual);
            format!(
                "{cause} The current token works until it expires. The operator retries; if that does not help, store a new token in {}.",
                source_key(facts)
            )
        }
        Reason::Rejected => format!(
            "Jira at {host} refused the personal access token when the operator asked for its replacement: it is wrong, expired or revoked. The operator tries again every few hours; create a new token in the Jira profile and store it in {}.",
            source_key(facts)
        ),
        Reason::ExpiryUnknown => format!(
            "The expiry of the personal access token in {} is unknown: the account lists no token, or several, that match it. Set spec.auth.personalAccessToken.expiresAt; until then the operator replaces the token 30 days after it was first seen.",
            source_key(facts)
        ),
        _ => format!(
            "Jira at {host} did not create a replacement for the personal access token; the current token works until it expires. The operator retries: check that {host} serves /rest/pat/latest/tokens (Jira 8.14 and later), or store a new token in {}.",
            source_key(facts)
        ),
    }
}

/// What stands in the way of a token that makes its own successor.
pub(crate) fn successor(facts: &Facts, reason: Reason, still: &str) -> String {
    let seed = source_key(facts);
    let grant = grant_name(facts);
    match reason {
        Reason::GrantForeign => format!(
            "The Secret {grant}, which the operator needs to store the tokens, was not created by this operator, or was created with another key of the operator; the operator did not use or change it. {still} If the operator's key was lost, have the administrator restore the Secret jira-credential-operator-key. Otherwise delete {grant}, and the operator uses the personal access token in {seed}."
        ),
        Reason::Expired => format!(
            "The personal access token has expired and was not replaced. {} Create a new one in the Jira profile and store it in {seed}.",
            messages::still_unrenewed(facts)
        ),
        Reason::GrantLost => format!(
            "The Secret {grant}, in which the operator stored the tokens, is gone. The personal access token in {seed} was already replaced. {still} Create a new token in the Jira profile and store it in {seed}; revoke those whose names begin with jco-."
        ),
        Reason::GrantRestored => format!(
            "The Secret {grant} is a copy, from a backup or another cluster: another operator may use the same token, so the operator does not replace it until you confirm. {still} Store a new personal access token in {seed}, or set the annotation jira-operator.dev/renew to a new value."
        ),
        _ => match rival(facts) {
            Some(name) => format!(
                "The personal access token in {seed} is used by the JiraCredential {name} for another site. {still} Use a separate Secret for each site."
            ),
            None => format!(
                "The personal access token in {seed} is already managed for another JiraCredential, {}; the two would revoke each other's tokens. {still} Create a separate token in the Jira profile and store it in {seed}.",
                twin(facts).unwrap_or_else(|| "from another Secret or for another site".to_owned())
            ),
        },
    }
}

/// How the message of a replacement without an answer begins.
const NO_REPLACEMENT: &str = "Could not look up or replace the personal access token: ";

/// How the message of a login without an answer begins.
const NO_LOGIN: &str = "Could not log in: ";

/// What stands in the way of a session.
pub(crate) fn login(facts: &Facts, reason: Reason, still: &str) -> String {
    let host = messages::host(facts);
    let source = messages::source_names(facts);
    let grant = grant_name(facts);
    match reason {
        Reason::Rejected => with_hint(
            facts,
            Refusal::Rejected,
            format!(
                "Jira at {host} refuses the user name and password. The operator does not retry, because each failed login counts towards a CAPTCHA. {still} Correct {source}, or set the annotation jira-operator.dev/renew to a new value to retry with the same values."
            ),
        ),
        Reason::CaptchaRequired => format!(
            "Jira at {host} requires a CAPTCHA and ignores the password until it is solved. {still} Log in as this user in a browser, then set the annotation jira-operator.dev/renew to a new value."
        ),
        Reason::LoginDenied => format!(
            "Jira at {host} requires more than a user name and password to log in, such as a second factor or single sign-on. {still} Use auth.personalAccessToken, or exempt the account and set the annotation jira-operator.dev/renew to a new value."
        ),
        Reason::BasicAuthDisabled => format!(
            "Jira at {host} does not allow REST logins with a user name and password: Basic authentication is disabled. {still} Use auth.personalAccessToken, or have an administrator allow it (System, Authentication methods)."
        ),
        Reason::IpBlocked => format!(
            "Jira at {host} does not accept calls from this cluster's address. {still} Add the address to the allow-list, then set the annotation jira-operator.dev/renew to a new value."
        ),
        Reason::AccountInactive => format!(
            "The account is deactivated at {host}. {still} Reactivate it, or store the user name and password of another account in {source}."
        ),
        Reason::NotValidated => format!(
            "A login started, but its result is unknown. It may count towards a CAPTCHA, so the operator does not retry. {still} Check {source}, then set the annotation jira-operator.dev/renew to a new value."
        ),
        Reason::RenewalInterrupted => format!(
            "A login started, but its result is unknown. The operator logs in again after some minutes. {still}"
        ),
        Reason::GrantForeign => format!(
            "The Secret {grant}, which the operator needs to store the session, was not created by this operator, or was created with another key of the operator; the operator did not use or change it. {still} If the operator's key was lost, have the administrator restore the Secret jira-credential-operator-key. Otherwise delete {grant}, and the operator logs in."
        ),
        Reason::GrantConflict => {
            let holder = rival(facts).map_or_else(
                || "another JiraCredential".to_owned(),
                |name| format!("the JiraCredential {name}"),
            );
            format!(
                "The user name and password in {source} are used by {holder} for another site. {still} Use a separate Secret for each site."
            )
        }
        Reason::RateLimited => format!(
            "Jira at {host} limits the rate of calls. {still} The operator logs in after the requested wait."
        ),
        Reason::CrossSiteCheck => format!(
            "Jira at {host} took the login for one of a browser (XSRF check) and refused it. {still} The operator retries: have the proxy in front of Jira pass the header X-Atlassian-Token, and add neither Origin nor Referer."
        ),
        Reason::WrongHost => format!(
            "Cannot log in at {host}: it is not a Data Center, or does not support sessions. {still} Check spec.site; for a Jira Cloud site use auth.apiToken."
        ),
        Reason::HostNotAllowed => format!(
            "The name of Jira at {host} resolves to an address to which the operator sends no credential. {still} Correct spec.site; the administrator can allow addresses with --allowed-addresses."
        ),
        _ => {
            let who = format!("Jira at {host}");
            let usual = format!("{NO_LOGIN}{who} was unreachable or returned an invalid response.");
            let cause = endpoint::cause(facts, reason, NO_LOGIN, &who, usual);
            format!("{cause} {still} The operator retries.")
        }
    }
}

/// What a person should know of the value in the Secret while another one is in use.
pub(crate) fn stored_value_message(facts: &Facts, reason: Reason) -> Option<String> {
    let seed = source_key(facts);
    let kind = facts.renewal_plan()?.kind;
    let (what, keeps, again) = match kind {
        RenewalKind::Successor => (
            "personal access token",
            "keeps using the earlier one",
            "Create one in the Jira profile and store it there",
        ),
        RenewalKind::Login => (
            "pair of user name and password",
            "keeps using the earlier session as long as Jira accepts it",
            "Correct the Secret",
        ),
        RenewalKind::Refresh | RenewalKind::ClientCredentials => return None,
    };
    Some(match reason {
        Reason::SeedStale => format!(
            "An older {what} is in {seed} again; the operator ignores it and {keeps}. Remove the key, or store the latest value there."
        ),
        Reason::SourceMalformed => format!(
            "What was stored in {seed} cannot be a {what}; the operator {keeps}. Store the value alone, without blanks, quotes or further lines."
        ),
        Reason::SourceIsTarget => format!(
            "This operator publishes the Secret that spec.auth names, so it cannot be a source; the operator {keeps}. Name the Secret that holds the original credential."
        ),
        Reason::SourceNotAllowed => format!(
            "The Secret with the {what} does not have the label {SOURCE_LABEL}=true, and the administrator lets this operator read only Secrets with it; the operator {keeps}. Set the label, or ask the owner of the Secret for it."
        ),
        Reason::AccountChanged => format!(
            "The new {what} in {seed} belongs to another account than the one to which this JiraCredential is pinned; the operator {keeps}. If the change is intended, set spec.validation.accountId to the new account."
        ),
        Reason::PermissionMissing => format!(
            "The account of the new {what} in {seed} lacks permissions that spec.validation.requiredPermissions names; the operator {keeps}. Give it these permissions, or use another account."
        ),
        _ => format!(
            "Jira at {} does not accept the new {what} in {seed}; the operator {keeps}. {again}.",
            messages::host(facts)
        ),
    })
}

/// From where an older grant has the same initial token: as found in this reconcile, else as recorded.
pub(crate) fn twin(facts: &Facts) -> Option<String> {
    let found = match &facts.progress.twin {
        Some(Twin::Here(name)) => Some(name.as_str()),
        Some(Twin::Elsewhere) => Some(""),
        None if facts.grant_unread() => facts.status.grant.as_ref()?.duplicate_of.as_deref(),
        None => None,
    };
    found.map(|name| match name {
        "" => "from a Secret in another namespace".to_owned(),
        name => format!("from the Secret {name}"),
    })
}

pub(crate) fn rival(facts: &Facts) -> Option<&str> {
    facts.renewal.as_ref()?.rival.as_deref()
}

fn grant_name(facts: &Facts) -> &str {
    facts
        .renewal_plan()
        .map(|plan| plan.grant.as_str())
        .unwrap_or_default()
}

fn source_key(facts: &Facts) -> String {
    match facts.spec.auth.method() {
        Some(Method::PersonalAccessToken(token)) => token.token_secret_ref.to_string(),
        _ => messages::source_names(facts),
    }
}
