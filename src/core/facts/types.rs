//! The types that the facts consist of: object, source, targets, grant, progress of the reconcile.

use chrono::{DateTime, Utc};

use crate::api::{Account, Reason, SourceVersion, Target, TargetVersion, Workload};
use crate::core::facts::denied::{Denial, Denied};
use crate::core::facts::process::{Process, TimeScale};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Grant, RefreshRequest, RenewalFailure};
use crate::core::probe::token_list::{Found, LookupError};
use crate::core::probe::{Judgement, Outage, Refusal};
use crate::core::spec::SourceError;

/// The identity of a `JiraCredential`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Generation of the spec.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The value of the annotation `jira-operator.dev/renew`.
    pub renew: Option<String>,
}

/// What is known of the user's Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// It has the versions that are recorded; it was not read.
    Unchanged,
    /// It was read.
    Read {
        /// Keyed fingerprint of site, user and secret.
        fingerprint: Fingerprint,
        /// The versions that were read.
        versions: Vec<SourceVersion>,
    },
    /// It is missing, or no credential.
    Unusable(SourceError),
}

/// What is known of a value that was read as text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TextValue {
    /// Name of the Secret.
    pub secret: String,
    /// Its key.
    pub key: String,
    /// Keyed fingerprint of the value, if one line end behind it was left out.
    pub line_end: Option<Fingerprint>,
}

/// What is known of one target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetFacts {
    /// The target, as the spec has it.
    pub target: Target,
    /// What stands on the cluster under its name.
    pub state: TargetState,
    /// An older `JiraCredential` that names the same Secret; empty: in another namespace.
    pub older_claim: Option<String>,
    /// Why nothing is written into its namespace.
    pub barrier: Option<Barrier>,
}

/// Why nothing is written into another namespace than that of the credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Barrier {
    /// The admission policy is not in force, or does not check who may publish there.
    Policy,
    /// The operator is not set up to watch it.
    NotWatched,
    /// The operator may not list what is in it.
    NotListed,
    /// It does not exist.
    Missing,
}

/// What stands on the cluster under the name of a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TargetState {
    /// No one looked.
    Unknown,
    /// Nothing.
    Absent,
    /// A Secret of this uid and resourceVersion.
    Present {
        /// Its uid.
        uid: String,
        /// Its resourceVersion.
        resource_version: String,
    },
    /// This reconcile wrote it.
    Written(TargetVersion),
    /// This reconcile found that it has another owner.
    OwnedByOther(Holder, TargetVersion),
    /// This reconcile found a Secret of somebody else that does not take the keys: what to record of it.
    NotMerged(TargetVersion),
    /// The API server refused to write it in this reconcile.
    Refused(String),
    /// This reconcile could not render its templates with the credential, for this reason.
    NotRendered(String),
}

/// Who holds a Secret that is not ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Holder {
    /// Another `JiraCredential`, by its name.
    Credential(String),
    /// A `JiraCredential` of another namespace, whose names are not for the readers of this one.
    Elsewhere,
    /// Somebody that has nothing to do with us.
    Stranger,
}

/// What other credentials know of the same site, user and password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// Nothing, or it is no password.
    Silent,
    /// One of them is sending it at this moment.
    InFlight,
    /// One of them sent it, and the result is unknown.
    Interrupted,
    /// Jira refused it.
    Refused(Reason),
    /// Jira accepted it from one of them in this namespace, after everything else that is known of it: it
    /// needs no person any more.
    Accepted,
}

/// Where an older grant holds the same initial token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Twin {
    /// In this namespace: the name of the user's Secret.
    Here(String),
    /// In another namespace, whose names are not for the readers of this one.
    Elsewhere,
}

/// What became of a workload that was to be restarted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restarted {
    /// Its pods get the published credential.
    Done,
    /// They do not.
    Failed(Reason),
}

/// Keys that stay in a Secret of somebody else, though the spec does not name it any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeysStay {
    /// The Secret.
    pub secret: String,
    /// The keys.
    pub keys: Vec<String>,
    /// Why: `MergeNotAllowed`, or `MergeConflict`.
    pub reason: Reason,
}

