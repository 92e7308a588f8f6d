//! What a decision may look at of a credential that renews itself.

use chrono::{DateTime, TimeDelta, Utc};

use super::facts::{Facts, Peer};
use super::fingerprint::Fingerprint;
use super::grant::{Chain, Client, Grant, SeedOutcome};
use super::scopes;
use crate::api::{Attempt, AttemptOutcome, Reason};

mod kind;
mod process;

pub use kind::{RenewalKind, Stated};
pub use process::{Pace, Process, Watched};

/// What follows from the spec of a credential that renews itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RenewalPlan {
    /// Name of the Secret that holds the grant.
    pub grant: String,
    /// What a renewal is made of.
    pub kind: RenewalKind,
    /// The client of the token endpoint.
    pub client: Client,
    /// Base address of Atlassian's gateway; `None` for Data Center, which is called itself.
    pub gateway: Option<String>,
    /// Redirect URL of the consent, which Data Center wants to see again.
    pub redirect_uri: Option<String>,
    /// The id of the site, where the user says it.
    pub cloud_id: Option<String>,
    /// The scopes that the token must have.
    pub scopes: Vec<String>,
    /// How long before its end the token is renewed, where the user says it.
    pub renew_before: Option<TimeDelta>,
    /// How long the grant outlives its last user and its seed.
    pub retention: TimeDelta,
    /// What the user says of a personal access token.
    pub stated: Stated,
}

/// What is known of the grant of one credential.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// What stands on the cluster.
    pub grant: GrantState,
    /// What the user's Secret holds.
    pub seed: SeedState,
    /// An older `JiraCredential` that holds the same seed with another client.
    pub rival: Option<String>,
    /// What the other credentials with the same grant have published, by its fingerprint; `None`
    /// for one that is not ready. Those that are suspended are not among them.
    pub others: Vec<Option<String>>,
    /// What is known of the same user name and password elsewhere.
    pub login: Peer,
    /// Whether a Secret with a client secret has changed since it was seen last.
    pub clients_changed: bool,
    /// Whether the client secrets were read: without them nothing is renewed in this pass.
    pub clients_read: bool,
    /// This process, and what it knows of the renewal under way.
    pub process: Process,
    /// How fast the protocol's own clocks run.
    pub pace: Pace,
}

/// The Secret of the grant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GrantState {
    /// Nobody looked; it has the version that is recorded.
    NotRead,
    /// There is none.
    Absent,
    /// Somebody else made a Secret of this name.
    Foreign,
    /// It was read.
    Read(Box<Held>),
}

/// A grant as it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// Its contents, fingerprints standing in for tokens.
    pub grant: Grant<Fingerprint>,
    /// The uid of the Secret.
    pub uid: String,
}

impl Held {
    /// Whether it is a copy: from a backup, or from another cluster.
    pub fn is_copy(&self) -> bool {
        let own = self.grant.uid.as_ref();
        own.is_some_and(|own| *own != self.uid)
    }
}

/// The refresh token in the user's Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SeedState {
    /// Nobody looked.
    NotRead,
    /// There is none.
    Missing,
    /// What a person stored while another chain works cannot be a refresh token.
    Unusable(Reason),
    /// It was read.
    Read {
        /// SHA-256 in hexadecimal digits.
        digest: String,
        /// Keyed fingerprint.
        print: Fingerprint,
    },
}

impl Facts {
    /// The plan of a credential that renews itself.
    pub fn renewal_plan(&self) -> Option<&RenewalPlan> {
        self.plan.as_ref().ok()?.renewal.as_ref()
    }

    /// Whether the credential renews itself.
    pub fn renews(&self) -> bool {
        self.renewal_plan().is_some()
    }

    /// Whether the token makes its own successor.
    pub fn makes_successors(&self) -> bool {
        self.renewal_plan()
            .is_some_and(|plan| plan.kind == RenewalKind::Successor)
    }

    /// Whether Jira keeps the token or session until it is ended.
    pub fn is_kept(&self) -> bool {
        self.renewal_plan().is_some_and(RenewalPlan::is_kept)
    }

    /// Whether a token that Jira refuses before its end can be replaced all the same.
    pub fn replaces_the_refused(&self) -> bool {
        self.renewal_plan()
            .is_some_and(RenewalPlan::outlives_its_token)
    }

