//! Every fault does what it says, between a real client and a real server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use control_plane::{
    ControlPlane,
    faults::{Cut, Fault, Faults, Requests, Side, Verb},
};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{
        DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, WatchEvent,
        WatchParams,
    },
};
use serde_json::json;

struct World {
    faults: Faults,
    /// Through the faults.
    maps: Api<ConfigMap>,
    /// What is true.
    truth: Api<ConfigMap>,
    namespace: String,
}

async fn world() -> World {
    let plane = ControlPlane::shared().await.unwrap();
    let namespace = plane.namespace("faults").await.unwrap();
    let faults = Faults::default();
    let client = faults.client(plane.admin_config().unwrap()).unwrap();
    World {
        maps: Api::namespaced(client, &namespace),
        truth: Api::namespaced(plane.client().unwrap(), &namespace),
        faults,
        namespace,
    }
}

fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

impl World {
    async fn create(&self, name: &str) -> kube::Result<ConfigMap> {
        self.maps.create(&PostParams::default(), &map(name)).await
    }

    async fn exists(&self, name: &str) -> bool {
        self.truth.get_opt(name).await.unwrap().is_some()
    }
}

fn code(result: kube::Result<ConfigMap>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("expected a status, got {other:?}"),
    }
}

fn is_connection_error(result: &kube::Result<ConfigMap>) -> bool {
    matches!(result, Err(error) if !matches!(error, kube::Error::Api(_)))
}

#[tokio::test]
async fn the_nth_matching_request_fails_with_a_status_and_only_that() {
    let world = world().await;
    let creations = Requests::verb(Verb::Create).resource("configmaps");
    for (nth, status) in [(2, 409), (3, 429), (4, 500), (5, 503)] {
        world
            .faults
            .add(creations.clone(), nth..=nth, Fault::Status(status));
    }
    world.create("a").await.unwrap();
    for (name, status) in [("b", 409), ("c", 429), ("d", 500), ("e", 503)] {
        assert_eq!(code(world.create(name).await), status);
        assert!(!world.exists(name).await, "the server has not seen {name}");
    }
    world.create("b").await.unwrap();
    world.maps.get("a").await.unwrap();
}

#[tokio::test]
async fn a_status_is_what_kube_takes_it_for() {
    let world = world().await;
    world.faults.add(Requests::any(), 1..=1, Fault::Status(409));
    world.faults.add(Requests::any(), 2..=2, Fault::Status(429));
    let Err(kube::Error::Api(conflict)) = world.maps.get("a").await else {
        panic!()
    };
    assert_eq!(
        (conflict.reason.as_str(), conflict.is_conflict()),
        ("Conflict", true)
    );
    let Err(kube::Error::Api(busy)) = world.maps.get("a").await else {
        panic!()
    };
    assert_eq!(
        busy.details.map(|details| details.retry_after_seconds),
        Some(1)
    );
}

#[tokio::test]
async fn an_unreachable_server_sees_nothing_and_a_lost_answer_is_ambiguous() {
    let world = world().await;
    let creations = Requests::verb(Verb::Create);
    world
        .faults
        .add(creations.clone(), 1..=1, Fault::Unreachable);
    world
        .faults
        .add(creations.clone(), 2..=2, Fault::LostAnswer);
    world
        .faults
        .add(creations, 3..=3, Fault::LostAnswerStatus(504));

    assert!(is_connection_error(&world.create("a").await));
    assert!(!world.exists("a").await);
    assert!(is_connection_error(&world.create("b").await));
    assert!(world.exists("b").await, "the server did it");
    assert_eq!(code(world.create("c").await), 504);
    assert!(world.exists("c").await, "the server did it");
}

#[tokio::test]
async fn delays_take_their_time_on_either_side() {
    const DELAY: Duration = Duration::from_millis(400);
    let world = world().await;
    let named = |name: &str| Requests::any().name(name);
    world
        .faults
        .add(named("before"), .., Fault::DelayBefore(DELAY));
    world
        .faults
        .add(named("after"), .., Fault::DelayAfter(DELAY));
    for name in ["before", "after"] {
        let begun = Instant::now();
        let creation = world.create(name);
        let look = async {
            // Answers come quickly, so half of the delay tells the sides apart.
            tokio::time::sleep(DELAY / 2).await;
            world.exists(name).await
        };
        let (created, seen) = tokio::join!(creation, look);
        created.unwrap();
        assert!(begun.elapsed() >= DELAY);
        assert_eq!(seen, name == "after");
    }
}

