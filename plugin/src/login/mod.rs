//! `login`: a person consents to an app of OAuth 2.0 on Jira Cloud, for the first time or again. No
//! secret is in an argument, the environment, a file or an output.

pub mod consent;
pub mod exchange;
pub mod listener;
pub mod page;
pub mod plan;
pub mod secret;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jira_credential_operator::api::{JiraCredential, SecretKeyRef};
use kube::Api;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use tokio::sync::mpsc;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::login::consent::{Expected, Judged, Outcome, Redirect};
use crate::login::listener::{Listener, START};
use crate::login::plan::{CLIENT_SECRET, Plan};
use crate::output;
use crate::rotate::is_settled;
use crate::rotate::page::launch;
use crate::rotate::store::Stored;
use crate::rotate::validate::ValidateArgs;
use crate::wait::{self, WaitArgs};
use crate::words;

/// `login NAME`.
#[derive(Args, Clone, Debug)]
pub struct LoginArgs {
    /// Name of the credential; it is created if there is none.
    name: String,
    /// Address of the site, such as <https://acme.atlassian.net>; for a new credential.
    #[arg(long, value_name = "URL")]
    site: Option<String>,
    /// Client id of the app in the developer console; for a new credential.
    // The server chooses it, so it may begin with a hyphen; kubectl takes such values too.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    client_id: Option<String>,
    /// Callback URL of the app, character by character as it is registered.
    #[arg(long, default_value = "http://localhost:8765/callback", value_parser = Redirect::parse, value_name = "URL")]
    redirect_uri: Redirect,
    /// Scopes to ask for beside `offline_access`; otherwise those of the spec, or read:jira-work
    /// and read:jira-user.
    #[arg(long, value_delimiter = ',', value_name = "SCOPES")]
    scopes: Vec<String>,
    /// Secret and key that hold the client secret, as SECRET/KEY; otherwise it is asked for, or read
    /// from a pipe, and stored beside the refresh token.
    #[arg(long, value_parser = secret_key, value_name = "SECRET/KEY")]
    client_secret_from: Option<SecretKeyRef>,
    /// Open no browser; the address where the browser ends can be pasted.
    #[arg(long)]
    no_browser: bool,
    /// E-mail address or id of the account that must consent.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// How long to wait for the consent; 0 means for ever.
    #[arg(long, default_value = "10m", value_parser = words::limit, value_name = "TIME")]
    consent_timeout: Duration,
    /// Base address of Atlassian's authorize page and token endpoint.
    #[arg(long, default_value = "https://auth.atlassian.com", value_parser = https, value_name = "URL")]
    auth_url: String,
    #[command(flatten)]
    validate: ValidateArgs,
    #[command(flatten)]
    limit: WaitArgs,
}

/// Reads SECRET/KEY.
fn secret_key(text: &str) -> Result<SecretKeyRef, String> {
    match text.split_once('/') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() && !key.contains('/') => {
            Ok(SecretKeyRef {
                name: name.to_owned(),
                key: key.to_owned(),
            })
        }
        _ => {
            Err("write the name of a Secret and a key in it, such as app/client-secret".to_owned())
        }
    }
}

fn https(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.query().is_none() => Ok(text.to_owned()),
        _ => Err("write https://HOST".to_owned()),
    }
}

impl LoginArgs {
    /// Has a person consent, stores the consent, and waits until the operator has accepted it.
    ///
    /// # Errors
    /// When anything fails; the message says whether the consent was stored.
    pub async fn run(&self, cluster: &Cluster) -> Result<Exit, Failure> {
        let api: Api<JiraCredential> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let what = format!(
            "read the JiraCredential {}/{}",
            cluster.namespace, self.name
        );
        let plan = Plan::of(self, cluster.ask(&what, api.get_opt(&self.name)).await?)?;
        // Everything that can fail without the consent, before a person gives one.
        if !plan.exists {
            store::create(cluster, &plan.object, true).await?;
        }
        let jira = self.validate.jira()?;
        let target = plan.method.refresh_token_secret_ref.clone();
        let read = store::read(cluster, &target.name).await?;
        let listener = self.listener(&plan.redirect).await?;
        let secrets = self.client_secrets(cluster, &plan).await?;
        let code = self.consent(&plan, listener).await?;
        let gateway = self.validate.gateway();
        let consented = exchange::exchange(&plan, &jira, gateway, &secrets, &code).await?;
        output::progress(&format!("{} consented.", consented.account.known_as()));
        let mut values = vec![(target.key.as_str(), &consented.refresh)];
        if plan.types_secret(self) {
            values.extend(secrets.iter().map(|secret| (CLIENT_SECRET, secret)));
        }
        let stored = store::write(cluster, &target.name, read, &values).await?;
        output::progress(&format!("Stored in {target}."));
        let object = if plan.exists {
            plan.object
        } else {
            let created = store::create(cluster, &plan.object, false).await?;
            output::progress(&format!("Created the JiraCredential {}.", self.name));
            created
        };
        self.wait(cluster, &object, &stored).await
    }

