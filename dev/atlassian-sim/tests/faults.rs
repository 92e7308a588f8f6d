//! Every fault, and the rules that aim them.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use atlassian_sim::{
    Canned, CloudSite, Config, DataCenter, Fault, Rule, Sim, Token, Verdict, basic,
};
use chrono::TimeDelta;
use support::{Answer, client, get, try_get};

const USER: &str = "bot@acme.example";

struct World {
    sim: Sim,
    site: CloudSite,
    token: Token,
    dc: DataCenter,
    pat: Token,
    client: reqwest::Client,
}

fn world() -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let site = sim.cloud_site("acme");
    let token = site.api_token(USER);
    let dc = sim.data_center("jira");
    let pat = dc.pat("robot");
    let client = client(&sim, &[site.host(), dc.host()]);
    World {
        sim,
        site,
        token,
        dc,
        pat,
        client,
    }
}

impl World {
    fn url(&self) -> String {
        format!("{}/rest/api/3/myself", self.site.url())
    }

    async fn try_cloud(&self) -> Result<Answer, reqwest::Error> {
        try_get(&self.client, &self.url(), &self.token.basic()).await
    }

    async fn cloud(&self) -> Answer {
        self.try_cloud().await.unwrap()
    }

    async fn dc(&self) -> Answer {
        let url = format!("{}/rest/api/2/myself", self.dc.url());
        get(&self.client, &url, &self.pat.bearer()).await
    }

    fn once(&self, fault: Fault) {
        self.sim.fault(Rule::new(fault).once());
    }
}

#[tokio::test]
async fn latency_delays_and_adds_up() {
    let w = world();
    for _ in 0..2 {
        w.once(Fault::Latency { millis: 40 });
    }
    let start = Instant::now();
    assert_eq!(w.cloud().await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(80));
    assert_eq!(w.sim.calls().last().unwrap().faults, ["latency", "latency"]);
}

#[tokio::test]
async fn a_drop_before_leaves_no_trace_and_one_after_does() {
    let w = world();
    let password = w.dc.new_password("robot");
    assert_ne!(password, "wrong");
    let url = format!("{}/rest/api/2/myself", w.dc.url());
    for (fault, failures, verdict) in [
        (Fault::DropBefore, 0, Verdict::NotProcessed),
        (Fault::DropAfter, 1, Verdict::Rejected),
    ] {
        w.once(fault);
        assert!(
            try_get(&w.client, &url, &basic("robot", "wrong"))
                .await
                .is_err()
        );
        assert_eq!(w.dc.failed_logins("robot"), failures);
        let call = w.sim.calls().pop().unwrap();
        assert_eq!((call.verdict, call.status), (verdict, None));
    }
}

#[tokio::test]
async fn rate_limits_have_the_form_of_their_host() {
    let w = world();
    w.sim.clock().freeze();
    w.once(Fault::RateLimit {
        retry_after: Some(30),
        html: false,
    });
    let answer = w.cloud().await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "30"));
    assert_eq!(answer.header("ratelimit-reason"), "jira-burst-based");
    assert_eq!(answer.header("x-ratelimit-remaining"), "0");
    let reset = chrono::DateTime::parse_from_rfc3339(answer.header("x-ratelimit-reset")).unwrap();
    assert_eq!(reset.timestamp(), w.sim.clock().now().timestamp() + 30);
    assert!(answer.json()["errorMessages"][0].is_string());

    w.once(Fault::RateLimit {
        retry_after: None,
        html: true,
    });
    let answer = w.cloud().await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, ""));
    assert!(answer.header("content-type").starts_with("text/html"));

    w.once(Fault::RateLimit {
        retry_after: Some(0),
        html: false,
    });
    let answer = w.dc().await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "0"));
    assert_eq!(answer.header("x-ratelimit-interval-seconds"), "60");
    assert_eq!(answer.header("x-ratelimit-fillrate"), "10");
    assert_eq!(answer.json()["message"], "Rate limit exceeded.");

    w.once(Fault::RateLimit {
        retry_after: Some(5),
        html: false,
    });
    let url = format!("{}/rest/api/2/myself", w.dc.url());
    let plain = w.client.get(url).send().await.unwrap();
    assert!(
        plain.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
}

