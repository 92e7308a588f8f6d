use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::api::{Account, Hosting};
use crate::core::probe::Refusal;

fn site(authority: &str) -> Site {
    let host = authority.split(':').next().unwrap_or_default().to_owned();
    Site {
        hosting: Hosting::DataCenter,
        base: format!("https://{authority}/jira"),
        host,
    }
}

fn gates() -> (Gates, Clock) {
    let clock = Clock::standing_at(DateTime::from_timestamp(1_790_000_000, 0).unwrap());
    (Gates::new(clock.clone(), 2), clock)
}

fn limited(seconds: Option<u64>) -> Verdict {
    Verdict::NoVerdict(Outage::RateLimited {
        retry_after: seconds.map(Duration::from_secs),
    })
}

fn accepted() -> Verdict {
    Verdict::Accepted(Account {
        id: "JIRAUSER10000".to_owned(),
        kind: None,
    })
}

async fn call(gates: &Gates, site: &Site, verdict: &Verdict) -> Result<(), Duration> {
    call_by(gates, site, &Caller::default(), verdict).await
}

async fn call_by(
    gates: &Gates,
    site: &Site,
    caller: &Caller,
    verdict: &Verdict,
) -> Result<(), Duration> {
    let turn = gates.enter(site, caller, Urgency::Routine).await;
    turn.map(|turn| turn.learn(verdict))
}

fn caller(namespace: &str, account: &str) -> Caller {
    Caller {
        namespace: namespace.to_owned(),
        account: account.to_owned(),
    }
}

static NOBODY: Caller = Caller {
    namespace: String::new(),
    account: String::new(),
};

async fn enter<'a>(gates: &'a Gates, site: &Site) -> Result<Turn<'a>, Duration> {
    gates.enter(site, &NOBODY, Urgency::Routine).await
}

#[tokio::test]
async fn retry_after_is_kept_and_ends() {
    let (gates, clock) = gates();
    let site = site("jira.example.com");
    assert_eq!(gates.resting_until(&site, &Caller::default()), None);
    assert_eq!(call(&gates, &site, &limited(Some(60))).await, Ok(()));
    assert_eq!(
        gates.resting_until(&site, &Caller::default()),
        Some(clock.now() + TimeDelta::seconds(60))
    );
    assert_eq!(
        call(&gates, &site, &accepted()).await,
        Err(Duration::from_secs(60))
    );
    clock.advance(TimeDelta::seconds(59));
    assert_eq!(
        call(&gates, &site, &accepted()).await,
        Err(Duration::from_secs(1))
    );
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(call(&gates, &site, &accepted()).await, Ok(()));
    assert_eq!(gates.resting_until(&site, &Caller::default()), None);
}

#[tokio::test]
async fn our_own_wait_doubles_up_to_a_limit_and_an_answer_resets_it() {
    let (gates, clock) = gates();
    let site = site("jira.example.com");
    for seconds in [30, 60, 120, 240, 480, 600, 600] {
        assert_eq!(call(&gates, &site, &limited(None)).await, Ok(()));
        let wait = TimeDelta::seconds(seconds);
        assert_eq!(
            gates.resting_until(&site, &Caller::default()),
            Some(clock.now() + wait)
        );
        clock.advance(wait);
    }
    let refused = Verdict::Refused(Refusal::Rejected);
    assert_eq!(call(&gates, &site, &refused).await, Ok(()));
    assert_eq!(call(&gates, &site, &limited(None)).await, Ok(()));
    assert_eq!(
        gates.resting_until(&site, &Caller::default()),
        Some(clock.now() + TimeDelta::seconds(30))
    );
}

#[tokio::test]
async fn calls_that_are_turned_away_together_count_once() {
    let (gates, clock) = gates();
    let site = site("jira.example.com");
    let (one, other) = (
        enter(&gates, &site).await.ok(),
        enter(&gates, &site).await.ok(),
    );
    one.as_ref().unwrap().learn(&limited(None));
    other.as_ref().unwrap().learn(&limited(None));
    assert_eq!(
        gates.resting_until(&site, &Caller::default()),
        Some(clock.now() + TimeDelta::seconds(30))
    );
    // Nor does the success of a call that was under way end the rest.
    other.unwrap().learn(&accepted());
    assert!(gates.resting_until(&site, &Caller::default()).is_some());
}