    async fn listener(&self, redirect: &Redirect) -> Result<Option<Listener>, Failure> {
        match Listener::bind(redirect).await {
            Ok(listener) => Ok(Some(listener)),
            // The address can be pasted.
            Err(_) if self.no_browser => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn client_secrets(
        &self,
        cluster: &Cluster,
        plan: &Plan,
    ) -> Result<Vec<SecretString>, Failure> {
        if plan.types_secret(self) {
            return Ok(vec![secret::ask()?]);
        }
        let mut secrets = Vec::new();
        for reference in &plan.method.client_secret_refs {
            secrets.push(store::value(cluster, reference).await?);
        }
        Ok(secrets)
    }

    /// Sends the person to the authorize page, and waits for the code.
    async fn consent(
        &self,
        plan: &Plan,
        listener: Option<Listener>,
    ) -> Result<SecretString, Failure> {
        let state = consent::state()?;
        let (client_id, redirect) = (&plan.method.client_id, &plan.redirect);
        let url = consent::authorize_url(&plan.auth_url, client_id, &plan.scopes, redirect, &state);
        output::progress(&format!(
            "Log in at Atlassian as {}, choose {} and consent at\n{url}",
            plan.who(),
            plan.site.host
        ));
        let mut paste = None;
        if self.no_browser {
            output::progress(&format!(
                "The browser ends at {}?…; if it shows no answer there, paste that whole address here.",
                redirect.text
            ));
            paste = Some(secret::lines());
        } else if !launch(&redirect.sibling(START)) {
            output::progress("The browser could not be opened; open the address yourself.");
        }
        let expected = Arc::new(Expected::new(redirect.clone(), state));
        let outcome = outcome(&expected, listener, &url, paste);
        let outcome = if self.consent_timeout.is_zero() {
            outcome.await
        } else {
            let ended = tokio::time::timeout(self.consent_timeout, outcome).await;
            ended.map_err(|_| {
                Failure::new(
                    Exit::TimedOut,
                    "nobody consented within --consent-timeout. Nothing was stored; run login again",
                )
            })?
        };
        settle(outcome)
    }

    async fn wait(
        &self,
        cluster: &Cluster,
        object: &JiraCredential,
        stored: &Stored,
    ) -> Result<Exit, Failure> {
        if object.spec.suspend {
            output::print(&format!(
                "{}: stored, and suspended: it is published when spec.suspend is false again\n",
                self.name
            ))?;
            return Ok(Exit::NotReady);
        }
        let generation = object.metadata.generation;
        let is_settled = |object: &JiraCredential| is_settled(object, stored, generation);
        let object = wait::until(cluster, &self.name, self.limit.timeout, is_settled).await?;
        crate::renew::show(&object)
    }
}

/// What an outcome means for a person.
fn settle(outcome: Option<Outcome>) -> Result<SecretString, Failure> {
    match outcome {
        Some(Outcome::Code(code)) => Ok(code),
        Some(Outcome::Declined) => Err(Failure::new(
            Exit::NotReady,
            "the consent was declined. Nothing was stored; run login again to consent",
        )),
        Some(Outcome::Failed(error)) => Err(Failure::new(
            Exit::NotReady,
            format!(
                "Atlassian reported {error} in place of a consent. Nothing was stored; check the scopes and the callback URL of the app in the developer console, and run login again"
            ),
        )),
        None => Err(Failure::error(
            "standard input ended before the address was pasted. Nothing was stored; run login again",
        )),
    }
}

/// The first answer: of the browser, or pasted. None when there can be no more.
async fn outcome(
    expected: &Arc<Expected>,
    listener: Option<Listener>,
    url: &str,
    paste: Option<mpsc::Receiver<Zeroizing<String>>>,
) -> Option<Outcome> {
    match (listener, paste) {
        (Some(listener), Some(lines)) => tokio::select! {
            answer = listener.wait(expected.clone(), url.to_owned()) => answer,
            Some(answer) = pasted(expected, lines) => Some(answer),
        },
        (Some(listener), None) => listener.wait(expected.clone(), url.to_owned()).await,
        (None, Some(lines)) => pasted(expected, lines).await,
        (None, None) => None,
    }
}

async fn pasted(
    expected: &Expected,
    mut lines: mpsc::Receiver<Zeroizing<String>>,
) -> Option<Outcome> {
    while let Some(line) = lines.recv().await {
        if line.trim().is_empty() {
            continue;
        }
        match expected.judge_pasted(&line) {
            Judged::Answer(outcome) => return Some(outcome),
            Judged::Foreign => output::progress(
                "This address belongs to another login. Consent at the address above, and paste where the browser ends.",
            ),
            Judged::Elsewhere | Judged::Malformed => output::progress(
                "This is not the address of the callback. Paste the whole address that the browser shows.",
            ),
        }
    }
    None
}
