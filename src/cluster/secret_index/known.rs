//! What is known of one Secret, and which news of it is older.

/// What is known of a Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Known {
    /// Nothing yet.
    Unknown,
    /// It does not exist.
    Absent,
    /// It has this uid and resourceVersion.
    Present {
        /// Uid.
        uid: String,
        /// Resource version.
        resource_version: String,
    },
}

/// Whether news is older than what is known of the same object. Resource versions of one object
/// grow (Kubernetes API concepts, since 1.35 by contract); anything that is no number is taken
/// as news.
pub(super) fn is_older(news: &Known, known: &Known) -> bool {
    let (
        Known::Present {
            uid: new,
            resource_version: new_version,
        },
        Known::Present {
            uid: old,
            resource_version: old_version,
        },
    ) = (news, known)
    else {
        return false;
    };
    match (new_version.parse::<u64>(), old_version.parse::<u64>()) {
        (Ok(new_version), Ok(old_version)) => new == old && new_version < old_version,
        _ => false,
    }
}
