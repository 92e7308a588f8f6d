//! One request: faults before, the personality, faults after, the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming as RequestBody};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::body::{Abort, SimBody};
use crate::calls::{Call, CallLog, Verdict};
use crate::clock::VirtualClock;
use crate::config::Config;
use crate::fault::Fault;
use crate::fault_reply;
use crate::reply::Reply;
use crate::request::{Authorization, Incoming};
use crate::rules::{Rules, Strike, Subject};
use crate::server::Orders;
use crate::tls::Tls;
use crate::world::{Place, World};
use crate::{cloud, dc, issues, links, oauth, webhook};

/// What the handles and the server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) port: u16,
    pub(crate) clock: VirtualClock,
    pub(crate) tls: Tls,
    pub(crate) rules: Arc<Rules>,
    pub(crate) orders: watch::Sender<Orders>,
    /// Goes up with every call in the log.
    pub(crate) logged: watch::Sender<u64>,
    /// The number of the newest spend in the ledger.
    pub(crate) spent: watch::Sender<u64>,
    world: Mutex<World>,

    log: Mutex<CallLog>,
}

impl Shared {
    pub(crate) fn new(config: Config, port: u16, tls: Tls) -> Self {
        Self {
            world: Mutex::new(World::new(&config.gateway_hosts, &config.auth_hosts)),
            log: Mutex::new(CallLog::new(config.call_log_capacity)),
            config,
            port,
            clock: VirtualClock::default(),
            tls,
            rules: Arc::default(),
            orders: watch::Sender::new(Orders::default()),
            logged: watch::Sender::new(0),
            spent: watch::Sender::new(0),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, CallLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an answer needs to know besides the world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) now: DateTime<Utc>,
    pub(crate) port: u16,
}

impl Context {
    /// The base URL in answers: the one set, or the one this simulator is reached by.
    pub(crate) fn base_url(&self, set: Option<&str>, host: &str) -> String {
        set.map_or_else(|| format!("https://{host}:{}", self.port), str::to_owned)
    }
}

/// A log entry that is written even if the client goes away in the middle.
struct Entry<'a> {
    shared: &'a Shared,
    call: Option<Call>,
}

impl Entry<'_> {
    fn call(&mut self) -> Option<&mut Call> {
        self.call.as_mut()
    }

    fn status(&mut self, status: u16) {
        if let Some(call) = self.call() {
            call.status = Some(status);
        }
    }

    /// Writes the entry now: before the answer leaves, so that who has the answer finds it.
    fn write(&mut self) {
        if let Some(call) = self.call.take() {
            self.shared.log().push(call);
            self.shared.logged.send_modify(|number| *number += 1);
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.write();
    }
}

/// Answers a request, or asks for the connection to be closed.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    request: Request<RequestBody>,
) -> Result<Response<SimBody>, Abort> {
    let (parts, body) = request.into_parts();
    let mut call = Incoming::new(&parts);
    let now = shared.clock.now();
    let mut entry = Entry {
        shared: &shared,
        call: Some(Call::new(now, &call)),
    };
    read(&shared, &mut call, body).await?;
    let mut strikes = Vec::new();
    if let Some(first) = entry.call() {
        identify(&shared, &call, first);
        strikes = self::strikes(&shared, &call, first, now);
        first.faults = strikes.iter().map(|strike| strike.fault.name()).collect();
    }
    let mut last = None;
    for strike in strikes {
        if let Fault::Latency { millis } = strike.fault {
            strike.signal.strike();
            sleep(Duration::from_millis(millis)).await;
        } else {
            last = Some(strike);
        }
    }
    let Some(strike) = last else {
        let reply = process(&shared, &call, &mut entry);
        return Ok(whole(&shared, reply, &mut entry));
    };
    struck(&shared, &call, &strike, &mut entry).await
}

/// Answers a request that is made inside the simulator: no fault strikes it.
pub(crate) fn answer_inside(shared: &Shared, request: Request<String>) -> Reply {
    let (parts, body) = request.into_parts();
    let mut call = Incoming::new(&parts);
    call.body = body.into();
    let mut entry = Entry {
        shared,
        call: Some(Call::new(shared.clock.now(), &call)),
    };
    let reply = process(shared, &call, &mut entry);
    entry.status(reply.status.as_u16());
    reply
}

/// Reads the body where one is looked at. A body that breaks off closes the connection: a request
/// that did not come whole must not do anything.
async fn read(shared: &Shared, call: &mut Incoming, body: RequestBody) -> Result<(), Abort> {
    const LIMIT: usize = 64 * 1024;
    if matches!(call.method, Method::POST | Method::PUT) && has_body(shared, call) {
        let whole = Limited::new(body, LIMIT).collect().await;
        call.body = whole.map_err(|_| Abort)?.to_bytes();
    }
    Ok(())
}

fn has_body(shared: &Shared, call: &Incoming) -> bool {
    let instance = matches!(
        shared.world().places.get(&call.host),
        Some(Place::DataCenter(_))
    );
    let takes_all = matches!(
        shared.world().places.get(&call.host),
        Some(Place::Webhook(_))
    );
    takes_all
        || issues::reads_body(&call.path)
        || asks_for_token(shared, call)
        || (instance && reads_body(&call.path))
}

/// Whether a Data Center instance looks at the body of a POST to a path.
fn reads_body(path: &str) -> bool {
    dc::reads_body(path) || dc::is_link_path(path) || oauth::is_authorize_path(path)
}

