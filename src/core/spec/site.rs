//! The site of a spec: where it is, and how it is hosted.

use url::{Host, Url};

use crate::api::{Hosting, JiraCredentialSpec, Method};

/// Suffixes of Atlassian's own cloud sites.
pub const CLOUD_SUFFIXES: [&str; 3] = ["atlassian.net", "jira.com", "atlassian-us-gov-mod.net"];

/// A site that a credential may be sent to, as far as its address alone can tell.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Site {
    /// Cloud or Data Center.
    pub hosting: Hosting,
    /// Base address without a trailing slash; `/rest/…` is appended to it.
    pub base: String,
    /// Host name, lower case, without a dot at its end.
    pub host: String,
}

/// Why a text is not the address of a site. Admission says the same earlier; this guards against
/// objects that were stored under other rules.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SiteError {
    /// No URL at all.
    #[error("spec.site is not a URL: write it as https://HOST")]
    NotAUrl,
    /// Not https.
    #[error("spec.site must start with https://")]
    NotHttps,
    /// User info, query or fragment.
    #[error("spec.site must not contain user info, a query or a fragment")]
    Surplus,
    /// An IP address in place of a name.
    #[error("spec.site must name a host, not an IP address")]
    IpLiteral,
    /// A port or path on Atlassian's cloud.
    #[error("spec.site of Jira Cloud must have neither port nor path")]
    CloudPortOrPath,
    /// A method of both hostings on a host that says nothing.
    #[error(
        "spec.hosting is required for this method on a host that is not Atlassian's: add hosting: DataCenter or hosting: Cloud"
    )]
    HostingUntold,
}

impl Site {
    /// Reads the site of a spec.
    ///
    /// # Errors
    /// When `spec.site` is not the plain https address of a named host.
    pub fn of(spec: &JiraCredentialSpec) -> Result<Self, SiteError> {
        let url = Url::parse(&spec.site).map_err(|_| SiteError::NotAUrl)?;
        if url.scheme() != "https" {
            return Err(SiteError::NotHttps);
        }
        let user_info = !url.username().is_empty() || url.password().is_some();
        if user_info || url.query().is_some() || url.fragment().is_some() {
            return Err(SiteError::Surplus);
        }
        let host = match url.host() {
            // The dot at the end of a complete name is no part of the name in a certificate.
            Some(Host::Domain(host)) => host.strip_suffix('.').unwrap_or(host).to_owned(),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => return Err(SiteError::IpLiteral),
            None => return Err(SiteError::NotAUrl),
        };
        let path = url.path().trim_end_matches('/');
        if is_cloud_host(&host) && (url.port().is_some() || !path.is_empty()) {
            return Err(SiteError::CloudPortOrPath);
        }
        let port = url
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let hosting = hosting(spec, &host).ok_or(SiteError::HostingUntold)?;
        Ok(Self {
            hosting,
            base: format!("https://{host}{port}{path}"),
            host,
        })
    }
}

/// Whether a host is a site of Atlassian's own cloud.
pub fn is_cloud_host(host: &str) -> bool {
    CLOUD_SUFFIXES.iter().any(|suffix| {
        host.strip_suffix(suffix)
            .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
    })
}

/// Atlassian's own hosts are Cloud; else the spec says it; else the method implies it.
pub(crate) fn hosting(spec: &JiraCredentialSpec, host: &str) -> Option<Hosting> {
    if is_cloud_host(host) {
        return Some(Hosting::Cloud);
    }
    spec.hosting.or(match spec.auth.method() {
        Some(Method::ApiToken(_)) | None => Some(Hosting::Cloud),
        Some(
            Method::PersonalAccessToken(_)
            | Method::Basic(_)
            | Method::Session(_)
            | Method::OAuth1(_),
        ) => Some(Hosting::DataCenter),
        Some(Method::OAuth2(_) | Method::ClientCredentials(_)) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(site: &str) -> Site {
        let spec = serde_json::json!({
            "site": site,
            "auth": {"apiToken": {"email": "bot@acme.example",
                "tokenSecretRef": {"name": "source", "key": "token"}}},
        });
        Site::of(&serde_json::from_value(spec).unwrap()).unwrap()
    }

    #[test]
    fn one_host_has_one_spelling() {
        for (written, base) in [
            (
                "https://jira.example.com/Jira/",
                "https://jira.example.com/Jira",
            ),
            (
                "https://Jira.Example.COM:8443",
                "https://jira.example.com:8443",
            ),
            ("https://jira.example.com.", "https://jira.example.com"),
            (
                "https://Jira.example.com.:8443/jira",
                "https://jira.example.com:8443/jira",
            ),
            ("https://ACME.Atlassian.net.", "https://acme.atlassian.net"),
        ] {
            let site = read(written);
            assert_eq!(site.base, base, "{written}");
            assert!(!site.host.ends_with('.'), "{written}");
        }
        assert_eq!(read("https://ACME.Atlassian.net.").hosting, Hosting::Cloud);
    }
}
