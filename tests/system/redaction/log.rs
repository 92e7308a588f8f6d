//! No secret is logged while the API server fails.

use super::stage::Stage;
use crate::support::World;
use control_plane::faults::{Cut, Fault as ApiFault, Requests, Verb};
use jira_credential_operator::api::Reason;
use jira_credential_operator::ops::telemetry;
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt};

/// Collects what is logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// With the filter that ships, at its finest level.
    ///
    /// While there is one subscriber only, tracing asks the thread that comes to a line first
    /// whether anybody wants it, and remembers a no for all: so there are two.
    pub(crate) fn dispatch(&self) -> tracing::Dispatch {
        static SECOND: OnceLock<tracing::Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| Self::default().subscriber());
        self.subscriber()
    }

    pub(super) fn subscriber(&self) -> tracing::Dispatch {
        let log = self.clone();
        let layer = fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(move || log.clone())
            .with_filter(telemetry::filter(tracing::Level::TRACE));
        tracing::Dispatch::new(tracing_subscriber::registry().with(layer))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_api_server_makes_the_operator_tell_no_secret() {
    let world = World::new().await;
    let log = Log::default();
    let operator = world.operator_logging(|_| {}, log.dispatch()).await;
    let jira = world.data_center();
    let mut stage = Stage::new(&world);
    let (get, create) = (Verb::Get, Verb::Create);
    for (name, verb, resource, of, fault) in [
        (
            "get-500",
            get,
            "secrets",
            "get-500-source",
            ApiFault::Status(500),
        ),
        (
            "get-401",
            get,
            "secrets",
            "get-401-source",
            ApiFault::Status(401),
        ),
        (
            "get-lost",
            get,
            "secrets",
            "get-lost-source",
            ApiFault::LostAnswer,
        ),
        (
            "create-500",
            create,
            "secrets",
            "create-500",
            ApiFault::Status(500),
        ),
        (
            "create-403",
            create,
            "secrets",
            "create-403",
            ApiFault::Status(403),
        ),
        (
            "create-413",
            create,
            "secrets",
            "create-413",
            ApiFault::Status(413),
        ),
        (
            "create-422",
            create,
            "secrets",
            "create-422",
            ApiFault::Status(422),
        ),
        (
            "create-429",
            create,
            "secrets",
            "create-429",
            ApiFault::Status(429),
        ),
        (
            "create-lost",
            create,
            "secrets",
            "create-lost",
            ApiFault::LostAnswer,
        ),
        (
            "create-504",
            create,
            "secrets",
            "create-504",
            ApiFault::LostAnswerStatus(504),
        ),
        (
            "create-gone",
            create,
            "secrets",
            "create-gone",
            ApiFault::Unreachable,
        ),
        (
            "status-500",
            Verb::Update,
            "jiracredentials/status",
            "status-500",
            ApiFault::Status(500),
        ),
        (
            "status-409",
            Verb::Update,
            "jiracredentials/status",
            "status-409",
            ApiFault::Status(409),
        ),
        (
            "status-422",
            Verb::Update,
            "jiracredentials/status",
            "status-422",
            ApiFault::Status(422),
        ),
        (
            "status-lost",
            Verb::Update,
            "jiracredentials/status",
            "status-lost",
            ApiFault::LostAnswer,
        ),
    ] {
        let requests = Requests::verb(verb).resource(resource).name(of);
        operator.faults.add(requests, 1..=1, fault);
        let token = jira.pat(name);
        stage.canaries.watch(name, token.secret());
        let data: [(&str, &[u8]); 1] = [("token", token.secret().as_bytes())];
        stage.opaque(name, &data).await;
        let spec = Stage::pat(name, &jira.url());
        stage.create(name, spec, Some(Reason::Validated)).await;
    }
    let events = Requests::verb(create).resource("events");
    operator.faults.add(events, 1..=5, ApiFault::Status(403));
    stage.accepted().await;
    stage.signed(false).await;
    stage.malformed().await;
    for cut in [Cut::Broken, Cut::Gone] {
        operator.faults.cut_watches(&Requests::any(), cut);
        operator.quiet().await;
        // What was refused is tried again after five minutes.
        world.advance(chrono::TimeDelta::minutes(6));
        operator.look_again(1).await;
    }
    stage.settled().await;
    stage.look_around().await;
    let metrics = operator.metrics.render().unwrap();
    stage.canaries.absent("metrics", &metrics);
    operator.stop().await;
    let log = log.text();
    for said in [
        "retrying the reconcile",
        "called Jira",
        "an event could not be published",
    ] {
        assert!(log.contains(said), "{said} is not in {log}");
    }
    stage.canaries.absent("the log", &log);
}