/// Faults that answer instead of Jira.
#[tokio::test]
async fn answers_of_others() {
    let w = world();
    let to = "https://elsewhere.example/";
    let redirect = |status| Fault::Redirect {
        status,
        location: to.to_owned(),
    };
    let unavailable = |retry_after| Fault::Unavailable { retry_after };
    let canned = Fault::Canned(Canned {
        status: 418,
        headers: BTreeMap::from([("x-tea".to_owned(), "pot".to_owned())]),
        body: "short and stout".to_owned(),
    });
    let html = "text/html;charset=UTF-8";
    let error = Fault::ServerError { status: 502 };
    let cases = [
        (error, 502, "content-type", html),
        (unavailable(Some(9)), 503, "retry-after", "9"),
        (unavailable(None), 503, "retry-after", ""),
        (redirect(301), 301, "location", to),
        (redirect(302), 302, "location", to),
        (Fault::HtmlPage, 200, "content-type", html),
        (canned, 418, "x-tea", "pot"),
    ];
    for (fault, status, header, value) in cases {
        w.once(fault.clone());
        let answer = w.cloud().await;
        assert_eq!(
            (answer.status, answer.header(header)),
            (status, value),
            "{fault:?}"
        );
        let call = w.sim.calls().pop().unwrap();
        assert_eq!(
            (call.verdict, call.status),
            (Verdict::NotProcessed, Some(status))
        );
    }
    assert_eq!(w.cloud().await.status, 200);
}

/// Faults that spoil the right answer.
#[tokio::test]
async fn bodies() {
    let w = world();
    w.once(Fault::SlowBody {
        chunk: 100,
        millis: 10,
    });
    let start = Instant::now();
    assert_eq!(w.cloud().await.json()["emailAddress"], USER);
    assert!(start.elapsed() >= Duration::from_millis(50));

    w.once(Fault::TruncatedBody);
    assert!(w.try_cloud().await.is_err());

    w.once(Fault::WrongContentType {
        content_type: "text/plain".to_owned(),
    });
    let answer = w.cloud().await;
    assert_eq!(answer.header("content-type"), "text/plain");
    assert_eq!(answer.json()["emailAddress"], USER);

    w.once(Fault::GarbageJson);
    let answer = w.cloud().await;
    assert!(
        answer
            .header("content-type")
            .starts_with("application/json")
    );
    assert!(serde_json::from_str::<serde_json::Value>(&answer.text).is_err());

    w.once(Fault::EndlessBody);
    let request = w
        .client
        .get(w.url())
        .header("authorization", w.token.basic());
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut bytes = 0;
    while bytes < 4_000_000 {
        bytes += response.chunk().await.unwrap().unwrap().len();
    }
    assert!(
        w.sim
            .calls()
            .iter()
            .all(|call| call.verdict == Verdict::Accepted)
    );
}

#[tokio::test]
async fn hangs_tell_when_they_are_reached_and_can_be_released() {
    let w = world();
    let before = w
        .sim
        .hang_before(Rule::new(Fault::HangBefore).host(w.site.host()));
    let (client, url, header) = (w.client.clone(), w.url(), w.token.basic());
    let waiting = tokio::spawn(async move { get(&client, &url, &header).await });
    before.reached(1).await;
    assert_eq!((before.hits(), w.sim.calls().len()), (1, 0));
    before.release();
    assert_eq!(waiting.await.unwrap().status, 200);

    let after = w
        .sim
        .hang_after(Rule::new(Fault::HangAfter).host(w.dc.host()));
    let (client, header) = (w.client.clone(), basic("robot", "wrong"));
    let url = format!("{}/rest/api/2/myself", w.dc.url());
    let waiting = tokio::spawn(async move { get(&client, &url, &header).await });
    after.reached(1).await;
    assert_eq!(w.dc.failed_logins("robot"), 1, "processed");
    // The client crashes; the log has the call, without an answer.
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let calls = w
        .sim
        .wait_for_calls(1, |call| call.host == w.dc.host())
        .await;
    assert_eq!(
        (calls[0].verdict, calls[0].status),
        (Verdict::Rejected, None)
    );
    let spare = w.sim.fault(Rule::new(Fault::DropAfter).once());
    assert!(w.try_cloud().await.is_err());
    assert!(spare.reached_blocking_in_thread());
}

