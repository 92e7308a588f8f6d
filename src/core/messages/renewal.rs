//! The message for each reason that blocks a renewal.

use crate::api::{Hosting, Method, Reason, SOURCE_LABEL};
use crate::core::facts::Facts;
use crate::core::messages;
use crate::core::messages::scopes::{listed, needed_scopes};
use crate::core::messages::{endpoint, replacement};
use crate::core::probe::Outage;
use crate::core::spec::{RenewalKind, RenewalPlan};

/// How the message of a renewal without an answer begins.
const NO_TOKEN: &str = "Could not get a token: ";

/// What happened, what still works, and what to do.
pub fn message(facts: &Facts, reason: Reason) -> String {
    let kind = facts.renewal_plan().map(|plan| plan.kind);
    let still = match kind {
        Some(RenewalKind::Login) => messages::still_session(facts),
        Some(RenewalKind::Successor) => messages::still(facts),
        Some(RenewalKind::Refresh | RenewalKind::ClientCredentials) | None => {
            messages::still_unrenewed(facts)
        }
    };
    let grant = facts
        .renewal_plan()
        .map(|plan| plan.grant.as_str())
        .unwrap_or_default();
    match kind {
        _ if reason == Reason::GrantVersionUnsupported => {
            return format!(
                "The Secret {grant}, in which the operator stores what it must not lose, was written by a newer version of the operator, in a format that this version cannot read; the operator did not use or change it. {still} Have the administrator install the newer version again."
            );
        }
        Some(RenewalKind::Login) => return replacement::login(facts, reason, still),
        Some(RenewalKind::Successor) => return replacement::successor(facts, reason, still),
        Some(RenewalKind::Refresh | RenewalKind::ClientCredentials) | None => {}
    }
    let seed = source_key(facts);
    let consent = consent_remedy(facts);
    let who = provider(facts);
    match reason {
        Reason::ReconsentRequired => format!("{} {still} {consent}", dead_token_message(facts)),
        Reason::ClientRejected => client_rejected(facts, still),
        Reason::InsufficientScope if is_own(facts) => format!(
            "{who} does not grant the client the scopes of spec.auth. {still} Request scopes that the credential of the service account has: READ, or WRITE, which includes it."
        ),
        Reason::InsufficientScope => format!(
            "{who} does not grant the client the scopes of spec.auth. {still} Request scopes that the app or the credential of the service account has; the operator itself needs {}.",
            listed(&needed_scopes(facts))
        ),
        Reason::GrantForeign if !spends(facts) => format!(
            "The Secret {grant}, which the operator needs to store the token, was not created by this operator, or was created with another key of the operator; the operator did not use or change it. {still} If the operator's key was lost, have the administrator restore the Secret jira-credential-operator-key. Otherwise delete {grant}, and the operator requests a token."
        ),
        Reason::GrantForeign => format!(
            "The Secret {grant}, which the operator needs to store the tokens, was not created by this operator, or was created with another key of the operator; the operator did not use or change it. {still} If the operator's key was lost, have the administrator restore the Secret jira-credential-operator-key. Otherwise delete {grant}, and the operator uses the refresh token in {seed}."
        ),
        Reason::GrantLost => format!(
            "The Secret {grant}, in which the operator stored the tokens, is gone. The refresh token in {seed} was already used, and the operator does not use it again. {still} {consent}"
        ),
        Reason::GrantRestored => format!(
            "The Secret {grant} is a copy, from a backup or another cluster: its refresh token may already have been used, so the operator does not use it until you confirm. {still} Set the annotation jira-operator.dev/renew to a new value to confirm, or consent again and store the new refresh token in {seed}."
        ),
        Reason::GrantConflict => conflict(facts, &seed, still),
        Reason::RateLimited => format!(
            "{who} limits the rate of renewals. {still} The operator retries after the requested wait."
        ),
        Reason::RenewalInterrupted => interrupted(facts, still),
        Reason::HostNotAllowed if is_own(facts) => format!(
            "The name of {who} resolves to an address to which the operator sends no credential. {still} Correct spec.site; the administrator can allow addresses with --allowed-addresses."
        ),
        Reason::HostNotAllowed => format!(
            "Atlassian's token endpoint has an address to which the operator sends no credential. {still} The administrator can correct --auth-url, or allow addresses with --allowed-addresses."
        ),
        _ => no_answer(facts, reason, still),
    }
}

