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

/// A redirect to the same call under another path of the same host is how a proxy tells that Jira
/// has a context path. It is not followed either.
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
    let elsewhere = call.is_some_and(|(_, call)| to.path().ends_with(call));
    if to.origin() == asked.origin() && to.path() != asked.path() && elsewhere {
        Verdict::NoVerdict(Outage::ContextPath)
    } else {
        verdict
    }
}

/// A site that answers with the secret as the id of the account would have us write it into a
/// status for all to read.
fn without_echo(verdict: Verdict, credential: &Credential) -> Verdict {
    match verdict {
        Verdict::Accepted(account) if credential.is_repeated_in(&account.id) => {
            Verdict::NoVerdict(Outage::NotAUser)
        }
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_redirect_into_a_context_path_is_told_from_others() {
        let context = Verdict::NoVerdict(Outage::ContextPath);
        let other = Verdict::NoVerdict(Outage::Redirect);
        let asked = Url::parse("https://jira.example.com/rest/api/2/myself").unwrap();
        for (location, expected) in [
            ("/jira/rest/api/2/myself", &context),
            ("https://jira.example.com/jira/rest/api/2/myself", &context),
            ("https://jira.example.com/a/b/rest/api/2/myself", &context),
            ("/rest/api/2/myself", &other),
            ("https://other.example.com/jira/rest/api/2/myself", &other),
            ("http://jira.example.com/jira/rest/api/2/myself", &other),
            ("https://jira.example.com:8443/rest/api/2/myself", &other),
            (
                "/login.jsp?os_destination=%2Frest%2Fapi%2F2%2Fmyself",
                &other,
            ),
            ("/login?to=/jira/rest/api/2/myself", &other),
            ("", &other),
        ] {
            let location = HeaderValue::from_str(location).unwrap();
            let headers = [(header::LOCATION, location.clone())].into_iter().collect();
            let verdict = with_destination(other.clone(), &asked, &headers);
            assert_eq!(&verdict, expected, "{location:?}");
            let refused = Verdict::Refused(Refusal::Rejected);
            let verdict = with_destination(refused.clone(), &asked, &headers);
            assert_eq!(verdict, refused);
        }
        let verdict = with_destination(other.clone(), &asked, &HeaderMap::new());
        assert_eq!(verdict, other);
    }
}
