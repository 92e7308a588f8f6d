//! What stands in the way of a renewal, and the words for it.

use super::facts::Facts;
use super::message;
use super::protocol::{self, Move};
use super::renewal::{GrantState, RenewalKind, RenewalPlan};
use super::schedule::{CONSENT_LIVES, IDLE_LIVES, later};
use crate::api::{Hosting, Method, Reason};
use chrono::{DateTime, Utc};

mod kept;

pub use kept::succession_words;

impl Facts {
    /// What stands in the way of the renewal: as seen in this pass, else as is recorded.
    pub fn trouble(&self) -> Option<Reason> {
        let renewal = self.renewal.as_ref()?;
        if matches!(renewal.grant, GrantState::NotRead) {
            return self.status.grant.as_ref()?.trouble;
        }
        if let Some(Move::Stuck(reason)) = protocol::next(self) {
            return Some(reason);
        }
        // What has no successor yet works all the same.
        if self.makes_successors() {
            return None;
        }
        let grant = &self.held()?.grant;
        if self.chain().is_some_and(|chain| chain.dead.is_some()) {
            return Some(Reason::ReconsentRequired);
        }
        if grant.failure != Some(Reason::ClientRejected) && self.lacks_scopes() {
            return Some(Reason::InsufficientScope);
        }
        let interrupted = || {
            let intent = grant.intent.as_ref()?;
            let begun = grant.chain(&intent.origin).is_some() && !renewal.process.running;
            begun.then_some(Reason::RenewalInterrupted)
        };
        grant.failure.or_else(interrupted)
    }

    /// Since when it is not known what became of a renewal.
    pub fn interrupted_at(&self) -> Option<DateTime<Utc>> {
        if self.grant_unread() {
            return self.status.grant.as_ref()?.interrupted_time;
        }
        let grant = &self.held()?.grant;
        let dead = self.chain().and_then(|chain| chain.dead.as_ref());
        match dead {
            Some(dead) => dead.interrupted,
            None => grant
                .intent
                .as_ref()
                .filter(|intent| intent.replay)
                .map(|intent| intent.interrupted.unwrap_or(intent.first_sent)),
        }
    }

    /// When the consent of the chain in use ends.
    pub fn consent_ends(&self) -> Option<DateTime<Utc>> {
        let plan = self.renewal_plan()?;
        // A consent on Data Center has no end of its own.
        if !plan.spends() && plan.kind != RenewalKind::ClientCredentials {
            return None;
        }
        if plan.hosting() == Hosting::DataCenter {
            return None;
        }
        match self.chain().filter(|_| plan.spends()) {
            Some(chain) => Some(later(chain.consented, CONSENT_LIVES)),
            None => self.status.grant.as_ref()?.consent_expires_at,
        }
    }

    /// When the grant dies if it is not used.
    pub fn idle_ends(&self) -> Option<DateTime<Utc>> {
        let plan = self.renewal_plan()?;
        let spends = plan.spends();
        if !spends && plan.kind != RenewalKind::ClientCredentials {
            return None;
        }
        let access = self.chain().and_then(|chain| chain.access.as_ref());
        match access.filter(|_| spends) {
            Some(access) => Some(later(access.obtained, IDLE_LIVES)),
            None => self.status.grant.as_ref()?.idle_expires_at,
        }
    }
}

/// Whether a person must act before the grant can be used at all.
pub fn needs_person(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::GrantForeign | Reason::GrantLost | Reason::GrantRestored | Reason::GrantConflict
    )
}

/// Whether Jira refuses a user name and password that a session would be begun with.
pub fn refuses_login(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Rejected
            | Reason::CaptchaRequired
            | Reason::LoginDenied
            | Reason::BasicAuthDisabled
            | Reason::IpBlocked
            | Reason::WrongHost
            | Reason::AccountInactive
    )
}

/// Whether the tokens of the grant are out of reach.
pub fn leaves_no_token(reason: Reason) -> bool {
    needs_person(reason) && reason != Reason::GrantRestored
}

