mod cases;
mod data_center;
mod previous;
mod verdicts;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::api::{JiraCredentialStatus, MethodName, Reason, SourceVersion};
use crate::core::decide::renewal::next;
use crate::core::decide::renewal::takeover::{REPLAY_WITHIN, wait_in_doubt};
use crate::core::decide::renewal::timing::renew_at;
use crate::core::decide::step::Move;
use crate::core::facts::{
    ApiKey, Facts, GrantState, Held, Object, Peer, Process, Progress, Renewal, SeedState, Source,
    TimeScale,
};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Access, Grant, Holder, Intent, RenewalFailure, Tokens};
use crate::core::probe::{SiteWait, WaitCause};
use crate::core::spec::{
    Client, Periods, Plan, RenewalKind, RenewalPlan, Site, Stated, TokenFormat,
};
use crate::core::time::{backoff, jitter};

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
}

fn client() -> Client {
    Client {
        endpoint: "https://auth.example/oauth/token".into(),
        id: "client".into(),
    }
}

fn print(token: &str) -> Fingerprint {
    Fingerprint::recorded(&format!("k0000:{token}"))
}

fn me() -> Holder {
    Holder {
        pod: "pod".into(),
        nonce: "mine".into(),
    }
}

fn other() -> Holder {
    Holder {
        pod: "pod".into(),
        nonce: "earlier".into(),
    }
}

fn plan() -> RenewalPlan {
    RenewalPlan {
        grant: "grant".into(),
        kind: RenewalKind::Refresh,
        client: client(),
        gateway: Some("https://api.example".into()),
        redirect_uri: None,
        cloud_id: Some("id".into()),
        scopes: Vec::new(),
        renew_before: None,
        retention: TimeDelta::hours(24),
        stated: Stated::default(),
    }
}

/// A grant in use since minute 0, its token good for an hour.
fn in_use() -> Grant<Fingerprint> {
    let mut grant = Grant::default();
    grant.adopt("one", print("seed"), client(), at(0), false);
    let access = Access {
        token: print("access"),
        obtained: at(0),
        expires: at(60),
        scopes: Vec::new(),
        id: None,
    };
    let tokens = Tokens {
        access,
        refresh: Some(print("refresh")),
        offline_missing: false,
    };
    grant.keep("one", "first", tokens);
    grant.promote();
    grant.uid = Some("uid".into());
    grant
}

/// A uid that comes no earlier than others with this wait.
fn unsplayed(before: TimeDelta) -> String {
    let none = |uid: &String| jitter(uid, before / 5).is_zero();
    (0..10_000).map(|n: u32| n.to_string()).find(none).unwrap()
}

fn begun(by: Holder, started: i64, first_sent: i64) -> Grant<Fingerprint> {
    let mut grant = in_use();
    grant.intend(Intent {
        attempt: "attempt".into(),
        holder: by,
        origin: "one".into(),
        first_sent: at(first_sent),
        started: at(started),
        interrupted: None,
        replay: false,
    });
    grant
}

/// A wait that ends at this minute.
fn wait(cause: WaitCause, minute: i64) -> SiteWait {
    let until = at(minute);
    SiteWait { until, cause }
}

