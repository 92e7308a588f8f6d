use crate::simulator::{Effects, REJECTED, World, accepted};
use jira_credential_operator::api::{AttemptOutcome, ConditionType, Reason};
use jira_credential_operator::core::decide::Step;
use jira_credential_operator::core::probe::{Outage, Refusal, Verdict};
use jira_credential_operator::core::spec::{TokenFormat, TokenKind};

const GATEWAY: &str = "https://api.example";

const SITE: &str = "https://acme.atlassian.net";

const BEHIND: &str = "https://api.example/ex/jira/cloud";

const TIMEOUT: Verdict = Verdict::NoVerdict(Outage::Timeout);

/// A token that the site refuses and the gateway accepts.
fn scoped() -> World {
    World::token().with(|world| {
        world.gateway = Some(GATEWAY);
        world.jira.clear();
        world.at_gateway.insert("good", accepted("anna"));
    })
}

fn base(world: &World) -> (&str, Option<&str>) {
    let site = world.status.site.as_ref().unwrap();
    (&site.api_url, site.cloud_id.as_deref())
}

fn message(world: &World) -> String {
    world
        .condition(ConditionType::Valid)
        .unwrap()
        .message
        .clone()
}

#[test]
fn a_token_with_scopes_is_found_at_the_gateway_and_stays_there() {
    let mut world = scoped();
    let passed = world.pass();
    assert_eq!(
        passed.steps[..3],
        [Step::Validate, Step::ResolveCloudId, Step::Validate]
    );
    assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
    assert_eq!(base(&world), (BEHIND, Some("cloud")));
    assert_eq!(passed.facts.api_base().as_deref(), Some(BEHIND));
    let digest = world.status.targets[0].hash.clone();
    world.effects = Effects::default();
    world.wait(2 * 3600);
    world.pass();
    assert_eq!(world.effects.calls, Vec::<String>::new(), "not at the site");
    assert_eq!(world.effects.questions, ["gateway"]);
    assert_eq!(world.status.targets[0].hash, digest);
    world.wait(1);
    let quiet = world.effects.clone();
    world.pass();
    assert_eq!(world.effects, quiet, "nothing is due");
}

#[test]
fn a_token_without_scopes_stays_at_the_site() {
    let mut world = World::token().with(|world| world.gateway = Some(GATEWAY));
    let passed = world.pass();
    assert_eq!(world.effects.questions, ["permissions"]);
    assert_eq!(base(&world), (SITE, None));
    let without = World::token().at_rest();
    assert_eq!(world.status.targets[0].hash, without.status.targets[0].hash);
    assert_eq!(passed.facts.api_base().as_deref(), Some(SITE));
    // What was accepted here and is refused now is no token with scopes.
    world.effects.questions.clear();
    world.jira.clear();
    for seconds in [2 * 3600, 120] {
        world.wait(seconds);
        world.pass();
    }
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
    assert_eq!(world.effects.questions, Vec::<&str>::new());
}

#[test]
fn when_both_refuse_the_refusal_stands_and_says_so() {
    let mut world = scoped().with(|world| world.at_gateway.clear());
    let passed = world.pass();
    assert_eq!(
        passed.steps,
        [Step::Validate, Step::ResolveCloudId, Step::Validate]
    );
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
    let text = message(&world);
    assert!(
        text.starts_with("Both Jira at acme.atlassian.net and Atlassian's gateway"),
        "{text}"
    );
    assert_eq!(base(&world), (SITE, None), "nothing was validated anywhere");
    world.effects.questions.clear();
    world.wait(60);
    let written = world.effects.status_writes;
    world.pass();
    assert_eq!(
        world.effects.questions,
        Vec::<&str>::new(),
        "not again at once"
    );
    assert_eq!(world.effects.status_writes, written);
    assert_eq!(message(&world), text);
    world.wait(7 * 3600);
    world.pass();
    assert_eq!(
        world.effects.questions,
        ["id", "gateway"],
        "with the heartbeat"
    );
}

