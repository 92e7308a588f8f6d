//! Sending a person to a page in the browser, and waiting for what comes back.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::failure::{Exit, Failure};
use crate::login::consent::{Expected, Judged, Outcome, Redirect};
use crate::login::input::Input;
use crate::login::listener::{Listener, START};
use crate::output;
use crate::rotate::page::launch;

/// The longest verification code that is believed to be one.
const LONGEST_VERIFIER: usize = 128;

/// Where an answer can come in. They are taken before anybody consents.
pub struct Doors {
    listener: Option<Listener>,
    /// The address of this machine that sends the browser on; none: no browser is opened.
    start: Option<String>,
    pastes: bool,
    /// Whether the callback comes to this machine.
    is_own: bool,
}

impl Doors {
    /// Listens for the callback where it comes to this machine. Where it does not, or no browser is to be
    /// opened, its address can be pasted.
    ///
    /// # Errors
    /// When the port is taken and nothing can be pasted.
    pub async fn open(redirect: &Redirect, no_browser: bool) -> Result<Self, Failure> {
        let is_own = redirect.loopback().is_some();
        let (listener, start) = match (is_own, no_browser) {
            (true, true) => (Listener::bind(redirect).await.ok(), None),
            (true, false) => (
                Some(Listener::bind(redirect).await?),
                Some(redirect.sibling(START)),
            ),
            (false, true) => (None, None),
            (false, false) => {
                let (listener, start) = Listener::anywhere().await?;
                (Some(listener), Some(start))
            }
        };
        Ok(Self {
            listener,
            start,
            pastes: no_browser || !is_own,
            is_own,
        })
    }

    /// For an answer that is a code on a page, for a person to carry over.
    pub fn paste_only() -> Self {
        Self {
            listener: None,
            start: None,
            pastes: true,
            is_own: false,
        }
    }
}

/// What ends a visit.
pub enum Wanted {
    /// The callback.
    Callback(Expected),
    /// The verification code of OAuth 1.0a, which Jira shows.
    Verifier,
}

/// A visit to a page where a person consents.
pub struct Visit<'a> {
    /// What the person is to do; the address of the page follows.
    pub invitation: &'a str,
    /// The address of the page.
    pub url: &'a str,
    /// What can be pasted.
    pub hint: &'a str,
    /// What ends it.
    pub wanted: Wanted,
    /// What to check when the page reports an error.
    pub remedy: &'a str,
}

impl Visit<'_> {
    /// Sends the person to the page, and waits for the code.
    ///
    /// # Errors
    /// When there is none: declined, an error of the page, the end of the time or of the input.
    pub async fn code(
        self,
        doors: Doors,
        limit: Duration,
        input: &mut Input,
    ) -> Result<SecretString, Failure> {
        output::progress(&format!("{}\n{}", self.invitation, self.url));
        if let Some(start) = &doors.start
            && !launch(start)
        {
            output::progress("The browser could not be opened; open the address yourself.");
        }
        if doors.pastes {
            output::progress(self.hint);
        }
        let remedy = self.remedy;
        let outcome = within(limit, "nobody consented", self.outcome(doors, input)).await?;
        settle(outcome, remedy)
    }

    /// The first answer: of the browser, or pasted. None when there can be no more.
    async fn outcome(self, doors: Doors, input: &mut Input) -> Option<Outcome> {
        let expected = match self.wanted {
            Wanted::Callback(expected) => Arc::new(expected),
            Wanted::Verifier => return verifier(input).await,
        };
        let url = self.url.to_owned();
        match (doors.listener, doors.pastes) {
            // The callback never comes here: only a paste brings the answer.
            (Some(listener), true) if !doors.is_own => tokio::select! {
                answer = listener.wait(expected.clone(), url) => answer,
                answer = pasted(&expected, input) => answer,
            },
            (Some(listener), true) => tokio::select! {
                answer = listener.wait(expected.clone(), url) => answer,
                Some(answer) = pasted(&expected, input) => Some(answer),
            },
            (Some(listener), false) => listener.wait(expected, url).await,
            (None, _) => pasted(&expected, input).await,
        }
    }
}

/// Waits for what a person does. `without` says what is missing when `limit` has passed; zero is no limit.
///
/// # Errors
/// When it has passed.
pub async fn within<T>(
    limit: Duration,
    without: &str,
    wanted: impl Future<Output = T>,
) -> Result<T, Failure> {
    if limit.is_zero() {
        return Ok(wanted.await);
    }
    tokio::time::timeout(limit, wanted).await.map_err(|_| {
        Failure::new(
            Exit::TimedOut,
            format!("{without} within --consent-timeout. Nothing was stored; run login again"),
        )
    })
}

/// What an outcome means for a person.
fn settle(outcome: Option<Outcome>, remedy: &str) -> Result<SecretString, Failure> {
    match outcome {
        Some(Outcome::Code(code)) => Ok(code),
        Some(Outcome::Declined) => Err(Failure::new(
            Exit::NotReady,
            "the consent was declined. Nothing was stored; run login again to consent",
        )),
        Some(Outcome::Failed(error)) => Err(Failure::new(
            Exit::NotReady,
            format!(
                "the consent page reported {error} in place of a consent. Nothing was stored; {remedy}, and run login again"
            ),
        )),
        None => Err(Failure::error(
            "standard input ended before anything was pasted. Nothing was stored; run login again in a terminal, for oauth2 with --client-secret-from in place of a pipe",
        )),
    }
}

async fn pasted(expected: &Expected, input: &mut Input) -> Option<Outcome> {
    while let Some(line) = input.line().await {
        if line.trim().is_empty() {
            continue;
        }
        match expected.judge_pasted(&line) {
            Judged::Answer(outcome) => return Some(outcome),
            Judged::Foreign => output::progress(
                "This address belongs to another login. Consent at the address above, and paste where the browser ends.",
            ),
            Judged::Elsewhere | Judged::Malformed => output::progress(
                "This is not the address of the callback. Paste the whole address that the browser shows.",
            ),
        }
    }
    None
}

async fn verifier(input: &mut Input) -> Option<Outcome> {
    while let Some(line) = input.line().await {
        let text = line.trim();
        let is_code = text.len() <= LONGEST_VERIFIER && text.bytes().all(|b| b.is_ascii_graphic());
        match (text.is_empty(), is_code) {
            (true, _) => {}
            (false, true) => return Some(Outcome::Code(SecretString::from(text))),
            (false, false) => output::progress(
                "This is not a verification code. Paste the code that Jira shows, and nothing else.",
            ),
        }
    }
    None
}
