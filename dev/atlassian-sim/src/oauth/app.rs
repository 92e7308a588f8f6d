//! The handle on a client of the token endpoint.

use std::fmt;
use std::sync::Arc;

use crate::cloud_site::CloudSite;
use crate::sim::Sim;
use crate::world::World;

use super::consent::Consent;
use super::families::{Client, Link, Order, Resource, Service};

/// The scope that asks for a refresh token.
pub(super) const OFFLINE: &str = "offline_access";

/// A client of the token endpoint: an app that people consent to, or a service account's
/// credential. Clones mean the same client.
#[derive(Clone)]
pub struct OAuthApp {
    sim: Sim,
    id: Arc<str>,
}

impl OAuthApp {
    /// Makes a client, of a given or a generated id and secret.
    pub(crate) fn new(
        sim: Sim,
        id: Option<&str>,
        secret: Option<&str>,
        service: Option<Service>,
        link: Option<Link>,
    ) -> Self {
        let mut world = sim.shared.world();
        let id: Arc<str> = match id {
            Some(id) => id.into(),
            None => world.rng.client_id().into(),
        };
        let secret = match secret {
            Some(secret) => secret.to_owned(),
            None => world.rng.opaque(64),
        };
        let client = Client {
            secrets: vec![secret],
            service,
            link,
            callback: None,
        };
        world.oauth.clients.insert(id.to_string(), client);
        drop(world);
        Self { sim, id }
    }

    /// The handle on a client that exists.
    pub(crate) fn existing(sim: Sim, id: &str) -> Option<Self> {
        let known = sim.shared.world().oauth.clients.contains_key(id);
        known.then(|| Self { sim, id: id.into() })
    }

    /// The client id.
    pub fn client_id(&self) -> &str {
        &self.id
    }

    /// The newest secret; empty if all were revoked.
    pub fn secret(&self) -> String {
        let secrets = |client: &mut Client| client.secrets.last().cloned();
        self.with(secrets).flatten().unwrap_or_default()
    }

    /// The e-mail of the service account behind the client, if it is the client of one.
    pub fn service_account(&self) -> Option<String> {
        let owner = |client: &mut Client| client.service.as_ref().map(|s| s.owner.clone());
        self.with(owner).flatten()
    }

    /// Adds a secret and returns it. The old ones stay valid.
    pub fn add_secret(&self) -> String {
        let secret = self.sim.shared.world().rng.opaque(64);
        self.with(|client| client.secrets.push(secret.clone()));
        secret
    }

    /// Revokes a secret. The tokens stay as they are.
    pub fn revoke_secret(&self, secret: &str) {
        self.with(|client| client.secrets.retain(|known| known != secret));
    }

    /// Registers the callback of an app on Cloud, in place of the one before. The authorize page
    /// compares it letter by letter.
    #[must_use]
    pub fn callback(self, url: &str) -> Self {
        self.with(|client| client.callback = Some(url.to_owned()));
        self
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Client) -> T) -> Option<T> {
        let mut world = self.sim.shared.world();
        world.oauth.clients.get_mut(self.id.as_ref()).map(act)
    }

    /// A person consents: what the exchange of the authorization code gives. A refresh token
    /// comes only with the scope `offline_access`. The account gets access to the sites.
    pub fn consent(&self, email: &str, sites: &[&CloudSite], scopes: &[&str]) -> Consent {
        let hosts: Vec<&str> = sites.iter().map(|site| site.host()).collect();
        let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.consent_with(email, &hosts, scopes, None)
    }

    /// A consent, with a first refresh token of a given or a generated value.
    pub(crate) fn consent_with(
        &self,
        email: &str,
        hosts: &[&str],
        scopes: Vec<String>,
        refresh: Option<&str>,
    ) -> Consent {
        let now = self.sim.clock().now();
        let mut world = self.sim.shared.world();
        admit(&mut world, email, hosts);
        let offline = scopes.iter().any(|scope| scope == OFFLINE);
        let order = Order {
            client: self.id.to_string(),
            owner: email.to_lowercase(),
            resources: resources(hosts, &scopes),
            scopes,
            redirect_uri: None,
        };
        let family = world.oauth.found(order, offline, now);
        let access = world.renew_access(family, now);
        let refresh = if offline {
            world.issue_refresh(family, refresh, now)
        } else {
            world.rng.opaque(320).into()
        };
        drop(world);
        Consent::new(self.sim.clone(), family, refresh, access)
    }
}

fn admit(world: &mut World, email: &str, hosts: &[&str]) {
    // Someone with access to no site is an account all the same.
    world.ensure_account("", email, false);
    for host in hosts {
        world.ensure_account(host, email, false);
    }
}

/// One entry per site, without the scope that is no permission.
pub(crate) fn resources<H: AsRef<str>>(hosts: &[H], scopes: &[String]) -> Vec<Resource> {
    let scopes: Vec<String> = scopes
        .iter()
        .filter(|scope| *scope != OFFLINE)
        .cloned()
        .collect();
    let entry = |host: &H| Resource {
        host: host.as_ref().to_owned(),
        scopes: scopes.clone(),
    };
    hosts.iter().map(entry).collect()
}

impl fmt::Debug for OAuthApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthApp")
            .field("client_id", &self.id)
            .finish_non_exhaustive()
    }
}
