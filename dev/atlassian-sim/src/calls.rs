//! The call log: what was asked, by whom, and what the simulator knows about the answer.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::request::Incoming;

/// What the simulator knows about a request. An answer often tells its client less: one and the
/// same 401 covers a wrong, an expired and a revoked token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The credential was accepted.
    Accepted,
    /// No credential was sent, or the resource does not look at one.
    Anonymous,
    /// A credential was sent that did not work, and the request was answered as anonymous.
    FellThrough,
    /// No such credential, or of another user.
    Rejected,
    /// The token's end has come.
    Expired,
    /// The token was revoked.
    Revoked,
    /// The user is deactivated.
    Deactivated,
    /// The user has no access to the site.
    NoAccess,
    /// The credential is good, but not on this host, or not with this scheme.
    WrongHost,
    /// The token is good, but lacks a scope.
    ScopeMissing,
    /// A password was used on Cloud.
    PasswordRefused,
    /// The login was denied until a person solves a CAPTCHA; the password was not checked.
    Captcha,
    /// Basic authentication is disabled.
    BasicDisabled,
    /// The address is not on the allow-list.
    IpRejected,
    /// The host holds no site.
    UnknownSite,
    /// The gateway knows no such cloudId.
    UnknownCloudId,
    /// The site is suspended.
    Unavailable,
    /// No application link has the consumer key.
    ConsumerUnknown,
    /// The signature does not fit what was asked, or is of another kind than Jira takes.
    SignatureInvalid,
    /// The timestamp of a signed request is outside the window.
    TimestampRefused,
    /// A signed request came twice.
    NonceUsed,
    /// The request makes no sense.
    Malformed,
    /// No such path.
    NotFound,
    /// The resource was removed.
    Removed,
    /// Not processed: a fault answered, or the client went away.
    NotProcessed,
}

/// One request.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Virtual time of arrival.
    pub at: DateTime<Utc>,
    /// The host asked, without port.
    pub host: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// `basic`, `bearer`, `oauth`, `cookie`, `other`, or nothing.
    pub scheme: Option<&'static str>,
    /// The user: as named in a Basic header or a login, or the owner of a Bearer token or session.
    pub user: Option<String>,
    /// The id (never the secret) of the token or session used, if the simulator knows it.
    pub token_id: Option<String>,
    /// What the simulator made of it.
    pub verdict: Verdict,
    /// The status sent; none if the client got no answer.
    pub status: Option<u16>,
    /// The faults that struck, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<&'static str>,
}

impl Call {
    pub(crate) fn new(at: DateTime<Utc>, call: &Incoming) -> Self {
        Self {
            at,
            host: call.host.clone(),
            method: call.method.to_string(),
            path: call.path.clone(),
            scheme: call.scheme(),
            user: None,
            token_id: None,
            verdict: Verdict::NotProcessed,
            status: None,
            faults: Vec::new(),
        }
    }

    /// The credential's name in the counters: the token's id, else `user:<name>`.
    fn credential(&self) -> Option<String> {
        match (&self.token_id, &self.user) {
            (Some(id), _) => Some(id.clone()),
            (None, Some(user)) => Some(format!("user:{user}")),
            (None, None) => None,
        }
    }
}

/// Numbers of requests since the start or the last clearing.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// All requests.
    pub total: u64,
    /// By host.
    pub by_host: BTreeMap<String, u64>,
    /// By path.
    pub by_path: BTreeMap<String, u64>,
    /// By credential: a token's id, or `user:<name>`.
    pub by_credential: BTreeMap<String, u64>,
    /// By status; 0 counts requests without an answer.
    pub by_status: BTreeMap<u16, u64>,
    /// TLS handshakes begun.
    pub handshakes: u64,
    /// TLS handshakes that a fault broke, or that failed.
    pub failed_handshakes: u64,
}

/// Distinct keys per counter: a client that asks for ever new paths must not fill the memory.
const MAX_KEYS: usize = 100_000;

#[derive(Debug)]
pub(crate) struct CallLog {
    capacity: usize,
    calls: VecDeque<Call>,
    total: u64,
    by_host: HashMap<String, u64>,
    by_path: HashMap<String, u64>,
    by_credential: HashMap<String, u64>,
    by_status: BTreeMap<u16, u64>,
    handshakes: u64,
    failed_handshakes: u64,
}

impl CallLog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            calls: VecDeque::new(),
            total: 0,
            by_host: HashMap::new(),
            by_path: HashMap::new(),
            by_credential: HashMap::new(),
            by_status: BTreeMap::new(),
            handshakes: 0,
            failed_handshakes: 0,
        }
    }

    pub(crate) fn push(&mut self, call: Call) {
        self.total += 1;
        count(&mut self.by_host, &call.host);
        count(&mut self.by_path, &call.path);
        if let Some(credential) = call.credential() {
            count(&mut self.by_credential, &credential);
        }
        *self.by_status.entry(call.status.unwrap_or(0)).or_default() += 1;
        if self.capacity == 0 {
            return;
        }
        if self.calls.len() >= self.capacity {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(crate) fn handshake(&mut self) {
        self.handshakes += 1;
    }

    pub(crate) fn handshake_failed(&mut self) {
        self.failed_handshakes += 1;
    }

    pub(crate) fn calls(&self, keep: impl Fn(&Call) -> bool) -> Vec<Call> {
        self.calls
            .iter()
            .filter(|call| keep(call))
            .cloned()
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    pub(crate) fn counters(&self) -> Counters {
        let sorted =
            |map: &HashMap<String, u64>| map.iter().map(|(k, v)| (k.clone(), *v)).collect();
        Counters {
            total: self.total,
            by_host: sorted(&self.by_host),
            by_path: sorted(&self.by_path),
            by_credential: sorted(&self.by_credential),
            by_status: self.by_status.clone(),
            handshakes: self.handshakes,
            failed_handshakes: self.failed_handshakes,
        }
    }
}

fn count(map: &mut HashMap<String, u64>, key: &str) {
    if let Some(number) = map.get_mut(key) {
        *number += 1;
    } else if map.len() < MAX_KEYS {
        map.insert(key.to_owned(), 1);
    }
}
