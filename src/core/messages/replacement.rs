//! The message for each reason that blocks a session, or a personal access token that creates its own
//! successor.

use crate::api::{Method, Reason};
use crate::core::facts::Facts;
use crate::core::messages;
use crate::core::messages::hint::with_hint;
use crate::core::probe::Refusal;
use crate::core::spec::RenewalKind;

/// Why no successor could be made.
pub fn replacement_message(facts: &Facts, reason: Reason) -> String {
    let host = messages::host(facts);
    let kind = facts.renewal_plan().map(|plan| plan.kind);
    if kind == Some(RenewalKind::Login) {
        return format!(
            "No session could be begun with the new user name and password in {}: Jira has refused them elsewhere, or the answer to a login is not known, and it is not repeated by itself. The earlier session goes on as long as Jira keeps it. Check the Secret, then set the annotation jira-operator.dev/renew to a new value.",
            messages::source_names(facts)
        );
    }
    match reason {
        Reason::TokenLimitReached => format!(
            "The account has as many personal access tokens as Jira at {host} allows, so that no successor can be made; the present token works until its end. Revoke one that is not needed, in the Jira profile of the account."
        ),
        Reason::MintingForbidden => format!(
            "Jira at {host} does not let the personal access token make another one; the present token works until its end. Have an administrator allow it, or set rotation to Manual and store a new token in {} before then.",
            source_key(facts)
        ),
        Reason::ExpiryUnknown => format!(
            "Nobody can tell when the personal access token in {} ends: the account has none or several in its list that it may be. Set spec.auth.personalAccessToken.expiresAt to its day; until then a successor is made 30 days after the token was first seen.",
            source_key(facts)
        ),
        _ => format!(
            "Jira at {host} could not be had to make a successor of the personal access token; the present token works until its end. It is tried again by itself: check that {host} serves /rest/pat/latest/tokens (Jira 8.14 and later), or store a new token in {}.",
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
            "The Secret {grant}, in which the operator would keep the tokens, was made by somebody else; it was neither used nor changed. {still} Delete it, and the personal access token in {seed} is used."
        ),
        Reason::Expired => format!(
            "The personal access token has ended, and had no successor. {still} Create a new one in the Jira profile and store it in {seed}."
        ),
        Reason::GrantLost => format!(
            "The Secret {grant}, in which the operator kept the tokens, is gone, and the personal access token in {seed} had been replaced. {still} Create a new token in the Jira profile and store it in {seed}; revoke those whose names begin with jco-."
        ),
        Reason::GrantRestored => format!(
            "The Secret {grant} is a copy, from a backup or another cluster: another operator may use the same token, and no successor is made without your word. {still} Store a new personal access token in {seed}, or set the annotation jira-operator.dev/renew to a new value."
        ),
        _ => match rival(facts) {
            Some(name) => format!(
                "The personal access token in {seed} is used by the JiraCredential {name} for another site. {still} Give each site a Secret of its own."
            ),
            None => format!(
                "The personal access token in {seed} is kept for another JiraCredential already, from another Secret or for another site; two would revoke each other's. {still} Create a token of its own in the Jira profile and store it in {seed}."
            ),
        },
    }
}

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
                "Jira at {host} refuses the user name and password. Nothing is tried again, because every refusal counts towards a CAPTCHA. {still} Correct {source}, or set the annotation jira-operator.dev/renew to a new value to try the same again."
            ),
        ),
        Reason::CaptchaRequired => format!(
            "Jira at {host} wants a CAPTCHA solved and does not look at the password until then. {still} Log in as this user in a browser, then set the annotation jira-operator.dev/renew to a new value."
        ),
        Reason::LoginDenied => format!(
            "Jira at {host} wants more than a user name and password, such as a second factor or single sign-on, before it begins a session. {still} Use auth.personalAccessToken, or exempt the account and set the annotation jira-operator.dev/renew to a new value."
        ),
        Reason::BasicAuthDisabled => format!(
            "Jira at {host} lets nobody log in with a user name and password by REST: Basic authentication is switched off. {still} Use auth.personalAccessToken, or have an administrator allow it (System, Authentication methods)."
        ),
        Reason::IpBlocked => format!(
            "Jira at {host} does not accept calls from this cluster's address. {still} Have it added to the allow-list, then set the annotation jira-operator.dev/renew to a new value."
        ),
        Reason::AccountInactive => format!(
            "The account is deactivated at {host}. {still} Have it activated, or store the user name and password of another one in {source}."
        ),
        Reason::NotValidated => format!(
            "A login was begun and its answer is not known; it may have counted towards a CAPTCHA, so that it is not repeated by itself. {still} Check {source}, then set the annotation jira-operator.dev/renew to a new value."
        ),
        Reason::RenewalInterrupted => format!(
            "A login was begun and its answer is not known; it is repeated after some minutes. {still}"
        ),
        Reason::GrantForeign => format!(
            "The Secret {grant}, in which the operator would keep the session, was made by somebody else; it was neither used nor changed. {still} Delete it, and a session is begun."
        ),
        Reason::GrantConflict => {
            let name = rival(facts).unwrap_or_default();
            format!(
                "The user name and password in {source} are used by the JiraCredential {name} for another site. {still} Give each site a Secret of its own."
            )
        }
        Reason::RateLimited => format!(
            "Jira at {host} limits the rate of calls and asked to wait before the next login. {still} It is tried again by itself."
        ),
        Reason::WrongHost => format!(
            "No session can be begun at {host}: it is no Data Center, or keeps no sessions. {still} Check spec.site; for a site of Atlassian's cloud use auth.apiToken."
        ),
        Reason::HostNotAllowed => format!(
            "The name of Jira at {host} resolves to an address to which no credential is sent. {still} Correct spec.site; the administrator can name exceptions with --allowed-addresses."
        ),
        _ => format!(
            "No session could be begun: Jira at {host} could not be asked, or gave no answer that can be used. {still} It is tried again by itself."
        ),
    }
}