#[tokio::test]
async fn requests_match_by_everything_that_is_said() {
    let world = world().await;
    let elsewhere = Requests::any().namespace("elsewhere");
    let (other, group) = (Requests::any().name("other"), Requests::any().group("apps"));
    for requests in [
        elsewhere,
        other,
        group,
        Requests::any().resource("configmaps/status"),
    ] {
        world.faults.add(requests, .., Fault::Status(500));
    }
    world.create("a").await.unwrap();
    world.faults.add(
        Requests::verb(Verb::Patch)
            .or_verb(Verb::Update)
            .group("")
            .resource("configmaps/*")
            .namespace(&world.namespace)
            .name("a"),
        ..,
        Fault::Status(500),
    );
    world.maps.get("a").await.unwrap();
    let patch = Patch::Merge(json!({ "data": { "a": "b" } }));
    assert_eq!(
        code(world.maps.patch("a", &PatchParams::default(), &patch).await),
        500
    );
    world.faults.heal();
    world
        .maps
        .patch("a", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_watch_that_is_cut_ends_as_told() {
    let world = world().await;
    let requests = Requests::verb(Verb::Watch).resource("configmaps");
    for cut in [Cut::End, Cut::Gone, Cut::Broken] {
        let watch = world
            .maps
            .watch(&WatchParams::default(), "0")
            .await
            .unwrap();
        let mut watch = watch.boxed();
        let name = format!("{cut:?}").to_lowercase();
        world
            .truth
            .create(&PostParams::default(), &map(&name))
            .await
            .unwrap();
        // Events pass until the cut.
        while let Some(event) = watch.try_next().await.unwrap() {
            if matches!(event, WatchEvent::Added(map) if map.metadata.name == Some(name.clone())) {
                break;
            }
        }
        assert_eq!(world.faults.open_watches(&requests), 1);
        assert_eq!(
            world
                .faults
                .cut_watches(&Requests::any().namespace("elsewhere"), cut),
            0
        );
        assert_eq!(world.faults.cut_watches(&requests, cut), 1);
        let next = watch.next().await;
        match cut {
            Cut::End => assert!(next.is_none(), "{next:?}"),
            Cut::Gone => {
                let Some(Ok(WatchEvent::Error(status))) = &next else {
                    panic!("{next:?}")
                };
                assert_eq!(status.code, 410);
            }
            Cut::Broken => assert!(matches!(next, Some(Err(_))), "{next:?}"),
        }
        drop(watch);
        assert_eq!(world.faults.open_watches(&requests), 0);
    }
}

/// A client stopped before or after the server did its second write.
#[tokio::test]
async fn a_stopped_client_is_as_dead_as_its_process() {
    for (side, second_exists) in [(Side::Before, false), (Side::After, true)] {
        let world = world().await;
        let mut stop = world.faults.stop_at_effect(2, side);
        let work = async {
            let dry = PostParams {
                dry_run: true,
                ..PostParams::default()
            };
            world.maps.create(&dry, &map("dry")).await.unwrap();
            world.create("first").await.unwrap();
            assert!(!stop.is_reached());
            world.create("second").await.unwrap();
            unreachable!("the second write is never answered");
        };
        let stopped = async { world.faults.stopped().reached().await };
        tokio::select! {
            biased;
            () = stopped => {}
            () = work => {}
        }
        stop.reached().await;
        assert!(world.exists("first").await);
        assert_eq!(world.exists("second").await, second_exists);

        // Neither reads nor writes get through any more.
        let late = tokio::time::timeout(Duration::from_millis(200), world.create("third")).await;
        assert!(late.is_err());
        assert!(!world.exists("third").await);
        let read = tokio::time::timeout(Duration::from_millis(200), world.maps.get("first")).await;
        assert!(read.is_err());

        world.faults.heal();
        world.maps.get("first").await.unwrap();
    }
}

#[tokio::test]
async fn everything_is_recorded() {
    let world = world().await;
    world.create("a").await.unwrap();
    let mark = world.faults.mark();
    let apply = PatchParams::apply("tester").force();
    let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "a": "b" } });
    world
        .maps
        .patch("a", &apply, &Patch::Apply(&body))
        .await
        .unwrap();
    world
        .faults
        .add(Requests::verb(Verb::Delete), .., Fault::Unreachable);
    world
        .maps
        .delete("a", &DeleteParams::default())
        .await
        .unwrap_err();
    world
        .maps
        .list(&ListParams::default().fields("metadata.name=a"))
        .await
        .unwrap();

    let count = |verb, count| ((verb, "configmaps".to_owned()), count);
    let expected = [Verb::List, Verb::Create, Verb::Patch, Verb::Delete].map(|verb| count(verb, 1));
    assert_eq!(world.faults.counts(), BTreeMap::from(expected));
    assert_eq!(world.faults.count(&Requests::effects()), 3);

    let since = world.faults.since(mark);
    let verbs: Vec<Verb> = since.iter().map(|request| request.verb).collect();
    assert_eq!(verbs, [Verb::Patch, Verb::Delete, Verb::List]);
    assert_eq!(
        since[0].content_type.as_deref(),
        Some("application/apply-patch+yaml")
    );
    assert!(
        since
            .iter()
            .all(|request| request.name.as_deref() == Some("a"))
    );
    assert!(
        since
            .iter()
            .all(|request| request.namespace.as_ref() == Some(&world.namespace))
    );
    world.faults.reset();
    assert_eq!(world.faults.requests(), []);
}
