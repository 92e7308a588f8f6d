//! Sessions of Data Center: log in, log out.

use std::fmt;

use http::{HeaderMap, Method, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::api::Account;
use crate::core::probe::{Outage, Refusal, Verdict};
use crate::jira::client::Jira;
use crate::jira::credential::Credential;
use crate::jira::data_center::{Place, silence};
use crate::jira::response::{self, Answer};
use crate::jira::site_limiter::Urgency;

/// No cookie of Jira comes near this length.
const LONGEST_COOKIE: usize = 4096;

/// Cookies of one login; a load balancer in front of Jira adds one or two.
const MOST_COOKIES: usize = 16;

/// A login.
pub struct Login<'a> {
    /// Where.
    pub place: Place<'a>,
    /// User name.
    pub user: &'a str,
    /// Password.
    pub password: &'a SecretString,
}

/// What became of a login.
pub enum LoginAnswer {
    /// The login succeeded: the value of the header `Cookie`.
    Begun(SecretString),
    /// Jira refused the user name and password, or did not look at them.
    Refused(Refused),
    /// Nothing was learnt.
    Silent(Verdict),
}

/// Why the login failed.
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
            Self::Silent(verdict) => silence(verdict),
        }
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Begun(_) => Verdict::Accepted(Account {
                id: String::new(),
                kind: None,
                display_name: None,
                user_name: None,
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
            match self.post_login(login).await {
                Ok(answer) => answer,
                Err(verdict) => LoginAnswer::Silent(verdict),
            }
        };
        match self
            .limited(
                login.place.site,
                ("login", Urgency::Renewal),
                call,
                LoginAnswer::verdict,
            )
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
        let body = serde_json::to_vec(&wish).map_err(|_| Verdict::NoVerdict(Outage::Internal))?;
        let call = self.call_resource(&login.place, Method::POST, SESSION, None, Some(body));
        let raw = call.await?;
        Ok(read(
            &raw.answer(login.place.site.hosting, self.clock.now()),
        ))
    }

    /// Ends a session by its cookie. A session that Jira does not know any more has ended.
    ///
    /// # Errors
    /// When Jira could not be asked.
    pub async fn log_out(&self, place: &Place<'_>, cookie: &SecretString) -> Result<(), Verdict> {
        let cookie = Credential::Cookie(cookie.clone());
        self.end(place, "logout", SESSION, &cookie).await
    }
}

/// The resource of sessions (Atlassian documentation of Data Center).
const SESSION: &str = "/rest/auth/1/session";

/// Reads the answer to a login. Wrong passwords come as 401, a CAPTCHA or further steps as 403
/// (Atlassian documentation).
pub fn read(answer: &Answer<'_>) -> LoginAnswer {
    if answer.status == 200 && answer.complete && response::is_json(answer.headers) {
        return match cookie(answer) {
            Some(cookie) => LoginAnswer::Begun(cookie),
            None => LoginAnswer::Silent(Verdict::NoVerdict(Outage::NotAUser)),
        };
    }
    match response::read(answer) {
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
