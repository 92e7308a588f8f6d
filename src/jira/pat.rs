//! Personal access tokens of Data Center (8.14 and later): list, make, revoke.

use std::fmt;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use http::Method;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::Account;
use crate::core::grant::Listed;
use crate::core::probe::{Outage, Refusal, Verdict};
use crate::core::time::later;
use crate::jira::client::{Jira, Raw};
use crate::jira::credential::Credential;
use crate::jira::data_center::{Place, silence};
use crate::jira::response::{self, Answer};
use crate::jira::site_limiter::Urgency;

/// The resource of tokens (Atlassian documentation of Data Center).
const TOKENS: &str = "/rest/pat/latest/tokens";

/// An account has ten by default; an administrator may allow more.
const MOST_LISTED: usize = 1000;

/// The outcome of a call that is no question about an account.
pub(super) const ANSWERED: Verdict = Verdict::Accepted(Account {
    id: String::new(),
    kind: None,
    display_name: None,
    user_name: None,
});

/// No token comes near this length: it has 44 characters.
const LONGEST_TOKEN: usize = 1024;

/// Where the tokens of an account are kept, and with which of them it is asked.
pub struct Owner<'a> {
    /// Where.
    pub place: Place<'a>,
    /// A token of the account.
    pub token: &'a SecretString,
}

/// A token that was made.
pub struct Made {
    /// Its id in the list of the account.
    pub id: String,
    /// The token.
    pub token: SecretString,
    /// When it ends; `None`: never.
    pub expires: Option<DateTime<Utc>>,
}

/// What became of the wish for a token.
pub enum MintAnswer {
    /// It was made.
    Made(Made),
    /// Jira does not take the wish as it is: it may have asked for too many days.
    NotTaken,
    /// Jira makes none.
    Denied(Denied),
    /// Nothing was learnt.
    Silent(Verdict),
}

/// Why Jira makes or lists no tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denied {
    /// The account has as many as Jira allows.
    LimitReached,
    /// Jira lets no account create one, or not with a token, or lacks the license for it.
    Forbidden,
    /// Jira has no such resource.
    Absent,
    /// The token that asked, or the caller, is refused.
    As(Refusal),
}

/// Why there is no list of tokens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokensError {
    /// Jira lists none.
    Denied(Denied),
    /// Nothing was learnt.
    Silent(Verdict),
}

impl TokensError {
    /// The same as the result of a call.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Denied(denied) => denied.verdict(),
            Self::Silent(verdict) => verdict.clone(),
        }
    }
}

impl From<Verdict> for TokensError {
    fn from(verdict: Verdict) -> Self {
        Self::Silent(verdict)
    }
}

impl Denied {
    /// The word for metrics and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::LimitReached => "limit_reached",
            Self::Forbidden => "forbidden",
            Self::Absent => "absent",
            Self::As(_) => "refused",
        }
    }

    fn verdict(self) -> Verdict {
        match self {
            Self::LimitReached | Self::Forbidden => Verdict::Refused(Refusal::Forbidden),
            Self::Absent => Verdict::NoVerdict(Outage::NotFound),
            Self::As(refusal) => Verdict::Refused(refusal),
        }
    }
}

/// An error of this resource: the class of the exception and a text, which Jira translates (read in
/// the plug-in by others).
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    exception: String,
}

impl fmt::Debug for MintAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wish<'a> {
    name: &'a str,
    expiration_duration: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: Value,
    #[serde(default)]
    name: String,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    expiring_at: Option<String>,
    #[serde(default)]
    raw_token: Option<String>,
}

impl MintAnswer {
    /// The word for metrics and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Made(_) => "granted",
            Self::NotTaken => "not_taken",
            Self::Denied(denied) => denied.word(),
            Self::Silent(verdict) => silence(verdict),
        }
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Made(_) => ANSWERED,
            Self::NotTaken => Verdict::Refused(Refusal::Forbidden),
            Self::Denied(denied) => denied.verdict(),
            Self::Silent(verdict) => verdict.clone(),
        }
    }
}

impl Jira {
    /// Lists the tokens of an account. Jira never says with which of them it was asked.
    ///
    /// # Errors
    /// When there is no such list, or it could not be read.
    pub async fn list_tokens(&self, owner: &Owner<'_>) -> Result<Vec<Listed>, TokensError> {
        let call = async {
            let raw = owner.call(self, Method::GET, None).await?;
            read_list(&raw.answer(owner.place.site.hosting, self.clock.now()))
        };
        self.limited(
            owner.place.site,
            ("tokens", Urgency::Renewal),
            call,
            |listed| match listed {
                Ok(_) => ANSWERED,
                Err(error) => error.verdict(),
            },
        )
        .await?
    }

    /// Makes a token that lives for some days. An administrator may have set a shorter life.
    pub async fn mint(&self, owner: &Owner<'_>, name: &str, days: i64) -> MintAnswer {
        let call = async {
            match self.post_token(owner, name, days).await {
                Ok(answer) => answer,
                Err(verdict) => MintAnswer::Silent(verdict),
            }
        };
        match self
            .limited(
                owner.place.site,
                ("mint", Urgency::Renewal),
                call,
                MintAnswer::verdict,
            )
            .await
        {
            Ok(answer) => answer,
            Err(verdict) => MintAnswer::Silent(verdict),
        }
    }

    async fn post_token(
        &self,
        owner: &Owner<'_>,
        name: &str,
        days: i64,
    ) -> Result<MintAnswer, Verdict> {
        let wish = Wish {
            name,
            expiration_duration: days,
        };
        let body = serde_json::to_vec(&wish).map_err(|_| Verdict::NoVerdict(Outage::Internal))?;
        let raw = owner.call(self, Method::POST, Some(body)).await?;
        let answer = raw.answer(owner.place.site.hosting, self.clock.now());
        Ok(read_made(&answer, days))
    }

