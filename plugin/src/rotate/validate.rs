//! Asking Jira whose a token is, with the client and the rules of the operator.

use std::path::PathBuf;

use clap::Args;
use jira_credential_operator::api::{
    Account, Hosting, JiraCredential, JiraCredentialSpec, Method, Reason,
};
use jira_credential_operator::clock::Clock;
use jira_credential_operator::core::probe::{Outage, Refusal, Verdict};
use jira_credential_operator::core::spec::Site;
use jira_credential_operator::jira::{
    AddressPolicy, Credential, DEFAULT_CLOUD_HOSTS, HostPolicy, Jira, JiraConfig,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use secrecy::SecretString;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};

/// Flags of the operator that matter when this machine calls Jira.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for calling Jira, as the operator has them")]
pub struct ValidateArgs {
    /// PEM file with certificate authorities to trust beside those of the system.
    #[arg(long, value_name = "FILE")]
    extra_ca_file: Option<PathBuf>,
    /// Exceptions to the refusal of loopback, link-local and (for Cloud) private addresses.
    #[arg(long, value_delimiter = ',', value_name = "ADDRESSES")]
    allowed_addresses: Vec<String>,
    /// Cloud: base address of Atlassian's gateway, where tokens with scopes work.
    #[arg(long, default_value = "https://api.atlassian.com", value_name = "URL")]
    api_url: String,
}

impl ValidateArgs {
    /// The client of the operator, with these flags.
    ///
    /// # Errors
    /// When a flag is wrong or a file cannot be read.
    pub fn jira(&self) -> Result<Jira, Failure> {
        let extra = match &self.extra_ca_file {
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                Failure::error(format!("--extra-ca-file: {}: {error}", path.display()))
            })?),
            None => None,
        };
        let addresses = AddressPolicy::parse(&self.allowed_addresses)
            .map_err(|error| Failure::new(Exit::Usage, format!("--allowed-addresses: {error}")))?;
        let config = JiraConfig {
            addresses,
            extra_ca_pem: extra,
            ..JiraConfig::default()
        };
        Jira::new(config, Clock::system()).map_err(|error| Failure::error(error.to_string()))
    }

    /// Base address of the gateway, without a slash at its end.
    pub fn gateway(&self) -> &str {
        self.api_url.trim_end_matches('/')
    }
}

/// Whether a credential may be sent to the site: to Atlassian's own hosts, and to what the operator
/// itself has called for the present spec, since its administrator allows that.
///
/// # Errors
/// When it may not.
pub fn check_host(object: &JiraCredential, site: &Site) -> Result<(), Failure> {
    let confirmed = is_confirmed(object, site).then(|| site.host.clone());
    let (cloud, data_center) = match site.hosting {
        Hosting::Cloud => (confirmed, None),
        Hosting::DataCenter => (None, confirmed),
    };
    let cloud = DEFAULT_CLOUD_HOSTS
        .iter()
        .map(ToString::to_string)
        .chain(cloud);
    let policy = HostPolicy::parse(cloud, data_center);
    let policy = policy.map_err(|error| Failure::error(error.to_string()))?;
    policy.check(site).map_err(|_| {
        Failure::error(format!(
            "no token is sent to {}: it is no host of Atlassian's, and the operator has not called it for this spec. Let an administrator allow it (--allowed-hosts of the operator), wait for status, and try again. Nothing was stored",
            site.host
        ))
    })
}

fn is_confirmed(object: &JiraCredential, site: &Site) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    let is_seen = Some(status.observed_generation) == object.metadata.generation;
    let refused = [Reason::HostNotAllowed, Reason::SpecInvalid];
    let may = status
        .conditions
        .iter()
        .all(|condition| !refused.contains(&condition.reason));
    // Only an answer shows that it was called.
    let answered = status.last_validated_time.is_some() || status.account.is_some();
    let called = status.site.as_ref().is_some_and(|called| {
        called.hosting == site.hosting
            && (called.api_url == site.base || called.address.as_deref() == Some(&site.base))
    });
    is_seen && may && answered && called
}

/// What sends a token to Jira.
pub struct Sender {
    jira: Jira,
    user: Option<String>,
    ca_pem: Option<Vec<u8>>,
    gateway: String,
    cloud_id: Option<String>,
}

