//! The handles on an application link and on what it gives out.

use std::fmt;
use std::sync::Arc;

use super::LinkKey;
use super::dance::let_in;
use crate::data_center::DataCenter;
use crate::token::Token;

/// An application link of a Data Center instance: its incoming side.
#[derive(Debug, Clone)]
pub struct ApplicationLink {
    instance: DataCenter,
    consumer_key: String,
}

/// An access token of OAuth 1.0a, as step 3 of the authorisation answers it.
#[derive(Clone)]
pub struct AccessToken {
    /// The token, to be revoked and to be let expire.
    pub token: Token,
    secret: Arc<str>,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl AccessToken {
    /// `oauth_token_secret`; RSA-SHA1 does not use it.
    pub fn token_secret(&self) -> &str {
        &self.secret
    }
}

impl DataCenter {
    /// Makes an application link, or gives it another key.
    pub fn application_link(&self, consumer_key: &str, key: &LinkKey) -> ApplicationLink {
        let link = ApplicationLink {
            instance: self.clone(),
            consumer_key: consumer_key.to_owned(),
        };
        link.set_key(key);
        link
    }
}

impl ApplicationLink {
    /// The consumer key.
    pub fn consumer_key(&self) -> &str {
        &self.consumer_key
    }

    /// An administrator pastes another public key.
    pub fn set_key(&self, key: &LinkKey) {
        let mut world = self.instance.sim().shared.world();
        if let Some(instance) = world.instance_mut(self.instance.host()) {
            let keys = &mut instance.links.keys;
            keys.insert(self.consumer_key.clone(), key.public().to_vec());
        }
    }

    /// An administrator registers a callback: a request token may name this one, or `oob`. Without
    /// a registered callback a request token may name any address of HTTP.
    #[must_use]
    pub fn callback(self, url: &str) -> Self {
        let mut world = self.instance.sim().shared.world();
        if let Some(instance) = world.instance_mut(self.instance.host()) {
            let callbacks = &mut instance.links.callbacks;
            callbacks.insert(self.consumer_key.clone(), url.to_owned());
        }
        drop(world);
        self
    }

    /// An administrator deletes the link; its tokens are of no use from then on.
    pub fn remove(&self) {
        let mut world = self.instance.sim().shared.world();
        if let Some(instance) = world.instance_mut(self.instance.host()) {
            instance.links.keys.remove(&self.consumer_key);
            instance.links.callbacks.remove(&self.consumer_key);
        }
    }

    /// A user, made unless it exists, lets the consumer in: an access token for five years.
    pub fn authorize(&self, user: &str) -> AccessToken {
        let sim = self.instance.sim();
        let now = sim.clock().now();
        let host = self.instance.host();
        let mut world = sim.shared.world();
        world.ensure_user(host, user);
        let (token, secret) = let_in(&mut world, host, &self.consumer_key, user, now);
        AccessToken { token, secret }
    }
}
