//! The exchange of an authorization code for the first tokens of a consent.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header;
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded::Serializer;

use super::request::{FORM, json};
use super::{Sent, TokenAnswer, read};
use crate::api::Hosting;
use crate::core::probe::Outage;
use crate::jira::client::{Jira, Raw};
use crate::jira::gateway::{endpoint, named};
use crate::jira::site_limiter::Urgency;
use crate::jira::transport_error;

/// The exchange of a code at a token endpoint (Atlassian documentation).
pub struct CodeExchange<'a> {
    /// Address of the token endpoint.
    pub endpoint: &'a str,
    /// Whether it is Atlassian's, or that of a Data Center.
    pub hosting: Hosting,
    /// Private authorities that are trusted, in PEM form; Data Center only.
    pub ca_pem: Option<&'a [u8]>,
    /// Client id.
    pub client_id: &'a str,
    /// Client secret.
    pub client_secret: &'a SecretString,
    /// The code of the callback. It is spent once, and lives ten minutes; on Data Center ten seconds,
    /// unless the administrator allows more (Atlassian documentation).
    pub code: &'a SecretString,
    /// What the challenge of the authorize request was made of (RFC 7636); none if it had none.
    pub verifier: Option<&'a SecretString>,
    /// The callback URL of the authorize request, character by character.
    pub redirect_uri: &'a str,
    /// How long the call may take.
    pub limit: Duration,
}

impl Jira {
    /// Exchanges a code for tokens: one call. `Dead` means that the code is not accepted.
    pub async fn exchange(&self, request: &CodeExchange<'_>) -> TokenAnswer {
        let site = match endpoint(request.endpoint, request.hosting) {
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
        let Ok(client) = self.clients.get(request.hosting, request.ca_pem) else {
            return TokenAnswer::NoVerdict(Outage::BadCaBundle);
        };
        let call = client
            .post(url)
            .header(header::ACCEPT, "application/json")
            .header(header::CACHE_CONTROL, "no-store");
        let (kind, body) = request.body();
        let call = call.header(header::CONTENT_TYPE, kind).body(body);
        let raw = match call.send().await {
            Ok(response) => Raw::read(response).await,
            Err(error) => Err(transport_error::verdict(error)),
        };
        match raw {
            Ok(raw) => read(&raw.answer(request.hosting, self.clock.now()), &Sent::Code),
            Err(verdict) => TokenAnswer::of(&verdict),
        }
    }
}

impl CodeExchange<'_> {
    /// The fields in the form that the endpoint reads, and the name of that form.
    fn body(&self) -> (&'static str, Vec<u8>) {
        let mut fields: BTreeMap<&str, &str> = [
            ("grant_type", "authorization_code"),
            ("client_id", self.client_id),
            ("client_secret", self.client_secret.expose_secret()),
            ("code", self.code.expose_secret()),
            ("redirect_uri", self.redirect_uri),
        ]
        .into();
        let verifier = self.verifier.map(ExposeSecret::expose_secret);
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        match self.hosting {
            Hosting::Cloud => json(&fields),
            Hosting::DataCenter => {
                let body = Serializer::new(String::new()).extend_pairs(fields).finish();
                (FORM, body.into_bytes())
            }
        }
    }
}