#[tokio::test]
async fn those_who_waited_in_line_do_not_call_a_resting_site() {
    let (gates, _) = gates();
    let site = site("jira.example.com");
    let turn = enter(&gates, &site).await.ok().unwrap();
    let _other = enter(&gates, &site).await.ok().unwrap();
    let (waiting, ()) = tokio::join!(enter(&gates, &site), async {
        turn.learn(&limited(Some(7)));
        drop(turn);
    });
    assert_eq!(waiting.err(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn no_more_calls_at_a_time_than_configured() {
    let (gates, _) = gates();
    let site = site("jira.example.com");
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let calls = (0..16).map(|_| async {
        let _turn = enter(&gates, &site).await.ok().unwrap();
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        running.fetch_sub(1, Ordering::SeqCst);
    });
    futures::future::join_all(calls).await;
    assert_eq!(most.into_inner(), 2);
}

#[tokio::test]
async fn sites_are_told_apart_by_host_and_port_but_not_by_path() {
    let (gates, _) = gates();
    let (one, other) = (site("jira.example.com:8443"), site("jira.example.com:9443"));
    assert_eq!(call(&gates, &one, &limited(Some(60))).await, Ok(()));
    assert_eq!(call(&gates, &other, &accepted()).await, Ok(()));
    let path = Site {
        base: "https://jira.example.com:8443".to_owned(),
        ..one
    };
    assert!(gates.resting_until(&path, &Caller::default()).is_some());
}

#[tokio::test]
async fn idle_gates_are_forgotten_and_resting_ones_kept() {
    let (gates, clock) = gates();
    let resting = site("resting.example.com");
    assert_eq!(call(&gates, &resting, &limited(Some(3600))).await, Ok(()));
    for number in 0..100 {
        assert_eq!(
            call(&gates, &site(&format!("{number}.example.com")), &accepted()).await,
            Ok(())
        );
    }
    assert_eq!(gates.lock().len(), 2);
    assert!(gates.resting_until(&resting, &Caller::default()).is_some());
    clock.advance(TimeDelta::hours(2));
    assert_eq!(
        call(&gates, &site("new.example.com"), &accepted()).await,
        Ok(())
    );
    assert_eq!(gates.lock().len(), 1);
}

#[tokio::test]
async fn an_organisation_that_asks_for_rest_has_nobody_else_wait() {
    let (gates, _) = gates();
    let at = |path: &str| Site {
        hosting: Hosting::Cloud,
        base: format!("https://api.atlassian.com{path}"),
        host: "api.atlassian.com".to_owned(),
    };
    let organisation = at("/admin/api-access/v1/orgs/o-1");
    assert_eq!(
        call(&gates, &organisation, &limited(Some(60))).await,
        Ok(())
    );
    assert!(call(&gates, &organisation, &accepted()).await.is_err());
    for path in ["", "/admin/api-access/v1/orgs/o-2", "/ex/jira/a"] {
        assert_eq!(call(&gates, &at(path), &accepted()).await, Ok(()), "{path}");
    }
}

/// Who waits after calls of some accounts were turned away, one after the other.
#[tokio::test]
async fn whoever_was_told_waits_and_the_others_when_several_were_told() {
    let (one, sibling) = (caller("a", "one"), caller("a", "sibling"));
    let (cousin, stranger) = (caller("a", "cousin"), caller("b", "stranger"));
    let all = [&one, &sibling, &cousin, &stranger];
    for (told, seconds_between, waiting) in [
        (vec![&one], 0, [true, false, false, false]),
        (vec![&one, &one], 0, [true, false, false, false]),
        (vec![&one, &sibling], 0, [true, true, true, false]),
        (vec![&one, &stranger], 0, [true, true, true, true]),
        (vec![&one, &stranger], 60, [true, false, false, true]),
    ] {
        let (gates, clock) = gates();
        let site = site("jira.example.com");
        for who in &told {
            // A call that was under way when the account was told.
            let turn = gates.enter(&site, who, Urgency::Renewal).await;
            if let Ok(turn) = turn {
                turn.learn(&limited(Some(600)));
            }
            clock.advance(TimeDelta::seconds(seconds_between));
        }
        let waits = all.map(|who| gates.resting_until(&site, who).is_some());
        assert_eq!(waits, waiting, "{told:?}");
    }
}

#[tokio::test]
async fn a_renewal_waits_for_its_own_account_only() {
    let (told, due) = (caller("a", "told"), caller("b", "due"));
    let (gates, _) = gates();
    let site = site("jira.example.com");
    let busy = Verdict::NoVerdict(Outage::Unavailable {
        retry_after: Some(Duration::from_secs(60)),
    });
    assert_eq!(call_by(&gates, &site, &told, &limited(None)).await, Ok(()));
    for verdict in [limited(None), busy] {
        let other = caller("c", "other");
        let _ = call_by(&gates, &site, &other, &verdict).await;
        assert!(gates.resting_until(&site, &due).is_some(), "{verdict:?}");
        assert!(gates.enter(&site, &due, Urgency::Routine).await.is_err());
        assert!(gates.enter(&site, &due, Urgency::Renewal).await.is_ok());
        assert!(gates.enter(&site, &told, Urgency::Renewal).await.is_err());
    }
}

#[tokio::test]
async fn a_context_path_does_not_escape_the_limits_of_its_site() {
    let (gates, _) = gates();
    let site = |path: &str| Site {
        base: format!("https://jira.example.com{path}"),
        ..site("jira.example.com")
    };
    let busy = Verdict::NoVerdict(Outage::Unavailable { retry_after: None });
    assert_eq!(call(&gates, &site("/jira"), &busy).await, Ok(()));
    for path in ["/ex/jira/a", "/admin/api-access/v1/orgs/o"] {
        assert!(
            call(&gates, &site(path), &accepted()).await.is_err(),
            "{path}"
        );
    }
}