fn asks_for_token(shared: &Shared, call: &Incoming) -> bool {
    match shared.world().places.get(&call.host) {
        Some(Place::Auth) => true,
        Some(Place::DataCenter(_)) => oauth::is_token_path(&call.path),
        Some(Place::Cloud(_) | Place::Gateway | Place::Webhook(_)) | None => false,
    }
}

/// Notes in the log who a request comes from, as far as its credential tells.
fn identify(shared: &Shared, call: &Incoming, first: &mut Call) {
    if asks_for_token(shared, call) {
        (first.user, first.token_id) = oauth::caller(&shared.world(), call);
    } else {
        first.user = who(shared, call);
        if first.user.is_none() && call.authorization == Authorization::None {
            (first.user, first.token_id) = dc::caller(&shared.world(), call);
        }
    }
}

/// The user for the log: never a secret, even if somebody sends one in the user's place.
fn who(shared: &Shared, call: &Incoming) -> Option<String> {
    let world = shared.world();
    match &call.authorization {
        Authorization::Basic { user, .. } if user.is_empty() => None,
        Authorization::Basic { user, .. } => Some(world.user_in_log(user)),
        Authorization::Bearer { token } => world
            .token_by_secret(token)
            .map(|token| token.owner.clone()),
        Authorization::Signed { parameters } => {
            links::token_of(&world, parameters).map(|token| token.owner.clone())
        }
        Authorization::None | Authorization::Other => None,
    }
}

fn strikes(shared: &Shared, call: &Incoming, first: &Call, now: DateTime<Utc>) -> Vec<Strike> {
    if shared.rules.none() {
        return Vec::new();
    }
    let token_id = match &call.authorization {
        Authorization::Basic { secret: token, .. } | Authorization::Bearer { token } => shared
            .world()
            .token_by_secret(token)
            .map(|token| token.id.to_string()),
        Authorization::Signed { parameters } => {
            links::token_of(&shared.world(), parameters).map(|token| token.id.to_string())
        }
        Authorization::None | Authorization::Other => first.token_id.clone(),
    };
    shared.rules.strikes(&Subject {
        host: &call.host,
        path: &call.path,
        method: call.method.as_str(),
        user: first.user.as_deref(),
        token_id: token_id.as_deref(),
        now,
    })
}

/// Lets the personality of the host answer.
fn process(shared: &Shared, call: &Incoming, entry: &mut Entry<'_>) -> Reply {
    let cx = Context {
        now: shared.clock.now(),
        port: shared.port,
    };
    let mut nobody = Call::new(cx.now, call);
    let entry = entry.call().unwrap_or(&mut nobody);
    let mut world = shared.world();
    let reply = match world.places.get(&call.host) {
        Some(Place::Auth) => oauth::handle(&mut world, call, &cx),
        Some(Place::Gateway) => cloud::gateway(&mut world, call, &cx, entry),
        Some(Place::DataCenter(_)) => dc::handle(&mut world, call, &cx, entry),
        Some(Place::Webhook(_)) => webhook::handle(&mut world, call),
        None if call.host.ends_with(&shared.config.data_center_suffix) => {
            dc::handle(&mut world, call, &cx, entry)
        }
        Some(Place::Cloud(_)) | None => cloud::site(&mut world, call, &cx, entry),
    };
    entry.verdict = reply.verdict;
    if let (Verdict::Accepted, Some(id)) = (reply.verdict, &entry.token_id) {
        world.organizations.used(id, cx.now);
    }
    let number = world.oauth.ledger.number();
    drop(world);
    if reply.ticket.is_some() {
        shared.spent.send_replace(number);
    }
    reply
}

async fn struck(
    shared: &Shared,
    call: &Incoming,
    strike: &Strike,
    entry: &mut Entry<'_>,
) -> Result<Response<SimBody>, Abort> {
    match &strike.fault {
        Fault::DropBefore => {
            entry.write();
            strike.signal.strike();
            Err(Abort)
        }
        Fault::DropAfter => {
            process(shared, call, entry);
            entry.write();
            strike.signal.strike();
            Err(Abort)
        }
        Fault::HangBefore => {
            strike.signal.strike();
            strike.signal.released().await;
            let reply = process(shared, call, entry);
            Ok(whole(shared, reply, entry))
        }
        Fault::HangAfter => {
            let reply = process(shared, call, entry);
            strike.signal.strike();
            strike.signal.released().await;
            Ok(whole(shared, reply, entry))
        }
        fault => {
            let response = if let Some(reply) = fault_reply::instead(shared, call, fault) {
                whole(shared, reply, entry)
            } else {
                let reply = process(shared, call, entry);
                let response = fault_reply::bent(shared, reply, fault);
                entry.status(response.status().as_u16());
                entry.write();
                response
            };

            strike.signal.strike();
            Ok(response)
        }
    }
}

/// The answer as it is, logged.
fn whole(shared: &Shared, reply: Reply, entry: &mut Entry<'_>) -> Response<SimBody> {
    entry.status(reply.status.as_u16());
    entry.write();
    let body = SimBody::full(reply.body.clone());
    respond(shared, reply, body)
}

/// Puts an answer together; its `Date` is of virtual time.
pub(crate) fn respond(shared: &Shared, reply: Reply, body: SimBody) -> Response<SimBody> {
    let body = match reply.ticket {
        Some(ticket) => body.told(ticket),
        None => body,
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    let date = shared
        .clock
        .now()
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    if let Ok(date) = HeaderValue::from_maybe_shared(Bytes::from(date)) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}
