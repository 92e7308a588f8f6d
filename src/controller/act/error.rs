//! Why a step ended without a result.

use crate::cluster::ClusterError;
use crate::core::facts::Denial;

/// Why a step ended without a result.
#[derive(Debug)]
pub(in crate::controller) enum ActError {
    /// Something has changed since the step was decided, or it waited too long to be carried out:
    /// the reconcile starts again with a new look.
    Stale,
    /// The API server did not do what was asked.
    Cluster(ClusterError),
}

impl ActError {
    /// Whether the request is refused for as long as nothing changes.
    pub(in crate::controller) fn is_refusal(&self) -> bool {
        match self {
            Self::Stale => false,
            Self::Cluster(error) => error.is_refusal(),
        }
    }
}

impl ActError {
    /// Why the request is denied, if it is.
    pub(in crate::controller) fn denial(&self) -> Option<Denial> {
        match self {
            Self::Stale => None,
            Self::Cluster(error) => error.denial(),
        }
    }
}

impl From<ClusterError> for ActError {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Conflict => Self::Stale,
            error => Self::Cluster(error),
        }
    }
}