fn no_answer(facts: &Facts, reason: Reason, still: &str) -> String {
    let who = if is_own(facts) {
        format!("the token endpoint of {}", provider(facts))
    } else {
        "Atlassian's token endpoint".to_owned()
    };
    // Nothing else points to the version: an old Jira has no such endpoint.
    let outage = facts.progress.renewal_outage;
    let version = if is_own(facts) && outage.is_none_or(|outage| outage == Outage::NotFound) {
        " OAuth 2.0 needs Jira 8.22, service accounts need Jira 11."
    } else {
        ""
    };
    let usual = format!("{NO_TOKEN}{who} was unreachable or returned an invalid response.");
    let cause = endpoint::cause(facts, reason, NO_TOKEN, &who, usual);
    format!("{cause} {still} The operator retries.{version}")
}

/// Whether Jira itself gives the tokens.
fn is_own(facts: &Facts) -> bool {
    let plan = facts.renewal_plan();
    plan.is_some_and(|plan| plan.hosting() == Hosting::DataCenter)
}

/// Who gives the tokens.
pub(crate) fn provider(facts: &Facts) -> String {
    if is_own(facts) {
        format!("Jira at {}", messages::host(facts))
    } else {
        "Atlassian".to_owned()
    }
}

/// What ends the trouble with a refresh token that is dead.
pub(crate) fn consent_remedy(facts: &Facts) -> String {
    let seed = source_key(facts);
    let account = facts.account();
    let who = account.map_or_else(String::new, |account| format!(" as {}", account.known_as()));
    if is_own(facts) {
        format!("Consent again{who} and store the new refresh token in {seed}.")
    } else {
        format!(
            "Consent again{who} with the scope offline_access and store the new refresh token in {seed}."
        )
    }
}

pub(crate) fn interrupted(facts: &Facts, still: &str) -> String {
    if is_own(facts) {
        format!(
            "A renewal started, but its result is unknown. The operator retries as soon as no other process can hold the result. {still} If Jira completed the first attempt, the refresh token is no longer valid and a new consent is needed."
        )
    } else {
        format!(
            "A renewal started, but its result is unknown. The operator retries as soon as that is safe. {still}"
        )
    }
}

fn client_rejected(facts: &Facts, still: &str) -> String {
    let clients = client_secret_keys(facts);
    let kept = if spends(facts) {
        "; the refresh token is kept, nothing is lost"
    } else {
        ""
    };
    let ended = if is_own(facts) && !spends(facts) {
        " The client secret is wrong, was revoked or has expired."
    } else {
        ""
    };
    format!(
        "{} does not accept the client id and client secret{kept}.{ended} {still} Store a valid client secret in {clients}, or correct clientId; the operator retries as soon as either changes.",
        provider(facts)
    )
}

fn conflict(facts: &Facts, seed: &str, still: &str) -> String {
    let rival = facts.renewal.as_ref();
    let holder = if let Some(name) = rival.and_then(|renewal| renewal.rival.as_deref()) {
        format!("is used by the JiraCredential {name} with another clientId")
    } else {
        let from = replacement::twin(facts);
        let from =
            from.unwrap_or_else(|| "from another Secret or with another clientId".to_owned());
        format!("is already in use, {from}")
    };
    if spends(facts) {
        format!(
            "The refresh token in {seed} {holder}; the operator does not use it here. {still} Use a separate consent for each app; to share one, name the same Secret and the same clientId in both."
        )
    } else {
        format!(
            "The client secret in {seed} {holder}. {still} Name the Secret with the client secret that belongs to clientId."
        )
    }
}

