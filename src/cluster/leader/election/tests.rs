//! Elections in paused time, on an API server that keeps one Lease and hangs when it is told to.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

mod shards;

/// What the API server does with the next requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Mood {
    #[default]
    Works,
    /// Neither does anything nor answers.
    Hangs,
    /// Does it, and does not answer.
    LosesAnswers,
    Refuses,
}

#[derive(Default)]
struct Stored {
    lease: Option<Value>,
    version: u64,
    writes: usize,
    requests: usize,
    mood: Mood,
    refuses_watches: bool,
}

impl Stored {
    /// What a watch tells, once the lease is released.
    fn release(&self) -> Option<(u16, Value)> {
        let lease = self.lease.as_ref()?;
        let is_free = lease["spec"]["holderIdentity"] == "";
        is_free.then(|| (200, json!({"type": "MODIFIED", "object": lease})))
    }

    fn answer(&mut self, method: &Method, sent: &[u8]) -> (u16, Value) {
        self.requests += 1;
        if self.mood == Mood::Refuses {
            return failure(403, "Forbidden");
        }
        if method == Method::GET {
            let found = self.lease.clone().map(|lease| (200, lease));
            return found.unwrap_or_else(|| failure(404, "NotFound"));
        }
        let mut lease: Value = serde_json::from_slice(sent).unwrap();
        match (&self.lease, method == Method::POST) {
            (Some(_), true) => return failure(409, "AlreadyExists"),
            (None, false) => return failure(404, "NotFound"),
            (Some(stored), false)
                if stored["metadata"]["resourceVersion"]
                    != lease["metadata"]["resourceVersion"] =>
            {
                return failure(409, "Conflict");
            }
            _ => {}
        }
        self.version += 1;
        self.writes += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        lease["metadata"]["uid"] = json!("uid");
        self.lease = Some(lease.clone());
        (200, lease)
    }
}

fn is_watch(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|part| part == "watch=true")
}

fn failure(code: u16, reason: &str) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code,
    });
    (code, status)
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<Stored>>);