/// What happened, what still works, and what to do.
pub fn words(facts: &Facts, reason: Reason) -> String {
    let still = message::still(facts);
    match facts.renewal_plan().map(|plan| plan.kind) {
        Some(RenewalKind::Login) => return kept::login(facts, reason, still),
        Some(RenewalKind::Successor) => return kept::successor(facts, reason, still),
        Some(RenewalKind::Refresh | RenewalKind::ClientCredentials) | None => {}
    }
    let grant = facts
        .renewal_plan()
        .map(|plan| plan.grant.as_str())
        .unwrap_or_default();
    let seed = seed_words(facts);
    let consent = consent_words(facts);
    let who = provider(facts);
    match reason {
        Reason::ReconsentRequired => format!("{} {still} {consent}", end_words(facts)),
        Reason::ClientRejected => client_rejected(facts, still),
        Reason::InsufficientScope => format!(
            "{who} does not give the client the scopes of spec.auth. {still} Ask for scopes that the credential of the service account has: READ, or WRITE, which includes it."
        ),
        Reason::GrantForeign if !spends(facts) => format!(
            "The Secret {grant}, in which the operator would keep the token, was made by somebody else; it was neither used nor changed. {still} Delete it, and a token is asked for."
        ),
        Reason::GrantForeign => format!(
            "The Secret {grant}, in which the operator would keep the tokens, was made by somebody else; it was neither used nor changed. {still} Delete it, and the refresh token in {seed} is used."
        ),
        Reason::GrantLost => format!(
            "The Secret {grant}, in which the operator kept the tokens, is gone, and the refresh token in {seed} was spent before; it is not spent again by itself. {still} {consent}"
        ),
        Reason::GrantRestored => format!(
            "The Secret {grant} is a copy, from a backup or another cluster: its refresh token may have been spent since, and is not spent without your word. {still} Set the annotation jira-operator.dev/renew to a new value to have it tried, or consent again and store the new refresh token in {seed}."
        ),
        Reason::GrantConflict => conflict(facts, &seed, still),
        Reason::RateLimited => format!(
            "{who} limits the rate of renewals and asked to wait. {still} It is tried again by itself."
        ),
        Reason::RenewalInterrupted => interrupted(facts, still),
        Reason::HostNotAllowed if is_own(facts) => format!(
            "The name of {who} resolves to an address to which no credential is sent. {still} Correct spec.site; the administrator can name exceptions with --allowed-addresses."
        ),
        Reason::HostNotAllowed => format!(
            "Atlassian's token endpoint has an address to which no credential is sent. {still} The administrator can correct --auth-url, or name exceptions with --allowed-addresses."
        ),
        _ if is_own(facts) => format!(
            "No token could be had: the token endpoint of {who} could not be asked, or gave no answer that can be used. {still} It is tried again by itself; OAuth 2.0 needs Jira 8.22, service accounts Jira 11."
        ),
        _ => format!(
            "No token could be had: Atlassian's token endpoint could not be asked, or gave no answer that can be used. {still} It is tried again by itself."
        ),
    }
}

/// Whether Jira itself gives the tokens.
fn is_own(facts: &Facts) -> bool {
    let plan = facts.renewal_plan();
    plan.is_some_and(|plan| plan.hosting() == Hosting::DataCenter)
}

/// Who gives the tokens.
fn provider(facts: &Facts) -> String {
    if is_own(facts) {
        format!("Jira at {}", message::host(facts))
    } else {
        "Atlassian".to_owned()
    }
}

fn consent_words(facts: &Facts) -> String {
    let seed = seed_words(facts);
    if is_own(facts) {
        format!("Consent again and store the new refresh token in {seed}.")
    } else {
        format!(
            "Consent again with the scope offline_access and store the new refresh token in {seed}."
        )
    }
}

fn interrupted(facts: &Facts, still: &str) -> String {
    if is_own(facts) {
        format!(
            "A renewal was begun and its answer is not known; it is taken up again once it is certain that nobody else has the answer. {still} If it was carried out, that one has ended and a new consent is needed."
        )
    } else {
        format!(
            "A renewal was begun and its answer is not known; it is taken up again as soon as that is safe. {still}"
        )
    }
}

fn client_rejected(facts: &Facts, still: &str) -> String {
    let clients = client_words(facts);
    let kept = if spends(facts) {
        "; the refresh token is kept and nothing is lost"
    } else {
        ""
    };
    let ended = if is_own(facts) && !spends(facts) {
        " It is wrong, was revoked or has expired."
    } else {
        ""
    };
    format!(
        "{} does not accept the client id and client secret{kept}.{ended} {still} Store a valid client secret in {clients}, or correct clientId; it is tried again as soon as either changes.",
        provider(facts)
    )
}

