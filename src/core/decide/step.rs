//! The steps that can be decided.

use chrono::{DateTime, Utc};

use crate::api::{Account, Attempt, Reason, TargetVersion, Workload};
use crate::core::grant::RefreshRequest;

/// One effect: one write to the cluster, or one call to Jira. Three steps differ: `CheckDuplicate` only
/// reads, and `Renew` and `Cleanup` may call Jira and write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Write down that a password is about to be sent, so that a crash cannot send it twice.
    RecordAttempt(Attempt),
    /// Ask Jira who the credential belongs to.
    Validate,
    /// Write a target.
    Publish(Publish),
    /// Restart a workload that took published values into variables.
    Restart(Restart),
    /// Delete a target that the spec no longer names.
    DeleteTarget(TargetVersion),
    /// Write a new seed into the grant.
    ImportToken,
    /// Look whether another grant holds the same seed.
    CheckDuplicate,
    /// Write down that a refresh token is about to be spent.
    Intend(RefreshRequest),
    /// Ask the token endpoint and store the answer.
    Renew(RefreshRequest),
    /// Let the validated candidate take the place of the chain in use.
    Promote,
    /// Ask the site for its id.
    ResolveCloudId,
    /// Ask the gateway what the token covers.
    ListSites,
    /// Ask Jira who a candidate beside the chain in use belongs to.
    ValidateCandidate,
    /// Ask the organisation when the API token expires.
    LookUp,
    /// Ask Jira what the account may do.
    Permissions,
    /// Do what is left to do with the grant when all else is done.
    Cleanup(CleanupTask),
}

/// How to write a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Publish {
    /// Index among the targets of the facts.
    pub index: usize,
    /// The digest of what is to be written.
    pub digest: String,
    /// The account that what is written belongs to.
    pub account: Account,
    /// The uid of the Secret that we hold under this name; `None`: create it.
    pub holds: Option<String>,
}

/// Which workload to restart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restart {
    /// The workload.
    pub workload: Workload,
    /// What the annotation of its pod template is to say.
    pub revision: String,
    /// It did not exist after the change: if it does now, its pods have started since, with what is
    /// published, and need no restart.
    pub only_look: bool,
}

/// One thing to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CleanupTask {
    /// Write down that everybody shows what took the place of what was replaced.
    ConfirmRollout,
    /// End what was replaced first.
    Revoke,
    /// Look for the token in use among those of its account.
    FindTokenId,
}

/// The next move.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Move {
    /// Write down that a new seed is there.
    ImportToken,
    /// Look whether another grant holds the same seed.
    CheckDuplicate,
    /// Write down that the refresh token of a chain is about to be spent.
    Intend(RefreshRequest),
    /// Ask the token endpoint, and store the answer.
    Renew(RefreshRequest),
    /// Let the validated candidate take the place of the chain in use.
    Promote,
    /// Nothing before this time.
    At(DateTime<Utc>),
    /// Nothing until something changes.
    Idle,
    /// Nothing until a person acts.
    Blocked(Reason),
}
