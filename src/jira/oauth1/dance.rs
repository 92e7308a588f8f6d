//! How a consumer gets an access token (RFC 5849, section 2): a request token, which a person allows in
//! the browser, and its exchange. Paths and answers are those of Atlassian's documentation.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, header};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};

use super::{nonce, parameters};
use crate::core::probe::{Outage, Verdict};
use crate::core::spec::{RsaKey, Site};
use crate::jira::client::{Jira, Raw};
use crate::jira::data_center::Place;
use crate::jira::gateway::{named, verdict_of};
use crate::jira::response;
use crate::jira::site_limiter::Urgency;
use crate::jira::transport_error;

const REQUEST_TOKEN: &str = "/plugins/servlet/oauth/request-token";
const AUTHORIZE: &str = "/plugins/servlet/oauth/authorize";
const ACCESS_TOKEN: &str = "/plugins/servlet/oauth/access-token";

/// No token of an application link comes near this length.
const LONGEST_TOKEN: usize = 1024;

/// The consumer of an application link.
#[derive(Clone)]
pub struct Consumer {
    /// Consumer key of the application link.
    pub consumer_key: String,
    /// The private key whose public key the application link has.
    pub key: Arc<RsaKey>,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Consumer").finish_non_exhaustive()
    }
}

/// What a person let a consumer have.
pub struct AccessToken {
    /// The access token.
    pub token: SecretString,
    /// Its secret, if there is one. RSA-SHA1 does not use it.
    pub token_secret: Option<SecretString>,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AccessToken")
            .finish_non_exhaustive()
    }
}

impl Consumer {
    /// The page where a person allows a request token.
    pub fn authorize_url(&self, site: &Site, request_token: &SecretString) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("oauth_token", request_token.expose_secret())
            .finish();
        format!("{}{AUTHORIZE}?{query}", site.base)
    }
}

impl Jira {
    /// Asks for a request token: one call. `callback` is where the browser is sent afterwards, or `oob`:
    /// then Jira shows the verifier.
    ///
    /// # Errors
    /// When Jira refuses the consumer, or nothing was learnt.
    pub async fn request_token(
        &self,
        place: &Place<'_>,
        consumer: &Consumer,
        callback: &str,
    ) -> Result<SecretString, Verdict> {
        let own = [("oauth_callback", callback)];
        let step = self.step(place, consumer, REQUEST_TOKEN, &own);
        Ok(step.await?.token)
    }

    /// Exchanges a request token that a person has allowed: one call.
    ///
    /// # Errors
    /// When Jira refuses the request token or the verifier, or nothing was learnt.
    pub async fn access_token(
        &self,
        place: &Place<'_>,
        consumer: &Consumer,
        request_token: &SecretString,
        verifier: &SecretString,
    ) -> Result<AccessToken, Verdict> {
        let own = [
            ("oauth_token", request_token.expose_secret()),
            ("oauth_verifier", verifier.expose_secret()),
        ];
        self.step(place, consumer, ACCESS_TOKEN, &own).await
    }

    async fn step(
        &self,
        place: &Place<'_>,
        consumer: &Consumer,
        path: &str,
        own: &[(&str, &str)],
    ) -> Result<AccessToken, Verdict> {
        let call = async {
            let raw = self.post_signed(place, consumer, path, own).await?;
            if raw.status == 200 && raw.body.complete {
                // A page of a proxy in between, for example.
                return granted(&raw.body.bytes).ok_or(Verdict::NoVerdict(Outage::OAuthForm));
            }
            let answer = raw.answer(place.site.hosting, self.clock.now());
            Err(match response::read(&answer) {
                Verdict::Accepted(_) => Verdict::NoVerdict(Outage::Unexpected(raw.status)),
                verdict => verdict,
            })
        };
        let operation = ("oauth1_token", Urgency::Renewal);
        self.limited(place.site, operation, call, verdict_of)
            .await?
    }

    async fn post_signed(
        &self,
        place: &Place<'_>,
        consumer: &Consumer,
        path: &str,
        own: &[(&str, &str)],
    ) -> Result<Raw, Verdict> {
        let url = named(&format!("{}{path}", place.site.base))?;
        let client = self
            .clients
            .get(place.site.hosting, place.ca_pem)
            .map_err(|_| Verdict::NoVerdict(Outage::BadCaBundle))?;
        let signed = self.signed(consumer, &url, own);
        let mut value = signed
            .and_then(|text| HeaderValue::from_str(&text).ok())
            .ok_or(Verdict::NoVerdict(Outage::NotSigned))?;
        value.set_sensitive(true);
        let call = client
            .post(url)
            .timeout(place.limit)
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::AUTHORIZATION, value);
        let response = call.send().await;
        Raw::read(response.map_err(transport_error::verdict)?).await
    }

    fn signed(
        &self,
        consumer: &Consumer,
        url: &Url,
        own: &[(&str, &str)],
    ) -> Option<Zeroizing<String>> {
        let now = self.clock.now().timestamp();
        let parameters = parameters(&consumer.consumer_key, now, &nonce()?);
        super::header(&consumer.key, ("POST", url), &parameters, own)
    }
}

/// The token in an answer, and its secret.
fn granted(body: &[u8]) -> Option<AccessToken> {
    let value = |name: &str| {
        let mut values = form_urlencoded::parse(body).filter(|(known, _)| known == name);
        let value = values.next()?.1.into_owned();
        let is_sane = (1..=LONGEST_TOKEN).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_graphic());
        (is_sane && values.next().is_none()).then(|| SecretString::from(value))
    };
    Some(AccessToken {
        token: value("oauth_token")?,
        token_secret: value("oauth_token_secret"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_sane_token_is_read() {
        for (body, token, secret) in [
            (
                "oauth_token=a%2Bb&oauth_token_secret=c&oauth_expires_in=157680000",
                Some("a+b"),
                Some("c"),
            ),
            ("oauth_token=a", Some("a"), None),
            ("oauth_token=a&oauth_token_secret=", Some("a"), None),
            ("oauth_token=&oauth_token_secret=c", None, None),
            ("oauth_token=a&oauth_token=b", None, None),
            ("oauth_token=a%20b", None, None),
            ("<html>oauth_token</html>", None, None),
            ("", None, None),
        ] {
            let read = granted(body.as_bytes());
            let text = |value: &SecretString| value.expose_secret().to_owned();
            let found = read.as_ref().map(|read| text(&read.token));
            assert_eq!(found.as_deref(), token, "{body}");
            let found = read.and_then(|read| read.token_secret.as_ref().map(text));
            assert_eq!(found.as_deref(), secret, "{body}");
        }
    }
}
