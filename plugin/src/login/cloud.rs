//! OAuth 2.0 on Jira Cloud: Atlassian's authorize page, and which sites a consent covers.

use std::time::Duration;

use jira_credential_operator::api::{Account, Hosting};
use jira_credential_operator::core::probe::{Resource, Verdict};
use jira_credential_operator::core::spec::Site;
use jira_credential_operator::jira::{Credential, Jira};
use secrecy::SecretString;

use crate::failure::{Exit, Failure};
use crate::login::app::App;
use crate::login::consent::{OFFLINE, query};
use crate::login::exchange::{
    Consented, Exchange, outage_of, patiently, stopped, whoami, with_access,
};
use crate::login::input::Input;
use crate::login::plan::Plan;
use crate::login::sites;
use crate::rotate::validate::behind_gateway;

/// What Atlassian's authorize page wants as the audience (Atlassian documentation).
const AUDIENCE: &str = "api.atlassian.com";

/// What to check when nobody tells whose a consent is.
const UNKNOWN: &str = "Check that --scopes has read:jira-user, that the app has it in the developer console, and that the account may use the site";

/// The address of the authorize page (Atlassian documentation).
pub fn authorize_url(app: &App, state: &str) -> String {
    let scopes = format!("{} {OFFLINE}", app.scopes.join(" "));
    let query = query(&[
        ("audience", AUDIENCE),
        ("client_id", &app.method.client_id),
        ("scope", &scopes),
        ("redirect_uri", &app.redirect.text),
        ("state", state),
        ("response_type", "code"),
        ("prompt", "consent"),
    ]);
    format!("{}/authorize?{query}", app.server)
}

/// Exchanges the code, and checks that the consent covers the site. `person` is who may choose a site, and
/// for how long.
///
/// # Errors
/// When the code is not accepted, or the site is not covered.
pub async fn exchange(
    plan: &Plan,
    exchange: &Exchange<'_>,
    gateway: &str,
    person: (&mut Input, Duration),
) -> Result<Consented, Failure> {
    let (access, refresh) = exchange.tokens().await?;
    let known = known(plan, exchange.jira, gateway, access, person).await;
    let (account, chosen) = known.map_err(|failure| with_access(&failure, Hosting::Cloud))?;
    Ok(Consented {
        refresh,
        account,
        chosen,
    })
}

/// Whose the consent is, and the site that was chosen for it, if one was.
async fn known(
    plan: &Plan,
    jira: &Jira,
    gateway: &str,
    access: SecretString,
    (input, limit): (&mut Input, Duration),
) -> Result<(Account, Option<String>), Failure> {
    let covered = survey(jira, gateway, &access).await?;
    let (id, chosen) = if plan.chooses_site {
        let site = sites::choose(&covered, input, limit).await?;
        (site.id, Some(site.url))
    } else {
        (site_id(jira, &plan.site, &covered).await?, None)
    };
    let site = behind_gateway(gateway, &id)
        .ok_or_else(|| Failure::new(Exit::Usage, "--api-url: write https://HOST"))?;
    let credential = Credential::Bearer(access);
    let account = whoami(jira, &site, None, &credential, UNKNOWN).await?;
    Ok((account, chosen))
}

/// What the consent covers.
async fn survey(
    jira: &Jira,
    gateway: &str,
    access: &SecretString,
) -> Result<Vec<Resource>, Failure> {
    let ask = async || jira.survey(gateway, access).await;
    let is_unanswered = |answer: &Result<_, Verdict>| matches!(answer, Err(Verdict::NoVerdict(_)));
    match patiently(ask, is_unanswered).await {
        Ok(Some(resources)) => Ok(resources),
        Ok(None) => Err(stopped(
            "Atlassian does not tell which sites the consent covers. Run login again",
        )),
        Err(Verdict::NoVerdict(outage)) => Err(outage_of("Atlassian's gateway", &outage)),
        Err(_) => Err(stopped(
            "Atlassian's gateway has an address that no credential is sent to: see --allowed-addresses",
        )),
    }
}

/// The id of the site on the gateway, if the consent covers it.
async fn site_id(jira: &Jira, site: &Site, covered: &[Resource]) -> Result<String, Failure> {
    let of_jira: Vec<&Resource> = covered.iter().filter(|found| found.is_jira()).collect();
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
    Err(stopped(&format!(
        "the consent covers {}, not {}. Run login again and choose {} on the consent page, as an account that may use it",
        sites::names(&of_jira),
        site.base,
        site.host
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::app::tests::app;

    #[test]
    fn the_authorize_url_has_every_parameter() {
        let app = app(
            "https://auth.atlassian.com",
            &["read:jira-work", "read:jira-user"],
        );
        assert_eq!(
            authorize_url(&app, "ab12"),
            "https://auth.atlassian.com/authorize?audience=api.atlassian.com&client_id=id%2B1\
             &scope=read%3Ajira-work%20read%3Ajira-user%20offline_access\
             &redirect_uri=http%3A%2F%2Flocalhost%3A8765%2Fcallback&state=ab12\
             &response_type=code&prompt=consent"
        );
    }
}