fn facts(minute: i64, grant: Option<Grant<Fingerprint>>) -> Facts {
    let spec: crate::api::JiraCredentialSpec = serde_json::from_value(json!({
        "site": "https://acme.atlassian.net",
        "auth": {"oauth2": {
            "clientId": "client",
            "clientSecretRefs": [{"name": "client", "key": "secret"}],
            "refreshTokenSecretRef": {"name": "seed", "key": "token"},
        }},
    }))
    .unwrap();
    let site = Site::of(&spec).unwrap();
    let periods = Periods::of(&spec).unwrap();
    let grant = grant.map_or(GrantState::Absent, |grant| {
        GrantState::Read(Box::new(Held {
            grant,
            uid: "uid".into(),
        }))
    });
    Facts {
        now: at(minute),
        object: Object {
            namespace: "team".into(),
            name: "bot".into(),
            uid: unsplayed(TimeDelta::minutes(15)),
            generation: 1,
            deleting: false,
            renew: None,
        },
        status: JiraCredentialStatus {
            observed_generation: 1,
            validated_fingerprint: Some("k0000:access".into()),
            ..JiraCredentialStatus::default()
        },
        plan: Ok(Plan {
            method: MethodName::OAuth2,
            site,
            periods,
            issued_at: None,
            expires_at: None,
            renewal: Some(plan()),
            gateway_fallback: None,
        }),
        source: Source::Read {
            fingerprint: print("access"),
            versions: Vec::<SourceVersion>::new(),
        },
        form: TokenFormat::default(),
        targets: Vec::new(),
        surplus: Vec::new(),
        peer: Peer::Silent,
        watched_since: None,
        site_wait: None,
        renewal_wait: None,
        proxy: None,
        api_key: ApiKey::Unmoved,
        renewal: Some(Renewal {
            grant,
            seed: SeedState::NotRead,
            rival: None,
            others: Vec::new(),
            login: Peer::Silent,
            clients_changed: false,
            missing: None,
            clients_read: true,
            process: Process {
                holder: me(),
                ..Process::default()
            },
            time_scale: TimeScale::default(),
        }),
        texts: Vec::new(),
        batches: None,
        progress: Progress::default(),
        spec,
    }
}

fn word(facts: &Facts) -> String {
    match next(facts) {
        None => "none".into(),
        Some(Move::At(time)) => format!("at {}", (time - at(0)).num_minutes()),
        Some(Move::Intend(spend)) => {
            let minutes = |time: DateTime<Utc>| (time - at(0)).num_minutes();
            let interrupted = spend
                .interrupted
                .map_or("-".into(), |time| minutes(time).to_string());
            let replay = if spend.replay { "replay" } else { "first" };
            let early = if spend.early { " early" } else { "" };
            format!(
                "intend {replay} {} {interrupted}{early}",
                minutes(spend.first_sent)
            )
        }
        Some(Move::Renew(_)) => "renew".into(),
        Some(Move::Blocked(reason)) => format!("blocked {reason:?}"),
        Some(Move::ImportToken) => "import token".into(),
        Some(Move::CheckDuplicate) => "check duplicate".into(),
        Some(Move::Promote) => "promote".into(),
        Some(Move::Idle) => "idle".into(),
    }
}

#[test]
fn a_token_of_an_hour_is_renewed_a_quarter_before_its_end() {
    for (minute, expected) in [
        (0, "at 45"),
        (44, "at 45"),
        (45, "intend first 45 -"),
        (70, "intend first 70 -"),
    ] {
        assert_eq!(word(&facts(minute, Some(in_use()))), expected);
    }
}

#[test]
fn renewal_never_takes_more_than_half_of_a_life_and_comes_earlier_for_some() {
    let access = Access {
        token: print("access"),
        obtained: at(0),
        expires: at(60),
        scopes: Vec::new(),
        id: None,
    };
    for (before, minute) in [(None, 45), (Some(10), 50), (Some(59), 30), (Some(500), 30)] {
        let before = before.map(TimeDelta::minutes);
        let uid = unsplayed(before.unwrap_or(TimeDelta::minutes(15)));
        let plan = RenewalPlan {
            renew_before: before,
            ..plan()
        };
        assert_eq!(renew_at(&access, &plan, &uid), at(minute));
    }
    for n in 0..50 {
        let time = renew_at(&access, &plan(), &format!("uid-{n}"));
        assert!(time <= at(45) && time > at(41), "{time}");
    }
}

