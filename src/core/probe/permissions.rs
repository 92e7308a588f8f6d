//! What Jira answers about the permissions of an account.

/// What Jira answered about the requested permissions, by their keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Permissions {
    /// The account holds them.
    pub held: Vec<String>,
    /// It does not.
    pub missing: Vec<String>,
    /// Jira knows none of that name.
    pub unknown: Vec<String>,
}
