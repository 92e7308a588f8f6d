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
    (Gates::new(clock.clone()), clock)
}

fn limited(seconds: Option<u64>) -> Verdict {
    Verdict::NoVerdict(Outage::RateLimited {
        retry_after: seconds.map(Duration::from_secs),
    })
}

fn limited_for(seconds: u64) -> Outage {
    Outage::RateLimited {
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

fn accepted() -> Verdict {
    Verdict::Accepted(Account {
        id: "JIRAUSER10000".to_owned(),
        kind: None,
        display_name: None,
        user_name: None,
    })
}

fn call(gates: &Gates, site: &Site, verdict: &Verdict) -> Result<(), Outage> {
    call_by(gates, site, &Caller::default(), verdict)
}

fn call_by(gates: &Gates, site: &Site, caller: &Caller, verdict: &Verdict) -> Result<(), Outage> {
    let turn = gates.enter(site, caller, Urgency::Routine);
    turn.map(|turn| turn.learn(verdict))
}

fn caller(namespace: &str, account: &str) -> Caller {
    Caller {
        namespace: namespace.to_owned(),
        account: account.to_owned(),
        credential: format!("uid of {account}"),
    }
}

static NOBODY: Caller = Caller {
    namespace: String::new(),
    account: String::new(),
    credential: String::new(),
};

fn enter<'a>(gates: &'a Gates, site: &Site) -> Result<Call<'a>, Outage> {
    gates.enter(site, &NOBODY, Urgency::Routine)
}

fn until(gates: &Gates, site: &Site, caller: &Caller) -> Option<DateTime<Utc>> {
    let wait = gates.wait(site, caller, Urgency::Routine);
    wait.map(|wait| wait.until)
}

#[test]
fn retry_after_is_kept_and_ends() {
    let (gates, clock) = gates();
    let site = site("jira.example.com");
    assert_eq!(until(&gates, &site, &Caller::default()), None);
    assert_eq!(call(&gates, &site, &limited(Some(60))), Ok(()));
    assert_eq!(
        until(&gates, &site, &Caller::default()),
        Some(clock.now() + TimeDelta::seconds(60))
    );
    assert_eq!(call(&gates, &site, &accepted()), Err(limited_for(60)));
    clock.advance(TimeDelta::seconds(59));
    assert_eq!(call(&gates, &site, &accepted()), Err(limited_for(1)));
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(call(&gates, &site, &accepted()), Ok(()));
    assert_eq!(until(&gates, &site, &Caller::default()), None);
}

#[test]
fn our_own_wait_doubles_up_to_a_limit_and_an_answer_resets_it() {
    let (gates, clock) = gates();
    let site = site("jira.example.com");
    for seconds in [30, 60, 120, 240, 480, 600, 600] {
        assert_eq!(call(&gates, &site, &limited(None)), Ok(()));
        let wait = TimeDelta::seconds(seconds);
        assert_eq!(
            until(&gates, &site, &Caller::default()),
            Some(clock.now() + wait)
        );
        clock.advance(wait);
    }
    let refused = Verdict::Refused(Refusal::Rejected);
    assert_eq!(call(&gates, &site, &refused), Ok(()));
    assert_eq!(call(&gates, &site, &limited(None)), Ok(()));
    assert_eq!(
        until(&gates, &site, &Caller::default()),
        Some(clock.now() + TimeDelta::seconds(30))
    );
}

#[test]
fn calls_that_are_turned_away_together_count_once() {
    let (gates, clock) = gates();
    let site = site("jira.example.com");
    let (one, other) = (enter(&gates, &site).ok(), enter(&gates, &site).ok());
    one.as_ref().unwrap().learn(&limited(None));
    other.as_ref().unwrap().learn(&limited(None));
    assert_eq!(
        until(&gates, &site, &Caller::default()),
        Some(clock.now() + TimeDelta::seconds(30))
    );
    // Nor does the success of a call that was under way end the rest.
    other.unwrap().learn(&accepted());
    assert!(until(&gates, &site, &Caller::default()).is_some());
}

#[test]
fn sites_are_told_apart_by_host_and_port_but_not_by_path() {
    let (gates, _) = gates();
    let (one, other) = (site("jira.example.com:8443"), site("jira.example.com:9443"));
    assert_eq!(call(&gates, &one, &limited(Some(60))), Ok(()));
    assert_eq!(call(&gates, &other, &accepted()), Ok(()));
    let path = Site {
        base: "https://jira.example.com:8443".to_owned(),
        ..one
    };
    assert!(until(&gates, &path, &Caller::default()).is_some());
}

