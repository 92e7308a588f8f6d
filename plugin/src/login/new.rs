//! The credential that a login creates.

use jira_credential_operator::api::{Hosting, JiraCredential, SecretKeyRef};
use jira_credential_operator::core::spec::{Site, SiteError};
use jira_credential_operator::jira::Jira;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::login::app::{DATA_CENTER_SCOPES, SCOPES};
use crate::login::args::{HostingArg, LoginArgs, MethodArg};
use crate::login::consent::OFFLINE;
use crate::login::plan::{self, CLIENT_SECRET, REFRESH_TOKEN};

/// Stands for a site that is chosen after the consent, while the API server is only asked whether the
/// credential could be created.
const ANY_SITE: &str = "https://chosen-after-the-consent.atlassian.net";

/// The redirect URL of an application link; Jira wants https there (Atlassian documentation).
const LINK_REDIRECT: &str = "https://localhost:8765/callback";

fn usage(text: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, text)
}

/// How the site of a new credential is hosted: as a flag says, as the host says, or as the site itself
/// answers.
///
/// # Errors
/// When nothing of these tells it.
pub async fn hosting(args: &LoginArgs, jira: &Jira) -> Result<Hosting, Failure> {
    match (args.method, args.hosting, &args.site) {
        (Some(MethodArg::OAuth1), Some(HostingArg::Cloud), _) => Err(usage(
            "--method oauth1 is for Data Center: leave out --hosting Cloud, or take --method oauth2",
        )),
        (Some(MethodArg::OAuth1), _, _) => Ok(Hosting::DataCenter),
        (_, Some(hosting), _) => Ok(hosting.into()),
        (_, None, None) => Ok(Hosting::Cloud),
        (_, None, Some(site)) => of_site(args, jira, site).await,
    }
}

async fn of_site(args: &LoginArgs, jira: &Jira, site: &str) -> Result<Hosting, Failure> {
    if site_of(&object(args, None)?).is_ok() {
        return Ok(Hosting::Cloud);
    }
    let found = site_of(&object(args, Some(Hosting::Cloud))?)
        .map_err(|error| usage(format!("--site: {error}")))?;
    match jira.locate(&found).await {
        Ok(_) => Ok(Hosting::Cloud),
        Err(_) => Err(usage(format!(
            "{site} does not say whether it is Jira Cloud: give --hosting DataCenter or --hosting Cloud"
        ))),
    }
}

fn site_of(object: &JiraCredential) -> Result<Site, SiteError> {
    Site::of(&object.spec)
}

/// The credential of the flags.
///
/// # Errors
/// When flags are missing or do not fit.
pub fn credential(args: &LoginArgs, hosting: Hosting) -> Result<JiraCredential, Failure> {
    fits(args, hosting)?;
    let plain = object(args, None)?;
    // Where host and method say it, the spec need not.
    match site_of(&plain) {
        Ok(site) if site.hosting == hosting && hosting == Hosting::Cloud => Ok(plain),
        Ok(site) if site.hosting != hosting && args.method == Some(MethodArg::OAuth1) => {
            Err(usage(format!(
                "--method oauth1 is for Data Center, and {} is a site of Jira Cloud; use --method oauth2",
                site.host
            )))
        }
        Ok(site) if site.hosting != hosting => Err(usage(format!(
            "{} is a site of Jira Cloud: leave out --hosting DataCenter",
            site.host
        ))),
        _ => object(args, Some(hosting)),
    }
}

/// Whether the flags belong to the method and the hosting.
fn fits(args: &LoginArgs, hosting: Hosting) -> Result<(), Failure> {
    let is_oauth1 = args.method == Some(MethodArg::OAuth1);
    let is_data_center = hosting == Hosting::DataCenter;
    let (id, is_there) = if is_oauth1 {
        ("--consumer-key", args.consumer_key.is_some())
    } else {
        ("--client-id", args.client_id.is_some())
    };
    let has_site = args.site.is_some();
    let missing = match (has_site || !is_data_center, is_there) {
        (true, true) => None,
        (true, false) => Some(id.to_owned()),
        (false, true) => Some("--site".to_owned()),
        (false, false) => Some(format!("--site and {id}")),
    };
    if let Some(missing) = missing {
        return Err(usage(format!(
            "there is no JiraCredential {}; to create it, give {missing}",
            args.name
        )));
    }
    plan::fits_method(args, is_oauth1)?;
    let ca = args.ca_secret.is_some() || args.ca_config_map.is_some();
    if ca && !is_data_center {
        return Err(usage(
            "--ca-secret and --ca-config-map are for Data Center: Jira Cloud has public certificates",
        ));
    }
    let redirect = args.redirect_uri.as_ref();
    if is_data_center && !is_oauth1 && redirect.is_some_and(|redirect| !redirect.is_https()) {
        return Err(usage(
            "--redirect-uri: an application link of OAuth 2.0 has an https URL; nothing needs to listen there, such as https://localhost:8765/callback",
        ));
    }
    Ok(())
}

fn object(args: &LoginArgs, hosting: Option<Hosting>) -> Result<JiraCredential, Failure> {
    let auth = match args.method {
        Some(MethodArg::OAuth1) => json!({"oauth1": {
            "consumerKey": args.consumer_key.clone().unwrap_or_default(),
            "secretRef": {"name": format!("{}-link", args.name)},
        }}),
        _ => json!({"oauth2": oauth2(args, hosting)}),
    };
    let site = args.site.as_deref().unwrap_or(ANY_SITE);
    let mut spec = json!({"site": site, "auth": auth});
    let tls = match (&args.ca_secret, &args.ca_config_map) {
        (Some(reference), _) => Some(json!({"caSecretRef": reference})),
        (None, Some(reference)) => Some(json!({"caConfigMapRef": reference})),
        (None, None) => None,
    };
    if let Some(fields) = spec.as_object_mut() {
        fields.extend(hosting.map(|hosting| ("hosting".to_owned(), json!(hosting))));
        fields.extend(tls.map(|tls| ("tls".to_owned(), tls)));
    }
    let object = json!({
        "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
        "metadata": {"name": args.name}, "spec": spec,
    });
    serde_json::from_value(object).map_err(|error| usage(error.to_string()))
}

fn oauth2(args: &LoginArgs, hosting: Option<Hosting>) -> Value {
    let seed = format!("{}-consent", args.name);
    let typed = SecretKeyRef {
        name: seed.clone(),
        key: CLIENT_SECRET.to_owned(),
    };
    let client_secret = args.client_secret_from.clone().unwrap_or(typed);
    let is_data_center = hosting == Some(Hosting::DataCenter);
    let scopes: Vec<String> = match (args.scopes.as_slice(), is_data_center) {
        ([], true) => DATA_CENTER_SCOPES.map(str::to_owned).to_vec(),
        ([], false) => SCOPES.map(str::to_owned).to_vec(),
        (scopes, _) => {
            let kept = scopes.iter().filter(|scope| *scope != OFFLINE);
            kept.cloned().collect()
        }
    };
    let mut fields = json!({
        "clientId": args.client_id.clone().unwrap_or_default(),
        "clientSecretRefs": [client_secret],
        "refreshTokenSecretRef": {"name": seed, "key": REFRESH_TOKEN},
        "scopes": scopes,
    });
    if let (true, Some(fields)) = (is_data_center, fields.as_object_mut()) {
        let given = args.redirect_uri.as_ref();
        let redirect = given.map_or(LINK_REDIRECT, |redirect| &redirect.text);
        fields.insert("redirectUri".to_owned(), json!(redirect));
    }
    fields
}
