//! Cookie sessions: begun by a login, ended by a logout, by idleness or by a restart.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use http::{Method, header};
use serde::Deserialize;
use serde_json::json;

use super::super::answers::{self, Visit};
use super::super::login;
use crate::calls::{Call, Verdict};
use crate::reply::Reply;
use crate::request::Incoming;
use crate::service::Context;
use crate::world::World;

/// The sessions of an instance, and what was done to them.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) sessions: HashMap<String, Session>,
    /// Logins that succeeded.
    pub(crate) logins: u64,
    /// Sessions that were ended by a logout.
    pub(crate) logouts: u64,
}

/// A session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) owner: String,
    pub(crate) used: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Wish {
    username: String,
    password: String,
}

impl Kept {
    /// The owner of a live session; asking keeps it alive.
    pub(crate) fn owner(
        &mut self,
        id: &str,
        now: DateTime<Utc>,
        idle_seconds: i64,
    ) -> Option<String> {
        let idle = TimeDelta::try_seconds(idle_seconds).unwrap_or(TimeDelta::MAX);
        let session = self.sessions.get_mut(id)?;
        if now - session.used >= idle {
            self.sessions.remove(id);
            return None;
        }
        session.used = now;
        Some(session.owner.clone())
    }
}

pub(super) fn log_in(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    entry: &mut Call,
) -> Reply {
    let Ok(wish) = serde_json::from_slice::<Wish>(&call.body) else {
        let body = json!({ "errorMessages": ["Unexpected body"], "errors": {} });
        return Reply::json(400, &body).verdict(Verdict::Malformed);
    };
    entry.user = Some(wish.username.clone());
    let pair = (wish.username.as_str(), wish.password.as_str());
    let user = match login::basic(world, call, visit.settings, pair, entry) {
        login::Login::Known(user) => user,
        login::Login::Captcha => return answers::captcha(visit),
        login::Login::Refused(verdict) => return failed().verdict(verdict),
        login::Login::Nobody | login::Login::Problem(_) => {
            return failed().verdict(Verdict::Rejected);
        }
    };
    if visit.settings.more_steps {
        let text = "Login requires further steps. Please log in through the browser.";
        let body = json!({ "errorMessages": [text], "errors": {} });
        return Reply::json(403, &body).verdict(Verdict::NoAccess);
    }
    // The cookie that every answer sets is that of the session from here on.
    let id = visit.session.to_ascii_uppercase();
    if let Some(instance) = world.instance_mut(&call.host) {
        instance.kept.logins += 1;
        let session = Session {
            owner: user.name.clone(),
            used: cx.now,
        };
        instance.kept.sessions.insert(id.clone(), session);
    }
    let body = json!({
        "session": { "name": "JSESSIONID", "value": id },
        "loginInfo": { "failedLoginCount": 0, "loginCount": 1 },
    });
    Reply::json(200, &body)
        .with("x-seraph-loginreason", "OK")
        .verdict(Verdict::Accepted)
}

fn failed() -> Reply {
    Reply::json(
        401,
        &json!({ "errorMessages": ["Login failed"], "errors": {} }),
    )
    .set(header::WWW_AUTHENTICATE, "JIRA REST POST")
    .with("x-seraph-loginreason", "AUTHENTICATED_FAILED")
}

pub(super) fn resource(
    world: &mut World,
    call: &Incoming,
    visit: &Visit<'_>,
    user: Option<&str>,
) -> Reply {
    let Some(user) = user else {
        return answers::not_logged_in().verdict(Verdict::Anonymous);
    };
    match call.method {
        Method::GET => {
            let own = format!("{}/rest/api/latest/user?username={user}", visit.base);
            Reply::json(200, &json!({ "self": own, "name": user })).verdict(Verdict::Accepted)
        }
        Method::DELETE => {
            let id = call.session.as_deref().unwrap_or_default();
            if let Some(instance) = world.instance_mut(&call.host)
                && instance.kept.sessions.remove(id).is_some()
            {
                instance.kept.logouts += 1;
            }
            Reply::new(204, crate::reply::JSON, "").verdict(Verdict::Accepted)
        }
        _ => answers::method_not_allowed(),
    }
}