#[test]
fn idle_gates_are_forgotten_and_resting_ones_kept() {
    let (gates, clock) = gates();
    let resting = site("resting.example.com");
    assert_eq!(call(&gates, &resting, &limited(Some(3600))), Ok(()));
    for number in 0..100 {
        assert_eq!(
            call(&gates, &site(&format!("{number}.example.com")), &accepted()),
            Ok(())
        );
    }
    assert_eq!(gates.lock().len(), 2);
    assert!(until(&gates, &resting, &Caller::default()).is_some());
    clock.advance(TimeDelta::hours(2));
    assert_eq!(call(&gates, &site("new.example.com"), &accepted()), Ok(()));
    assert_eq!(gates.lock().len(), 1);
}

#[test]
fn an_organisation_that_asks_for_rest_has_nobody_else_wait() {
    let (gates, _) = gates();
    let at = |path: &str| Site {
        hosting: Hosting::Cloud,
        base: format!("https://api.atlassian.com{path}"),
        host: "api.atlassian.com".to_owned(),
    };
    let organisation = at("/admin/api-access/v1/orgs/o-1");
    assert_eq!(call(&gates, &organisation, &limited(Some(60))), Ok(()));
    assert!(call(&gates, &organisation, &accepted()).is_err());
    for path in ["", "/admin/api-access/v1/orgs/o-2", "/ex/jira/a"] {
        assert_eq!(call(&gates, &at(path), &accepted()), Ok(()), "{path}");
    }
}

/// Who waits after calls of some accounts were turned away, one after the other.
#[test]
fn an_account_that_was_told_waits_and_all_wait_when_several_were_told() {
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
            // A call that was under way when the account received the limit.
            let turn = gates.enter(&site, who, Urgency::Renewal);
            if let Ok(turn) = turn {
                turn.learn(&limited(Some(600)));
            }
            clock.advance(TimeDelta::seconds(seconds_between));
        }
        let waits = all.map(|who| until(&gates, &site, who).is_some());
        assert_eq!(waits, waiting, "{told:?}");
    }
}

#[test]
fn a_renewal_waits_for_its_own_account_only() {
    let (told, due) = (caller("a", "told"), caller("b", "due"));
    let (gates, _) = gates();
    let site = site("jira.example.com");
    let busy = Verdict::NoVerdict(Outage::Unavailable {
        retry_after: Some(Duration::from_secs(60)),
    });
    assert_eq!(call_by(&gates, &site, &told, &limited(None)), Ok(()));
    for verdict in [limited(None), busy] {
        for (namespace, account) in [("c", "other"), ("d", "another")] {
            let other = caller(namespace, account);
            let call = gates.enter(&site, &other, Urgency::Renewal);
            call.map(|call| call.learn(&verdict)).unwrap_or_default();
        }
        assert!(until(&gates, &site, &due).is_some(), "{verdict:?}");
        assert!(gates.enter(&site, &due, Urgency::Routine).is_err());
        assert!(gates.enter(&site, &due, Urgency::Renewal).is_ok());
        assert!(gates.enter(&site, &told, Urgency::Renewal).is_err());
    }
}

#[test]
fn a_context_path_does_not_escape_the_limits_of_its_site() {
    let (gates, _) = gates();
    let site = |path: &str| Site {
        base: format!("https://jira.example.com{path}"),
        ..site("jira.example.com")
    };
    let limited = limited(None);
    for namespace in ["a", "b"] {
        let who = caller(namespace, "who");
        let call = gates.enter(&site("/jira"), &who, Urgency::Renewal);
        call.ok().unwrap().learn(&limited);
    }
    for path in ["/ex/jira/a", "/admin/api-access/v1/orgs/o"] {
        assert!(call(&gates, &site(path), &accepted()).is_err(), "{path}");
    }
}

