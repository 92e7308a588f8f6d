//! One request to each personality.

mod support;

use atlassian_sim::{Config, Sim, Verdict};
use support::{client, get};

#[tokio::test]
async fn cloud_and_data_center_answer_myself() {
    let sim = Sim::start(Config::default()).await.unwrap();
    let site = sim.cloud_site("acme");
    let token = site.api_token("bot@acme.example");
    let dc = sim
        .data_center("jira")
        .context_path("jira/")
        .version("10.4.0");
    let pat = dc.pat("robot");
    let client = client(&sim, &[site.host(), dc.host()]);

    let answer = get(
        &client,
        &format!("{}/rest/api/3/myself", site.url()),
        &token.basic(),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json()["accountId"],
        site.account_id("bot@acme.example")
    );

    let answer = get(
        &client,
        &format!("{}/rest/api/2/myself", dc.url()),
        &pat.bearer(),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["key"], dc.user_key("robot"));

    let calls = sim.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.verdict == Verdict::Accepted));
}