/// A clock that was ahead has written times that say nothing: neither when the token ends nor until
/// when a failure is waited out.
#[test]
fn what_a_clock_that_was_ahead_has_written_puts_no_renewal_off() {
    let ahead = 5 * 60;
    for (minutes, expected) in [
        (4, "at 49"),
        (6, "intend first 0 -"),
        (ahead, "intend first 0 -"),
    ] {
        let mut grant = in_use();
        let access = grant.live.as_mut().unwrap().access.as_mut().unwrap();
        (access.obtained, access.expires) = (at(minutes), at(minutes + 60));
        assert_eq!(word(&facts(0, Some(grant))), expected, "{minutes}");
    }
    for (failed, expected) in [(50, "at 59"), (ahead, "intend first 50 -")] {
        let mut grant = in_use();
        let miss = RenewalFailure::NotSpent(Reason::SiteUnavailable);
        grant.miss("one", miss, at(failed), at(failed + 9));
        assert_eq!(word(&facts(50, Some(grant))), expected, "{failed}");
    }
}

/// A token endpoint must not be able to have the operator call it without end.
#[test]
fn a_token_that_ends_at_once_is_renewed_as_if_it_lived_a_minute() {
    for seconds in [-5, 0, 1, 10] {
        let mut grant = in_use();
        let live = grant.live.as_mut().unwrap();
        let access = live.access.as_mut().unwrap();
        access.expires = at(0) + TimeDelta::seconds(seconds);
        let due = at(0) + TimeDelta::seconds(30);
        let facts = facts(0, Some(grant));
        assert_eq!(next(&facts), Some(Move::At(due)), "{seconds}");
    }
}

#[test]
fn what_another_process_has_begun_is_taken_over_by_ones_own_clock_or_when_it_is_old() {
    for (started, seen_for, expected) in [
        (50, 0, "at 51"),
        (50, 89, "at 50"),
        (50, 90, "intend replay 50 -"),
        // Three minutes of age need no watching.
        (47, 0, "intend replay 47 -"),
        // A clock that is behind ours, or ahead, makes no one wait for ever.
        (90, 90, "intend replay 90 -"),
    ] {
        let mut facts = facts(50, Some(begun(other(), started, started)));
        let process = &mut facts.renewal.as_mut().unwrap().process;
        process.seen_for = TimeDelta::seconds(seen_for);
        assert_eq!(word(&facts), expected, "{started} {seen_for}");
    }
}

#[test]
fn ones_own_attempt_is_waited_for_while_it_runs_and_repeated_when_it_has_ended() {
    let mut facts = facts(50, Some(begun(me(), 50, 50)));
    assert_eq!(word(&facts), "intend replay 50 -");
    facts.renewal.as_mut().unwrap().process.running = true;
    assert_eq!(word(&facts), "at 50");
}

#[test]
fn after_the_leeway_there_is_one_last_attempt_and_it_says_since_when() {
    for (leads, minute, seen_for, expected) in [
        (None, 58, 90, "intend replay 50 -"),
        (None, 59, 90, "at 70"),
        (None, 70, 90, "intend replay 70 50"),
        // Its holder may still have the answer: however old, it is watched first.
        (None, 70, 0, "at 71"),
        (Some(true), 59, 90, "intend replay 59 50"),
        (Some(true), 59, 0, "at 60"),
        (Some(false), 80, 90, "idle"),
    ] {
        let mut facts = facts(minute, Some(begun(other(), 50, 50)));
        let process = &mut facts.renewal.as_mut().unwrap().process;
        process.leads = leads;
        process.seen_for = TimeDelta::seconds(seen_for);
        assert_eq!(word(&facts), expected, "{leads:?} {minute} {seen_for}");
    }
}

#[test]
fn a_token_that_may_be_spent_is_used_again_several_times_within_the_leeway() {
    let cloud = plan();
    let data_center = RenewalPlan {
        gateway: None,
        ..plan()
    };
    let service = RenewalPlan {
        kind: RenewalKind::ClientCredentials,
        ..plan()
    };
    for failures in [1, 4, 6, 9, i32::MAX] {
        let usual = backoff(failures, "uid");
        let wait = |plan| wait_in_doubt(plan, usual, TimeScale::default(), "uid");
        assert!(
            wait(&cloud) <= usual && wait(&cloud) * 3 < REPLAY_WITHIN,
            "{failures}"
        );
        assert_eq!(wait(&data_center), usual, "nothing is honoured twice there");
        assert_eq!(wait(&service), usual, "nothing is spent");
    }
}
