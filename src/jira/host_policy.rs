//! Which hosts a credential may be sent to.
//!
//! The administrator decides, not the author of a `JiraCredential`: the site of a spec is the
//! place where a secret is sent to.

use crate::api::Hosting;
use crate::core::spec::{Site, is_cloud_host};
use crate::net::host_patterns::{HostPatternError, HostPatterns, canonical};

/// Hosts of Atlassian's cloud; the last one is its US government cloud (Atlassian documentation).
pub const DEFAULT_CLOUD_HOSTS: [&str; 3] = [
    "*.atlassian.net",
    "*.jira.com",
    "*.atlassian-us-gov-mod.net",
];

const CLOUD_FLAG: &str = "--cloud-hosts";
const ALLOWED_FLAG: &str = "--allowed-hosts";

/// The hosts that credentials may be sent to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPolicy {
    cloud_hosts: HostPatterns,
    allowed_hosts: HostPatterns,
}

/// Why a credential must not be sent to a site.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum HostRefusal {
    /// The host of a Cloud site is not one of `--cloud-hosts`.
    #[error("the host is not one of Atlassian's cloud ({CLOUD_FLAG})")]
    NotACloudHost,
    /// The host of a Data Center site is not one of `--allowed-hosts`.
    #[error("the administrator has not allowed this host for Data Center ({ALLOWED_FLAG})")]
    NotAllowed,
    /// A host of Atlassian's own cloud passed off as Data Center.
    #[error("a host of Atlassian's own cloud cannot be Data Center")]
    CloudAsDataCenter,
}

impl Default for HostPolicy {
    /// Atlassian's cloud, and no Data Center.
    fn default() -> Self {
        Self {
            cloud_hosts: HostPatterns::below(&DEFAULT_CLOUD_HOSTS),
            allowed_hosts: HostPatterns::default(),
        }
    }
}

impl HostPolicy {
    /// Reads the values of `--cloud-hosts` and `--allowed-hosts`. Empty values are left out, so
    /// that an empty environment variable means an empty list.
    ///
    /// # Errors
    /// When a value is neither a name nor `*.SUFFIX` with at least two labels.
    pub fn parse<C, A>(cloud_hosts: C, allowed_hosts: A) -> Result<Self, HostPatternError>
    where
        C: IntoIterator<Item: AsRef<str>>,
        A: IntoIterator<Item: AsRef<str>>,
    {
        Ok(Self {
            cloud_hosts: HostPatterns::parse(CLOUD_FLAG, cloud_hosts)?,
            allowed_hosts: HostPatterns::parse(ALLOWED_FLAG, allowed_hosts)?,
        })
    }

    /// Whether a credential may be sent to a site, as far as its name can tell.
    ///
    /// # Errors
    /// When the host is not on the list for its hosting.
    pub fn check(&self, site: &Site) -> Result<(), HostRefusal> {
        let host = &site.host;
        match site.hosting {
            Hosting::Cloud if self.cloud_hosts.matches(host) => Ok(()),
            Hosting::Cloud => Err(HostRefusal::NotACloudHost),
            // A dot at the end hides the suffix from those who compare text, not from DNS.
            Hosting::DataCenter if is_cloud_host(&canonical(host)) => {
                Err(HostRefusal::CloudAsDataCenter)
            }
            Hosting::DataCenter if self.allowed_hosts.matches(host) => Ok(()),
            Hosting::DataCenter => Err(HostRefusal::NotAllowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(hosting: Hosting, host: &str) -> Site {
        Site {
            hosting,
            base: format!("https://{host}"),
            host: host.to_owned(),
        }
    }

    #[test]
    fn cloud_credentials_go_to_cloud_hosts_only() {
        let policy = HostPolicy::default();
        for (host, allowed) in [
            ("acme.atlassian.net", true),
            ("ACME.Atlassian.NET", true),
            ("acme.atlassian.net.", true),
            ("acme.jira.com", true),
            ("acme.atlassian-us-gov-mod.net", true),
            ("deep.acme.atlassian.net", true),
            ("xn--bcher-kva.atlassian.net", true),
            ("atlassian.net", false),
            (".atlassian.net", false),
            ("acme..atlassian.net", false),
            ("acme.atlassian.net..", false),
            ("evilatlassian.net", false),
            ("acme.atlassian.net.evil.com", false),
            ("acme.atlassian.net.evil.com.", false),
            ("acme.xn--atlassian-9za.net", false),
            ("atlassian.net@evil.com", false),
            ("evil.com/.atlassian.net", false),
            ("jira.example.com", false),
            ("", false),
        ] {
            let expected = if allowed {
                Ok(())
            } else {
                Err(HostRefusal::NotACloudHost)
            };
            assert_eq!(
                policy.check(&site(Hosting::Cloud, host)),
                expected,
                "{host:?}"
            );
        }
    }

    #[test]
    fn data_center_needs_the_administrators_word() {
        use HostRefusal::{CloudAsDataCenter, NotAllowed};
        let policy = HostPolicy::parse(
            DEFAULT_CLOUD_HOSTS,
            ["jira.example.com", "*.corp.example.com"],
        )
        .unwrap();
        for (host, expected) in [
            ("jira.example.com", Ok(())),
            ("JIRA.example.com.", Ok(())),
            ("jira.corp.example.com", Ok(())),
            ("a.b.corp.example.com", Ok(())),
            ("corp.example.com", Err(NotAllowed)),
            ("evilcorp.example.com", Err(NotAllowed)),
            ("x.jira.example.com", Err(NotAllowed)),
            ("jira.example.com.evil.org", Err(NotAllowed)),
            ("acme.atlassian.net", Err(CloudAsDataCenter)),
            ("acme.atlassian.net.", Err(CloudAsDataCenter)),
        ] {
            assert_eq!(
                policy.check(&site(Hosting::DataCenter, host)),
                expected,
                "{host:?}"
            );
        }
        let none = HostPolicy::default();
        let jira = site(Hosting::DataCenter, "jira.example.com");
        assert_eq!(none.check(&jira), Err(NotAllowed));
    }

    #[test]
    fn an_error_names_the_flag_and_the_remedy() {
        let allowed = HostPolicy::parse([""; 0], ["*.com"])
            .unwrap_err()
            .to_string();
        assert!(
            allowed.contains("--allowed-hosts") && allowed.contains("two labels"),
            "{allowed}"
        );
        let cloud = HostPolicy::parse(["https://x.y"], [""; 0])
            .unwrap_err()
            .to_string();
        assert!(
            cloud.contains("--cloud-hosts") && cloud.contains("without scheme"),
            "{cloud}"
        );
    }

    #[test]
    fn empty_values_are_no_patterns() {
        let policy = HostPolicy::parse(["", " "], [""]).unwrap();
        let acme = site(Hosting::Cloud, "acme.atlassian.net");
        assert_eq!(policy.check(&acme), Err(HostRefusal::NotACloudHost));
    }

    #[test]
    fn unicode_patterns_match_the_punycode_that_a_site_is_read_as() {
        let policy = HostPolicy::parse([""; 0], ["*.bücher.example"]).unwrap();
        let jira = site(Hosting::DataCenter, "jira.xn--bcher-kva.example");
        assert_eq!(policy.check(&jira), Ok(()));
    }
}
