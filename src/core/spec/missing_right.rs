//! A right that the operator lacks.

use std::fmt;

/// A right that the operator's own identity lacks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct MissingRight {
    /// `namespace/name` of the `ServiceAccount`, where it is one.
    pub account: Option<String>,
    /// The verb, such as `get`.
    pub verb: String,
    /// The resource, such as `secrets`.
    pub resource: String,
    /// The namespace; `None` for the whole cluster.
    pub namespace: Option<String>,
}

impl fmt::Display for MissingRight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(formatter, "the operator's ServiceAccount {account}")?,
            None => formatter.write_str("the operator's user")?,
        }
        let (verb, resource) = (&self.verb, &self.resource);
        write!(formatter, " has no right to {verb} {resource}")?;
        match &self.namespace {
            Some(namespace) => write!(formatter, " in the namespace {namespace}")?,
            None => formatter.write_str(" in the cluster")?,
        }
        formatter.write_str(
            "; apply the RBAC rules of deploy/ again, or bind a role with this right to it",
        )
    }
}
