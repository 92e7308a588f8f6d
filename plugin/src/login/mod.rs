//! `login`: a person consents in the browser, for the first time or again: to an app of OAuth 2.0 on Jira
//! Cloud (`cloud`) or Data Center (`data_center`), or to an application link of OAuth 1.0a (`oauth1`). No
//! secret is in an argument, the environment, a file or an output.

pub mod app;
pub mod args;
pub mod browser;
pub mod cloud;
pub mod consent;
pub mod data_center;
pub mod exchange;
pub mod input;
pub mod listener;
pub mod new;
pub mod oauth1;
pub mod oauth2;
pub mod page;
pub mod pkce;
pub mod plan;
pub mod secret;
pub mod seed;
pub mod session;
pub mod sites;
pub mod store;

use jira_credential_operator::api::{JiraCredential, Method};
use kube::Api;

pub use args::LoginArgs;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::login::input::Input;
use crate::login::plan::Plan;
use crate::login::session::Session;
use crate::login::store::Written;
use crate::output;
use crate::rotate::is_settled;
use crate::wait;

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
        let existing = cluster.ask(&what, api.get_opt(&self.name)).await?;
        let mut session = Session {
            args: self,
            cluster,
            jira: self.validate.jira()?,
            input: Input::default(),
        };
        let exists = existing.is_some();
        let object = match existing {
            Some(object) => object,
            None => new::credential(self, new::hosting(self, &session.jira).await?)?,
        };
        let plan = Plan::of(self, object, exists)?;
        let written = match plan.object.spec.auth.method() {
            Some(Method::OAuth2(method)) => oauth2::run(&mut session, &plan, method).await?,
            Some(Method::OAuth1(method)) => oauth1::run(&mut session, &plan, method).await?,
            // The plan has refused every other.
            _ => return Err(Failure::error("login is for oauth2 and oauth1")),
        };
        self.wait(cluster, &written).await
    }

    async fn wait(&self, cluster: &Cluster, written: &Written) -> Result<Exit, Failure> {
        let object = &written.object;
        if object.spec.suspend {
            output::print(&format!(
                "{}: stored, and suspended: it is published when spec.suspend is false again\n",
                self.name
            ))?;
            return Ok(Exit::NotReady);
        }
        let generation = object.metadata.generation;
        let is_settled = |object: &JiraCredential| is_settled(object, &written.secret, generation);
        let object = wait::until(cluster, &self.name, self.limit.timeout, is_settled).await?;
        crate::renew::show(&object)
    }
}
