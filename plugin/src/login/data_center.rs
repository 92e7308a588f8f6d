//! OAuth 2.0 on Jira Data Center, which gives its tokens itself, with PKCE (Atlassian documentation of the
//! OAuth 2.0 provider, Jira 8.22 and later).

use jira_credential_operator::api::Hosting;
use jira_credential_operator::jira::Credential;
use secrecy::SecretString;

use crate::failure::Failure;
use crate::login::app::App;
use crate::login::consent::query;
use crate::login::exchange::{Consented, Exchange, whoami, with_access};
use crate::login::pkce;
use crate::login::plan::Plan;

/// What to check when nobody tells whose a consent is.
const UNKNOWN: &str = "Check that the account may use Jira, and the scope of the application link";

/// The address of the authorize page.
pub fn authorize_url(app: &App, state: &str, verifier: &SecretString) -> String {
    let query = query(&[
        ("client_id", &app.method.client_id),
        ("redirect_uri", &app.redirect.text),
        ("response_type", "code"),
        ("state", state),
        ("scope", &app.scopes.join(" ")),
        ("code_challenge", &pkce::challenge(verifier)),
        ("code_challenge_method", "S256"),
    ]);
    format!("{}/rest/oauth2/latest/authorize?{query}", app.server)
}

/// Exchanges the code.
///
/// # Errors
/// When the code is not accepted.
pub async fn exchange(plan: &Plan, exchange: &Exchange<'_>) -> Result<Consented, Failure> {
    let (access, refresh) = exchange.tokens().await?;
    let credential = Credential::Bearer(access);
    let (jira, ca_pem) = (exchange.jira, exchange.ca_pem);
    let account = whoami(jira, &plan.site, ca_pem, &credential, UNKNOWN).await;
    let account = account.map_err(|failure| with_access(&failure, Hosting::DataCenter))?;
    Ok(Consented {
        refresh,
        account,
        chosen: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::app::tests::app;

    #[test]
    fn the_authorize_url_has_the_challenge_and_not_the_verifier() {
        let app = app("https://jira.example/jira", &["WRITE"]);
        let verifier = SecretString::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(
            authorize_url(&app, "ab12", &verifier),
            "https://jira.example/jira/rest/oauth2/latest/authorize?client_id=id%2B1\
             &redirect_uri=http%3A%2F%2Flocalhost%3A8765%2Fcallback&response_type=code&state=ab12\
             &scope=WRITE&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
             &code_challenge_method=S256"
        );
    }
}
