//! What goes into a target Secret.

mod consumers;
mod filters;
mod jira_cli;
mod netrc;
mod renewed;
mod standard;
mod template;
#[cfg(test)]
mod tests;

pub use renewed::renewed_keys;
pub use template::render_text;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};

use crate::api::{Hosting, MethodName, Preset, Target};
use crate::core::spec::presets;

/// A validated credential, ready to be rendered.
#[derive(Clone, Copy, Debug)]
pub struct Validated<'a> {
    /// Namespace and name of its `JiraCredential`, with a slash between them.
    pub name: &'a str,
    /// Where the site runs.
    pub hosting: Hosting,
    /// How it authenticates.
    pub method: MethodName,
    /// Base address of the API, without a trailing slash.
    pub url: &'a str,
    /// The address of the site, as a person opens it.
    pub site: &'a str,
    /// The id of the site on Atlassian's gateway, for methods that are used there.
    pub cloud_id: Option<&'a str>,
    /// E-mail or user name; none for Bearer methods.
    pub user: Option<&'a str>,
    /// Token or password.
    pub secret: &'a SecretString,
    /// The token or session that it replaced, if that is to be published, too.
    pub previous: Option<&'a SecretString>,
    /// What consumers sign with, for OAuth 1.0a.
    pub signing: Option<Parts<'a>>,
    /// The account that it belongs to.
    pub account: &'a str,
    /// When it expires, where that is known.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What signs requests of OAuth 1.0a, beside the access token.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Consumer key of the application link.
    pub consumer_key: &'a str,
    /// The private key in PEM form.
    pub private_key: &'a SecretString,
    /// The secret of the access token, if there is one.
    pub token_secret: Option<&'a SecretString>,
}

impl Validated<'_> {
    fn hosting_name(&self) -> &'static str {
        match self.hosting {
            Hosting::Cloud => "Cloud",
            Hosting::DataCenter => "DataCenter",
        }
    }

    /// The user name and what is sent with it as its password; none for methods that have no user.
    fn login(&self) -> Option<(&str, &str)> {
        Some((self.user?, self.secret.expose_secret()))
    }
}

/// The keys and values of a Secret, and what a preset wants of its type, labels and annotations.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Contents {
    data: BTreeMap<Cow<'static, str>, String>,
    kind: Option<&'static str>,
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
}

impl Contents {
    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.data.iter();
        pairs.map(|(key, value)| (key.as_ref(), value.as_str()))
    }

    /// The type of the Secret that a preset prescribes, where the template names none.
    pub fn kind(&self) -> Option<&'static str> {
        self.kind
    }

    /// Labels that consumers select by.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.labels
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
    }

    /// Annotations that consumers read.
    pub fn annotations(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pairs = self.annotations.iter();
        pairs.map(|(key, value)| (*key, value.as_str()))
    }

    fn set(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.data.insert(key.into(), value.into());
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.data.keys()).finish()
    }
}

/// The longest value that a template makes, in bytes.
const LONGEST_VALUE: usize = 64 * 1024;

/// The most that the values of a Secret may have together, by the API server's own rule.
const LARGEST_SECRET: usize = 1024 * 1024;

/// What a target holds: the keys of its presets, then those of its template, which win.
///
/// # Errors
/// With what is wrong, for a person: a template cannot be rendered, a consumer could not use the password, or the
/// Secret would be too large.
pub fn target_contents(validated: &Validated<'_>, target: &Target) -> Result<Contents, String> {
    let mut contents = contents(validated, presets(target));
    if presets(target).contains(&Preset::McpAtlassian) && !is_plain(validated) {
        return Err(format!(
            "The Secret {} is not written: the user name or password has characters beyond ASCII, which mcp-atlassian sends in another encoding than Jira reads. Choose a password without them, or remove McpAtlassian from presets of this target.",
            target.path()
        ));
    }
    if let Some(previous) = validated.previous {
        standard::previous(validated.method, previous, &mut contents);
    }
    template::add(validated, target, &mut contents)?;
    let size: usize = contents.iter().map(|(_, value)| value.len()).sum();
    if size > LARGEST_SECRET {
        return Err(format!(
            "The Secret {} is not written: its values have more than 1 MiB together, the most that a Secret can hold. Divide the keys among several targets.",
            target.path()
        ));
    }
    Ok(contents)
}

/// Whether a user name and its password, if there are any, are the same in every encoding of a header.
fn is_plain(validated: &Validated<'_>) -> bool {
    let login = validated.login();
    login.is_none_or(|(user, secret)| user.is_ascii() && secret.is_ascii())
}

/// What a Secret with these presets holds. A preset that does not fit the method adds less than it
/// promises; `core::spec::preset_fault` says which do. A change of what is rendered needs another
/// `RENDERING` (`core/facts/targets`), so that what an older version wrote is written again.
pub fn contents(validated: &Validated<'_>, presets: &[Preset]) -> Contents {
    let mut contents = Contents::default();
    for preset in presets {
        match preset {
            Preset::Standard => standard::standard(validated, &mut contents),
            Preset::Env => consumers::env(validated, &mut contents),
            Preset::BasicAuth => consumers::basic_auth(validated, &mut contents),
            Preset::Netrc => netrc::netrc(validated, &mut contents),
            Preset::JiraCli => jira_cli::jira_cli(validated, &mut contents),
            Preset::Alertmanager => consumers::alertmanager(validated, &mut contents),
            Preset::McpAtlassian => consumers::mcp_atlassian(validated, &mut contents),
            Preset::Jenkins => consumers::jenkins(validated, &mut contents),
        }
    }
    contents
}
