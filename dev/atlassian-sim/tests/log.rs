//! The call log: what it names, what it never shows, what it forgets.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{Config, Sim, basic};
use support::{client, get};

const USER: &str = "bot@acme.example";

#[tokio::test]
async fn the_log_names_credentials_and_never_shows_them() {
    let sim = Sim::start(Config::default()).await.unwrap();
    let (site, dc) = (sim.cloud_site("acme"), sim.data_center("jira"));
    let (token, pat) = (site.api_token(USER), dc.pat("robot"));
    let client = client(&sim, &[site.host(), dc.host()]);
    let url = format!("{}/rest/api/3/myself", site.url());
    get(&client, &url, &token.basic()).await;
    get(
        &client,
        &format!("{}/rest/api/2/myself", dc.url()),
        &pat.bearer(),
    )
    .await;
    get(&client, &url, &basic(token.secret(), "x")).await;
    get(&client, &url, "").await;
    let calls = sim.calls();
    let brief: Vec<_> = calls
        .iter()
        .map(|c| (c.scheme, c.user.as_deref(), c.token_id.as_deref(), c.status))
        .collect();
    let hidden = format!("({})", token.id());
    assert_eq!(
        brief,
        [
            (Some("basic"), Some(USER), Some(token.id()), Some(200)),
            (Some("bearer"), Some("robot"), Some(pat.id()), Some(200)),
            (Some("basic"), Some(hidden.as_str()), None, Some(401)),
            (None, None, None, Some(401)),
        ]
    );
    let text = serde_json::to_string(&calls).unwrap() + &format!("{calls:?} {token:?}");
    assert!(!text.contains(token.secret()) && !text.contains(pat.secret()));

    assert_eq!(sim.calls_for(dc.host()).len(), 1);
    assert_eq!(sim.calls_with(&token).len(), 1);
    let counters = sim.counters();
    assert_eq!(counters.total, 4);
    assert_eq!(counters.by_host[site.host()], 3);
    assert_eq!(counters.by_path["/rest/api/3/myself"], 3);
    assert_eq!(counters.by_credential[token.id()], 1);
    assert_eq!(counters.by_status[&401], 2);
    sim.clear_calls();
    assert_eq!((sim.calls().len(), sim.counters().total), (0, 0));
}

#[tokio::test]
async fn the_log_forgets_the_oldest() {
    let config = Config {
        call_log_capacity: 2,
        ..Config::default()
    };
    let sim = Sim::start(config).await.unwrap();
    let site = sim.cloud_site("acme");
    let client = client(&sim, &[site.host()]);
    for number in 0..3 {
        get(&client, &format!("{}/{number}", site.url()), "").await;
    }
    let paths: Vec<_> = sim.calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/1", "/2"]);
    assert_eq!(sim.counters().total, 3);
}
