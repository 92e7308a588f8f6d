//! From the code to a refresh token that belongs to the right account and covers the site.

use std::time::Duration;

use jira_credential_operator::api::Account;
use jira_credential_operator::core::probe::{Outage, Resource, Verdict};
use jira_credential_operator::core::spec::Site;
use jira_credential_operator::jira::{CodeExchange, Credential, Granted, Jira, TokenAnswer};
use secrecy::SecretString;

use crate::failure::{Exit, Failure};
use crate::login::plan::Plan;
use crate::rotate::validate::{behind_gateway, unanswered};

/// How long the exchange may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What was consented to.
pub struct Consented {
    /// The first refresh token.
    pub refresh: SecretString,
    /// As whom the app acts.
    pub account: Account,
}

/// Exchanges the code, and checks what came.
///
/// # Errors
/// When the code is not accepted, the site is not covered, or another account consented.
pub async fn exchange(
    plan: &Plan,
    jira: &Jira,
    gateway: &str,
    secrets: &[SecretString],
    code: &SecretString,
) -> Result<Consented, Failure> {
    let granted = tokens(plan, jira, secrets, code).await?;
    let Some(refresh) = granted.refresh else {
        return Err(stopped(
            "the consent gave no refresh token. Check that the app in the developer console is an OAuth 2.0 integration, and run login again",
        ));
    };
    let id = site_id(jira, gateway, &plan.site, &granted.access).await?;
    let account = whoami(jira, gateway, &id, granted.access).await?;
    plan.check_account(&account)?;
    Ok(Consented { refresh, account })
}

/// Tries the client secrets in order, as the operator does.
async fn tokens(
    plan: &Plan,
    jira: &Jira,
    secrets: &[SecretString],
    code: &SecretString,
) -> Result<Granted, Failure> {
    let endpoint = format!("{}/oauth/token", plan.auth_url);
    let mut answer = TokenAnswer::ClientRejected;
    for client_secret in secrets {
        let request = CodeExchange {
            endpoint: &endpoint,
            client_id: &plan.method.client_id,
            client_secret,
            code,
            redirect_uri: &plan.redirect.text,
            limit: LIMIT,
        };
        answer = jira.exchange(&request).await;
        if !matches!(answer, TokenAnswer::ClientRejected) {
            break;
        }
    }
    let cause = match answer {
        TokenAnswer::Granted(granted) => return Ok(granted),
        TokenAnswer::Dead => {
            "Atlassian does not accept the code: it is older than ten minutes or was used before. Run login again"
        }
        TokenAnswer::ClientRejected => {
            "Atlassian refuses the client id or the client secret. Compare both with the settings of the app in the developer console, and run login again"
        }
        TokenAnswer::NoVerdict(outage) => return Err(outage_of("The token endpoint", &outage)),
        TokenAnswer::NotAllowed(_) => {
            "the token endpoint has an address that no credential is sent to: see --allowed-addresses"
        }
        TokenAnswer::ScopeRefused | TokenAnswer::NotTaken => {
            "Atlassian does not take the request. Check --scopes and --redirect-uri, and run login again"
        }
    };
    Err(stopped(cause))
}

/// The id of the site on the gateway, if the consent covers it.
async fn site_id(
    jira: &Jira,
    gateway: &str,
    site: &Site,
    access: &SecretString,
) -> Result<String, Failure> {
    let listed = jira.survey(gateway, access).await;
    let resources = match listed {
        Ok(Some(resources)) => resources,
        Ok(None) => {
            return Err(stopped(
                "Atlassian does not tell which sites the consent covers. Run login again",
            ));
        }
        Err(Verdict::NoVerdict(outage)) => return Err(outage_of("Atlassian's gateway", &outage)),
        Err(_) => {
            return Err(stopped(
                "Atlassian's gateway has an address that no credential is sent to: see --allowed-addresses",
            ));
        }
    };
    let of_jira: Vec<&Resource> = resources.iter().filter(|found| found.is_jira()).collect();
    let is_site = |found: &&&Resource| found.url.trim_end_matches('/') == site.base;
    if let Some(found) = of_jira.iter().find(is_site) {
        return Ok(found.id.clone());
    }
    // A site with a domain of its own may be listed under its other name.
    if let Ok(id) = jira.locate(site).await
        && of_jira.iter().any(|found| found.id == id)
    {
        return Ok(id);
    }
    let names: Vec<&str> = of_jira.iter().map(|found| found.url.as_str()).collect();
    let names = match names.as_slice() {
        [] => "no Jira site".to_owned(),
        names => names.join(", "),
    };
    Err(stopped(&format!(
        "the consent covers {names}, not {}. Run login again and choose {} on the consent page, as an account that may use it",
        site.base, site.host
    )))
}

async fn whoami(
    jira: &Jira,
    gateway: &str,
    id: &str,
    access: SecretString,
) -> Result<Account, Failure> {
    let Some(site) = behind_gateway(gateway, id) else {
        return Err(Failure::new(Exit::Usage, "--api-url: write https://HOST"));
    };
    match jira.whoami(&site, None, &Credential::Bearer(access)).await {
        Verdict::Accepted(account) => Ok(account),
        Verdict::NoVerdict(outage) => Err(outage_of("Jira", &outage)),
        Verdict::Refused(_) | Verdict::NotAllowed(_) => Err(stopped(
            "Jira does not tell whose the consent is. Check that --scopes has read:jira-user, that the app has it in the developer console, and that the account may use the site; run login again",
        )),
    }
}

fn outage_of(who: &str, outage: &Outage) -> Failure {
    stopped(&format!("{who} {} Run login again", unanswered(outage)))
}

fn stopped(cause: &str) -> Failure {
    Failure::new(Exit::NotReady, format!("{cause}. Nothing was stored"))
}
