//! The preset `JiraCli`.

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::consumers::auth_type;
use super::{Contents, Validated};
use crate::api::Hosting;

/// The file `.config.yml` of jira-cli (github.com/ankitpokhrel/jira-cli 1.7.0, `internal/config`), written
/// as JSON, which is YAML, too. The project and the issue types depend on its user; they are given by
/// flags or by a configuration of their own. The token stands in a variable: jira-cli reads it there.
pub(super) fn jira_cli(validated: &Validated<'_>, contents: &mut Contents) {
    let mut config = json!({
        "installation": match validated.hosting {
            Hosting::Cloud => "Cloud",
            Hosting::DataCenter => "Local",
        },
        "server": validated.url,
        "browse_server": validated.site,
        "auth_type": auth_type(validated),
    });
    if let (Some(login), Some(fields)) = (validated.user, config.as_object_mut()) {
        fields.insert("login".to_owned(), login.into());
    }
    contents.set(".config.yml", config.to_string());
    contents.set("JIRA_API_TOKEN", validated.secret.expose_secret());
    contents.set("JIRA_AUTH_TYPE", auth_type(validated));
}
