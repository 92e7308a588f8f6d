//! An app, or an application link, that asks for a consent of OAuth 2.0.

use jira_credential_operator::api::{Hosting, OAuth2};

use crate::failure::{Exit, Failure};
use crate::login::args::LoginArgs;
use crate::login::consent::{OFFLINE, Redirect};
use crate::login::plan::Plan;

/// Scopes that are asked for on Cloud when nothing else is said.
pub const SCOPES: [&str; 2] = ["read:jira-work", "read:jira-user"];

/// Scopes that are asked for on Data Center when nothing else is said.
pub const DATA_CENTER_SCOPES: [&str; 1] = ["READ"];

/// The scopes that there are on Data Center; each includes those before it.
const KNOWN: [&str; 4] = ["READ", "WRITE", "ADMIN", "SYSTEM_ADMIN"];

/// The callback URL of an app when nothing else is said.
const REDIRECT: &str = "http://localhost:8765/callback";

/// An app, or an application link, that asks for a consent.
pub struct App {
    /// The member `spec.auth.oauth2`.
    pub method: OAuth2,
    /// Where it is registered.
    pub hosting: Hosting,
    /// What is asked for, without `offline_access`.
    pub scopes: Vec<String>,
    /// The callback URL.
    pub redirect: Redirect,
    /// Base address of the authorize page and the token endpoint.
    pub server: String,
}

impl App {
    /// Puts the flags and the spec together.
    ///
    /// # Errors
    /// When scopes or callback URL are of no use.
    pub fn of(args: &LoginArgs, plan: &Plan, method: &OAuth2) -> Result<Self, Failure> {
        let hosting = plan.site.hosting;
        let (usual, server) = match hosting {
            Hosting::Cloud => (&SCOPES[..], args.auth_url.as_str()),
            Hosting::DataCenter => (&DATA_CENTER_SCOPES[..], plan.site.base.as_str()),
        };
        let said = method.scopes.iter().map(|scope| scope.0.clone());
        let scopes: Vec<String> = match (args.scopes.is_empty(), method.scopes.is_empty()) {
            (false, _) => args.scopes.clone(),
            (true, false) => said.collect(),
            (true, true) => usual.iter().map(|&scope| scope.to_owned()).collect(),
        };
        if hosting == Hosting::DataCenter {
            check_scopes(&scopes)?;
        }
        let redirect = match (&args.redirect_uri, &method.redirect_uri) {
            (Some(given), _) => given.clone(),
            (None, said) => {
                Redirect::parse(said.as_deref().unwrap_or(REDIRECT)).map_err(|error| {
                    Failure::error(format!("spec.auth.oauth2.redirectUri: {error}"))
                })?
            }
        };
        Ok(Self {
            method: method.clone(),
            hosting,
            scopes: scopes
                .into_iter()
                .filter(|scope| scope != OFFLINE)
                .collect(),
            redirect,
            server: server.trim_end_matches('/').to_owned(),
        })
    }

    /// The address of the token endpoint.
    pub fn token_url(&self) -> String {
        match self.hosting {
            Hosting::Cloud => format!("{}/oauth/token", self.server),
            Hosting::DataCenter => format!("{}/rest/oauth2/latest/token", self.server),
        }
    }

    /// What to check when the authorize page reports an error.
    pub fn remedy(&self) -> &'static str {
        match self.hosting {
            Hosting::Cloud => {
                "check the scopes and the callback URL of the app in the developer console"
            }
            Hosting::DataCenter => "check the scope and the redirect URL of the application link",
        }
    }

    /// What the person is to do; the address of the authorize page follows.
    pub fn invitation(&self, plan: &Plan) -> String {
        let who = plan.who();
        match self.hosting {
            Hosting::Cloud if plan.chooses_site => {
                format!("Log in at Atlassian as {who}, choose a site and consent at")
            }
            Hosting::Cloud => format!(
                "Log in at Atlassian as {who}, choose {} and consent at",
                plan.site.host
            ),
            Hosting::DataCenter => {
                format!("Log in at {} as {who} and consent at", plan.site.base)
            }
        }
    }

    /// What can be pasted.
    pub fn hint(&self) -> String {
        let redirect = &self.redirect.text;
        match self.hosting {
            Hosting::DataCenter => format!(
                "The browser ends at {redirect}?…, which may be an error page. Paste that whole address here at once: Jira usually lets the code in it live for ten seconds."
            ),
            Hosting::Cloud => format!(
                "The browser ends at {redirect}?…; if it shows no answer there, paste that whole address here."
            ),
        }
    }
}

/// Whether all scopes are those of Data Center.
///
/// # Errors
/// When one is not.
fn check_scopes(scopes: &[String]) -> Result<(), Failure> {
    match scopes.iter().find(|scope| !KNOWN.contains(&scope.as_str())) {
        Some(scope) => Err(Failure::new(
            Exit::Usage,
            format!(
                "{scope} is not a scope of Data Center: give --scopes READ, WRITE, ADMIN or SYSTEM_ADMIN, each of which includes those before it"
            ),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::json;

    use super::*;

    /// An app that asks for these scopes.
    pub(in crate::login) fn app(server: &str, scopes: &[&str]) -> App {
        let method = serde_json::from_value(json!({
            "clientId": "id+1", "clientSecretRefs": [],
            "refreshTokenSecretRef": {"name": "s", "key": "k"},
        }));
        App {
            method: method.unwrap(),
            hosting: Hosting::Cloud,
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            redirect: Redirect::parse(REDIRECT).unwrap(),
            server: server.to_owned(),
        }
    }

    #[test]
    fn scopes_are_those_of_data_center() {
        for (scopes, is_good) in [
            (&["READ"][..], true),
            (&["READ", "SYSTEM_ADMIN"], true),
            (&["read:jira-work"], false),
            (&["WRITE", "write"], false),
        ] {
            let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
            assert_eq!(check_scopes(&scopes).is_ok(), is_good, "{scopes:?}");
        }
    }
}
