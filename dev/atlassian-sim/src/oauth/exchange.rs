//! Issuing tokens, and exchanging refresh tokens.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::calls::Verdict;
use crate::token::TokenKind;
use crate::world::{TokenRecord, World};

use super::families::{Pair, Source, Standing};
use super::ledger::SpendOutcome;
use super::settings::Replay;

/// What an exchange came to.
#[derive(Debug)]
pub(super) enum Exchange {
    /// An access token, and a refresh token unless it is left out.
    Granted {
        access: Arc<str>,
        refresh: Option<Arc<str>>,
        outcome: SpendOutcome,
    },
    /// Nothing.
    Refused {
        outcome: SpendOutcome,
        verdict: Verdict,
    },
}

fn refused(outcome: SpendOutcome, verdict: Verdict) -> Exchange {
    Exchange::Refused { outcome, verdict }
}

impl World {
    /// Exchanges a refresh token for a client that has validated itself.
    pub(super) fn exchange(&mut self, value: &str, client: &str, now: DateTime<Utc>) -> Exchange {
        let Some(token) = self.oauth.token(value) else {
            return refused(SpendOutcome::Dead, Verdict::Rejected);
        };
        let number = token.family;
        let owned = |family: &super::families::Family| family.order.client == client;
        if !self.oauth.family(number).is_some_and(owned) {
            return refused(SpendOutcome::ClientRejected, Verdict::Rejected);
        }
        match self.oauth.standing(token, now) {
            Standing::Fresh => self.exchange_first(value, number, now),
            Standing::Leeway(pair) => self.exchange_again(pair, number, now),
            Standing::Late => {
                self.oauth.kill(number);
                refused(SpendOutcome::LateReuse, Verdict::Revoked)
            }
            Standing::Dead(verdict) => refused(SpendOutcome::Dead, verdict),
        }
    }

    fn exchange_first(&mut self, value: &str, family: u64, now: DateTime<Utc>) -> Exchange {
        if self.oauth.rules(family).omit_refresh_token {
            let access = self.renew_access(family, now);
            if let Some(token) = self.oauth.token_mut(value) {
                token.used = now;
            }
            let successor = self.refresh_id(value);
            return Exchange::Granted {
                access,
                refresh: None,
                outcome: SpendOutcome::Exchanged { successor },
            };
        }
        let pair = self.new_pair(family, now);
        if let Some(token) = self.oauth.token_mut(value) {
            token.exchanged = Some((now, pair.clone()));
        }
        let successor = self.refresh_id(&pair.refresh);
        granted(pair, SpendOutcome::Exchanged { successor })
    }

    fn exchange_again(&mut self, first: Pair, family: u64, now: DateTime<Utc>) -> Exchange {
        let pair = match self.oauth.rules(family).replay {
            Replay::SameSuccessor => first,
            Replay::NewSuccessor => self.new_pair(family, now),
        };
        let successor = self.refresh_id(&pair.refresh);
        granted(pair, SpendOutcome::Replayed { successor })
    }

    fn refresh_id(&self, value: &str) -> String {
        self.oauth
            .token(value)
            .map_or_else(|| "unknown".to_owned(), |token| token.id.clone())
    }

    fn new_pair(&mut self, family: u64, now: DateTime<Utc>) -> Pair {
        Pair {
            access: self.renew_access(family, now),
            refresh: self.issue_refresh(family, None, now),
        }
    }

    /// A refresh token of a given or a generated value.
    pub(super) fn issue_refresh(
        &mut self,
        family: u64,
        value: Option<&str>,
        now: DateTime<Utc>,
    ) -> Arc<str> {
        let value: Arc<str> = match value {
            Some(value) => value.into(),
            None => self.rng.opaque(320).into(),
        };
        self.oauth.add_refresh(&value, family, now);
        value
    }

    /// A new access token of a family. Those before it end with the overlap, whatever their life.
    pub(super) fn renew_access(&mut self, number: u64, now: DateTime<Utc>) -> Arc<str> {
        let Some(family) = self.oauth.family_mut(number) else {
            return "".into();
        };
        let before = std::mem::take(&mut family.access);
        let (owner, scopes) = (family.order.owner.clone(), family.order.scopes.clone());
        let client = family.order.client.clone();
        let end = now.checked_add_signed(self.oauth.rules(number).overlap);
        for id in before {
            if let Some(token) = self.token_mut(&id) {
                token.revoked_from = token.revoked_from.or(end);
            }
        }
        let (id, value) = self.issue_access(Source::Family(number), &owner, scopes, &client, now);
        if let Some(family) = self.oauth.family_mut(number) {
            family.access.push(id);
        }
        value
    }

    /// An access token; returns its id and its value.
    pub(super) fn issue_access(
        &mut self,
        source: Source,
        owner: &str,
        scopes: Vec<String>,
        client: &str,
        now: DateTime<Utc>,
    ) -> (Arc<str>, Arc<str>) {
        let id = self.oauth.next_access_id();
        let instance = self.oauth.instance_of(client).map(str::to_owned);
        let life = match instance {
            Some(_) => self.oauth.data_center.access_life,
            None => self.oauth.settings.access_life,
        };
        let expires_at = now.checked_add_signed(life);
        let claims = json!({
            "jti": self.rng.uuid(),
            "sub": self.accounts.get(owner).map(|account| &account.id),
            "iss": "https://auth.cloud.localhost",
            "aud": client,
            "client_id": client,
            "iat": now.timestamp(),
            "nbf": now.timestamp(),
            "exp": expires_at.map(|end| end.timestamp()),
            "scope": scopes.join(" "),
        });
        let value = self.web_token(&claims.to_string());
        let record = TokenRecord {
            id: Arc::clone(&id),
            kind: TokenKind::Access,
            owner: owner.to_owned(),
            host: instance,
            scopes,
            expires_at,
            revoked: false,
            revoked_from: None,
            source: Some(source),
            name: String::new(),
            created: now,
            last_used: None,
        };
        self.keep_token(Arc::clone(&value), record);
        (id, value)
    }

    /// The shape of a JSON web token. Its signature is noise: nobody may rely on the inside.
    pub(super) fn web_token(&mut self, claims: &str) -> Arc<str> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.rng.uuid() });
        let head = URL_SAFE_NO_PAD.encode(header.to_string());
        let claims = URL_SAFE_NO_PAD.encode(claims);
        format!("{head}.{claims}.{}", self.rng.opaque(342)).into()
    }
}

fn granted(pair: Pair, outcome: SpendOutcome) -> Exchange {
    Exchange::Granted {
        access: pair.access,
        refresh: Some(pair.refresh),
        outcome,
    }
}
