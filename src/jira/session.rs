//! Sessions of Data Center: log in, log out.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use reqwest::{Method, RequestBuilder};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::failure;
use super::verdict::{self, Answer};
use super::whoami::{Jira, Raw};
use crate::api::Account;
use crate::core::answer::{Outage, Refusal, Verdict};
use crate::core::site::Site;

/// No cookie of Jira comes near this length.
const LONGEST_COOKIE: usize = 4096;

/// Cookies of one login; a load balancer in front of Jira adds one or two.
const MOST_COOKIES: usize = 16;

/// A login.
pub struct Login<'a> {
    /// The site.
    pub site: &'a Site,
    /// Authorities that are trusted there beside those of the system.
    pub ca_pem: Option<&'a [u8]>,
    /// User name.
    pub user: &'a str,
    /// Password.
    pub password: &'a SecretString,
    /// The call is cut after this time.
    pub limit: Duration,
}

/// What became of a login.
pub enum LoginAnswer {
    /// A session was begun: the value of the header `Cookie`.
    Begun(SecretString),
    /// Jira refused the user name and password, or did not look at them.
    Refused(Refused),
    /// Nothing was learnt.
    Silent(Verdict),
}

/// Why no session was begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// For a reason that `/myself` would state as well.
    As(Refusal),
    /// Jira wants more than a user name and password.
    MoreWanted,
}

impl fmt::Debug for LoginAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun(_) => formatter.write_str("Begun"),
            Self::Refused(refused) => write!(formatter, "Refused({refused:?})"),
            Self::Silent(verdict) => write!(formatter, "Silent({verdict:?})"),
        }
    }
}

#[derive(Serialize)]
struct Wish<'a> {
    username: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct Given {
    session: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    value: String,
}

impl LoginAnswer {
    /// The word for metrics and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Begun(_) => "granted",
            Self::Refused(_) => "refused",
            Self::Silent(Verdict::NotAllowed(_)) => "not_allowed",
            Self::Silent(_) => "no_verdict",
        }
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Begun(_) => Verdict::Accepted(Account {
                id: String::new(),
                kind: None,
            }),
            Self::Refused(Refused::As(refusal)) => Verdict::Refused(*refusal),
            Self::Refused(Refused::MoreWanted) => Verdict::Refused(Refusal::Forbidden),
            Self::Silent(verdict) => verdict.clone(),
        }
    }
}

impl Jira {
    /// Begins a session: one call, or none while the site rests.
    pub async fn log_in(&self, login: &Login<'_>) -> LoginAnswer {
        let call = async {
            match tokio::time::timeout(login.limit, self.post_login(login)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(verdict)) => LoginAnswer::Silent(verdict),
                Err(_) => LoginAnswer::Silent(Verdict::NoVerdict(Outage::Timeout)),
            }
        };
        match self
            .in_turn(login.site, "login", call, LoginAnswer::verdict)
            .await
        {
            Ok(answer) => answer,
            Err(verdict) => LoginAnswer::Silent(verdict),
        }
    }

    async fn post_login(&self, login: &Login<'_>) -> Result<LoginAnswer, Verdict> {
        let wish = Wish {
            username: login.user,
            password: login.password.expose_secret(),
        };
        let body = serde_json::to_vec(&wish).map_err(|_| Verdict::NoVerdict(Outage::NotAUser))?;
        let body = Zeroizing::new(body);
        let call = self
            .call_to(login.site, login.ca_pem, Method::POST, SESSION)?
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_vec());
        let raw = sent(call).await?;
        let answer = Answer {
            hosting: login.site.hosting,
            status: raw.status,
            headers: &raw.headers,
            body: &raw.body.bytes,
            complete: raw.body.complete,
            now: self.clock.now(),
        };
        Ok(read(&answer))
    }

    /// Ends a session by its cookie. A session that Jira does not know any more has ended.
    ///
    /// # Errors
    /// When Jira could not be asked.
    pub async fn log_out(
        &self,
        site: &Site,
        ca_pem: Option<&[u8]>,
        cookie: &SecretString,
    ) -> Result<(), Verdict> {
        let call = async {
            let cookie = cookie_header(cookie).ok_or(Verdict::Refused(Refusal::Rejected))?;
            let call = self
                .call_to(site, ca_pem, Method::DELETE, SESSION)?
                .header(header::COOKIE, cookie);
            let raw = sent(call).await?;
            ended(raw.status)
        };
        let known = |answer: &Result<(), Verdict>| answer.clone().err().unwrap_or(NOTHING);
        self.in_turn(site, "logout", call, known).await?
    }

    /// A call to a resource of a Data Center, without what proves who asks.
    pub(super) fn call_to(
        &self,
        site: &Site,
        ca_pem: Option<&[u8]>,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, Verdict> {
        let url = resource(site, path)?;
        let client = self
            .clients
            .get(site.hosting, ca_pem)
            .map_err(|_| Verdict::NoVerdict(Outage::BadCaBundle))?;
        Ok(client
            .request(method, url)
            .header(header::ACCEPT, "application/json")
            .header(header::CACHE_CONTROL, "no-store")
            // Jira refuses writes that look as if a browser had been tricked into them.
            .header("x-atlassian-token", "no-check"))
    }
}