#[test]
fn silence_of_the_gateway_leaves_it_open_what_the_site_s_refusal_means() {
    let limited = Verdict::NoVerdict(Outage::RateLimited { retry_after: None });
    for (silent, at_gateway) in [
        (TIMEOUT, false),
        (limited.clone(), false),
        (TIMEOUT, true),
        (limited, true),
    ] {
        let mut world = scoped();
        if at_gateway {
            world.at_gateway.insert("good", silent.clone());
        } else {
            world.cloud_id = Err(silent.clone());
        }
        world.pass();
        let valid = world.status_of(ConditionType::Valid);
        assert!(valid.starts_with("Unknown"), "{silent:?}: {valid}");
        let text = message(&world);
        assert!(
            text.contains("refuses the API token at its own address")
                && text.contains("has not answered yet"),
            "{text}"
        );
        assert_eq!(text.contains("api.example"), at_gateway, "{text}");
        let attempt = world.status.attempt.clone().unwrap();
        assert_eq!(attempt.outcome, AttemptOutcome::NoVerdict);
        world.cloud_id = Ok("cloud");
        world.at_gateway.insert("good", accepted("anna"));
        world.wait(120);
        world.pass();
        assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
    }
}

#[test]
fn a_validated_credential_survives_a_rotation_through_an_outage_of_the_gateway() {
    let mut world = scoped().at_rest();
    let digest = world.status.targets[0].hash.clone();
    world.store("bad");
    world.at_gateway.insert("bad", TIMEOUT);
    world.pass();
    assert!(world.status_of(ConditionType::Valid).starts_with("Unknown"));
    assert_eq!(world.status_of(ConditionType::Published), "True Written");
    assert_eq!(world.status.targets[0].hash, digest);
    world.at_gateway.insert("bad", REJECTED);
    world.wait(120);
    world.pass();
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
    assert_eq!(world.status_of(ConditionType::Published), "True Written");
    assert_eq!(base(&world), (BEHIND, Some("cloud")), "as it is published");
}

#[test]
fn the_account_stays_pinned_when_a_token_changes_its_door() {
    // From one without scopes to one with, and back.
    for first_scoped in [false, true] {
        let mut world = World::token().with(|world| {
            world.gateway = Some(GATEWAY);
            world.jira.clear();
            let first = if first_scoped {
                &mut world.at_gateway
            } else {
                &mut world.jira
            };
            first.insert("good", accepted("anna"));
        });
        world.pass();
        let second = if first_scoped {
            &mut world.jira
        } else {
            &mut world.at_gateway
        };
        second.insert("bad", accepted("anna"));
        second.insert("bertas", accepted("berta"));
        world.store("bertas");
        world.pass();
        assert_eq!(
            world.status_of(ConditionType::Valid),
            "False AccountChanged"
        );
        world.store("bad");
        world.pass();
        assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
        let expected = if first_scoped {
            (SITE, None)
        } else {
            (BEHIND, Some("cloud"))
        };
        assert_eq!(base(&world), expected);
    }
}

#[test]
fn a_service_account_s_token_is_never_shown_to_the_site() {
    let mut world = scoped().with(|world| world.form.kind = TokenKind::ServiceAccountToken);
    let passed = world.pass();
    assert_eq!(passed.steps[..2], [Step::ResolveCloudId, Step::Validate]);
    assert_eq!(world.effects.calls, Vec::<String>::new());
    assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
    let mut world = scoped().with(|world| {
        world.form.kind = TokenKind::ServiceAccountToken;
        world.at_gateway.clear();
    });
    world.pass();
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
    assert!(
        message(&world).starts_with("Atlassian's gateway"),
        "{}",
        message(&world)
    );
    let before = world.status.clone();
    world.wait(1);
    world.pass();
    assert_eq!(
        world.status, before,
        "a pass that reads nothing writes nothing"
    );
}