/// What has happened in this reconcile.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each kind of thing that can happen"
)]
pub struct Progress {
    /// The attempt with a password was recorded before it is sent.
    pub attempt_recorded: bool,
    /// Another credential decides about this password: it is not sent in this reconcile.
    pub attempt_denied: bool,
    /// What the probe means.
    pub judgement: Option<Judgement>,
    /// Paths of surplus targets that were removed, or turned out to be gone or another's.
    pub deleted_targets: Vec<String>,
    /// Paths of surplus targets that stay, with their namespaces, which the operator does not serve.
    pub targets_stay: Vec<(String, String)>,
    /// Keys that could not be removed from Secrets of others.
    pub keys_stay: Vec<KeysStay>,
    /// Another grant holds the same seed was looked for.
    pub duplicate_checked: bool,
    /// An older grant holds the same seed.
    pub is_duplicate: bool,
    /// Where the older grant is.
    pub twin: Option<Twin>,
    /// Why nobody knows whether an older grant holds the same seed, which is not used for that.
    pub twins_unknown: Option<Denial>,
    /// The renewal whose intent is durable.
    pub intended: Option<RefreshRequest>,
    /// A renewal was made, whatever became of it.
    pub renewed: bool,
    /// What the renewal did not bring.
    pub renewal_failure: Option<RenewalFailure>,
    /// Why the renewal got no usable answer.
    pub renewal_outage: Option<Outage>,
    /// The id of the site, as the site reported it.
    pub cloud_id: Option<String>,
    /// What the token covers was asked.
    pub sites_listed: bool,
    /// A candidate beside the chain in use was validated.
    pub candidate_tried: bool,
    /// What the organisation reported about the API token.
    pub lookup: Option<Result<Found, LookupError>>,
    /// The site refused an API token that may work at the gateway.
    pub refused_at_site: Option<Refusal>,
    /// Jira accepted the credential as this account; the permissions that the spec requires
    /// decide.
    pub pending_account: Option<Account>,
    /// The permissions were requested.
    pub permissions_asked: bool,
    /// The token in use was looked for among those of its account.
    pub looked_for: bool,
    /// What became of each workload that was to be restarted.
    pub restarts: Vec<(Workload, Restarted)>,
    /// The API server did not answer the last of these: no other is tried in this reconcile.
    pub restarts_stopped: bool,
    /// There is no turn for a call: none is made in this reconcile. The operator wakes the credential when
    /// it is its turn; without that the next reconcile is at this time.
    pub queued_until: Option<DateTime<Utc>>,
    /// What the API server denied, so that this reconcile ended early.
    pub denied: Option<Denied>,
    /// Why events cannot be published.
    pub events_denied: Option<Denial>,
    /// Recorded times lay ahead and were corrected.
    pub clock_was_ahead: bool,
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
    /// The other credentials with the same grant. Those that are suspended are not among them.
    pub others: Vec<GrantUser>,
    /// What is known of the same user name and password elsewhere.
    pub login: Peer,
    /// Whether a Secret with a client secret has changed since it was seen last.
    pub clients_changed: bool,
    /// A Secret without which the next renewal cannot be made, and that does not exist.
    pub missing: Option<SourceError>,
    /// Whether the client secrets were read: without them nothing is renewed in this reconcile.
    pub clients_read: bool,
    /// This process, and what it knows of the renewal under way.
    pub process: Process,
    /// How fast the protocol's own clocks run.
    pub time_scale: TimeScale,
}

/// Another credential with the same grant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GrantUser {
    /// The fingerprint of what it has published; `None` while its targets hold something else.
    pub holds: Option<String>,
    /// The same; `None` also while pods may use an older one.
    pub shows: Option<String>,
    /// Whether a target of it publishes what was replaced.
    pub keeps_previous: bool,
}

/// The Secret of the grant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GrantState {
    /// No one looked; it has the version that is recorded.
    NotRead,
    /// There is none.
    Absent,
    /// Another party made a Secret of this name.
    Foreign,
    /// A later version of the operator wrote it in a format that this one does not know.
    Later,
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
    /// No one looked.
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

/// What is known of the organisation's API key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ApiKey {
    /// Its Secret has the version that is recorded, or there is no look-up; it was not read.
    Unmoved,
    /// Its Secret has another version than is recorded.
    Moved,
    /// It was not read although it is time, because other look-ups take the room that there is.
    PutOff,
    /// It was read.
    Read {
        /// Keyed fingerprint of the key; `None`: there is none to send.
        fingerprint: Option<Fingerprint>,
        /// The version of the Secret.
        version: SourceVersion,
    },
}