impl Sender {
    /// Reads what goes with the token: the e-mail address and the certificates.
    ///
    /// # Errors
    /// When something is missing or may not be read.
    pub async fn new(
        cluster: &Cluster,
        object: &JiraCredential,
        args: &ValidateArgs,
    ) -> Result<Self, Failure> {
        let status = object.status.as_ref();
        let site = status.and_then(|status| status.site.as_ref());
        Ok(Self {
            jira: args.jira()?,
            user: user(cluster, &object.spec).await?,
            ca_pem: authorities(cluster, &object.spec).await?,
            gateway: args.gateway().to_owned(),
            cloud_id: site.and_then(|site| site.cloud_id.clone()),
        })
    }

    /// Asks whose the token is: at the site, and for one with scopes at the gateway.
    ///
    /// # Errors
    /// When Jira refuses it, or does not tell.
    pub async fn whoami(&self, site: &Site, token: &SecretString) -> Result<Account, Failure> {
        let credential = match &self.user {
            Some(user) => Credential::Basic {
                user: user.clone(),
                secret: token.clone(),
            },
            None => Credential::Bearer(token.clone()),
        };
        let mut verdict = self
            .jira
            .whoami(site, self.ca_pem.as_deref(), &credential)
            .await;
        // Where a token with scopes is refused that the gateway takes. A password must not be sent there.
        let is_open = matches!(
            verdict,
            Verdict::Refused(Refusal::Rejected | Refusal::Forbidden)
        );
        if is_open
            && site.hosting == Hosting::Cloud
            && let Some(gateway) = self.at_gateway(site).await
        {
            let second = self.jira.whoami(&gateway, None, &credential).await;
            if matches!(second, Verdict::Accepted(_)) {
                verdict = second;
            }
        }
        match verdict {
            Verdict::Accepted(account) => Ok(account),
            other => Err(Failure::new(
                // Without an answer nothing is known of the token.
                match other {
                    Verdict::NoVerdict(_) | Verdict::NotAllowed(_) => Exit::Error,
                    _ => Exit::NotReady,
                },
                format!("{} Nothing was stored", refusal(&other, &site.host)),
            )),
        }
    }

    /// The site behind the gateway.
    async fn at_gateway(&self, site: &Site) -> Option<Site> {
        let id = match &self.cloud_id {
            Some(id) => id.clone(),
            None => self.jira.locate(site).await.ok()?,
        };
        behind_gateway(&self.gateway, &id)
    }
}

/// A site as the gateway has it.
pub fn behind_gateway(gateway: &str, id: &str) -> Option<Site> {
    let rest = gateway.strip_prefix("https://")?;
    let host = rest.split([':', '/']).next()?;
    Some(Site {
        hosting: Hosting::Cloud,
        base: format!("{gateway}/ex/jira/{id}"),
        host: host.to_owned(),
    })
}

/// The e-mail address of an API token; none for a personal access token.
async fn user(cluster: &Cluster, spec: &JiraCredentialSpec) -> Result<Option<String>, Failure> {
    let Some(Method::ApiToken(method)) = spec.auth.method() else {
        return Ok(None);
    };
    let Some(reference) = &method.email_secret_ref else {
        return Ok(method.email.clone());
    };
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let what = format!("read the Secret {}", reference.name);
    let secret = cluster.ask(&what, api.get(&reference.name)).await?;
    let value = secret
        .data
        .as_ref()
        .and_then(|data| data.get(&reference.key));
    let text = value.and_then(|value| std::str::from_utf8(&value.0).ok());
    let text = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    let missing = || {
        Failure::error(format!(
            "{reference} has no e-mail address; store it there first"
        ))
    };
    Ok(Some(
        text.filter(|text| !text.is_empty()).ok_or_else(missing)?,
    ))
}

/// The certificates of `spec.tls`, in PEM form.
///
/// # Errors
/// When they may not be read.
pub async fn authorities(
    cluster: &Cluster,
    spec: &JiraCredentialSpec,
) -> Result<Option<Vec<u8>>, Failure> {
    let Some(tls) = &spec.tls else {
        return Ok(None);
    };
    if let Some(reference) = &tls.ca_secret_ref {
        let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let what = format!("read the Secret {}", reference.name);
        let secret = cluster.ask(&what, api.get(&reference.name)).await?;
        let value = secret.data.and_then(|mut data| data.remove(&reference.key));
        return Ok(value.map(|value| value.0));
    }
    if let Some(reference) = &tls.ca_config_map_ref {
        let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let what = format!("read the ConfigMap {}", reference.name);
        let map = cluster.ask(&what, api.get(&reference.name)).await?;
        let value = map.data.and_then(|mut data| data.remove(&reference.key));
        return Ok(value.map(String::into_bytes));
    }
    Ok(None)
}

