//! What the API server answers when it does not do what was asked.

use kube::core::Status;

use crate::cluster::right::missing_right;
use crate::core::facts::Denial;
use crate::core::spec::MissingRight;

/// What is said of a namespace that is being deleted.
const TERMINATING: &str = "; the namespace is being deleted";

/// A failed request to the API server.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The object does not exist.
    #[error("the object does not exist")]
    NotFound,
    /// Somebody changed the object since it was read.
    #[error("the object was changed by another client")]
    Conflict,
    /// An object of this name exists.
    #[error("an object of this name exists")]
    AlreadyExists,
    /// The request is refused and will be as long as nothing changes.
    #[error("{0}")]
    Refused(String),
    /// The operator has no right to make the request, and will not have as long as nothing changes.
    #[error("{0}.")]
    Forbidden(MissingRight),
    /// The API server did not answer in time.
    #[error("the API server did not answer in time")]
    TimedOut,
    /// The API server cannot serve the request now. The words are ours: the client's own error
    /// holds the text of the answer, which may quote what was sent.
    #[error("the API server cannot serve the request now: {0}")]
    Unavailable(String),
    /// Nothing was sent, or not waited for: this process does not lead.
    #[error("this process does not lead")]
    NotLeading,
}

impl ClusterError {
    /// Whether the namespace is being deleted, or gone: nothing can be created in it any more.
    pub fn is_end_of_namespace(&self) -> bool {
        matches!(self, Self::Refused(why) if why.contains(TERMINATING))
    }

    /// Whether the API server did not answer, or cannot serve anybody now.
    pub fn is_silence(&self) -> bool {
        match self {
            Self::TimedOut | Self::Unavailable(_) => true,
            Self::NotFound
            | Self::Conflict
            | Self::AlreadyExists
            | Self::Refused(_)
            | Self::Forbidden(_)
            | Self::NotLeading => false,
        }
    }

    /// Whether the request is refused for as long as nothing changes.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Forbidden(_) => true,
            Self::NotFound
            | Self::Conflict
            | Self::AlreadyExists
            | Self::TimedOut
            | Self::Unavailable(_)
            | Self::NotLeading => false,
        }
    }
}

impl ClusterError {
    /// Why the request is denied for as long as nothing changes; `None` where it is not, and where there
    /// is nobody left to tell.
    pub fn denial(&self) -> Option<Denial> {
        match self {
            _ if self.is_end_of_namespace() => None,
            Self::Refused(cause) => Some(Denial::Refused(cause.clone())),
            Self::Forbidden(right) => Some(Denial::Right(right.clone())),
            Self::NotFound
            | Self::Conflict
            | Self::AlreadyExists
            | Self::TimedOut
            | Self::Unavailable(_)
            | Self::NotLeading => None,
        }
    }
}

impl From<&Denial> for ClusterError {
    fn from(denial: &Denial) -> Self {
        match denial {
            Denial::Right(right) => Self::Forbidden(right.clone()),
            Denial::Refused(cause) => Self::Refused(cause.clone()),
        }
    }
}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else {
            return Self::Unavailable(no_answer(&error));
        };
        match (status.code, status.reason.as_str()) {
            (404 | 410, _) => Self::NotFound,
            (409, "AlreadyExists") => Self::AlreadyExists,
            (409, _) => Self::Conflict,
            (403, _) => match missing_right(&status.message) {
                Some(right) => Self::Forbidden(right),
                None => Self::Refused(describe(status)),
            },
            (400 | 405 | 413 | 415 | 422, _) => Self::Refused(describe(status)),
            (code, _) => Self::Unavailable(format!("it answers {code}")),
        }
    }
}

/// Why there is no answer: the innermost cause of a failed connection, but nothing of an answer
/// that could not be read.
fn no_answer(error: &kube::Error) -> String {
    match error {
        kube::Error::HyperError(_) | kube::Error::Service(_) => {
            let mut cause: &dyn std::error::Error = error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            cause.to_string()
        }
        _ => "its answer cannot be read".to_owned(),
    }
}

/// The refusal as a message that cannot repeat what was sent: reason, code and the names of the
/// fields, but not the server's text, which may quote a value.
fn describe(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<String> = causes
        .map(|cause| {
            format!("{} {}", cause.reason, cause.field)
                .trim()
                .to_owned()
        })
        .filter(|cause| !cause.is_empty())
        .take(4)
        .collect();
    let advice = match status.code {
        403 if fields
            .iter()
            .any(|field| field.contains("NamespaceTerminating")) =>
        {
            TERMINATING
        }
        403 => "; check quotas, admission policies and the operator's RBAC rules",
        413 => "; the Secret would be too large",
        _ => "",
    };
    let fields = if fields.is_empty() {
        String::new()
    } else {
        format!(": {}", fields.join(", "))
    };
    format!("{} ({}){fields}{advice}.", status.reason, status.code)
}