/// `reached_blocking` is for threads without a runtime.
trait InThread {
    fn reached_blocking_in_thread(self) -> bool;
}

impl InThread for atlassian_sim::FaultHandle {
    fn reached_blocking_in_thread(self) -> bool {
        std::thread::spawn(move || self.reached_blocking(1, Duration::from_secs(10)))
            .join()
            .unwrap()
    }
}

#[tokio::test]
async fn handshakes_fail_by_host() {
    let w = world();
    assert_eq!(w.cloud().await.status, 200);
    let faults = [
        Fault::TlsAbort,
        Fault::TlsUnknownCa,
        Fault::TlsWrongName,
        Fault::TlsExpired,
    ];
    for fault in faults {
        let rule = w.sim.fault(Rule::new(fault.clone()).host(w.site.host()));
        w.sim.cut_connections();
        let fresh = client(&w.sim, &[w.site.host(), w.dc.host()]);
        let error = try_get(&fresh, &w.url(), &w.token.basic())
            .await
            .unwrap_err();
        assert!(error.is_connect(), "{fault:?} {error:?}");
        assert_eq!(rule.hits(), 1, "{fault:?}");
        let url = format!("{}/rest/api/2/serverInfo", w.dc.url());
        assert_eq!(
            get(&fresh, &url, "").await.status,
            200,
            "other hosts are well"
        );
        rule.remove();
        assert_eq!(
            try_get(&fresh, &w.url(), &w.token.basic())
                .await
                .unwrap()
                .status,
            200
        );
    }
    let counters = w.sim.counters();
    assert_eq!(counters.failed_handshakes, 4);
}

#[tokio::test]
async fn a_machine_that_is_down() {
    let w = world();
    w.sim.refuse_connections(true);
    w.sim.cut_connections();
    let fresh = client(&w.sim, &[w.site.host()]);
    assert!(try_get(&fresh, &w.url(), "").await.is_err());
    w.sim.refuse_connections(false);
    assert_eq!(get(&fresh, &w.url(), &w.token.basic()).await.status, 200);
}

#[tokio::test]
async fn rules_aim_at_host_path_user_token_number_and_time() {
    let w = world();
    let boom = || Rule::new(Fault::ServerError { status: 500 });
    let second = w.site.api_token(USER);
    let now = w.sim.clock().now();
    let cases = [
        (boom(), 500),
        (boom().host(w.site.host().to_uppercase()), 500),
        (boom().host(w.dc.host()), 200),
        (boom().path("/rest/api/3/my"), 500),
        (boom().path("/rest/api/2"), 200),
        (boom().user("BOT@acme.example"), 500),
        (boom().user("else@acme.example"), 200),
        (boom().token(&w.token), 500),
        (boom().token(&second), 200),
        (boom().skip(1), 200),
        (boom().times(0), 200),
        (boom().until(now - TimeDelta::seconds(1)), 200),
        (boom().until(now + TimeDelta::days(1)), 500),
    ];
    for (rule, status) in cases {
        let handle = w.sim.fault(rule.clone());
        assert_eq!(w.cloud().await.status, status, "{rule:?}");
        handle.remove();
    }
    w.sim.fault(boom().skip(1).times(2).user(USER));
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(w.cloud().await.status);
    }
    assert_eq!(statuses, [200, 500, 500, 200, 200]);
    w.sim.fault(boom().user("robot"));
    assert_eq!(w.dc().await.status, 500, "the owner of a Bearer token");
    w.sim.clear_faults();
    assert_eq!(w.dc().await.status, 200);
}