/// The resource of sessions (Atlassian documentation of Data Center).
const SESSION: &str = "/rest/auth/1/session";

/// For the gate of a site: nothing that it would act on.
pub(super) const NOTHING: Verdict = Verdict::Refused(Refusal::Forbidden);

/// Sends a call and reads what comes.
pub(super) async fn sent(call: RequestBuilder) -> Result<Raw, Verdict> {
    let response = call.send().await;
    Raw::read(response.map_err(|error| failure::verdict(&error))?).await
}

/// Whether what was to be ended has ended.
pub(super) fn ended(status: u16) -> Result<(), Verdict> {
    match status {
        200..=299 | 401 | 404 => Ok(()),
        429 => Err(Verdict::NoVerdict(Outage::RateLimited {
            retry_after: None,
        })),
        403 => Err(Verdict::Refused(Refusal::Forbidden)),
        status @ 500..=599 => Err(Verdict::NoVerdict(Outage::ServerError(status))),
        status => Err(Verdict::NoVerdict(Outage::Unexpected(status))),
    }
}

fn resource(site: &Site, path: &str) -> Result<Url, Verdict> {
    match Url::parse(&format!("{}{path}", site.base)) {
        Ok(url) if matches!(url.host(), Some(url::Host::Domain(_))) => Ok(url),
        _ => Err(Verdict::NotAllowed(
            crate::core::answer::Forbidden::Reserved,
        )),
    }
}

/// A cookie as a header, marked as sensitive.
pub(super) fn cookie_header(cookie: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(cookie.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Reads the answer to a login. Wrong passwords come as 401, a CAPTCHA or further steps as 403
/// (Atlassian documentation).
pub fn read(answer: &Answer<'_>) -> LoginAnswer {
    if answer.status == 200 && answer.complete && verdict::is_json(answer.headers) {
        return match cookie(answer) {
            Some(cookie) => LoginAnswer::Begun(cookie),
            None => LoginAnswer::Silent(Verdict::NoVerdict(Outage::NotAUser)),
        };
    }
    match verdict::read(answer) {
        // No other cause of a 403 was stated: the password may be good, but is not enough.
        Verdict::Refused(Refusal::Forbidden) => LoginAnswer::Refused(Refused::MoreWanted),
        Verdict::Refused(refusal) => LoginAnswer::Refused(Refused::As(refusal)),
        Verdict::Accepted(_) => LoginAnswer::Silent(Verdict::NoVerdict(Outage::NotAUser)),
        verdict @ (Verdict::NoVerdict(_) | Verdict::NotAllowed(_)) => LoginAnswer::Silent(verdict),
    }
}

/// The cookies of a session as a browser would send them: that of the body first, then what the
/// answer sets beside it, such as the node that a load balancer is to choose.
fn cookie(answer: &Answer<'_>) -> Option<SecretString> {
    let given: Given = serde_json::from_slice(answer.body).ok()?;
    let session = (given.session.name, given.session.value);
    let mut cookies = vec![session];
    for (name, value) in set_cookies(answer.headers).take(MOST_COOKIES) {
        if !cookies.iter().any(|(known, _)| *known == name) {
            cookies.push((name, value));
        }
    }
    let sane = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b';' | b','))
    };
    if !cookies
        .iter()
        .all(|(name, value)| sane(name) && sane(value) && !name.contains('='))
    {
        return None;
    }
    let pairs: Vec<String> = cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let header = pairs.join("; ");
    (header.len() <= LONGEST_COOKIE).then(|| SecretString::from(header))
}

fn set_cookies(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers
        .get_all(header::SET_COOKIE)
        .iter()
        .filter_map(|value| {
            let text = value.to_str().ok()?;
            let (name, value) = text.split(';').next()?.split_once('=')?;
            let (name, value) = (name.trim(), value.trim());
            // An empty value takes a cookie back.
            (!value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        })
}

#[cfg(test)]
mod tests;