#[test]
fn a_site_that_does_not_answer_pauses_who_is_concerned() {
    let (one, sibling) = (caller("a", "one"), caller("a", "sibling"));
    let (cousin, stranger) = (caller("a", "cousin"), caller("b", "stranger"));
    let all = [&one, &cousin, &stranger, &caller("c", "bystander")];
    for (met, seconds_between, waiting) in [
        (vec![&one, &one], 0, [false; 4]),
        (vec![&one, &sibling], 0, [true, true, false, false]),
        (vec![&one, &sibling], 60, [false; 4]),
        (vec![&one, &stranger], 0, [true; 4]),
    ] {
        for outage in [Outage::Timeout, Outage::Connect] {
            let (gates, clock) = gates();
            let site = site("jira.example.com");
            for who in &met {
                let call = gates.enter(&site, who, Urgency::Renewal);
                call.ok().unwrap().learn(&Verdict::NoVerdict(outage));
                clock.advance(TimeDelta::seconds(seconds_between));
            }
            let waits = all.map(|who| until(&gates, &site, who).is_some());
            assert_eq!(waits, waiting, "{met:?}");
            assert!(gates.wait(&site, &one, Urgency::Renewal).is_none());
        }
    }
}

#[test]
fn the_pause_grows_until_the_site_answers() {
    let (one, other) = (caller("a", "one"), caller("b", "other"));
    let (gates, clock) = gates();
    let site = site("jira.example.com");
    let silent = Verdict::NoVerdict(Outage::Timeout);
    let meet = |gates: &Gates| {
        for who in [&one, &other] {
            let call = gates.enter(&site, who, Urgency::Renewal);
            call.ok().unwrap().learn(&silent);
        }
        gates.wait(&site, &one, Urgency::Routine).unwrap()
    };
    for seconds in [15, 30, 60, 120, 240, 480, 600, 600] {
        let wait = meet(&gates);
        assert_eq!(wait.cause, WaitCause::Unresponsive);
        assert_eq!(wait.until - clock.now(), TimeDelta::seconds(seconds));
        let paused = enter(&gates, &site).err();
        assert!(matches!(paused, Some(Outage::Paused { .. })), "{paused:?}");
        clock.advance(TimeDelta::seconds(seconds));
    }
    assert_eq!(call_by(&gates, &site, &one, &accepted()), Ok(()));
    assert_eq!(meet(&gates).until - clock.now(), TimeDelta::seconds(15));
}

/// One tenant chose a path that does not work; and two credentials of one account are two who met it.
#[test]
fn a_503_and_a_silent_path_are_met_by_each_credential() {
    let busy = Verdict::NoVerdict(Outage::Unavailable {
        retry_after: Some(Duration::from_secs(900)),
    });
    let (gates, _) = gates();
    let site = site("jira.example.com");
    let (one, stranger) = (caller("a", "one"), caller("b", "stranger"));
    assert_eq!(call_by(&gates, &site, &one, &busy), Ok(()));
    assert!(until(&gates, &site, &one).is_some());
    assert_eq!(until(&gates, &site, &stranger), None);

    let silent = Verdict::NoVerdict(Outage::Timeout);
    let twin = Caller {
        credential: "another".to_owned(),
        ..caller("b", "stranger")
    };
    for who in [&stranger, &twin] {
        assert_eq!(call_by(&gates, &site, who, &silent), Ok(()));
    }
    assert!(until(&gates, &site, &caller("b", "third")).is_some());
}

#[test]
fn what_was_met_is_remembered_while_other_sites_are_called() {
    let (gates, clock) = gates();
    let silent = Verdict::NoVerdict(Outage::Timeout);
    let hanging = site("jira.example.com");
    for (namespace, elsewhere) in [("a", "one.example.com"), ("b", "two.example.com")] {
        let who = caller(namespace, "who");
        assert_eq!(call_by(&gates, &hanging, &who, &silent), Ok(()));
        assert_eq!(call(&gates, &site(elsewhere), &accepted()), Ok(()));
        clock.advance(TimeDelta::seconds(5));
    }
    assert!(until(&gates, &hanging, &caller("c", "third")).is_some());
}

#[test]
fn a_rest_lasts_as_long_as_it_was_meant_to_when_the_clock_is_set() {
    for set in [TimeDelta::hours(-5), TimeDelta::hours(5)] {
        let (gates, clock) = gates();
        let site = site("jira.example.com");
        call(&gates, &site, &limited(Some(60))).unwrap();
        clock.set(set);
        let wait = gates.wait(&site, &NOBODY, Urgency::Routine).unwrap();
        assert_eq!(wait.until - clock.now(), TimeDelta::seconds(60), "{set}");
        let told = call(&gates, &site, &accepted());
        assert_eq!(told, Err(limited_for(60)), "{set}");
        clock.advance(TimeDelta::seconds(60));
        assert_eq!(gates.wait(&site, &NOBODY, Urgency::Routine), None, "{set}");
        call(&gates, &site, &accepted()).unwrap();
    }
}
