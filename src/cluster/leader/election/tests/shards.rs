//! Elections of several shards, on an API server that keeps their Leases.

use std::collections::BTreeMap;

use super::*;

/// The Leases by name, and how many requests came for them.
#[derive(Clone, Default)]
struct Cluster(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    leases: BTreeMap<String, Value>,
    version: u64,
    lists: usize,
    refuses_lists: bool,
}

impl Kept {
    fn answer(&mut self, method: &Method, path: &str, sent: &[u8]) -> (u16, Value) {
        let name = path.rsplit('/').next().unwrap().to_owned();
        match (method.as_str(), name.as_str()) {
            ("GET", "leases") if self.refuses_lists => failure(403, "Forbidden"),
            ("GET", "leases") => {
                self.lists += 1;
                let items: Vec<&Value> = self.leases.values().collect();
                let kind = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList"});
                let mut list = kind;
                list["metadata"] = json!({});
                list["items"] = json!(items);
                (200, list)
            }
            ("GET", name) => {
                let found = self.leases.get(name).cloned();
                found.map_or_else(|| failure(404, "NotFound"), |lease| (200, lease))
            }
            _ => self.write(serde_json::from_slice(sent).unwrap()),
        }
    }

    fn write(&mut self, mut lease: Value) -> (u16, Value) {
        let name = lease["metadata"]["name"].as_str().unwrap().to_owned();
        let stored = self.leases.get(&name);
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        if stored.map_or(Value::Null, version) != version(&lease) {
            return failure(409, "Conflict");
        }
        self.version += 1;
        if stored.is_none() {
            // As old as it is the first.
            let second = self.version % 60;
            lease["metadata"]["creationTimestamp"] =
                json!(format!("2026-01-01T00:00:{second:02}Z"));
            lease["metadata"]["uid"] = json!(name.clone());
        }
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.leases.insert(name, lease.clone());
        (200, lease)
    }
}

impl Cluster {
    fn client(&self) -> kube::Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move {
                if is_watch(&request) {
                    std::future::pending::<()>().await;
                }
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                let sent = request.into_body().collect_bytes().await.unwrap();
                // Others have their turn between any two requests.
                tokio::task::yield_now().await;
                let (code, body) = cluster.with(|kept| kept.answer(&method, &path, &sent));
                let response = Response::builder().status(StatusCode::from_u16(code).unwrap());
                let body = Body::from(serde_json::to_vec(&body).unwrap());
                Ok::<_, Infallible>(response.body(body).unwrap())
            }
        });
        kube::Client::new(service, "default")
    }

    fn with<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// An operator with this selector; without one if it is empty.
    fn operator(&self, selector: &str) -> (Election, Leadership, Option<Shard>) {
        let clock = Clock::standing_at(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let shard = (!selector.is_empty()).then(|| Shard::new(selector.parse().unwrap()));
        let (client, terms) = (self.client(), Terms::default());
        let (election, leadership) =
            Election::of_shard(client, "home", "pod", clock, terms, shard.clone());
        (election, leadership, shard)
    }
}

fn unserved(shard: Option<&Shard>) -> Option<usize> {
    let labels: Vec<BTreeMap<String, String>> = ["a", "b", "c"]
        .map(|shard| BTreeMap::from([("shard".to_owned(), shard.to_owned())]))
        .into();
    shard?.unserved(labels.iter().map(Some))
}

#[tokio::test(start_paused = true)]
async fn shards_that_share_nothing_lead_side_by_side_and_know_what_nobody_serves() {
    let cluster = Cluster::default();
    let (_a, first, shard) = cluster.operator("shard=a");
    pass(5).await;
    assert!(first.leads());
    assert_eq!(unserved(shard.as_ref()), Some(2));
    let (b, second, other) = cluster.operator("shard=b");
    pass(5).await;
    assert!(first.leads() && second.leads());
    assert_eq!(unserved(shard.as_ref()), Some(1));
    assert_eq!(unserved(other.as_ref()), Some(1));
    let stored = cluster.with(|kept| kept.leases.clone());
    let told: Vec<&str> = stored
        .values()
        .filter_map(|lease| {
            lease["metadata"]["annotations"]["jira-operator.dev/shard-selector"].as_str()
        })
        .collect();
    assert_eq!((stored.len(), told.len()), (2, 2), "{stored:?}");
    // As if it had been killed.
    drop(b);
    pass(20).await;
    assert_eq!(unserved(shard.as_ref()), Some(2));
    // What cannot be seen is not counted, and who leads goes on.
    cluster.with(|kept| kept.refuses_lists = true);
    pass(30).await;
    assert!(first.leads());
    assert_eq!(unserved(shard.as_ref()), None);
}

