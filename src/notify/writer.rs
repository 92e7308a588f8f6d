//! The credential that writes issues: a `JiraCredential` of the cluster, lent for each delivery.

use futures::future::BoxFuture;

use crate::core::spec::Site;
use crate::jira::{Credential, Jira};

/// Lends credentials that the operator serves.
pub trait Writers: Send + Sync {
    /// The credential of this namespace and name as it is published now.
    ///
    /// # Errors
    /// Why there is none to be used now, for the log.
    fn writer<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Writer, String>>;
}

/// A credential that Jira has accepted, and the only site that it is sent to.
pub struct Writer {
    /// The client, which calls on behalf of this credential.
    pub jira: Jira,
    /// The site.
    pub site: Site,
    /// Authorities that are trusted there beside those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// The credential.
    pub credential: Credential,
    /// Which credential that is, and when it was validated last. Not secret.
    pub validation: String,
}
