//! From a code to a refresh token, and whose it is.

use std::time::Duration;

use jira_credential_operator::api::{Account, Hosting};
use jira_credential_operator::core::probe::{Outage, Verdict};
use jira_credential_operator::core::spec::Site;
use jira_credential_operator::jira::{CodeExchange, Credential, Granted, Jira, TokenAnswer};
use secrecy::SecretString;

use crate::failure::{Exit, Failure};
use crate::login::app::App;
use crate::rotate::validate::unanswered;

/// How long a call may take that spends something.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The pauses before what was not answered is asked again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// What was consented to.
pub struct Consented {
    /// The first refresh token.
    pub refresh: SecretString,
    /// As whom the app acts.
    pub account: Account,
    /// Address of the site that was chosen, if one was.
    pub chosen: Option<String>,
}

/// The exchange of a code.
pub struct Exchange<'a> {
    /// The client of the operator.
    pub jira: &'a Jira,
    /// Who asks.
    pub app: &'a App,
    /// Private authorities that are trusted.
    pub ca_pem: Option<&'a [u8]>,
    /// Client secrets of the app.
    pub secrets: &'a [SecretString],
    /// The code of the callback.
    pub code: &'a SecretString,
    /// What the challenge was made of.
    pub verifier: Option<&'a SecretString>,
}

impl Exchange<'_> {
    /// Exchanges the code: the access token, and the refresh token.
    ///
    /// # Errors
    /// When the code is not accepted, or there is no refresh token.
    pub async fn tokens(&self) -> Result<(SecretString, SecretString), Failure> {
        let granted = self.granted().await?;
        if let Some(refresh) = granted.refresh {
            return Ok((granted.access, refresh));
        }
        let hosting = self.app.hosting;
        let failure = stopped(&format!(
            "the consent gave no refresh token. Check that {} is one of OAuth 2.0, and run login again",
            client(hosting)
        ));
        Err(with_access(&failure, hosting))
    }

    /// Tries the client secrets in order, as the operator does.
    async fn granted(&self) -> Result<Granted, Failure> {
        let mut answer = TokenAnswer::ClientRejected;
        for client_secret in self.secrets {
            let request = CodeExchange {
                endpoint: &self.app.token_url(),
                hosting: self.app.hosting,
                ca_pem: self.ca_pem,
                client_id: &self.app.method.client_id,
                client_secret,
                code: self.code,
                verifier: self.verifier,
                redirect_uri: &self.app.redirect.text,
                limit: LIMIT,
            };
            answer = self.jira.exchange(&request).await;
            if !matches!(answer, TokenAnswer::ClientRejected) {
                break;
            }
        }
        match answer {
            TokenAnswer::Granted(granted) => Ok(granted),
            other => Err(self.refused(&other)),
        }
    }

    fn refused(&self, answer: &TokenAnswer) -> Failure {
        let hosting = self.app.hosting;
        let (server, client) = (server(hosting), client(hosting));
        let cause = match answer {
            TokenAnswer::Dead => format!(
                "{server} does not accept the code: it is older than {} or was used before. Run login again",
                life_of_code(hosting)
            ),
            TokenAnswer::ClientRejected => format!(
                "{server} refuses the client id or the client secret. Compare both with the settings of {client}, and run login again"
            ),
            TokenAnswer::NoVerdict(outage) => return outage_of("The token endpoint", outage),
            TokenAnswer::NotAllowed(_) => {
                "the token endpoint has an address that no credential is sent to: see --allowed-addresses"
                    .to_owned()
            }
            TokenAnswer::Granted(_) | TokenAnswer::ScopeRefused | TokenAnswer::NotTaken => format!(
                "{server} does not take the request. Check --scopes and --redirect-uri, and run login again"
            ),
        };
        stopped(&cause)
    }
}

/// Who answers.
fn server(hosting: Hosting) -> &'static str {
    match hosting {
        Hosting::Cloud => "Atlassian",
        Hosting::DataCenter => "Jira",
    }
}

/// Where the client is registered.
fn client(hosting: Hosting) -> &'static str {
    match hosting {
        Hosting::Cloud => "the app in the developer console",
        Hosting::DataCenter => "the application link",
    }
}

/// How long a code lives (Atlassian documentation).
fn life_of_code(hosting: Hosting) -> &'static str {
    match hosting {
        Hosting::Cloud => "ten minutes",
        Hosting::DataCenter => {
            "ten seconds (the system property atlassian.oauth2.provider.max.client.delay.seconds of Jira allows up to 600)"
        }
    }
}