/// Why a token was not accepted, and what to do.
fn refusal(verdict: &Verdict, host: &str) -> String {
    let cause = match verdict {
        Verdict::Refused(Refusal::PasswordNotAllowed) => {
            "does not accept the account's password: create an API token, and enter that."
        }
        Verdict::Refused(Refusal::Rejected) => {
            "refuses the token: it is wrong, or belongs to another account. Copy it again, or create it as the account of the credential."
        }
        Verdict::Refused(Refusal::InsufficientScope) => {
            "accepts the token, but it lacks a scope to read its own user: create one with the scope read:jira-user."
        }
        Verdict::Refused(Refusal::IpBlocked) => {
            "does not accept calls from this machine's address: try from an address on the site's IP allow-list."
        }
        Verdict::Refused(Refusal::AccountInactive) => {
            "says that the account is deactivated: reactivate it."
        }
        Verdict::Refused(_) => {
            "refuses the token: check the account's access to Jira, spec.site and the method."
        }
        Verdict::NoVerdict(outage) => unanswered(outage),
        Verdict::NotAllowed(_) => {
            "has an address that no credential is sent to: see --allowed-addresses."
        }
        Verdict::Accepted(_) => "accepts the token.",
    };
    format!("Jira at {host} {cause}")
}

/// What an outage means for a person.
pub fn unanswered(outage: &Outage) -> &'static str {
    match outage {
        Outage::Dns => "is not found by this machine's name servers: check the network or VPN.",
        Outage::Connect | Outage::ConnectionLost | Outage::Timeout => {
            "does not answer this machine: check the network or VPN, and try again."
        }
        Outage::Certificate | Outage::Tls | Outage::BadCaBundle => {
            "has a certificate that this machine does not trust: see --extra-ca-file and spec.tls."
        }
        Outage::RateLimited { .. } => "asks to wait: try again in some minutes.",
        Outage::Redirect | Outage::SingleSignOn | Outage::Moved | Outage::ContextPath => {
            "redirects to another page: check spec.site."
        }
        _ => "did not say whose the token is: try again, and check spec.site.",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::{Value, json};

    use super::*;

    fn object(site: &str, hosting: &str, status: &Value) -> JiraCredential {
        serde_json::from_value(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": "bot", "generation": 3},
            "spec": {"site": site, "hosting": hosting, "auth": {
                "personalAccessToken": {"tokenSecretRef": {"name": "s", "key": "t"}},
            }},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_token_goes_to_atlassian_and_to_what_the_operator_has_called() {
        let mine = "https://jira.example.com/jira";
        let status = |url: &str, generation: i64, reason: &str| {
            json!({
                "observedGeneration": generation, "lastValidatedTime": "2027-01-01T00:00:00Z",
                "site": {"hosting": "DataCenter", "apiUrl": url},
                "conditions": [{"type": "Ready", "status": "True", "reason": reason, "message": "",
                    "lastTransitionTime": "2027-01-01T00:00:00Z"}],
            })
        };
        let mut unanswered = status(mine, 3, "Validated");
        unanswered
            .as_object_mut()
            .unwrap()
            .remove("lastValidatedTime");
        for (name, site, hosting, status, allowed) in [
            (
                "Cloud, never called",
                "https://acme.atlassian.net",
                "Cloud",
                json!({}),
                true,
            ),
            (
                "another host as Cloud",
                "https://evil.example",
                "Cloud",
                json!({}),
                false,
            ),
            (
                "Data Center, never called",
                mine,
                "DataCenter",
                json!({}),
                false,
            ),
            (
                "Data Center, called",
                mine,
                "DataCenter",
                status(mine, 3, "Validated"),
                true,
            ),
            (
                "for an older spec",
                mine,
                "DataCenter",
                status(mine, 2, "Validated"),
                false,
            ),
            (
                "at another address",
                mine,
                "DataCenter",
                status("https://jira.evil.example", 3, "Validated"),
                false,
            ),
            (
                "not allowed",
                mine,
                "DataCenter",
                status(mine, 3, "HostNotAllowed"),
                false,
            ),
            ("planned only", mine, "DataCenter", unanswered, false),
        ] {
            let object = object(site, hosting, &status);
            let site = Site::of(&object.spec).unwrap();
            assert_eq!(check_host(&object, &site).is_ok(), allowed, "{name}");
        }
    }
}
