//! Cookie sessions: begun by a login, ended by a logout, by idleness or by a restart.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use http::{Method, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::answers::{self, Visit};
use super::super::login::{self, Login};
use super::ledger::{Book, PatRequest, SessionAct, SessionEvent};
use crate::calls::{Call, Verdict};
use crate::reply::{JSON, Reply};
use crate::request::Incoming;
use crate::service::Context;
use crate::world::{DcUser, World};

/// What an instance keeps until it is ended, and what was asked of it.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// By the value of the cookie.
    pub(crate) sessions: HashMap<String, Session>,
    pub(crate) events: Book<SessionEvent>,
    pub(crate) pat_requests: Book<PatRequest>,
}

/// A session that was begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The id in the logs, such as `session-3`. Never the cookie.
    pub id: String,
    /// Who is logged in.
    pub owner: String,
    /// When it was begun.
    pub begun: DateTime<Utc>,
    /// When it was last used.
    pub used: DateTime<Utc>,
}

impl Session {
    pub(crate) fn lives(&self, now: DateTime<Utc>, idle_seconds: i64) -> bool {
        let idle = TimeDelta::try_seconds(idle_seconds).unwrap_or(TimeDelta::MAX);
        now - self.used < idle
    }
}

/// What a login says.
#[derive(Deserialize)]
struct Wish {
    username: String,
    password: String,
}

impl Kept {
    /// A live session; asking keeps it alive. What has idled away is forgotten.
    pub(crate) fn visit(
        &mut self,
        cookie: &str,
        now: DateTime<Utc>,
        idle_seconds: i64,
    ) -> Option<&Session> {
        self.sessions
            .retain(|_, session| session.lives(now, idle_seconds));
        let session = self.sessions.get_mut(cookie)?;
        session.used = now;
        Some(session)
    }
}

/// The user name that a login is for.
pub(super) fn named(call: &Incoming) -> Option<String> {
    let wish: Wish = serde_json::from_slice(&call.body).ok()?;
    Some(wish.username)
}

/// A login: the answer, and who is logged in now.
pub(super) fn log_in(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    entry: &mut Call,
) -> (Reply, Option<String>) {
    let (reply, act, user) = tried(world, call, cx, visit, entry);
    let name = user.as_ref().map(|user| user.name.clone());
    let mut event = SessionEvent {
        number: 0,
        at: cx.now,
        user: entry.user.clone(),
        session: None,
        act,
        status: reply.status.as_u16(),
        answered: false,
    };
    let Some(user) = user else {
        return (noted(world, call, event, reply), None);
    };
    let session = Session {
        id: world.session_id(),
        owner: user.name,
        begun: cx.now,
        used: cx.now,
    };
    entry.token_id = Some(session.id.clone());
    event.session = Some(session.id.clone());
    if let Some(instance) = world.instance_mut(&call.host) {
        instance.kept.sessions.insert(visit.cookie(), session);
    }
    (noted(world, call, event, reply), name)
}

/// What a login comes to, and the user if it is a session.
fn tried(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    entry: &mut Call,
) -> (Reply, SessionAct, Option<DcUser>) {
    if !visit.settings.basic_enabled() {
        return (answers::basic_disabled(), SessionAct::BasicDisabled, None);
    }
    if !super::is_json(call) {
        return (
            answers::unsupported_media_type(),
            SessionAct::Malformed,
            None,
        );
    }
    let Ok(wish) = serde_json::from_slice::<Wish>(&call.body) else {
        let reply = refusal(400, "The request could not be read.").verdict(Verdict::Malformed);
        return (reply, SessionAct::Malformed, None);
    };
    let pair = (wish.username.as_str(), wish.password.as_str());
    let user = match login::basic(world, call, visit.settings, pair, cx.now, entry) {
        Login::Known(user) => user,
        Login::Captcha => {
            // The headers are those of any denied login, the body is this resource's (reported).
            let mut reply = answers::captcha(visit);
            reply.body = refusal(403, "Login denied").body;
            return (
                reply.set(header::CONTENT_TYPE, JSON),
                SessionAct::CaptchaRequired,
                None,
            );
        }
        Login::Refused(verdict) => return (failed(verdict), SessionAct::Refused, None),
        Login::Nobody | Login::Problem(_) => {
            return (failed(Verdict::Rejected), SessionAct::Refused, None);
        }
    };
    if visit.settings.more_steps {
        // That two-step verification refuses such a login is reported, its words are not.
        let reply = refusal(403, "Login denied").verdict(Verdict::NoAccess);
        return (reply, SessionAct::MoreSteps, None);
    }
    let body = json!({
        "session": { "name": "JSESSIONID", "value": visit.cookie() },
        "loginInfo": login_info(&user),
    });
    let reply = Reply::json(200, &body)
        .with("x-seraph-loginreason", "OK")
        .verdict(Verdict::Accepted);
    (reply, SessionAct::LoggedIn, Some(user))
}

