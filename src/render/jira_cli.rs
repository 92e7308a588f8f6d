//! The preset `JiraCli`.

use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::consumers::auth_type;
use super::{Contents, Validated};
use crate::api::Hosting;

/// What jira-cli reads from its configuration (github.com/ankitpokhrel/jira-cli 1.7.0,
/// `internal/config`). The project and the issue types depend on its user; they are given by flags or
/// by a configuration of their own.
#[derive(Serialize)]
struct Config<'a> {
    installation: &'static str,
    server: &'a str,
    browse_server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
    auth_type: &'static str,
}

/// The file `.config.yml`, and the variables that hold what it may not: jira-cli takes the token from
/// `JIRA_API_TOKEN`.
pub(super) fn jira_cli(validated: &Validated<'_>, contents: &mut Contents) -> Result<(), String> {
    let config = Config {
        installation: match validated.hosting {
            Hosting::Cloud => "Cloud",
            Hosting::DataCenter => "Local",
        },
        server: validated.url,
        browse_server: validated.site,
        login: validated.user,
        auth_type: auth_type(validated),
    };
    let written = serde_saphyr::to_string(&config).map_err(|error| error.to_string())?;
    contents.set(".config.yml", written.trim_end());
    contents.set("JIRA_API_TOKEN", validated.secret.expose_secret());
    contents.set("JIRA_AUTH_TYPE", auth_type(validated));
    Ok(())
}
