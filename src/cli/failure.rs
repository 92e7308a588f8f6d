//! Why the process fails.

/// Why the process failed, in one sentence for people.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct Failure {
    what: &'static str,
    cause: String,
}

pub(super) fn failed<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |cause| Failure {
        what,
        cause: cause.to_string(),
    }
}