#[tokio::test(start_paused = true)]
async fn who_overlaps_with_one_that_lives_waits_until_that_has_ended() {
    for (serves, wants) in [
        ("shard=a", "shard in (a,b)"),
        ("shard!=b", "tier=x"),
        ("", "shard=a"),
    ] {
        let cluster = Cluster::default();
        let (a, first, _) = cluster.operator(serves);
        pass(3).await;
        let (_b, second, _) = cluster.operator(wants);
        for _ in 0..60 {
            pass(1).await;
            assert!(first.leads() && !second.leads(), "{serves:?}, {wants:?}");
        }
        assert_eq!(cluster.with(|kept| kept.leases.len()), 1);
        drop(a);
        let waited = seconds(second.decided()).await;
        assert!((12..=17).contains(&waited), "{waited}");
        assert!(second.leads());
    }
}

#[tokio::test(start_paused = true)]
async fn who_gives_its_lease_back_is_followed_at_once_by_an_overlapping_shard() {
    let cluster = Cluster::default();
    let (a, first, _) = cluster.operator("");
    first.decided().await;
    let (_b, second, _) = cluster.operator("shard=a");
    pass(10).await;
    assert!(!second.leads());
    a.resign().await;
    assert!(seconds(second.decided()).await <= 2 && second.leads());
}

#[tokio::test(start_paused = true)]
async fn of_overlapping_shards_that_start_together_one_leads() {
    let cluster = Cluster::default();
    let all = ["shard=a", "shard in (a,b)", "shard", "shard!=z"].map(|text| cluster.operator(text));
    let leaders = || {
        all.iter()
            .filter(|(_, leadership, _)| leadership.leads())
            .count()
    };
    for _ in 0..200 {
        tokio::time::sleep(MOMENT).await;
        assert!(leaders() <= 1);
    }
    assert_eq!(leaders(), 1);
}

/// An operator without a selector looks at no other Lease.
#[tokio::test(start_paused = true)]
async fn a_shard_yields_to_an_operator_that_serves_everything() {
    let cluster = Cluster::default();
    let (_a, first, _) = cluster.operator("shard=a");
    pass(5).await;
    let (_b, second, _) = cluster.operator("");
    assert!(seconds(first.over()).await <= 3);
    assert!(second.leads() && !first.leads());
}

#[tokio::test(start_paused = true)]
async fn who_may_not_see_the_others_does_not_begin_to_lead() {
    let cluster = Cluster::default();
    cluster.with(|kept| kept.refuses_lists = true);
    let (_a, first, _) = cluster.operator("shard=a");
    pass(60).await;
    assert!(!first.leads());
    cluster.with(|kept| kept.refuses_lists = false);
    assert!(seconds(first.decided()).await <= 2 && first.leads());
}

/// Who deletes a Lease does not end the process that holds it.
#[tokio::test(start_paused = true)]
async fn one_whose_lease_vanishes_counts_until_its_deadline() {
    let cluster = Cluster::default();
    let (a, _, _) = cluster.operator("shard=a");
    pass(3).await;
    let (_b, second, _) = cluster.operator("shard in (a,b)");
    pass(10).await;
    drop(a);
    cluster.with(|kept| kept.leases.clear());
    let waited = seconds(second.decided()).await;
    assert!((12..=17).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_the_label_that_others_look_for_gets_it_back() {
    let cluster = Cluster::default();
    let (_a, first, _) = cluster.operator("");
    pass(3).await;
    let label = |kept: &Kept| {
        let labels = &kept.leases["jira-credential-operator"]["metadata"]["labels"];
        labels["app.kubernetes.io/managed-by"].clone()
    };
    cluster.with(|kept| {
        kept.version += 1;
        let lease = kept.leases.get_mut("jira-credential-operator").unwrap();
        lease["metadata"]["labels"] = Value::Null;
        lease["metadata"]["resourceVersion"] = json!(kept.version.to_string());
    });
    pass(6).await;
    assert!(first.leads());
    assert_eq!(cluster.with(|kept| label(kept)), "jira-credential-operator");
}