#[test]
fn only_a_plain_refusal_leads_to_the_gateway() {
    for (refusal, leads) in [
        (Refusal::Rejected, true),
        (Refusal::Forbidden, true),
        (Refusal::PasswordNotAllowed, false),
        (Refusal::IpBlocked, false),
        (Refusal::InsufficientScope, false),
        (Refusal::NoConsent, false),
        (Refusal::CaptchaRequired, false),
        (Refusal::BasicAuthDisabled, false),
        (Refusal::WrongHost, false),
        (Refusal::IsDataCenter, false),
        (Refusal::AccountInactive, false),
    ] {
        let mut world = scoped();
        world.jira.insert("good", Verdict::Refused(refusal));
        world.pass();
        let asked = world.effects.questions.contains(&"gateway");
        assert_eq!(asked, leads, "{refusal:?}");
    }
}

#[test]
fn a_missing_scope_is_told_by_the_gateway() {
    let mut world = scoped();
    world
        .at_gateway
        .insert("good", Verdict::Refused(Refusal::InsufficientScope));
    world.pass();
    assert_eq!(
        world.status_of(ConditionType::Valid),
        "False InsufficientScope"
    );
    assert!(message(&world).contains("read:jira-user"));
}

#[test]
fn a_host_without_a_gateway_needs_no_second_opinion_and_atlassian_s_own_does() {
    for (own, outage, verdict) in [
        (false, Outage::NotFound, "False Rejected"),
        (false, Outage::Redirect, "False Rejected"),
        (false, Outage::NotJson, "False Rejected"),
        (false, Outage::Timeout, "Unknown SiteUnavailable"),
        (false, Outage::ServerError(502), "Unknown SiteUnavailable"),
        (true, Outage::NotFound, "Unknown SiteUnavailable"),
        (true, Outage::NotJson, "Unknown SiteUnavailable"),
    ] {
        let mut world = scoped();
        if !own {
            world.spec.site = "https://jira.acme.example".into();
        }
        world.cloud_id = Err(Verdict::NoVerdict(outage));
        world.pass();
        assert_eq!(
            world.status_of(ConditionType::Valid),
            verdict,
            "{own} {outage:?}"
        );
    }
}

#[test]
fn another_gateway_is_another_place() {
    let mut world = scoped().at_rest();
    world.gateway = Some("https://api.other.example");
    world.edit(|_| ());
    world.effects = Effects::default();
    world.pass();
    assert_eq!(world.effects.calls.len(), 1, "the site is asked again");
    assert_eq!(base(&world).0, "https://api.other.example/ex/jira/cloud");
}

#[test]
fn the_words_of_a_refusal_name_a_likely_mix_up() {
    let form = |kind| TokenFormat {
        kind,
        damaged: false,
    };
    let mut world = scoped().with(|world| world.at_gateway.clear());
    for (form, expected) in [
        (
            form(TokenKind::PersonalAccessToken),
            "auth.personalAccessToken",
        ),
        (form(TokenKind::OrganizationKey), "API key of an"),
        (
            TokenFormat {
                kind: TokenKind::ApiToken,
                damaged: true,
            },
            "cut off or mistyped",
        ),
    ] {
        world.form = form;
        world.object.renew = Some(format!("{form:?}"));
        world.pass();
        assert_eq!(
            world.status.attempt.as_ref().unwrap().reason,
            Some(Reason::Rejected)
        );
        assert!(message(&world).contains(expected), "{}", message(&world));
    }
    let mut world = World::password().with(|world| {
        world.jira.clear();
        world.form = form(TokenKind::PersonalAccessToken);
    });
    world.pass();
    let text = message(&world);
    assert!(
        text.contains("looks like a personal access token"),
        "{text}"
    );
    assert!(text.contains("auth.personalAccessToken"), "{text}");
}
