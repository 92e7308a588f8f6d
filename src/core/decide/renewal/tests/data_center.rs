//! Data Center honours nothing twice, and deletes what was spent with the access token before it.

use chrono::TimeDelta;

use crate::api::{Attempt, AttemptOutcome, MethodName, Reason, SiteStatus};
use crate::core::conclude::conclude;
use crate::core::decide::renewal::tests::{at, begun, facts, in_use, me, other, print, wait, word};
use crate::core::facts::Facts;
use crate::core::grant::{Access, RenewalFailure};
use crate::core::probe::WaitCause;
use crate::core::spec::Site;

const URL: &str = "https://app.example/callback";

/// The same facts at a Data Center.
fn at_home(mut facts: Facts) -> Facts {
    facts.spec.site = "https://jira.example".into();
    facts.spec.hosting = Some(crate::api::Hosting::DataCenter);
    let site = Site::of(&facts.spec).unwrap();
    let plan = facts.plan.as_mut().unwrap();
    plan.site = site;
    let renewal = plan.renewal.as_mut().unwrap();
    renewal.gateway = None;
    renewal.redirect_uri = Some(URL.into());
    facts
}

#[test]
fn every_repetition_is_the_last_one_and_overtakes_nobody() {
    for (leads, by, started, minute, seen_for, expected) in [
        // Seen unchanged for long enough: no leeway is waited for.
        (Some(true), other(), 50, 52, 90, "intend replay 52 50"),
        (Some(true), other(), 50, 52, 89, "at 52"),
        // Age alone is no validation that its holder has no answer to store.
        (Some(true), other(), 20, 50, 0, "at 51"),
        (Some(false), other(), 20, 50, 90, "idle"),
        // Without an election it must be too old for a call to be under way as well.
        (None, other(), 50, 52, 90, "at 53"),
        (None, other(), 50, 53, 90, "intend replay 53 50"),
        (None, other(), 20, 50, 0, "at 51"),
        // One's own attempt has ended, and no one else has its answer.
        (None, me(), 50, 50, 0, "intend replay 50 50"),
        (Some(false), me(), 50, 50, 0, "intend replay 50 50"),
    ] {
        let mut facts = at_home(facts(minute, Some(begun(by, started, started))));
        let process = &mut facts.renewal.as_mut().unwrap().process;
        process.leads = leads;
        process.seen_for = TimeDelta::seconds(seen_for);
        assert_eq!(
            word(&facts),
            expected,
            "{leads:?} {started} {minute} {seen_for}"
        );
    }
    let mut facts = at_home(facts(50, Some(begun(me(), 50, 50))));
    facts.renewal.as_mut().unwrap().process.running = true;
    assert_eq!(word(&facts), "at 50", "it runs");
}

#[test]
fn a_token_that_was_refused_along_with_another_redirect_url_is_tried_once_more() {
    for (sent, expected) in [
        (None, "idle"),
        (Some(URL), "idle"),
        (Some("https://app.example/other"), "intend first 50 -"),
    ] {
        let mut grant = in_use();
        grant.miss("one", RenewalFailure::Dead, at(46), at(46));
        grant.refused_with("one", sent);
        assert_eq!(word(&at_home(facts(50, Some(grant)))), expected, "{sent:?}");
    }
}

#[test]
fn refused_scopes_wait_for_another_spec() {
    for (changed, expected) in [(false, "at 55"), (true, "intend first 50 -")] {
        let mut grant = in_use();
        let miss = RenewalFailure::NotSpent(Reason::InsufficientScope);
        grant.miss("one", miss, at(46), at(55));
        let mut facts = at_home(facts(50, Some(grant)));
        if changed {
            facts.object.generation += 1;
        }
        assert_eq!(word(&facts), expected, "{changed}");
    }
}

/// A successor from minute 45 of what was validated and is published until minute 60.
fn renewed(minute: i64, validated: &[&str], granted: &[&str]) -> Facts {
    let mut grant = in_use();
    let access = grant.live.as_mut().unwrap().access.as_mut().unwrap();
    *access = Access {
        token: print("renewed"),
        obtained: at(45),
        expires: at(105),
        scopes: granted.iter().map(|&scope| scope.to_owned()).collect(),
        id: None,
    };
    let family_id = grant.live.as_ref().unwrap().family_id();
    let mut facts = facts(minute, Some(grant));
    let status = &mut facts.status;
    status.method = Some(MethodName::OAuth2);
    status.scopes = validated.iter().map(|&scope| scope.to_owned()).collect();
    status.expires_at = Some(at(60));
    status.grant = Some(crate::api::GrantStatus {
        chain: Some(family_id),
        ..Default::default()
    });
    let mut facts = at_home(facts);
    let site = facts.plan.as_ref().unwrap().site.clone();
    facts.status.site = Some(SiteStatus {
        hosting: site.hosting,
        api_url: site.base,
        address: None,
        cloud_id: None,
    });
    facts
}

fn attempt(outcome: AttemptOutcome) -> Attempt {
    Attempt {
        failures: 1,
        last_failure_time: at(45),
        next_attempt_time: Some(at(50)),
        fingerprint: "k0000:renewed".into(),
        outcome,
        reason: Some(Reason::SiteUnavailable),
    }
}

#[test]
fn a_successor_is_published_as_soon_as_asking_has_brought_nothing() {
    let silent = || Some(attempt(AttemptOutcome::NoVerdict));
    let refused = || Some(attempt(AttemptOutcome::Refused));
    let write: &[&str] = &["WRITE"];
    for (what, attempt, rests, validated, granted, expected) in [
        ("not asked yet", None, false, write, write, false),
        ("no verdict", silent(), false, write, write, true),
        (
            "asked to rest by another call",
            None,
            true,
            write,
            write,
            true,
        ),
        ("refused", refused(), false, write, write, false),
        ("fewer scopes", silent(), false, write, &["READ"][..], false),
        ("more scopes", silent(), false, &["READ"][..], write, true),
        ("scopes are not told", silent(), false, write, &[][..], true),
    ] {
        let mut facts = renewed(46, validated, granted);
        facts.status.attempt = attempt;
        facts.site_wait = rests.then(|| wait(WaitCause::RateLimited, 50));
        assert_eq!(facts.must_publish_unvalidated(), expected, "{what}");
    }
    let mut facts = renewed(46, write, write);
    facts.status.attempt = silent();
    facts.status.grant.as_mut().unwrap().chain = Some("another".into());
    assert!(!facts.must_publish_unvalidated(), "another consent");
    let mut facts = renewed(46, write, write);
    facts.status.attempt = silent();
    facts.now = at(105);
    assert!(!facts.must_publish_unvalidated(), "it has ended itself");
}

#[test]
fn a_consent_has_no_end_of_its_own() {
    let facts = at_home(facts(10, Some(in_use())));
    let status = conclude(&facts, &facts.status).status;
    let grant = status.grant.unwrap();
    assert_eq!(grant.consent_expires_at, None);
    assert_eq!(grant.idle_expires_at, Some(at(90 * 24 * 60)));
}

#[test]
fn a_wider_scope_is_enough() {
    let mut facts = renewed(46, &[], &["WRITE"]);
    for (wanted, missing) in [("READ", false), ("WRITE", false), ("ADMIN", true)] {
        let plan = facts.plan.as_mut().unwrap().renewal.as_mut().unwrap();
        plan.scopes = vec![wanted.into()];
        assert_eq!(facts.lacks_scopes(), missing, "{wanted}");
    }
}
