//! The list of an organisation's API tokens, which its administrators can read (API Access of
//! Atlassian's cloud).

use chrono::{DateTime, SubsecRound, Utc};
use http::header;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::api::{Account, Hosting};
use crate::core::probe::token_list::{Found, Listed, LookupError, Sought, is_owned};
use crate::core::probe::{Outage, Refusal, Verdict};
use crate::core::spec::Site;
use crate::jira::client::{Jira, Raw};
use crate::jira::credential::Credential;
use crate::jira::gateway::{endpoint, named, outage};
use crate::jira::response::{self, Answer};
use crate::jira::site_limiter::ADMIN_PATH;
use crate::jira::site_limiter::Urgency;
use crate::jira::transport_error;
use crate::net::{Body, read_body_up_to};

/// The name of the call, for the observer.
const OPERATION: &str = "api_tokens";

/// Longest page that is read: a thousand entries come to about 400 kB.
const LONGEST_PAGE: usize = 2 * 1024 * 1024;

/// Pages that are read in one look-up.
const MOST_PAGES: usize = 40;

/// Entries under one label that are kept.
const MOST_ENTRIES: usize = 64;

/// Longest cursor that is sent back.
const LONGEST_CURSOR: usize = 4096;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct TokenList<'a> {
    /// Base address of Atlassian's gateway: the key is sent nowhere else.
    pub gateway: &'a str,
    /// The organisation.
    pub organization: &'a str,
    /// An API key of the organisation.
    pub key: &'a SecretString,
    /// The label of the API token.
    pub label: &'a str,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Entry>,
    #[serde(default)]
    links: Links,
}

#[derive(Default, Deserialize)]
struct Links {
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    last_active_at: Option<String>,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

impl Jira {
    /// Lists the API tokens that have the label: those of the owner's address first (the list's
    /// filter is about users), and where that shows none of the owner's, all of them.
    ///
    /// # Errors
    /// When the list could not be read as far as the token.
    pub async fn listed(
        &self,
        list: &TokenList<'_>,
        sought: &Sought<'_>,
    ) -> Result<Vec<Listed>, LookupError> {
        if sought.email.is_some() {
            let found = self.pages(list, sought.email).await?;
            if found.iter().any(|entry| is_owned(entry, sought)) {
                return Ok(found);
            }
        }
        self.pages(list, None).await
    }

    async fn pages(
        &self,
        list: &TokenList<'_>,
        user: Option<&str>,
    ) -> Result<Vec<Listed>, LookupError> {
        let base = format!(
            "{}{ADMIN_PATH}{}",
            list.gateway.trim_end_matches('/'),
            list.organization
        );
        let site = endpoint(&base, Hosting::Cloud).map_err(|verdict| miss(&verdict))?;
        let mut first = named(&format!("{base}/api-tokens")).map_err(|verdict| miss(&verdict))?;
        if let Some(user) = user {
            first.query_pairs_mut().append_pair("q", user);
        }
        let mut found = Vec::new();
        let mut next = Some(first.clone());
        for _ in 0..MOST_PAGES {
            let Some(url) = next else { break };
            let page = self.page(&site, url.clone(), list).await?;
            found.extend(page.entries);
            if found.len() > MOST_ENTRIES {
                return Err(LookupError::Ambiguous);
            }
            next = match page.next {
                Some(link) => match follow(&first, &link) {
                    Some(following) if following != url => Some(following),
                    // Elsewhere, or in a circle.
                    Some(_) | None => return Err(LookupError::NoVerdict(Outage::Redirect)),
                },
                None => None,
            };
        }
        match next {
            Some(_) => Err(LookupError::TooLong),
            None => Ok(found),
        }
    }

    async fn page(
        &self,
        site: &Site,
        url: Url,
        list: &TokenList<'_>,
    ) -> Result<TokenPage, LookupError> {
        let call = async {
            let raw = self
                .get_page(url, list.key)
                .await
                .map_err(|verdict| miss(&verdict))?;
            read_page(&raw.answer(Hosting::Cloud, self.clock.now()), list.label)
        };
        self.limited(site, (OPERATION, Urgency::Routine), call, verdict_of)
            .await
            .map_err(|verdict| miss(&verdict))?
    }