    /// Revokes a token by its id. One that Jira does not know any more is gone.
    ///
    /// # Errors
    /// When Jira could not be asked, or refuses the token that asks: one that asks for its own end
    /// has ended then.
    pub async fn revoke(&self, owner: &Owner<'_>, id: &str) -> Result<(), Verdict> {
        let path = format!("{TOKENS}/{id}");
        self.end(&owner.place, "revoke", &path, &owner.credential())
            .await
    }
}

impl Owner<'_> {
    fn credential(&self) -> Credential {
        Credential::Bearer(self.token.clone())
    }

    async fn call(
        &self,
        jira: &Jira,
        method: Method,
        body: Option<Vec<u8>>,
    ) -> Result<Raw, Verdict> {
        let credential = self.credential();
        jira.call_resource(&self.place, method, TOKENS, Some(&credential), body)
            .await
    }
}

/// Reads a list of tokens.
///
/// # Errors
/// When the body is not a list of tokens.
pub fn read_list(answer: &Answer<'_>) -> Result<Vec<Listed>, TokensError> {
    if answer.status != 200 {
        return Err(denied(answer));
    }
    if !answer.complete {
        return Err(Verdict::NoVerdict(Outage::TooLarge).into());
    }
    let entries: Vec<Entry> = serde_json::from_slice(answer.body)
        .map_err(|_| TokensError::Silent(Verdict::NoVerdict(response::not_parsed(answer))))?;
    let listed = entries.into_iter().take(MOST_LISTED).filter_map(|entry| {
        Some(Listed {
            id: id(&entry.id)?,
            created: entry.created_at.as_deref().and_then(date),
            expires: entry.expiring_at.as_deref().and_then(date),
            name: entry.name,
        })
    });
    Ok(listed.collect())
}

/// Reads what became of a wish for a token that lives for some days.
pub fn read_made(answer: &Answer<'_>, days: i64) -> MintAnswer {
    match answer.status {
        200 | 201 if answer.complete => match made(answer, days) {
            Some(made) => MintAnswer::Made(made),
            None => MintAnswer::Silent(Verdict::NoVerdict(response::not_parsed(answer))),
        },
        // Of a wish that is not valid Jira says no more than a translated text: the most days that
        // it allows are found by asking for fewer.
        400 if response::is_json(answer.headers) && !is_limit(answer) => {
            match response::read(answer) {
                Verdict::Refused(refusal) => MintAnswer::Denied(Denied::As(refusal)),
                Verdict::Accepted(_) | Verdict::NoVerdict(_) | Verdict::NotAllowed(_) => {
                    MintAnswer::NotTaken
                }
            }
        }
        _ => match denied(answer) {
            TokensError::Denied(denied) => MintAnswer::Denied(denied),
            TokensError::Silent(verdict) => MintAnswer::Silent(verdict),
        },
    }
}

/// Why Jira neither made nor listed a token. A 404 counts only as Jira's own word: a proxy without
/// Jira behind it answers so as well.
fn denied(answer: &Answer<'_>) -> TokensError {
    if is_limit(answer) {
        return TokensError::Denied(Denied::LimitReached);
    }
    match (answer.status, refusal_of(answer)) {
        (404 | 405, Verdict::NoVerdict(Outage::NotFound | Outage::Unexpected(_)))
            if response::is_from_jira(answer.headers) =>
        {
            TokensError::Denied(Denied::Absent)
        }
        (_, Verdict::Refused(Refusal::Forbidden)) => TokensError::Denied(Denied::Forbidden),
        (_, Verdict::Refused(refusal)) => TokensError::Denied(Denied::As(refusal)),
        (_, verdict) => TokensError::Silent(verdict),
    }
}

/// Whether the account has as many tokens as Jira allows: 403 with an exception of this name (read
/// in the plug-in by others), 400 on some versions (reported).
fn is_limit(answer: &Answer<'_>) -> bool {
    let problem = || serde_json::from_slice::<Problem>(answer.body).ok();
    matches!(answer.status, 400 | 403 | 409)
        && response::is_json(answer.headers)
        && problem().is_some_and(|problem| problem.exception.ends_with("LimitExceededException"))
}

fn refusal_of(answer: &Answer<'_>) -> Verdict {
    match response::read(answer) {
        Verdict::Accepted(_) => Verdict::NoVerdict(Outage::Unexpected(answer.status)),
        other => other,
    }
}

fn made(answer: &Answer<'_>, days: i64) -> Option<Made> {
    let entry: Entry = serde_json::from_slice(answer.body).ok()?;
    let token = entry.raw_token.filter(|token| {
        !token.is_empty()
            && token.len() <= LONGEST_TOKEN
            && token.bytes().all(|byte| byte.is_ascii_graphic())
    })?;
    // An end that cannot be read is not none: it is that which was asked for, or an earlier one.
    let asked = later(answer.now, TimeDelta::days(days));
    Some(Made {
        id: id(&entry.id)?,
        token: SecretString::from(token),
        expires: entry.expiring_at.map(|end| date(&end).unwrap_or(asked)),
    })
}

/// An id becomes part of an address: a number, or digits in quotes.
fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let sane = !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    sane.then_some(text)
}

/// Dates have been seen with `+0000` and `+00:00`, with and without milliseconds.
fn date(text: &str) -> Option<DateTime<Utc>> {
    const STYLES: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%z"];
    let parsed = DateTime::parse_from_rfc3339(text).ok().or_else(|| {
        STYLES
            .iter()
            .find_map(|style| DateTime::parse_from_str(text, style).ok())
    });
    parsed.map(|time| time.with_timezone(&Utc).trunc_subsecs(0))
}

#[cfg(test)]
mod tests;