/// Whose a consent is. `remedy` says what to check when Jira does not tell.
///
/// # Errors
/// When Jira does not tell.
pub async fn whoami(
    jira: &Jira,
    site: &Site,
    ca_pem: Option<&[u8]>,
    credential: &Credential,
    remedy: &str,
) -> Result<Account, Failure> {
    let ask = async || jira.whoami(site, ca_pem, credential).await;
    match patiently(ask, |verdict| matches!(verdict, Verdict::NoVerdict(_))).await {
        Verdict::Accepted(account) => Ok(account),
        Verdict::NoVerdict(outage) => Err(outage_of("Jira", &outage)),
        Verdict::Refused(_) | Verdict::NotAllowed(_) => Err(stopped(&format!(
            "Jira does not tell whose the consent is. {remedy}, and run login again"
        ))),
    }
}

/// Asks again what was not answered: the exchange before it cannot be repeated.
pub async fn patiently<T>(
    mut ask: impl AsyncFnMut() -> T,
    is_unanswered: impl Fn(&T) -> bool,
) -> T {
    for pause in PAUSES {
        let answer = ask().await;
        if !is_unanswered(&answer) {
            return answer;
        }
        tokio::time::sleep(pause).await;
    }
    ask().await
}

/// A failure after the exchange, which does not take back the access that was granted.
pub fn with_access(failure: &Failure, hosting: Hosting) -> Failure {
    let place = match hosting {
        Hosting::Cloud => {
            "Atlassian; to remove it, see Connected apps in the settings of the Atlassian account"
        }
        Hosting::DataCenter => {
            "Jira; to remove it, see Tools, View OAuth access tokens, in the profile of the account"
        }
    };
    let text = format!(
        "{}. The access that was granted remains at {place}",
        failure.message
    );
    Failure::new(failure.exit, text)
}

/// What an outage means for a login.
pub fn outage_of(who: &str, outage: &Outage) -> Failure {
    let cause = match outage {
        Outage::Dns
        | Outage::Connect
        | Outage::ConnectionLost
        | Outage::Timeout
        | Outage::RateLimited { .. } => unanswered(outage),
        Outage::Paused { .. } => "asks to wait: try again in some minutes.",
        Outage::Certificate | Outage::Tls | Outage::BadCaBundle => {
            "has a certificate that this machine does not trust. Give a private CA with --ca-config-map or --ca-secret (for a JiraCredential that exists, in spec.tls), one of this machine with --extra-ca-file."
        }
        Outage::Redirect | Outage::SingleSignOn | Outage::Moved | Outage::ContextPath => {
            "redirects to another page: check the address of the site."
        }
        Outage::Unavailable { .. } | Outage::ServerError(_) => {
            "reports an error of its own: try again in some minutes."
        }
        _ => "gave no usable answer: check the address of the site.",
    };
    stopped(&format!("{who} {cause} Run login again"))
}

/// The end of a login.
pub fn stopped(cause: &str) -> Failure {
    Failure::new(Exit::NotReady, format!("{cause}. Nothing was stored"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_in_words_of_login() {
        for (outage, told) in [
            (Outage::Certificate, "--ca-config-map or --ca-secret"),
            (Outage::BadCaBundle, "--ca-config-map or --ca-secret"),
            (Outage::NotFound, "gave no usable answer: check the address"),
            (Outage::ServerError(500), "reports an error of its own"),
            (Outage::Connect, "does not answer this machine"),
        ] {
            let message = outage_of("The token endpoint", &outage).message;
            assert!(message.contains(told), "{message}");
            assert!(!message.contains("whose the token is"), "{message}");
            assert!(message.ends_with("Run login again. Nothing was stored"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_is_asked_three_times() {
        for (answers, wanted, calls) in [
            ([true, true, true], true, 1),
            ([false, true, true], true, 2),
            ([false, false, true], true, 3),
            ([false, false, false], false, 3),
        ] {
            let mut asked = 0;
            let mut left = answers.iter();
            let ask = async || {
                asked += 1;
                left.next().copied()
            };
            let answer = patiently(ask, |answer| *answer == Some(false)).await;
            assert_eq!((answer, asked), (Some(wanted), calls), "{answers:?}");
        }
    }
}