pub(crate) fn spends(facts: &Facts) -> bool {
    facts.renewal_plan().is_some_and(RenewalPlan::spends)
}

fn dead_token_message(facts: &Facts) -> String {
    let own = is_own(facts);
    match facts.interrupted_at() {
        Some(time) => {
            let time = time.format("%Y-%m-%d at %H:%M UTC");
            let why = if own {
                "its response was lost; Data Center accepts a refresh token only once"
            } else {
                "could not be repeated within the ten minutes for which Atlassian still accepts the token"
            };
            format!(
                "The refresh token is no longer valid: a renewal was interrupted on {time}, and {why}."
            )
        }
        None if own => format!(
            "{} does not accept the refresh token: it has expired, was revoked, was used elsewhere, was issued to another clientId, or redirectUri differs from that of its consent. If redirectUri is wrong, correct it, and the operator retries with the same token.",
            provider(facts)
        ),
        None => "Atlassian does not accept the refresh token: it has expired, was revoked, was used elsewhere, or was issued to another clientId.".to_owned(),
    }
}

/// What a person should know of the refresh token in the Secret while another one is in use.
pub fn stored_token_message(facts: &Facts, reason: Reason) -> String {
    if let Some(message) = replacement::stored_value_message(facts, reason) {
        return message;
    }
    let seed = source_key(facts);
    match reason {
        Reason::SeedStale => format!(
            "An older refresh token is in {seed} again; the operator ignores it and keeps using the current consent. Remove the key, or store the latest refresh token there."
        ),
        Reason::SourceMalformed => format!(
            "What was stored in {seed} cannot be a refresh token, which is one line of printable ASCII without blanks; the operator keeps using the earlier consent. Store the new refresh token alone, without quotes or further lines."
        ),
        Reason::SourceIsTarget => "This operator publishes the Secret that spec.auth names, so it cannot be a source; the operator keeps using the earlier consent. Name the Secret that holds the original credential.".to_owned(),
        Reason::SourceNotAllowed => format!(
            "The Secret with the refresh token does not have the label {SOURCE_LABEL}=true, and the administrator lets this operator read only Secrets with it; the operator keeps using the earlier consent. Set the label, or ask the owner of the Secret for it."
        ),
        Reason::ReconsentRequired | Reason::RotationFailed => format!(
            "{} does not accept the new refresh token in {seed}; the operator keeps using the earlier consent. Consent again{} and store the new refresh token.",
            provider(facts),
            if is_own(facts) {
                ", with the redirect URL of spec.auth,"
            } else {
                ""
            }
        ),
        Reason::AccountChanged => format!(
            "The new refresh token in {seed} belongs to another account than the one to which this JiraCredential is pinned; the operator keeps using the earlier consent. If the change is intended, set spec.validation.accountId to the new account."
        ),
        Reason::PermissionMissing => format!(
            "The account of the new refresh token in {seed} lacks permissions that spec.validation.requiredPermissions names; the operator keeps using the earlier consent. Give it these permissions, or consent again as another account."
        ),
        Reason::InsufficientScope => format!(
            "The new refresh token in {seed} lacks scopes; the operator keeps using the earlier consent. Consent again with all of them."
        ),
        _ => format!(
            "The new refresh token in {seed} does not work at {}; the operator keeps using the earlier consent. Consent again for this site.",
            messages::host(facts)
        ),
    }
}

fn source_key(facts: &Facts) -> String {
    match facts.spec.auth.method() {
        Some(Method::OAuth2(oauth2)) => oauth2.refresh_token_secret_ref.to_string(),
        _ => client_secret_keys(facts),
    }
}

fn client_secret_keys(facts: &Facts) -> String {
    let refs = match facts.spec.auth.method() {
        Some(Method::OAuth2(oauth2)) => &oauth2.client_secret_refs,
        Some(Method::ClientCredentials(client)) => &client.client_secret_refs,
        _ => return "the Secret".to_owned(),
    };
    let names = refs.iter().map(ToString::to_string);
    names.collect::<Vec<_>>().join(" or ")
}
