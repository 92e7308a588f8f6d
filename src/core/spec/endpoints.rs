//! The addresses of Atlassian that the administrator sets.

/// Where Atlassian renews tokens, and where they are used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoints {
    /// Base address of Atlassian's authorization server, without a slash at its end.
    pub auth_url: String,
    /// Base address of Atlassian's gateway, without a slash at its end.
    pub api_url: String,
}

impl Endpoints {
    /// Takes the addresses as they are configured.
    pub fn new(auth_url: &str, api_url: &str) -> Self {
        let trimmed = |url: &str| url.trim_end_matches('/').to_owned();
        Self {
            auth_url: trimmed(auth_url),
            api_url: trimmed(api_url),
        }
    }
}