impl Server {
    fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.serve(request).await) }
        });
        kube::Client::new(service, "default")
    }

    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let method = request.method().clone();
        let is_watch = is_watch(&request);
        let sent = request.into_body().collect_bytes().await.unwrap();
        if self.with(|stored| stored.mood) == Mood::Hangs {
            std::future::pending::<()>().await;
        }
        let (code, body) = if is_watch {
            self.release_seen().await
        } else {
            self.with(|stored| stored.answer(&method, &sent))
        };
        if self.with(|stored| stored.mood) == Mood::LosesAnswers {
            std::future::pending::<()>().await;
        }
        Response::builder()
            .status(StatusCode::from_u16(code).unwrap())
            .body(Body::from(serde_json::to_vec(&body).unwrap()))
            .unwrap()
    }

    async fn release_seen(&self) -> (u16, Value) {
        if self.with(|stored| stored.refuses_watches || stored.mood == Mood::Refuses) {
            return failure(403, "Forbidden");
        }
        loop {
            if let Some(event) = self.with(|stored| stored.release()) {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Stored) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn mood(&self, mood: Mood) {
        self.with(|stored| stored.mood = mood);
    }

    /// Changes what stands in the lease.
    fn edit(&self, field: &str, value: Value) {
        self.with(|stored| {
            stored.version += 1;
            let version = stored.version.to_string();
            let lease = stored.lease.as_mut().unwrap();
            lease["spec"][field] = value;
            lease["metadata"]["resourceVersion"] = json!(version);
        });
    }

    fn holder(&self) -> String {
        self.with(|stored| {
            let lease = stored.lease.as_ref().unwrap();
            lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
        })
    }

    fn candidate(&self, pod: &str) -> (Election, Leadership) {
        Election::start(
            self.client(),
            "home",
            pod,
            Clock::standing_at(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap()),
            Terms::default(),
        )
    }
}

const MOMENT: Duration = Duration::from_millis(50);

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// How long something takes, in whole seconds.
async fn seconds(future: impl Future<Output = ()>) -> u64 {
    let begun = Instant::now();
    tokio::time::timeout(Duration::from_secs(600), future)
        .await
        .unwrap();
    begun.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_the_other_stands_by_for_as_long_as_both_live() {
    let server = Server::default();
    let (_a, first) = server.candidate("a");
    tokio::time::sleep(MOMENT).await;
    let (_b, second) = server.candidate("b");
    for _ in 0..500 {
        pass(1).await;
        assert!(first.leads() && !second.leads());
    }
    assert!(server.holder().starts_with("a_"));
    // One write every two seconds, one look every second.
    let (writes, requests) = server.with(|stored| (stored.writes, stored.requests));
    assert!((240..=260).contains(&writes), "{writes}");
    assert!((740..=770).contains(&requests), "{requests}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_gone_is_followed_when_its_lease_has_ended() {
    let server = Server::default();
    let (a, first) = server.candidate("a");
    first.decided().await;
    let (_b, second) = server.candidate("b");
    pass(31).await;
    // As if it had been killed: nothing is given back.
    drop(a);
    let waited = seconds(second.decided()).await;
    assert!((13..=16).contains(&waited), "{waited}");
    assert!(second.leads() && !first.leads());
}

#[tokio::test(start_paused = true)]
async fn who_resigns_is_followed_at_once() {
    for (refuses_watches, longest) in [(false, MOMENT), (true, Duration::from_secs(1))] {
        let server = Server::default();
        server.with(|stored| stored.refuses_watches = refuses_watches);
        let (a, first) = server.candidate("a");
        first.decided().await;
        let (_b, second) = server.candidate("b");
        // Not at the time of a look.
        tokio::time::sleep(Duration::from_millis(10_100)).await;
        a.resign().await;
        assert!(
            !first.leads(),
            "nothing happens after the lease is given back"
        );
        let begun = Instant::now();
        second.decided().await;
        let took = begun.elapsed();
        assert!(took <= longest && second.leads(), "{took:?}");
        let changes = server.with(|stored| stored.lease.clone().unwrap());
        assert_eq!(changes["spec"]["leaseTransitions"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_resigns_takes_nothing_with_it() {
    let server = Server::default();
    let (_a, first) = server.candidate("a");
    first.decided().await;
    let (b, second) = server.candidate("b");
    pass(5).await;
    b.resign().await;
    assert!(first.leads() && !second.leads());
    assert!(server.holder().starts_with("a_"));
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_an_api_server_stops_at_its_deadline_and_not_before() {
    for mood in [Mood::Hangs, Mood::LosesAnswers, Mood::Refuses] {
        let server = Server::default();
        let (_a, first) = server.candidate("a");
        first.decided().await;
        pass(20).await;
        server.mood(mood);
        let lasted = seconds(first.over()).await;
        // The last renewal was begun up to two seconds ago.
        assert!((8..=10).contains(&lasted), "{mood:?}: {lasted}");
        assert!(!first.leads());
        // What it was it does not become again.
        server.mood(Mood::Works);
        pass(60).await;
        assert!(!first.leads(), "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_ends_before_the_deadline_changes_nothing() {
    let server = Server::default();
    let (_a, first) = server.candidate("a");
    first.decided().await;
    let (_b, second) = server.candidate("b");
    for mood in [Mood::Hangs, Mood::LosesAnswers, Mood::Refuses] {
        pass(20).await;
        server.mood(mood);
        pass(5).await;
        server.mood(Mood::Works);
        pass(20).await;
        assert!(first.leads() && !second.leads(), "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_leads_before_the_last_leader_has_stopped() {
    let server = Server::default();
    let (_a, first) = server.candidate("a");
    first.decided().await;
    let (_b, second) = server.candidate("b");
    pass(20).await;
    // What the leader writes arrives, but it never hears of it; the standby is served.
    server.mood(Mood::LosesAnswers);
    pass(4).await;
    server.mood(Mood::Hangs);
    let stopped = Instant::now() + Duration::from_secs(seconds(first.over()).await);
    server.mood(Mood::Works);
    second.decided().await;
    assert!(second.leads() && !first.leads());
    assert!(stopped.elapsed() > Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn what_the_holder_says_of_the_time_counts_for_nothing() {
    for renewed in ["1999-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"] {
        let server = Server::default();
        let (a, first) = server.candidate("a");
        first.decided().await;
        drop(a);
        // A clock that is wrong, on the machine of the holder.
        server.edit("renewTime", json!(renewed));
        let (_b, second) = server.candidate("b");
        let waited = seconds(second.decided()).await;
        assert_eq!(waited, 15, "{renewed}");
        assert!(second.leads());
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_finds_another_name_stops() {
    let server = Server::default();
    let (_a, first) = server.candidate("a");
    first.decided().await;
    pass(10).await;
    server.edit("holderIdentity", json!("somebody"));
    assert!(seconds(first.over()).await <= 2);
    assert_eq!(server.holder(), "somebody");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_deletes_stays_with_its_holder() {
    let server = Server::default();
    let (_a, first) = server.candidate("a");
    first.decided().await;
    let (_b, second) = server.candidate("b");
    for _ in 0..20 {
        pass(3).await;
        server.with(|stored| stored.lease = None);
    }
    pass(3).await;
    assert!(first.leads() && !second.leads());
    assert!(server.holder().starts_with("a_"));
}

#[tokio::test(start_paused = true)]
async fn of_many_that_see_the_end_of_a_lease_one_leads() {
    let server = Server::default();
    let (a, first) = server.candidate("a");
    first.decided().await;
    let others: Vec<_> = ["b", "c", "d", "e"].map(|pod| server.candidate(pod)).into();
    pass(5).await;
    drop(a);
    for _ in 0..60 {
        pass(1).await;
        let leaders = others.iter().filter(|(_, other)| other.leads()).count();
        assert!(leaders <= 1);
    }
    assert_eq!(others.iter().filter(|(_, other)| other.leads()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_dies_takes_the_leadership_with_it() {
    let server = Server::default();
    let (a, first) = server.candidate("a");
    first.decided().await;
    assert!(first.leads());
    a.task.abort();
    assert!(seconds(first.over()).await < 1);
    assert!(!first.leads());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_does_nothing_when_it_goes_on() {
    let server = Server::default();
    let (_a, first) = server.candidate("a");
    first.decided().await;
    pass(5).await;
    // No task runs while this time passes.
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(!first.leads(), "before the election has noticed");
    let writes = server.with(|stored| stored.writes);
    first.over().await;
    pass(5).await;
    assert_eq!(server.with(|stored| stored.writes), writes);
}
