//! `/myself`: which account a credential belongs to.

use http::{HeaderMap, header};
use url::{Host, Url};

use crate::api::Hosting;
use crate::core::probe::{Forbidden, Outage, Refusal, Verdict};
use crate::core::spec::Site;
use crate::jira::client::Jira;
use crate::jira::credential::Credential;
use crate::jira::response;
use crate::jira::site_limiter::Urgency;

/// The name of the call, for the observer.
const OPERATION: &str = "myself";

impl Jira {
    /// Asks the site which account a credential belongs to: one call, or none while the site rests.
    ///
    /// Whether the host may be called is the caller's to check, with
    /// [`HostPolicy`](super::HostPolicy); so is whether the credential
    /// [can be sent](Credential::is_sendable): one that cannot is refused here without a call.
    pub async fn whoami(
        &self,
        site: &Site,
        ca_pem: Option<&[u8]>,
        credential: &Credential,
    ) -> Verdict {
        if !credential.is_sendable() {
            return Verdict::Refused(Refusal::Rejected);
        }
        let call = async {
            match self.call(site, ca_pem, credential).await {
                Ok(verdict) | Err(verdict) => without_echo(verdict, credential),
            }
        };
        match self
            .limited(site, (OPERATION, Urgency::Routine), call, Verdict::clone)
            .await
        {
            Ok(verdict) | Err(verdict) => verdict,
        }
    }

    async fn call(
        &self,
        site: &Site,
        ca_pem: Option<&[u8]>,
        credential: &Credential,
    ) -> Result<Verdict, Verdict> {
        let url = myself(site)?;
        let now = self.clock.now();
        let header = credential
            .authorization(&url, now)
            .ok_or(Verdict::NoVerdict(Outage::NotSigned))?;
        let raw = self
            .fetch(site.hosting, ca_pem, url.clone(), Some(header))
            .await?;
        let verdict = response::read(&raw.answer(site.hosting, self.clock.now()));
        Ok(with_destination(verdict, &url, &raw.headers))
    }
}

/// The address of the call. Version 3 exists on Cloud only; Data Center 9 redirects it to its
/// login page although the credential is good.
fn myself(site: &Site) -> Result<Url, Verdict> {
    let version = match site.hosting {
        Hosting::Cloud => 3,
        Hosting::DataCenter => 2,
    };
    let url = Url::parse(&format!("{}/rest/api/{version}/myself", site.base));
    match url {
        // An address in place of a name would never meet the check of addresses.
        Ok(url) if matches!(url.host(), Some(Host::Domain(_))) => Ok(url),
        _ => Err(Verdict::NotAllowed(Forbidden::Reserved)),
    }
}

/// Where a redirect points to, as far as that tells what stands in front of Jira. None is followed.
///
/// The same call under another path of the same host is how a proxy tells that Jira has a context
/// path; at another address it is how a Jira tells that moved. Every other destination is a page for
/// people, and its address is none of Jira's.
fn with_destination(verdict: Verdict, asked: &Url, headers: &HeaderMap) -> Verdict {
    let is_redirect = verdict == Verdict::NoVerdict(Outage::Redirect);
    let location = || {
        let value = headers.get(header::LOCATION)?.to_str().ok()?;
        asked.join(value).ok()
    };
    let Some(to) = is_redirect.then(location).flatten() else {
        return verdict;
    };
    let call = asked
        .path()
        .find("/rest/")
        .map(|at| asked.path().split_at(at));
    let same_call = call.is_some_and(|(_, call)| to.path().ends_with(call));
    let is_here = to.origin() == asked.origin();
    Verdict::NoVerdict(if is_login_page(&to, asked) {
        Outage::SingleSignOn
    } else if same_call && is_here && to.path() != asked.path() {
        Outage::ContextPath
    } else if same_call && !is_here && to.scheme() == "https" {
        Outage::Moved
    } else {
        Outage::Redirect
    })
}

/// Parts of names and paths of login pages: of Jira, of common providers of single sign-on, and of
/// the proxies that send browsers to them.
const LOGIN_WORDS: [&str; 21] = [
    "account",
    "accounts",
    "adfs",
    "auth",
    "authorize",
    "authn",
    "cas",
    "idp",
    "login",
    "microsoftonline",
    "oauth",
    "oauth2",
    "oidc",
    "okta",
    "openid",
    "saml",
    "saml2",
    "samlsso",
    "signin",
    "sso",
    "wayf",
];