/// What a person should know of the value in the Secret while another one is in use.
pub(crate) fn stored_value_message(facts: &Facts, reason: Reason) -> Option<String> {
    let seed = source_key(facts);
    let kind = facts.renewal_plan()?.kind;
    let (what, earlier, again) = match kind {
        RenewalKind::Successor => (
            "personal access token",
            "the earlier one goes on",
            "Create one in the Jira profile and store it there",
        ),
        RenewalKind::Login => (
            "user name and password",
            "the earlier session goes on as long as Jira keeps it",
            "Correct the Secret",
        ),
        RenewalKind::Refresh | RenewalKind::ClientCredentials => return None,
    };
    Some(match reason {
        Reason::SeedStale => format!(
            "An older {what} came back in {seed}; nothing was done with it, and {earlier}. Remove the key, or store there what was stored last."
        ),
        Reason::SourceMalformed => format!(
            "What was stored in {seed} cannot be a {what}; {earlier}. Store it with kubectl create secret --from-literal, or with printf in place of echo, which adds a line end."
        ),
        Reason::SourceIsTarget => format!(
            "The Secret of {seed} is published by this operator and cannot be a source; {earlier}. Name the Secret that a person filled."
        ),
        Reason::AccountChanged => format!(
            "The new {what} in {seed} belongs to another account than the one to which this JiraCredential is pinned; {earlier}. If the change is meant, set spec.validation.accountId to the new account."
        ),
        Reason::PermissionMissing => format!(
            "The account of the new {what} in {seed} lacks permissions that spec.validation.requiredPermissions names; {earlier}. Give it these permissions, or use another account."
        ),
        _ => format!(
            "Jira at {} does not accept the new {what} in {seed}; {earlier}. {again}.",
            messages::host(facts)
        ),
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
        Some(Method::PersonalAccessToken(token)) => format!(
            "key {} of the Secret {}",
            token.token_secret_ref.key, token.token_secret_ref.name
        ),
        _ => messages::source_names(facts),
    }
}
