//! Clients other than the administrator.

use std::{path::Path, time::Duration};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, Config, api::PostParams};

use crate::{ControlPlane, Error, access::Identity, error::Context, objects::eventually, plane};

impl ControlPlane {
    /// The configuration of a user. Users need no account: RBAC rules name
    /// them. The API server adds the group `system:authenticated`.
    pub fn user_config(&self, name: &str, groups: &[&str]) -> Result<Config, Error> {
        self.endpoint.config(&self.user(name, groups))
    }

    /// A client of a user, for the current runtime.
    pub fn user_client(&self, name: &str, groups: &[&str]) -> Result<Client, Error> {
        plane::client(self.user_config(name, groups)?)
    }

    /// Writes a kubeconfig file of a user.
    pub fn user_kubeconfig(&self, name: &str, groups: &[&str], path: &Path) -> Result<(), Error> {
        self.endpoint
            .write_kubeconfig(&self.user(name, groups), path)
    }

    fn user(&self, name: &str, groups: &[&str]) -> Identity {
        let groups = groups.iter().map(ToString::to_string).collect();
        Identity {
            acts_as: Some((name.to_owned(), groups)),
            ..self.admin.clone()
        }
    }

    /// The configuration of a service account, with a token of its own. The
    /// account must exist.
    pub async fn service_account_config(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Config, Error> {
        let identity = self.service_account(namespace, name).await?;
        let mut config = self.endpoint.config(&identity)?;
        namespace.clone_into(&mut config.default_namespace);
        Ok(config)
    }

    /// A client of a service account, for the current runtime.
    pub async fn service_account_client(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Client, Error> {
        plane::client(self.service_account_config(namespace, name).await?)
    }

    /// Writes a kubeconfig file of a service account.
    pub async fn service_account_kubeconfig(
        &self,
        namespace: &str,
        name: &str,
        path: &Path,
    ) -> Result<(), Error> {
        let identity = self.service_account(namespace, name).await?;
        self.endpoint.write_kubeconfig(&identity, path)
    }

    async fn service_account(&self, namespace: &str, name: &str) -> Result<Identity, Error> {
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: Vec::new(),
                expiration_seconds: Some(24 * 60 * 60),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let accounts = Api::<ServiceAccount>::namespaced(self.client()?, namespace);
        let what = format!("a token for service account {namespace}/{name}");
        // The controller manager makes the default account of a new namespace
        // a moment after the namespace.
        let response = eventually(&what, Duration::from_secs(10), async || {
            match accounts
                .create_token_request(name, &PostParams::default(), &request)
                .await
            {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
                other => other.map(Some).context(&what),
            }
        })
        .await?;
        let token = response
            .status
            .map(|status| status.token)
            .unwrap_or_default();
        Ok(Identity {
            token,
            acts_as: None,
        })
    }
}
