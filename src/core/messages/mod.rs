//! The words of conditions and events: what happened, what still works, what to do next. Those of a
//! condition that has no cause of its own to tell are beside it, in `core/conclude/conditions`.
//!
//! Built from the user's own spec and from fixed texts. Nothing volatile (a changing message is
//! a write), and nothing that came out of an answer or a Secret.

pub mod elsewhere;
pub(crate) mod endpoint;
pub mod hint;
pub mod meanwhile;
pub mod merge;
pub mod outage;
pub(crate) mod proxy;
pub mod readers;
pub mod refusal;
pub mod renewal;
pub mod replacement;
pub mod scopes;

use crate::api::Method;
use crate::core::facts::{Facts, TargetState};
use crate::core::spec::Site;

/// The words of an event: a person stored another credential.
pub const ROTATED: &str =
    "Jira accepts the new credential in the source, in place of the one before.";

/// The words of an event: a clock that was ahead has written into the status.
pub const CLOCK_WAS_AHEAD: &str = "Times in the status lie in the future: the clock of the operator's \
    node was ahead. What waited for them is done now. Check the time synchronisation of the nodes.";

const NOTHING: &str = "Nothing is published.";

/// What pods have meanwhile.
pub fn still(facts: &Facts) -> &'static str {
    if is_published(facts) {
        "The published Secrets still hold the last validated credential."
    } else {
        NOTHING
    }
}

/// What pods have when Jira refuses the credential in the source.
pub fn still_refused(facts: &Facts) -> &'static str {
    let same = facts.is_validated()
        || facts.is_provisional()
        || (facts.renews() && facts.is_of_validated_chain());
    if is_published(facts) && same {
        "The published Secrets hold the same credential, so pods that use it are probably refused, too."
    } else {
        still(facts)
    }
}

/// What pods have when the operator cannot log in again.
pub fn still_session(facts: &Facts) -> &'static str {
    if is_published(facts) && facts.is_of_validated_chain() {
        "Pods can use the published session until Jira ends it; Jira may have ended it already."
    } else {
        // Nothing, or what another method or another login published.
        still(facts)
    }
}

/// What pods have until it is known whether Jira refuses the credential.
pub fn still_confirming(facts: &Facts) -> &'static str {
    if is_published(facts) {
        "The published Secrets hold the same credential, so calls of pods may fail, too."
    } else {
        NOTHING
    }
}

/// What pods have when a token that ends soon is not renewed.
pub fn still_unrenewed(facts: &Facts) -> &'static str {
    let ended = facts.published_end().is_some_and(|end| end <= facts.now);
    if !is_published(facts) {
        NOTHING
    } else if ended {
        "The published token has expired, so pods that use it are refused."
    } else {
        "Pods can use the published token until it expires or Jira ends it."
    }
}

fn is_published(facts: &Facts) -> bool {
    // As the next reconcile will find it recorded, so that it says the same.
    facts.targets.iter().any(|target| match &target.state {
        TargetState::Written(_) => true,
        TargetState::Absent | TargetState::OwnedByOther(..) | TargetState::NotMerged(_) => false,
        TargetState::Unknown
        | TargetState::Present { .. }
        | TargetState::Refused(_)
        | TargetState::NotRendered(_) => {
            let recorded = facts.recorded(&target.target);
            recorded.is_some_and(|seen| seen.hash.is_some())
        }
    })
}

/// Where the credential is used, for messages.
pub fn host(facts: &Facts) -> String {
    match &facts.plan {
        Ok(plan) => short(&plan.site),
        Err(_) => facts.spec.site.clone(),
    }
}

fn short(site: &Site) -> String {
    site.base.trim_start_matches("https://").to_owned()
}

/// The user's Secrets, for messages.
pub(crate) fn source_names(facts: &Facts) -> String {
    match facts.spec.auth.method() {
        Some(Method::ApiToken(token)) => token.token_secret_ref.to_string(),
        Some(Method::PersonalAccessToken(token)) => token.token_secret_ref.to_string(),
        Some(Method::OAuth2(oauth2)) => oauth2.refresh_token_secret_ref.to_string(),
        Some(Method::ClientCredentials(client)) => {
            let reference = client.client_secret_refs.first();
            reference.map_or_else(|| "the Secret".to_owned(), ToString::to_string)
        }
        Some(Method::Basic(basic)) => format!("the Secret {}", basic.secret_ref.name),
        Some(Method::Session(session)) => format!("the Secret {}", session.secret_ref.name),
        Some(Method::OAuth1(oauth1)) => format!("the Secret {}", oauth1.secret_ref.name),
        None => "the Secret".to_owned(),
    }
}
