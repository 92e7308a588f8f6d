//! After a refusal: what the value in the Secret looks like, where that explains it.

use crate::api::MethodName;
use crate::core::facts::{Facts, SeedState};
use crate::core::probe::Refusal;
use crate::core::spec::TokenKind;

/// Adds to the message of a refusal what the format of the value suggests.
pub(crate) fn with_hint(facts: &Facts, refusal: Refusal, text: String) -> String {
    match hint(facts, refusal) {
        Some(hint) => format!("{text} {hint}"),
        None => text,
    }
}

fn hint(facts: &Facts, refusal: Refusal) -> Option<&'static str> {
    let may_explain = match refusal {
        Refusal::Rejected
        | Refusal::Forbidden
        | Refusal::WrongHost
        | Refusal::IsDataCenter
        | Refusal::IsCloud
        | Refusal::PasswordNotAllowed => true,
        Refusal::CaptchaRequired
        | Refusal::BasicAuthDisabled
        | Refusal::IpBlocked
        | Refusal::InsufficientScope
        | Refusal::NoConsent
        | Refusal::AccountInactive
        | Refusal::SignatureRejected
        | Refusal::ConsumerUnknown
        | Refusal::NoSite
        | Refusal::AnotherSite
        | Refusal::AnotherProduct
        | Refusal::CloudIdOfAnotherSite => false,
    };
    let explains = may_explain && is_of_source(facts);
    let method = facts.plan.as_ref().ok().filter(|_| explains)?.method;
    mix_up(method, facts.form.kind).or_else(|| {
        let damaged = facts.form.damaged && method == MethodName::ApiToken;
        damaged.then_some("The checksum at the end of the API token is wrong: the value looks cut off or mistyped. Compare it with the original first.")
    })
}

/// Whether what was asked about is what stands in the user's Secret: of what came of that, the form
/// is not known.
fn is_of_source(facts: &Facts) -> bool {
    match facts.renewal.as_ref().map(|renewal| &renewal.seed) {
        None => true,
        Some(SeedState::Read { digest, .. }) => {
            facts.chain().is_some_and(|chain| chain.origin == *digest)
        }
        Some(SeedState::NotRead | SeedState::Missing | SeedState::Unusable(_)) => false,
    }
}

/// What a value is likely to be that is used as something else.
fn mix_up(method: MethodName, kind: TokenKind) -> Option<&'static str> {
    match (method, kind) {
        (MethodName::Basic | MethodName::Session, TokenKind::PersonalAccessToken) => Some(
            "The stored password looks like a personal access token, which Data Center does not accept as a password: use auth.personalAccessToken.",
        ),
        (MethodName::ApiToken, TokenKind::PersonalAccessToken) => Some(
            "The stored value looks like a personal access token of a Data Center, which Jira Cloud does not accept: use auth.personalAccessToken with its own site.",
        ),
        (MethodName::ApiToken, TokenKind::OrganizationKey) => Some(
            "The stored value looks like the API key of an organisation, which gives access to its administration, not to Jira: store the API token of an account.",
        ),
        (
            MethodName::PersonalAccessToken | MethodName::Basic | MethodName::Session,
            TokenKind::ApiToken | TokenKind::ServiceAccountToken,
        ) => Some(
            "The stored value looks like an API token of Atlassian Cloud, which a Data Center does not accept: use auth.apiToken with its own site.",
        ),
        (
            MethodName::PersonalAccessToken | MethodName::Basic | MethodName::Session,
            TokenKind::OrganizationKey,
        ) => Some(
            "The stored value looks like the API key of an Atlassian Cloud organisation, which gives no access to Jira.",
        ),
        (MethodName::OAuth2 | MethodName::ClientCredentials | MethodName::OAuth1, _)
        | (
            MethodName::ApiToken,
            TokenKind::ApiToken | TokenKind::ServiceAccountToken | TokenKind::Unremarkable,
        )
        | (MethodName::PersonalAccessToken, TokenKind::PersonalAccessToken)
        | (
            MethodName::PersonalAccessToken | MethodName::Basic | MethodName::Session,
            TokenKind::Unremarkable,
        ) => None,
    }
}
