//! The command line of `login`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jira_credential_operator::api::{ConfigMapKeyRef, Hosting, SecretKeyRef};

use crate::login::consent::Redirect;
use crate::rotate::validate::ValidateArgs;
use crate::wait::WaitArgs;
use crate::words;

/// `login NAME`.
#[derive(Args, Clone, Debug)]
pub struct LoginArgs {
    /// Name of the credential; it is created if there is none.
    pub name: String,
    /// Address of the site, such as <https://acme.atlassian.net>, on Data Center with its context path;
    /// for a new credential. On Cloud it can be chosen after the consent.
    #[arg(long, value_name = "URL")]
    pub site: Option<String>,
    /// How the site is hosted; for a new credential on a host that is not Atlassian's own.
    #[arg(long, value_enum, ignore_case = true, value_name = "HOSTING")]
    pub hosting: Option<HostingArg>,
    /// How the credential authenticates; for a new credential. Left out: oauth2.
    #[arg(long, value_enum, value_name = "METHOD")]
    pub method: Option<MethodArg>,
    /// oauth2: client id of the app in the developer console, or of the application link; for a new
    /// credential.
    // The server chooses it, so it may begin with a hyphen; kubectl takes such values too.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub client_id: Option<String>,
    /// oauth1: consumer key of the application link; for a new credential.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub consumer_key: Option<String>,
    /// Callback URL of the app or the application link, character by character as it is registered.
    /// Left out: that of the spec, or <http://localhost:8765/callback>, for oauth2 on Data Center
    /// <https://localhost:8765/callback>.
    #[arg(long, value_parser = Redirect::parse, value_name = "URL")]
    pub redirect_uri: Option<Redirect>,
    /// oauth2: scopes to ask for, on Cloud beside `offline_access`; otherwise those of the spec, or
    /// read:jira-work and read:jira-user, on Data Center READ.
    #[arg(long, value_delimiter = ',', value_name = "SCOPES")]
    pub scopes: Vec<String>,
    /// oauth2: Secret and key that hold the client secret, as SECRET/KEY; otherwise it is asked for, or
    /// read from a pipe, and stored beside the refresh token.
    #[arg(long, value_parser = secret_key, value_name = "SECRET/KEY")]
    pub client_secret_from: Option<SecretKeyRef>,
    /// Data Center: Secret and key that hold the certificates of a private CA in PEM form, as
    /// SECRET/KEY; for a new credential.
    #[arg(long, value_parser = secret_key, value_name = "SECRET/KEY", conflicts_with = "ca_config_map")]
    pub ca_secret: Option<SecretKeyRef>,
    /// Data Center: the same in a `ConfigMap`, as CONFIGMAP/KEY.
    #[arg(long, value_parser = config_map_key, value_name = "CONFIGMAP/KEY")]
    pub ca_config_map: Option<ConfigMapKeyRef>,
    /// Open no browser; the address where the browser ends can be pasted, for oauth1 the verification
    /// code that Jira shows.
    #[arg(long)]
    pub no_browser: bool,
    /// Account that must consent: on Cloud its id or e-mail address, on Data Center its user name or key.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// How long to wait for a person: for the consent, for oauth1 the application link, and for the choice
    /// of a site; 0 means without a limit.
    #[arg(long, default_value = "10m", value_parser = words::limit, value_name = "TIME")]
    pub consent_timeout: Duration,
    /// Cloud: base address of Atlassian's authorize page and token endpoint.
    #[arg(long, default_value = "https://auth.atlassian.com", value_parser = https, value_name = "URL")]
    pub auth_url: String,
    /// How this machine calls Jira.
    #[command(flatten)]
    pub validate: ValidateArgs,
    /// How long the command waits for the operator.
    #[command(flatten)]
    pub limit: WaitArgs,
}

/// How a site is hosted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum HostingArg {
    /// Atlassian's cloud.
    #[value(name = "Cloud")]
    Cloud,
    /// Jira Data Center.
    #[value(name = "DataCenter")]
    DataCenter,
}

impl From<HostingArg> for Hosting {
    fn from(hosting: HostingArg) -> Self {
        match hosting {
            HostingArg::Cloud => Self::Cloud,
            HostingArg::DataCenter => Self::DataCenter,
        }
    }
}

/// The methods that begin with a person in a browser.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum MethodArg {
    /// OAuth 2.0: the operator renews the tokens.
    #[value(name = "oauth2")]
    OAuth2,
    /// OAuth 1.0a with an application link; Data Center only.
    #[value(name = "oauth1")]
    OAuth1,
}

/// Reads SECRET/KEY.
fn secret_key(text: &str) -> Result<SecretKeyRef, String> {
    match key_of(text) {
        Some((name, key)) => Ok(SecretKeyRef { name, key }),
        None => {
            Err("write the name of a Secret and a key in it, such as app/client-secret".to_owned())
        }
    }
}

/// Reads CONFIGMAP/KEY.
fn config_map_key(text: &str) -> Result<ConfigMapKeyRef, String> {
    match key_of(text) {
        Some((name, key)) => Ok(ConfigMapKeyRef { name, key }),
        None => {
            Err("write the name of a ConfigMap and a key in it, such as corp-ca/ca.crt".to_owned())
        }
    }
}

fn key_of(text: &str) -> Option<(String, String)> {
    let (name, key) = text.split_once('/')?;
    let is_key = !name.is_empty() && !key.is_empty() && !key.contains('/');
    is_key.then(|| (name.to_owned(), key.to_owned()))
}

fn https(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.query().is_none() => Ok(text.to_owned()),
        _ => Err("write https://HOST".to_owned()),
    }
}