/// Whether a destination looks like a login page. What the asked address has as well says nothing:
/// a Jira may be called `sso.example.com`.
fn is_login_page(to: &Url, asked: &Url) -> bool {
    let host = |url: &Url| url.host_str().unwrap_or_default().to_ascii_lowercase();
    let words = |url: &Url| {
        let text = format!("{}/{}", host(url), url.path().to_ascii_lowercase());
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let known = words(asked);
    words(to)
        .iter()
        .any(|word| LOGIN_WORDS.contains(&word.as_str()) && !known.contains(word))
}

/// A site that answers with the secret as the id or a name of the account would have us write it into a
/// status for all to read.
fn without_echo(verdict: Verdict, credential: &Credential) -> Verdict {
    match verdict {
        Verdict::Accepted(account) if credential.is_repeated_in(&account.id) => {
            Verdict::NoVerdict(Outage::NotAUser)
        }
        Verdict::Accepted(account) => {
            let echoes = [&account.display_name, &account.user_name]
                .into_iter()
                .flatten()
                .any(|name| credential.is_repeated_in(name));
            let account = if echoes {
                account.without_names()
            } else {
                account
            };
            Verdict::Accepted(account)
        }
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_redirect_tells_what_stands_in_front_of_jira() {
        use Outage::{ContextPath, Moved, Redirect, SingleSignOn};
        let asked = Url::parse("https://jira.example.com/rest/api/2/myself").unwrap();
        let other = Verdict::NoVerdict(Redirect);
        for (location, expected) in [
            ("/jira/rest/api/2/myself", ContextPath),
            (
                "https://jira.example.com/jira/rest/api/2/myself",
                ContextPath,
            ),
            (
                "https://jira.example.com/a/b/rest/api/2/myself",
                ContextPath,
            ),
            ("/rest/api/2/myself", Redirect),
            ("https://new.example.com/rest/api/2/myself", Moved),
            ("https://new.example.com/jira/rest/api/2/myself", Moved),
            ("https://jira.example.com:8443/rest/api/2/myself", Moved),
            ("http://jira.example.com/jira/rest/api/2/myself", Redirect),
            ("http://new.example.com/rest/api/2/myself", Redirect),
            ("https://new.example.com/", Redirect),
            ("/secure/Dashboard.jspa", Redirect),
            ("", Redirect),
            (
                "/login.jsp?os_destination=%2Frest%2Fapi%2F2%2Fmyself",
                SingleSignOn,
            ),
            ("/login?to=/jira/rest/api/2/myself", SingleSignOn),
            ("/plugins/servlet/samlsso", SingleSignOn),
            ("/plugins/servlet/saml/auth", SingleSignOn),
            (
                "https://sso.example.com/jira/rest/api/2/myself",
                SingleSignOn,
            ),
            ("https://login.example.com/rest/api/2/myself", SingleSignOn),
            ("https://acme.okta.com/app/1/start", SingleSignOn),
            (
                "https://login.microsoftonline.com/1/oauth2/v2.0/authorize",
                SingleSignOn,
            ),
            (
                "https://keys.example.com/realms/a/protocol/openid-connect",
                SingleSignOn,
            ),
        ] {
            let location = HeaderValue::from_str(location).unwrap();
            let headers = [(header::LOCATION, location.clone())].into_iter().collect();
            let verdict = with_destination(other.clone(), &asked, &headers);
            assert_eq!(verdict, Verdict::NoVerdict(expected), "{location:?}");
            let refused = Verdict::Refused(Refusal::Rejected);
            let verdict = with_destination(refused.clone(), &asked, &headers);
            assert_eq!(verdict, refused);
        }
        let verdict = with_destination(other.clone(), &asked, &HeaderMap::new());
        assert_eq!(verdict, other);
        // A Jira whose own name has such a word.
        let asked = Url::parse("https://sso.example.com/rest/api/2/myself").unwrap();
        for (location, expected) in [
            ("/jira/rest/api/2/myself", ContextPath),
            ("/login.jsp", SingleSignOn),
        ] {
            let location = HeaderValue::from_str(location).unwrap();
            let headers = [(header::LOCATION, location)].into_iter().collect();
            let verdict = with_destination(other.clone(), &asked, &headers);
            assert_eq!(verdict, Verdict::NoVerdict(expected));
        }
    }
}
