//! The exchange of an authorization code for the first tokens of a consent.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header;
use secrecy::{ExposeSecret, SecretString};

use super::{Sent, TokenAnswer, read};
use crate::api::Hosting;
use crate::core::probe::Outage;
use crate::jira::client::{Jira, Raw};
use crate::jira::gateway::{endpoint, named};
use crate::jira::site_limiter::Urgency;
use crate::jira::transport_error;

/// The exchange of a code at Atlassian's token endpoint (Atlassian documentation).
pub struct CodeExchange<'a> {
    /// Address of the token endpoint.
    pub endpoint: &'a str,
    /// Client id.
    pub client_id: &'a str,
    /// Client secret.
    pub client_secret: &'a SecretString,
    /// The code of the callback. It is spent once, and lives ten minutes.
    pub code: &'a SecretString,
    /// The callback URL of the authorize request, character by character.
    pub redirect_uri: &'a str,
    /// How long the call may take.
    pub limit: Duration,
}

impl Jira {
    /// Exchanges a code for tokens: one call. `Dead` means that the code is not accepted.
    pub async fn exchange(&self, request: &CodeExchange<'_>) -> TokenAnswer {
        let site = match endpoint(request.endpoint, Hosting::Cloud) {
            Ok(site) => site,
            Err(verdict) => return TokenAnswer::of(&verdict),
        };
        let call = async {
            match tokio::time::timeout(request.limit, self.post_code(request)).await {
                Ok(answer) => answer,
                Err(_) => TokenAnswer::NoVerdict(Outage::Timeout),
            }
        };
        let bucket = ("token", Urgency::Renewal);
        match self
            .limited(&site, bucket, call, TokenAnswer::verdict)
            .await
        {
            Ok(answer) => answer,
            Err(verdict) => TokenAnswer::of(&verdict),
        }
    }

    async fn post_code(&self, request: &CodeExchange<'_>) -> TokenAnswer {
        let url = match named(request.endpoint) {
            Ok(url) => url,
            Err(verdict) => return TokenAnswer::of(&verdict),
        };
        let Ok(client) = self.clients.get(Hosting::Cloud, None) else {
            return TokenAnswer::NoVerdict(Outage::BadCaBundle);
        };
        let body: BTreeMap<&str, &str> = [
            ("grant_type", "authorization_code"),
            ("client_id", request.client_id),
            ("client_secret", request.client_secret.expose_secret()),
            ("code", request.code.expose_secret()),
            ("redirect_uri", request.redirect_uri),
        ]
        .into();
        let call = client
            .post(url)
            .header(header::ACCEPT, "application/json")
            .header(header::CACHE_CONTROL, "no-store")
            .json(&body);
        let raw = match call.send().await {
            Ok(response) => Raw::read(response).await,
            Err(error) => Err(transport_error::verdict(&error)),
        };
        match raw {
            Ok(raw) => read(&raw.answer(Hosting::Cloud, self.clock.now()), &Sent::Code),
            Err(verdict) => TokenAnswer::of(&verdict),
        }
    }
}
