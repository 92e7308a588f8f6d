//! The steps that can be decided.

use chrono::{DateTime, Utc};

use crate::api::{Account, Attempt, Reason, TargetVersion};
use crate::core::grant::Spend;

/// One effect: one write to the cluster, or one call to Jira.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Write down that a password is about to be sent, so that a crash cannot send it twice.
    RecordAttempt(Attempt),
    /// Ask Jira who the credential belongs to.
    Validate,
    /// Write a target.
    Publish(Publish),
    /// Delete a target that the spec no longer names.
    Retract(TargetVersion),
    /// Write a new seed into the grant.
    Adopt,
    /// Look whether another grant holds the same seed.
    Seek,
    /// Write down that a refresh token is about to be spent.
    Intend(Spend),
    /// Ask the token endpoint and store the answer: the one step with two effects.
    Renew(Spend),
    /// Let the validated candidate take the place of the chain in use.
    Promote,
    /// Ask the site for its id.
    Locate,
    /// Ask the gateway what the token covers.
    Survey,
    /// Ask Jira who a candidate beside the chain in use belongs to.
    Try,
    /// Ask the organisation when the API token expires.
    LookUp,
    /// Ask Jira what the account may do.
    Permissions,
    /// Do what is left to do with the grant when all else is done.
    Tend(Care),
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

/// One thing to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Care {
    /// Write down that everybody shows what took the place of what was replaced.
    Show,
    /// End what was replaced first.
    End,
    /// Look for the token in use among those of its account.
    Identify,
}

/// The next move.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Move {
    /// Write down that a new seed is there.
    Adopt,
    /// Look whether another grant holds the same seed.
    Seek,
    /// Write down that the refresh token of a chain is about to be spent.
    Intend(Spend),
    /// Ask the token endpoint, and store the answer.
    Renew(Spend),
    /// Let the validated candidate take the place of the chain in use.
    Promote,
    /// Nothing before this time.
    At(DateTime<Utc>),
    /// Nothing by itself.
    Rest,
    /// Nothing until a person acts.
    Stuck(Reason),
}