    /// The grant, if it was read.
    pub fn held(&self) -> Option<&Held> {
        match &self.renewal.as_ref()?.grant {
            GrantState::Read(held) => Some(held),
            GrantState::NotRead | GrantState::Absent | GrantState::Foreign => None,
        }
    }

    /// Whether nobody looked at the grant in this pass.
    pub fn grant_unread(&self) -> bool {
        let state = self.renewal.as_ref().map(|renewal| &renewal.grant);
        matches!(state, Some(GrantState::NotRead))
    }

    /// The chain that is the credential: the one in use, or the one that is to become it.
    pub fn chain(&self) -> Option<&Chain<Fingerprint>> {
        let grant = &self.held()?.grant;
        let plan = self.renewal_plan()?;
        // What another client was given is not ours to use.
        let ours = |chain: &&Chain<Fingerprint>| chain.client == plan.client;
        let any_live = grant.live.as_ref().filter(ours);
        let live = any_live.filter(|live| live.dead.is_none());
        let proven = |chain: &&Chain<Fingerprint>| {
            let print = chain.access.as_ref().map(|access| access.token.as_str());
            print.is_some() && print == self.status.proven_fingerprint.as_deref()
        };
        let candidate = grant.candidate.as_ref().filter(ours);
        candidate.filter(proven).or(live).or(candidate).or(any_live)
    }

    /// The fingerprint of the access token of that chain.
    pub fn chain_print(&self) -> Option<&Fingerprint> {
        Some(&self.chain()?.access.as_ref()?.token)
    }

    /// A chain that waits to take the place of one in use.
    pub fn waiting_candidate(&self) -> Option<&Chain<Fingerprint>> {
        let grant = &self.held()?.grant;
        let plan = self.renewal_plan()?;
        let candidate = grant
            .candidate
            .as_ref()
            .filter(|chain| chain.client == plan.client)?;
        let subject = self.chain()?;
        (candidate.origin != subject.origin).then_some(candidate)
    }

    /// The chain that stands to be asked about next, and whether it waits for another's place.
    pub fn asked_about(&self) -> Option<&Chain<Fingerprint>> {
        if self.candidate_is_due() {
            self.waiting_candidate()
        } else {
            self.chain()
        }
    }

    /// Whether the candidate beside a chain in use is to be proven now.
    pub fn candidate_is_due(&self) -> bool {
        let Some(access) = self
            .waiting_candidate()
            .and_then(|chain| chain.access.as_ref())
        else {
            return false;
        };
        if access.expires <= self.now || self.happened.candidate_tried || self.happened.twin {
            return false;
        }
        match self.candidate_attempt() {
            None => true,
            Some(_) if self.spec_changed() || self.renew_requested() => true,
            Some(attempt) => attempt
                .next_attempt_time
                .is_some_and(|time| time <= self.now),
        }
    }

    /// What is recorded of the candidate beside a chain in use. A refusal is forgotten when another
    /// spec may end it or a person asks: its token, which nobody kept alive, is renewed first.
    pub fn candidate_attempt(&self) -> Option<&Attempt> {
        let print = &self.waiting_candidate()?.access.as_ref()?.token;
        let attempt = self.status.grant.as_ref()?.candidate.as_ref()?;
        let anew =
            (self.spec_changed() || self.renew_requested()) && !self.happened.candidate_tried;
        let stands = attempt.outcome != AttemptOutcome::Refused || !anew;
        (stands && self.is_same(print, &attempt.fingerprint)).then_some(attempt)
    }

    /// Whether the chain is one from which a token was proven for this credential.
    pub fn is_of_proven_chain(&self) -> bool {
        let proven = self
            .status
            .grant
            .as_ref()
            .and_then(|grant| grant.chain.as_ref());
        match self.chain() {
            Some(chain) => proven == Some(&chain.lineage()) && self.site_recorded(),
            None => self.grant_unread() && proven.is_some() && self.site_recorded(),
        }
    }

    /// Whether there is an access token that has not ended, as far as is known.
    pub fn has_token(&self) -> bool {
        let Some(renewal) = &self.renewal else {
            return true;
        };
        match &renewal.grant {
            GrantState::NotRead => {
                let proven = self.status.proven_fingerprint.is_some();
                let endless = self.status.expires_at.is_none() && self.makes_successors() && proven;
                let unproven = self.status.attempt.is_some();
                let alive = self.status.expires_at.is_some_and(|end| end > self.now);
                unproven || alive || endless
            }
            GrantState::Absent | GrantState::Foreign => false,
            // It is another's to use.
            GrantState::Read(held) if self.happened.twin && held.grant.live.is_none() => false,
            GrantState::Read(_) => {
                let access = self.chain().and_then(|chain| chain.access.as_ref());
                access.is_some_and(|access| access.expires > self.now)
            }
        }
    }

