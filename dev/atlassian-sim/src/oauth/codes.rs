//! Authorization codes: good for one exchange, for a short time, by the client they were made for.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::calls::Verdict;
use crate::world::World;

use super::app::OFFLINE;
use super::families::Order;
use super::form::Form;

/// The longest life that Data Center allows a code, in seconds (Atlassian's documentation of the
/// provider: `max.client.delay.seconds`).
const DATA_CENTER_LIMIT: i64 = 600;

/// What a client proves possession of (RFC 7636).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) hashed: bool,
    pub(super) value: String,
}

impl Challenge {
    /// The challenge of an authorize request, if it sends one. `Err` says what is wrong with it.
    pub(super) fn parse(value: &str, method: &str) -> Result<Option<Self>, &'static str> {
        if value.is_empty() {
            return match method {
                "" => Ok(None),
                _ => Err("code_challenge is missing"),
            };
        }
        // Section 4.3: the method is `plain` unless told otherwise.
        let hashed = match method {
            "S256" => true,
            "plain" | "" => false,
            _ => return Err("code_challenge_method must be S256 or plain"),
        };
        if !is_verifier(value) {
            return Err("code_challenge must be 43 to 128 unreserved characters");
        }
        Ok(Some(Self {
            hashed,
            value: value.to_owned(),
        }))
    }

    fn accepts(&self, verifier: &str) -> bool {
        let sent = if self.hashed {
            URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
        } else {
            verifier.to_owned()
        };
        is_verifier(verifier) && sent == self.value
    }
}

/// The syntax of a verifier (RFC 7636, section 4.1), which a challenge shares.
fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

/// A code as the server keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(super) order: Order,
    /// The callback that the code was sent to.
    pub(super) sent_to: String,
    pub(super) issued: DateTime<Utc>,
    pub(super) challenge: Option<Challenge>,
    used: bool,
}

impl Code {
    pub(super) fn new(
        order: Order,
        sent_to: &str,
        challenge: Option<Challenge>,
        issued: DateTime<Utc>,
    ) -> Self {
        Self {
            order,
            sent_to: sent_to.to_owned(),
            issued,
            challenge,
            used: false,
        }
    }

    /// A verifier without a challenge is refused as well: somebody has removed the challenge
    /// (RFC 9700, section 2.1.1).
    fn is_proven(&self, verifier: &str) -> bool {
        match &self.challenge {
            Some(challenge) => challenge.accepts(verifier),
            None => verifier.is_empty(),
        }
    }
}

/// The codes issued, by value.
pub(crate) type Codes = HashMap<Arc<str>, Code>;

/// What the exchange of a code gives: the access token, and the refresh token if there is one.
pub(super) type Redeemed = (Arc<str>, Option<Arc<str>>);

impl World {
    /// Issues a code. On Cloud it has the shape of a JSON web token (seen since 2022), on Data
    /// Center it is opaque.
    pub(super) fn issue_code(&mut self, code: Code) -> Arc<str> {
        let value: Arc<str> = if self.oauth.instance_of(&code.order.client).is_some() {
            self.rng.opaque(32).into()
        } else {
            let claims = json!({ "jti": self.rng.uuid(), "iat": code.issued.timestamp() });
            self.web_token(&claims.to_string())
        };
        self.consents.codes += 1;
        self.oauth.codes.insert(Arc::clone(&value), code);
        value
    }

    /// Exchanges a code for a client that has validated itself. A refusal leaves the code as it
    /// was; what a second use does to the tokens of the first is not established, and here they
    /// live on.
    pub(super) fn redeem(&mut self, form: &Form, now: DateTime<Utc>) -> Result<Redeemed, Verdict> {
        let code = self.oauth.codes.get(form.code.as_str());
        let code = code
            .filter(|code| code.order.client == form.client_id)
            .filter(|code| code.sent_to == form.redirect_uri)
            .ok_or(Verdict::Rejected)?
            .clone();
        let on_instance = self.oauth.instance_of(&form.client_id).is_some();
        // Cloud takes a challenge and never looks at it again.
        if on_instance && !code.is_proven(&form.code_verifier) {
            return Err(Verdict::Rejected);
        }
        if code.used {
            return Err(Verdict::Revoked);
        }
        if now - code.issued >= self.code_life(on_instance) {
            return Err(Verdict::Expired);
        }
        if let Some(code) = self.oauth.codes.get_mut(form.code.as_str()) {
            code.used = true;
        }
        let offline = on_instance || code.order.scopes.iter().any(|scope| scope == OFFLINE);
        let family = self.oauth.found(code.order, offline, code.issued);
        let access = self.renew_access(family, now);
        let refresh = offline.then(|| self.issue_refresh(family, None, now));
        Ok((access, refresh))
    }

    fn code_life(&self, on_instance: bool) -> TimeDelta {
        if on_instance {
            let most = TimeDelta::seconds(DATA_CENTER_LIMIT);
            self.oauth.data_center.code_life.min(most)
        } else {
            self.oauth.settings.code_life
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    #[test]
    fn challenges_accept_their_verifier_only() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let hash = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        for (value, method, sent, accepted) in [
            (hash, "S256", verifier, true),
            (hash, "S256", hash, false),
            (hash, "S256", "", false),
            (verifier, "plain", verifier, true),
            (verifier, "", verifier, true),
            (hash, "plain", verifier, false),
        ] {
            let challenge = Challenge::parse(value, method).unwrap().unwrap();
            assert_eq!(challenge.accepts(sent), accepted, "{value} {method} {sent}");
        }
        for (value, method) in [("", "S256"), (hash, "s256"), ("short", "plain")] {
            assert!(Challenge::parse(value, method).is_err(), "{value} {method}");
        }
        assert_eq!(Challenge::parse("", ""), Ok(None));
    }
}
