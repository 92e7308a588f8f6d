//! What an observation takes and gives.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::api::Target;
use crate::cluster::source::Material;
use crate::core::facts::{Barrier, Facts, GrantUser, Peer, Process, TimeScale};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::Intent;
use crate::core::probe::SiteWait;
use crate::core::spec::{Plan, SpecError};

/// The facts of a reconcile, and apart from them the secret values, if they had to be read.
#[derive(Debug)]
pub struct Observed {
    /// What decisions may look at.
    pub facts: Facts,
    /// What they may not.
    pub material: Option<Material>,
}

/// What the reconcile knows before anything is read.
pub struct ObserveContext<'a> {
    /// The present time.
    pub now: DateTime<Utc>,
    /// Since when this process looks after the credentials.
    pub watched_since: Option<DateTime<Utc>>,
    /// What follows from the spec.
    pub plan: Result<Plan, SpecError>,
    /// Why no call is made to the site for now.
    pub site_wait: Option<SiteWait>,
    /// The same for a renewal that is due.
    pub renewal_wait: Option<SiteWait>,
    /// Host and port of the proxy that Jira is called through, if there is one.
    pub proxy: Option<Arc<str>>,
    /// What other credentials know of the same password, by its fingerprints.
    pub peer: &'a (dyn Fn(&PasswordPrints) -> Peer + Sync),
    /// The older credential that names this target, if there is one; empty: in another namespace.
    pub older_claim: &'a (dyn Fn(&Target) -> Option<String> + Sync),
    /// Why nothing is written into the namespace of a target, if that is another.
    pub barrier: &'a (dyn Fn(&Target) -> Option<Barrier> + Sync),
    /// Whether other look-ups of an expiry take all the room that there is.
    pub lookups_are_full: bool,
    /// What the process knows of renewals.
    pub renewals: RenewalContext<'a>,
}

/// The fingerprints of a user name and password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PasswordPrints {
    /// The one that enters the status. It is bound to the namespace.
    pub here: Fingerprint,
    /// The one that credentials of different namespaces share, if the password was read. It stays in
    /// memory.
    pub everywhere: Option<Fingerprint>,
}

/// What the process knows of renewals.
pub struct RenewalContext<'a> {
    /// An older credential that holds the same seed in another way.
    pub rival: Option<String>,
    /// The other credentials with the same grant.
    pub others: Vec<GrantUser>,
    /// Whether this process was asked to stop.
    pub stopping: bool,
    /// This process, and what it knows of the intent of the grant of this name. To be asked once
    /// the grant was read: that there is no intent is news, too.
    pub process: &'a (dyn Fn(&str, Option<&Intent>) -> Process + Sync),
    /// Whether this process knows that nothing was sent for an intent of this grant.
    pub unsent: &'a (dyn Fn(&str, &Intent) -> bool + Sync),
    /// How fast the protocol's own clocks run.
    pub time_scale: TimeScale,
}