    /// The scopes that are wanted and not granted.
    pub fn missing_scopes(&self) -> Vec<&str> {
        let Some(plan) = self.renewal_plan() else {
            return Vec::new();
        };
        let granted = match self.chain().and_then(|chain| chain.access.as_ref()) {
            Some(access) => &access.scopes,
            None => &self.status.scopes,
        };
        let wanted = plan.scopes.iter().map(String::as_str);
        wanted
            // Whether the grant renews is told on its own.
            .filter(|scope| *scope != "offline_access")
            .filter(|scope| !granted.is_empty() && !scopes::covers(plan.hosting(), granted, scope))
            .collect()
    }

    /// Whether scopes are missing, or were refused to the client: by the grant, or as is recorded
    /// of it.
    pub fn lacks_scopes(&self) -> bool {
        if self.grant_unread() {
            let recorded = self.status.grant.as_ref();
            recorded.and_then(|grant| grant.trouble) == Some(Reason::InsufficientScope)
        } else {
            let failure = self.held().and_then(|held| held.grant.failure);
            !self.missing_scopes().is_empty() || failure == Some(Reason::InsufficientScope)
        }
    }

    /// Whether Jira refused a token that should still live, and a renewal will tell more.
    pub fn died_early(&self) -> bool {
        let unconfirmed = |attempt: &Attempt| attempt.outcome == AttemptOutcome::Unconfirmed;
        self.replaces_the_refused() && self.attempt().is_some_and(unconfirmed)
    }

    /// Whether a refusal of the present token earns a renewal: once, until there was a proof in
    /// between or an hour has passed.
    pub fn may_renew_early(&self) -> bool {
        let Some(held) = self.held().filter(|_| self.replaces_the_refused()) else {
            return false;
        };
        let pace = self.renewal.as_ref().map(|renewal| renewal.pace);
        let hour = pace.unwrap_or_default().of(TimeDelta::hours(1));
        self.can_log_in_again()
            && self.is_of_proven_chain()
            && held.grant.early.is_none_or(|early| {
                let proven = self.status.last_validated_time;
                self.now - early >= hour || proven.is_some_and(|proven| proven > early)
            })
    }

    /// Whether the password of the session in use is still there, and was not refused since; what is
    /// no session needs none.
    fn can_log_in_again(&self) -> bool {
        let login = |plan: &RenewalPlan| plan.kind == RenewalKind::Login;
        if !self.renewal_plan().is_some_and(login) {
            return true;
        }
        let seed = self.renewal.as_ref().map(|renewal| &renewal.seed);
        let Some((SeedState::Read { digest, .. }, chain)) = seed.zip(self.chain()) else {
            return false;
        };
        chain.origin == *digest && chain.dead.is_none()
    }

    /// What a person should know of the seed in the user's Secret while another chain is in use:
    /// that it was refused, cannot be one, or is an older copy.
    pub fn seed_trouble(&self) -> Option<Reason> {
        let digest = match &self.renewal.as_ref()?.seed {
            SeedState::Read { digest, .. } => digest,
            SeedState::Unusable(reason) => return Some(*reason),
            SeedState::NotRead | SeedState::Missing => return None,
        };
        let grant = &self.held()?.grant;
        // Without a chain of ours there is nothing that goes on in the seed's place.
        let in_use = self.chain()?.root() == digest;
        let waiting = grant
            .candidate
            .as_ref()
            .is_some_and(|chain| chain.root() == digest);
        match grant.seed(digest)?.outcome {
            _ if in_use || waiting => None,
            SeedOutcome::Refused => Some(Reason::RotationFailed),
            SeedOutcome::Seen | SeedOutcome::Spent | SeedOutcome::Accepted => {
                Some(Reason::SeedStale)
            }
        }
    }

    /// When what pods mount ends, where that is known.
    pub fn published_end(&self) -> Option<DateTime<Utc>> {
        if self.renews() {
            self.status.expires_at
        } else {
            self.static_end()
        }
    }
}