fn conflict(facts: &Facts, seed: &str, still: &str) -> String {
    let rival = facts.renewal.as_ref();
    let holder = match rival.and_then(|renewal| renewal.rival.as_deref()) {
        Some(name) => format!("is used by the JiraCredential {name} with another clientId"),
        None => "is in use already, from another Secret or with another clientId".to_owned(),
    };
    if spends(facts) {
        format!(
            "The refresh token in {seed} {holder}; it is not spent here. {still} Give each app a consent of its own; to share one, name the same Secret and the same clientId in both."
        )
    } else {
        format!(
            "The client secret in {seed} {holder}. {still} Name the Secret with the client secret that belongs to clientId."
        )
    }
}

fn spends(facts: &Facts) -> bool {
    facts.renewal_plan().is_some_and(RenewalPlan::spends)
}

fn end_words(facts: &Facts) -> String {
    let own = is_own(facts);
    match facts.interrupted_at() {
        Some(time) => {
            let time = time.format("%Y-%m-%d at %H:%M UTC");
            let why = if own {
                "its answer was lost, and Data Center honours a refresh token once only"
            } else {
                "nobody could take it up again within the ten minutes for which Atlassian honours it"
            };
            format!(
                "The refresh token is dead: a renewal was interrupted on {time} and {why}."
            )
        }
        None if own => format!(
            "{} does not accept the refresh token: it has expired, was revoked, was used by somebody else, was given to another clientId, or redirectUri is not that of its consent. If redirectUri is wrong, correct it, and the same token is tried again.",
            provider(facts)
        ),
        None => "Atlassian does not accept the refresh token: it has expired, was revoked, was used by somebody else, or was given to another clientId.".to_owned(),
    }
}

/// What a person should know of the refresh token in the Secret while another one is in use.
pub fn seed_words_of(facts: &Facts, reason: Reason) -> String {
    if let Some(words) = kept::stored_words(facts, reason) {
        return words;
    }
    let seed = seed_words(facts);
    match reason {
        Reason::SeedStale => format!(
            "An older copy of a refresh token came back in {seed}; nothing was done with it, and the present consent goes on. Remove the key, or store there what was stored last."
        ),
        Reason::SourceMalformed => format!(
            "What was stored in {seed} cannot be a refresh token, which is one line of printable ASCII without blanks; the earlier consent goes on. Store the new refresh token with kubectl create secret --from-literal, or with printf in place of echo, which adds a line end."
        ),
        Reason::SourceIsTarget => format!(
            "The Secret of {seed} is published by this operator and cannot be a source; the earlier consent goes on. Name the Secret that a person filled."
        ),
        Reason::ReconsentRequired | Reason::RotationFailed => format!(
            "{} does not accept the new refresh token in {seed}; the earlier consent goes on. Consent again{} and store the new refresh token.",
            provider(facts),
            if is_own(facts) {
                ", with the redirect URL of spec.auth,"
            } else {
                ""
            }
        ),
        Reason::AccountChanged => format!(
            "The new refresh token in {seed} belongs to another account than the one to which this JiraCredential is pinned; the earlier consent goes on. If the change is meant, set spec.validation.accountId to the new account."
        ),
        Reason::PermissionMissing => format!(
            "The account of the new refresh token in {seed} lacks permissions that spec.validation.requiredPermissions names; the earlier consent goes on. Give it these permissions, or consent again as another account."
        ),
        Reason::InsufficientScope => format!(
            "The new refresh token in {seed} lacks scopes; the earlier consent goes on. Consent again with all of them."
        ),
        _ => format!(
            "The new refresh token in {seed} does not work at {}; the earlier consent goes on. Consent again for this site.",
            message::host(facts)
        ),
    }
}

fn seed_words(facts: &Facts) -> String {
    match facts.spec.auth.method() {
        Some(Method::OAuth2(oauth2)) => format!(
            "key {} of the Secret {}",
            oauth2.refresh_token_secret_ref.key, oauth2.refresh_token_secret_ref.name
        ),
        _ => client_words(facts),
    }
}

fn client_words(facts: &Facts) -> String {
    let refs = match facts.spec.auth.method() {
        Some(Method::OAuth2(oauth2)) => &oauth2.client_secret_refs,
        Some(Method::ClientCredentials(client)) => &client.client_secret_refs,
        _ => return "the Secret".to_owned(),
    };
    let names = refs
        .iter()
        .map(|reference| format!("key {} of the Secret {}", reference.key, reference.name));
    names.collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests;
