//! The condition `ExpiryKnown`: what the organisation reported about the API token, as a message.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{ConditionStatus, ConditionType, ExpiryLookup, ExpiryLookupStatus, Reason};
use crate::core::conclude::conditions::{ConditionDraft, draft};
use crate::core::facts::Facts;
use crate::core::probe::token_list::LookupError;

/// A person writes a date; only an end on another day is another end.
const SAME_END: TimeDelta = TimeDelta::hours(24);

/// What is known of the API token's end; nothing without a look-up.
pub(crate) fn expiry_known(facts: &Facts) -> Option<ConditionDraft> {
    use ConditionStatus::{False, True, Unknown};
    let lookup = facts.spec.expiry_lookup.as_ref()?;
    let looked = facts.looked_up()?;
    let (status, reason) = match looked.reason {
        Reason::ExpiryFound if is_other_end(facts, looked) => (False, Reason::ExpiryDiffers),
        reason @ Reason::ExpiryFound => (True, reason),
        reason @ (Reason::SiteUnavailable | Reason::RateLimited) => (Unknown, reason),
        reason => (False, reason),
    };
    let text = match reason {
        Reason::ExpiryFound => found(lookup, looked),
        Reason::ExpiryDiffers => differs(facts, lookup, looked),
        reason => told(facts, reason).unwrap_or_else(|| missed(facts, lookup, reason)),
    };
    Some(draft(status, reason, text))
}

fn is_other_end(facts: &Facts, looked: &ExpiryLookupStatus) -> bool {
    let plan = facts.plan.as_ref().ok();
    let told = plan.and_then(|plan| plan.expires_at);
    let differ = |(told, found): (DateTime<Utc>, DateTime<Utc>)| (told - found).abs() > SAME_END;
    told.zip(looked.expires_at).is_some_and(differ)
}

fn date(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| time.format("%Y-%m-%d").to_string())
        .unwrap_or_default()
}

pub(crate) fn found(lookup: &ExpiryLookup, looked: &ExpiryLookupStatus) -> String {
    let label = &lookup.label;
    match looked.expires_at {
        Some(_) => format!(
            "The organisation lists the API token {label}: it expires on {}.",
            date(looked.expires_at)
        ),
        None => format!("The organisation lists the API token {label} without an expiry date."),
    }
}

fn differs(facts: &Facts, lookup: &ExpiryLookup, looked: &ExpiryLookupStatus) -> String {
    let told = facts.plan.as_ref().ok().and_then(|plan| plan.expires_at);
    format!(
        "The organisation says that the API token {} expires on {}, auth.apiToken.expiresAt says {}; the operator uses the spec. Correct the date or remove it, or correct expiryLookup.label.",
        lookup.label,
        date(looked.expires_at),
        date(told)
    )
}

/// The words of this reconcile for what only it knows, or else of an earlier one.
pub(crate) fn told(facts: &Facts, reason: Reason) -> Option<String> {
    match &facts.progress.lookup {
        Some(Err(LookupError::NoKey(problem))) => {
            Some(format!("{} {}", sentence(&problem.to_string()), unharmed()))
        }
        Some(Err(LookupError::TooLong)) => Some(format!(
            "The organisation lists more API tokens than the operator reads, and the ones read include none with this label. Set auth.apiToken.expiresAt instead. {}",
            unharmed()
        )),
        Some(_) => None,
        None => {
            let told = facts.status.condition(ConditionType::ExpiryKnown)?;
            (told.reason == reason).then(|| told.message.clone())
        }
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn missed(facts: &Facts, lookup: &ExpiryLookup, reason: Reason) -> String {
    let key = &lookup.api_key_secret_ref;
    let secret = key.to_string();
    let (label, id) = (&lookup.label, &lookup.organization_id);
    let email = facts.spec.auth.api_token.as_ref();
    let whose = email
        .and_then(|token| token.email.as_deref())
        .unwrap_or("its account");
    let what = match reason {
        Reason::LookupKeyRejected => format!(
            "Atlassian does not accept the organisation's API key in {secret}: it is mistyped, revoked or expired (a key lives a week unless another period was chosen, at most a year). Store a new one there."
        ),
        Reason::LookupForbidden => format!(
            "The organisation's API key in {secret} lacks the scope read:tokens:admin. Create one with this scope and store it there."
        ),
        Reason::OrganizationUnknown => format!(
            "The organisation's API key in {secret} gives no access to the organisation {id}. Correct expiryLookup.organizationId, or store a key of this organisation."
        ),
        Reason::TokenNotListed => format!(
            "The organisation lists no active API token {label} of {whose}. Correct expiryLookup.label, or set auth.apiToken.expiresAt; only accounts that the organisation manages are listed."
        ),
        Reason::TokenAmbiguous => format!(
            "The organisation lists several API tokens {label} of {whose}, so the operator cannot tell which one is in use. Revoke the unused ones, or set auth.apiToken.issuedAt to the day on which it was created."
        ),
        Reason::TokenUnused => format!(
            "The API token {label} was not used for 90 days, but the one in the source is in constant use: the label names another token. Correct expiryLookup.label; the operator ignores this expiry date."
        ),
        Reason::IpBlocked => "Atlassian does not accept the organisation's API key from this cluster's address. Add the address to the organisation's IP allow-list.".to_owned(),
        Reason::HostNotAllowed => "The address of Atlassian's gateway is not allowed. The administrator can allow addresses with --allowed-addresses.".to_owned(),
        Reason::RateLimited => "Atlassian limits the rate of calls; the operator retries after the requested wait.".to_owned(),
        _ => "The organisation could not be asked about the API token; the operator retries.".to_owned(),
    };
    format!("{what} {}", unharmed())
}

fn unharmed() -> &'static str {
    "The credential itself is not affected."
}