    async fn get_page(&self, url: Url, key: &SecretString) -> Result<Raw, Verdict> {
        let header = Credential::Bearer(key.clone()).authorization(&url, self.clock.now());
        let (name, value) = header.ok_or(Verdict::Refused(Refusal::Rejected))?;
        let client = self
            .clients
            .get(Hosting::Cloud, None)
            .map_err(|_| Verdict::NoVerdict(Outage::BadCaBundle))?;
        let response = client
            .get(url)
            .header(header::ACCEPT, "application/json")
            .header(header::CACHE_CONTROL, "no-store")
            .header(name, value)
            .send()
            .await;
        let mut response = response.map_err(transport_error::verdict)?;
        let body = match read_body_up_to(&mut response, LONGEST_PAGE).await {
            Ok(body) => body,
            // What another status means does not depend on the body.
            Err(_) if response.status != 200 => Body {
                bytes: Vec::new(),
                complete: false,
            },
            Err(error) => return Err(transport_error::verdict(error)),
        };
        Ok(Raw {
            status: response.status,
            headers: response.headers,
            body,
        })
    }
}

/// One page of the list.
#[derive(Debug)]
pub struct TokenPage {
    /// The API tokens in it that have the label.
    pub entries: Vec<Listed>,
    /// The link to the next page, or its cursor; none on the last one.
    pub next: Option<String>,
}

/// One page of the list: the tokens in it with a label.
///
/// # Errors
/// When the answer is none.
pub fn read_page(answer: &Answer<'_>, label: &str) -> Result<TokenPage, LookupError> {
    let is_blocked = || response::read(answer) == Verdict::Refused(Refusal::IpBlocked);
    let page: Page = match answer.status {
        200 if answer.complete => serde_json::from_slice(answer.body)
            .map_err(|_| LookupError::NoVerdict(Outage::NotJson))?,
        200 => return Err(LookupError::NoVerdict(Outage::TooLarge)),
        401 => return Err(LookupError::KeyRejected),
        // It is about the address that we call from.
        400 | 403 if is_blocked() => return Err(LookupError::IpBlocked),
        403 => return Err(LookupError::Forbidden),
        404 => return Err(LookupError::UnknownOrganization),
        _ => return Err(miss(&outage(answer))),
    };
    let entries = page.data.into_iter();
    Ok(TokenPage {
        entries: entries.filter_map(|entry| listed(entry, label)).collect(),
        next: page.links.next.filter(|link| !link.is_empty()),
    })
}

/// The address of the next page: the link where it leads to the same list, or the first address
/// with the cursor that the link is (both are in use). The key goes nowhere else.
pub fn follow(first: &Url, link: &str) -> Option<Url> {
    let is_address = link.contains("://") || link.starts_with(['/', '?']);
    if !is_address {
        let sane = link.len() <= LONGEST_CURSOR && link.bytes().all(|byte| byte.is_ascii_graphic());
        let mut next = first.clone();
        next.query_pairs_mut().append_pair("cursor", link);
        return Some(next).filter(|_| sane);
    }
    let next = first.join(link).ok()?;
    let same = next.origin() == first.origin() && next.path() == first.path();
    let plain = next.username().is_empty() && next.password().is_none();
    Some(next).filter(|_| same && plain)
}

fn listed(entry: Entry, label: &str) -> Option<Listed> {
    if entry.label.as_deref() != Some(label) {
        return None;
    }
    let created_at = entry.created_at.as_deref().and_then(time);
    let active = entry.last_active_at.as_deref().and_then(time);
    let user = entry.user;
    Some(Listed {
        owner_id: user.as_ref().and_then(|user| user.id.clone()),
        owner_email: user.and_then(|user| user.email),
        created_at,
        found: Found {
            expires_at: entry.expires_at.as_deref().and_then(time),
            last_active: active.or(created_at),
            blocked: entry.status.as_deref() == Some("BLOCKED"),
        },
    })
}

/// A time of an answer, in whole seconds.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .ok()?;
    Some(time.with_timezone(&Utc).trunc_subsecs(0))
}

fn miss(verdict: &Verdict) -> LookupError {
    match verdict {
        Verdict::NoVerdict(outage) => LookupError::NoVerdict(*outage),
        Verdict::NotAllowed(forbidden) => LookupError::NotAllowed(*forbidden),
        // Those are answers of /myself; a key that cannot be sent is none.
        Verdict::Accepted(_) | Verdict::Refused(_) => LookupError::KeyRejected,
    }
}

/// The answer as the limiter of the site counts it.
fn verdict_of(answer: &Result<TokenPage, LookupError>) -> Verdict {
    match answer {
        Ok(_) => Verdict::Accepted(Account {
            id: String::new(),
            kind: None,
            display_name: None,
            user_name: None,
        }),
        Err(LookupError::NoVerdict(outage)) => Verdict::NoVerdict(*outage),
        Err(LookupError::NotAllowed(forbidden)) => Verdict::NotAllowed(*forbidden),
        Err(LookupError::Forbidden) => Verdict::Refused(Refusal::InsufficientScope),
        Err(LookupError::IpBlocked) => Verdict::Refused(Refusal::IpBlocked),
        Err(
            LookupError::NoKey(_)
            | LookupError::KeyRejected
            | LookupError::UnknownOrganization
            | LookupError::NotListed
            | LookupError::Ambiguous
            | LookupError::TooLong,
        ) => Verdict::Refused(Refusal::Rejected),
    }
}

#[cfg(test)]
mod tests;
