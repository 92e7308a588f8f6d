//! What the handle on a Data Center instance offers of OAuth 2.0.

use chrono::{DateTime, Utc};

use crate::data_center::DataCenter;

use super::app::OAuthApp;
use super::consent::Consent;
use super::families::{Link, Order, Service};

impl DataCenter {
    /// Makes an incoming application link, which people can consent to; it has these redirect
    /// URLs.
    pub fn oauth_link(&self, redirect_uris: &[&str]) -> OAuthApp {
        let redirect_uris = redirect_uris.iter().map(|&uri| uri.to_owned()).collect();
        self.oauth_link_with(redirect_uris, None, None)
    }

    pub(crate) fn oauth_link_with(
        &self,
        redirect_uris: Vec<String>,
        id: Option<&str>,
        secret: Option<&str>,
    ) -> OAuthApp {
        let link = Link {
            host: self.host().to_owned(),
            redirect_uris,
            ends: None,
        };
        OAuthApp::new(self.sim().clone(), id, secret, None, Some(link))
    }

    /// A user consents to what a link asks for, and is sent to its first redirect URL: what the
    /// exchange of the authorization code gives. A refresh token always comes along.
    pub fn consent(&self, link: &OAuthApp, user: &str, scopes: &[&str]) -> Consent {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.consent_with(link, user, scopes, None)
    }

    /// A consent, with a first refresh token of a given or a generated value.
    pub(crate) fn consent_with(
        &self,
        link: &OAuthApp,
        user: &str,
        scopes: Vec<String>,
        refresh: Option<&str>,
    ) -> Consent {
        self.with_user(user, |_| ());
        let redirect_uri = link.with(|client| {
            let uris = client.link.as_ref().map(|link| link.redirect_uris.clone());
            uris.unwrap_or_default().into_iter().next()
        });
        let now = self.sim().clock().now();
        let mut world = self.sim().shared.world();
        let order = Order {
            client: link.client_id().to_owned(),
            owner: user.to_lowercase(),
            resources: Vec::new(),
            scopes,
            redirect_uri: redirect_uri.flatten(),
        };
        let family = world.oauth.found(order, true, now);
        let access = world.renew_access(family, now);
        let refresh = world.issue_refresh(family, refresh, now);
        drop(world);
        Consent::new(self.sim().clone(), family, refresh, access)
    }

    /// Makes a service account and an OAuth 2.0 credential of it, as Jira 11 knows them, for the
    /// grant `client_credentials`.
    pub fn service_client(&self, user: &str, scopes: &[&str]) -> OAuthApp {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.service_client_with(user, scopes, None, None)
    }

    pub(crate) fn service_client_with(
        &self,
        user: &str,
        scopes: Vec<String>,
        id: Option<&str>,
        secret: Option<&str>,
    ) -> OAuthApp {
        self.with_user(user, |_| ());
        let service = Service {
            owner: user.to_lowercase(),
            scopes,
            resources: Vec::new(),
        };
        let link = Link {
            host: self.host().to_owned(),
            redirect_uris: Vec::new(),
            ends: None,
        };
        OAuthApp::new(self.sim().clone(), id, secret, Some(service), Some(link))
    }

    /// Lets a service account's credential end at a time, or never.
    pub fn end_service_client(&self, client: &OAuthApp, end: Option<DateTime<Utc>>) {
        client.with(|client| {
            if let Some(link) = &mut client.link {
                link.ends = end;
            }
        });
    }
}
