//! What a token endpoint is sent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::form_urlencoded::Serializer;

use crate::api::Hosting;

/// The only kind of body that the endpoint of a Data Center reads.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// A request for tokens.
pub struct TokenRequest<'a> {
    /// Address of the token endpoint.
    pub endpoint: &'a str,
    /// Who runs it.
    pub provider: Provider<'a>,
    /// Client id.
    pub client_id: &'a str,
    /// Client secret.
    pub client_secret: &'a SecretString,
    /// The refresh token to spend; none for client credentials.
    pub refresh_token: Option<&'a SecretString>,
    /// The name of the attempt, by which a server's log can be matched with ours.
    pub attempt: &'a str,
    /// How long the call may take.
    pub limit: Duration,
    /// It is not made later than this, since another process may have made it; `None`: no limit.
    /// Between the decision and the call lie the wait for a turn, and the sleep of a machine.
    pub until: Option<DateTime<Utc>>,
}

/// Who runs a token endpoint.
#[derive(Clone, Copy, Debug)]
pub enum Provider<'a> {
    /// Atlassian, for its cloud.
    Atlassian,
    /// A Data Center, for itself.
    DataCenter {
        /// Private authorities that are trusted, in PEM form.
        ca_pem: Option<&'a [u8]>,
        /// The redirect URL of the consent.
        redirect_uri: Option<&'a str>,
        /// What client credentials ask for.
        scopes: &'a [String],
    },
}

impl Provider<'_> {
    pub(super) fn hosting(&self) -> Hosting {
        match self {
            Provider::Atlassian => Hosting::Cloud,
            Provider::DataCenter { .. } => Hosting::DataCenter,
        }
    }

    pub(super) fn ca_pem(&self) -> Option<&[u8]> {
        match self {
            Provider::Atlassian => None,
            Provider::DataCenter { ca_pem, .. } => *ca_pem,
        }
    }
}

impl TokenRequest<'_> {
    /// The fields of the body.
    fn fields(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let grant = match self.refresh_token {
            Some(_) => "refresh_token",
            None => "client_credentials",
        };
        let mut fields = vec![
            ("grant_type", Cow::Borrowed(grant)),
            ("client_id", Cow::Borrowed(self.client_id)),
            (
                "client_secret",
                Cow::Borrowed(self.client_secret.expose_secret()),
            ),
        ];
        let token = self.refresh_token.map(ExposeSecret::expose_secret);
        fields.extend(token.map(|token| ("refresh_token", Cow::Borrowed(token))));
        if let Provider::DataCenter {
            redirect_uri,
            scopes,
            ..
        } = self.provider
        {
            let redirect_uri = redirect_uri.filter(|_| token.is_some());
            fields.extend(redirect_uri.map(|uri| ("redirect_uri", Cow::Borrowed(uri))));
            if token.is_none() {
                fields.push(("scope", Cow::Owned(scopes.join(" "))));
            }
        }
        fields
    }

    /// The fields in the form that the endpoint reads, and the name of that form.
    pub(super) fn body(&self) -> (&'static str, Vec<u8>) {
        let fields = self.fields();
        match self.provider {
            Provider::Atlassian => json(&fields.into_iter().collect::<BTreeMap<_, _>>()),
            Provider::DataCenter { .. } => {
                let body = Serializer::new(String::new()).extend_pairs(fields).finish();
                (FORM, body.into_bytes())
            }
        }
    }

    pub(super) fn sent(&self) -> Sent {
        match (self.refresh_token, self.provider) {
            (None, _) => Sent::Client,
            (Some(_), Provider::Atlassian) => Sent::RefreshToken,
            (Some(_), Provider::DataCenter { redirect_uri, .. }) => {
                redirect_uri.map_or(Sent::Half, |_| Sent::RefreshTokenAndUrl)
            }
        }
    }
}

/// The body that Atlassian's endpoint reads.
pub(super) fn json<V: Serialize>(fields: &BTreeMap<&str, V>) -> (&'static str, Vec<u8>) {
    // A map with text keys and text values can always be written as JSON.
    (
        "application/json",
        serde_json::to_vec(fields).unwrap_or_default(),
    )
}

/// What an answer is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// Client id and secret alone.
    Client,
    /// A refresh token as well.
    RefreshToken,
    /// To a Data Center: a refresh token, and the redirect URL of its consent.
    RefreshTokenAndUrl,
    /// The code of a consent.
    Code,
    /// To a Data Center: a refresh token without that URL. Its refusal says nothing of the token.
    Half,
}