/// A login that failed; the challenge and the words are reported.
fn failed(verdict: Verdict) -> Reply {
    refusal(401, "Login failed")
        .set(header::WWW_AUTHENTICATE, "JIRA REST POST")
        .with("x-seraph-loginreason", "AUTHENTICATED_FAILED")
        .verdict(verdict)
}

fn refusal(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "errorMessages": [text], "errors": {} }))
}

/// What Jira counts of logins, as `/rest/auth/1/session` tells it; a time that is not known is
/// left out.
fn login_info(user: &DcUser) -> Value {
    let date = |time: DateTime<Utc>| json!(time.format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string());
    let mut info = Map::new();
    info.insert("failedLoginCount".to_owned(), json!(user.logins.failed));
    info.insert("loginCount".to_owned(), json!(user.logins.good));
    let times = [
        ("lastFailedLoginTime", user.logins.last_failed),
        ("previousLoginTime", user.logins.previous),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            info.insert(name.to_owned(), date(time));
        }
    }
    Value::Object(info)
}

/// Who is logged in, or a logout.
pub(super) fn resource(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    user: Option<&DcUser>,
) -> Reply {
    match (&call.method, user) {
        (&Method::GET | &Method::HEAD, Some(user)) => {
            let body = json!({
                "self": format!("{}/rest/api/latest/user?username={}", visit.base, user.name),
                "name": user.name,
                "loginInfo": login_info(user),
            });
            Reply::json(200, &body).verdict(Verdict::Accepted)
        }
        (&Method::GET | &Method::HEAD, None) => nobody(call),
        (&Method::DELETE, user) => log_out(world, call, cx, user),
        _ => answers::method_not_allowed_but("GET, POST, DELETE, HEAD, OPTIONS"),
    }
}

/// Nobody is logged in; a session that is over is told from none in the log only.
fn nobody(call: &Incoming) -> Reply {
    answers::not_logged_in().verdict(match call.session {
        Some(_) => Verdict::Expired,
        None => Verdict::Anonymous,
    })
}

fn log_out(world: &mut World, call: &Incoming, cx: &Context, user: Option<&DcUser>) -> Reply {
    let ended = world.instance_mut(&call.host).and_then(|instance| {
        let cookie = call.session.as_deref()?;
        user.and_then(|_| instance.kept.sessions.remove(cookie))
    });
    let (reply, act) = match user {
        Some(_) => {
            let reply = Reply::new(204, JSON, "").verdict(Verdict::Accepted);
            (reply, SessionAct::LoggedOut)
        }
        None => (nobody(call), SessionAct::NotLoggedIn),
    };
    let event = SessionEvent {
        number: 0,
        at: cx.now,
        user: user.map(|user| user.name.clone()),
        session: ended.map(|session| session.id),
        act,
        status: reply.status.as_u16(),
        answered: false,
    };
    noted(world, call, event, reply)
}

/// Writes an event down; the answer carries the news that it was handed over.
fn noted(world: &mut World, call: &Incoming, event: SessionEvent, reply: Reply) -> Reply {
    match world.instance_mut(&call.host) {
        Some(instance) => reply.ticket(instance.kept.events.push(event)),
        None => reply,
    }
}
