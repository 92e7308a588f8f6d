//! The presets of consumers that read variables, or files with one value each.

use secrecy::ExposeSecret as _;

use super::{Contents, Validated};
use crate::api::{Hosting, MethodName};
use crate::core::spec::is_oauth2;

/// How a request is authenticated, in the words of jira-cli.
pub(super) fn auth_type(validated: &Validated<'_>) -> &'static str {
    if validated.user.is_some() {
        "basic"
    } else {
        "bearer"
    }
}

/// Variables that scripts and clients read.
pub(super) fn env(validated: &Validated<'_>, contents: &mut Contents) {
    let secret = validated.secret.expose_secret();
    for name in ["JIRA_URL", "JIRA_BASE_URL", "JIRA_SERVER"] {
        contents.set(name, validated.url);
    }
    contents.set("JIRA_AUTH_TYPE", auth_type(validated));
    contents.set("JIRA_API_TOKEN", secret);
    match validated.user {
        Some(user) => {
            contents.set("JIRA_USERNAME", user);
            contents.set("JIRA_LOGIN", user);
            if validated.method == MethodName::ApiToken {
                contents.set("JIRA_USER_EMAIL", user);
            }
        }
        None => contents.set("JIRA_PERSONAL_TOKEN", secret),
    }
}

/// The keys of the type `kubernetes.io/basic-auth`.
pub(super) fn basic_auth(validated: &Validated<'_>, contents: &mut Contents) {
    login(validated, contents);
    contents.kind = Some("kubernetes.io/basic-auth");
}

fn login(validated: &Validated<'_>, contents: &mut Contents) {
    if let Some((user, secret)) = validated.login() {
        contents.set("username", user);
        contents.set("password", secret);
    }
}

/// What `jira_configs` of Alertmanager takes from files: `basic_auth.username_file` and
/// `password_file`, `authorization.credentials_file`, or `http_headers.Cookie.files`. The values of
/// `api_url` and `api_type` are taken from no file, and are here to be copied.
pub(super) fn alertmanager(validated: &Validated<'_>, contents: &mut Contents) {
    contents.set("api_url", format!("{}/rest/api/2", validated.url));
    let kind = match validated.hosting {
        Hosting::Cloud => "cloud",
        Hosting::DataCenter => "datacenter",
    };
    contents.set("api_type", kind);
    let secret = validated.secret.expose_secret();
    match validated.method {
        MethodName::ApiToken | MethodName::Basic => login(validated, contents),
        MethodName::Session => contents.set("cookie", secret),
        MethodName::PersonalAccessToken
        | MethodName::OAuth2
        | MethodName::ClientCredentials
        | MethodName::OAuth1 => contents.set("credentials", secret),
    }
}

/// The variables of mcp-atlassian (0.23.1). With the access token of OAuth 2.0 on Cloud it finds the
/// gateway by itself, and wants the address of the site.
pub(super) fn mcp_atlassian(validated: &Validated<'_>, contents: &mut Contents) {
    let secret = validated.secret.expose_secret();
    if let Some(id) = validated.cloud_id.filter(|_| is_oauth2(validated.method)) {
        contents.set("JIRA_URL", validated.site);
        contents.set("ATLASSIAN_OAUTH_ACCESS_TOKEN", secret);
        contents.set("ATLASSIAN_OAUTH_CLOUD_ID", id);
        return;
    }
    contents.set("JIRA_URL", validated.url);
    match validated.user {
        Some(user) => {
            contents.set("JIRA_USERNAME", user);
            contents.set("JIRA_API_TOKEN", secret);
        }
        None => contents.set("JIRA_PERSONAL_TOKEN", secret),
    }
}

/// Keys, label and annotation by which Jenkins' Kubernetes Credentials Provider finds a credential.
pub(super) fn jenkins(validated: &Validated<'_>, contents: &mut Contents) {
    let kind = if validated.user.is_some() {
        login(validated, contents);
        "usernamePassword"
    } else {
        contents.set("text", validated.secret.expose_secret());
        "secretText"
    };
    let label = "jenkins.io/credentials-type";
    contents.labels.insert(label, kind.to_owned());
    contents.annotations.insert(
        "jenkins.io/credentials-description",
        format!("JiraCredential {}", validated.name),
    );
}
