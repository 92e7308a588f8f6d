//! Whatever a template says and whatever the credential is: it is rendered within its bounds, or refused
//! with a message that holds nothing of the credential.

use jira_credential_operator::api::{
    ConditionStatus, ConditionType, Hosting, MethodName, Reason, Target, TargetTemplate,
};
use jira_credential_operator::core::apply::Answer;
use jira_credential_operator::core::conclude::conclude;
use jira_credential_operator::core::decide::decide;
use jira_credential_operator::core::spec::template_fault;
use jira_credential_operator::render::{Parts, Validated, target_contents};
use proptest::prelude::*;
use proptest::sample::select;
use secrecy::SecretString;
use serde_json::json;

use crate::simulator::World;

/// What the credential consists of, and no message and no template does.
const CANARY: &str = "Zq7wX";

const METHODS: [MethodName; 7] = [
    MethodName::ApiToken,
    MethodName::OAuth2,
    MethodName::ClientCredentials,
    MethodName::PersonalAccessToken,
    MethodName::Basic,
    MethodName::Session,
    MethodName::OAuth1,
];

/// Words of templates: those that there are, and those that have no use here.
const WORDS: [&str; 75] = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{{-",
    "-%}",
    "{#",
    "#}",
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "in",
    "endfor",
    "not",
    "and",
    "or",
    "is",
    "defined",
    "raw",
    "endraw",
    "set",
    "endset",
    "filter",
    "endfilter",
    "macro",
    "with",
    "do",
    "recursive",
    "true",
    "none",
    "a",
    "loop",
    ".index",
    ".last",
    "token",
    "password",
    "url",
    "expiresAt",
    "privateKey",
    "name",
    "nothing",
    "|",
    "tojson",
    "b64encode",
    "shquote",
    "urlencode",
    "~",
    "==",
    "!=",
    "<",
    "*",
    "**",
    "+",
    "-",
    "/",
    "%",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    ".",
    "'x'",
    "\"",
    "'",
    "\\",
    "1000000000",
    "1e999",
    "\n",
];

/// Words in any order; whole expressions in any order; and whatever characters.
fn text() -> impl Strategy<Value = String> {
    let values = select(vec![
        "token",
        "url",
        "expiresAt",
        "username",
        "password",
        "privateKey",
        "'x'",
        "1",
        "1e999",
        "true",
        "loop.index",
        "(name ~ token)",
        "token in [url, 'x']",
        "'x' if expiresAt",
        "not token",
        "[[1]*9] == [[1]*9]",
    ]);
    let filters = prop::collection::vec(
        select(vec!["|tojson", "|b64encode", "|shquote", "|urlencode"]),
        0..5,
    );
    let emitted = (values, filters)
        .prop_map(|(value, filters)| format!("{{{{ {value}{} }}}}", filters.concat()));
    let whole = prop::collection::vec(emitted, 1..8).prop_flat_map(|all| {
        let body = all.concat();
        select(vec![
            body.clone(),
            format!("{{% if token %}}{body}{{% else %}}{body}{{% endif %}}"),
            format!(
                "{{% for a in [{}] %}}{body}{{% endfor %}}",
                "url,".repeat(60)
            ),
            format!(
                "{{% for a in [{0}] %}}{{% for b in [{0}] %}}{body}{{% endfor %}}{{% endfor %}}",
                "a,".repeat(90).replace('a', "1")
            ),
        ])
    });
    prop_oneof![
        prop::collection::vec(select(WORDS.to_vec()), 0..60).prop_map(|words| words.join(" ")),
        whole,
        prop::collection::vec(any::<char>(), 0..200).prop_map(String::from_iter),
    ]
}

/// A credential, sometimes a very long one.
fn secret() -> impl Strategy<Value = String> {
    let odd = prop::collection::vec(
        select(vec!['\'', '"', '\\', '\n', '\u{1}', '{', '%', 'é', 'a']),
        0..40,
    );
    (odd, select(vec![1, 1, 1, 200, 5000]))
        .prop_map(|(odd, times)| format!("{CANARY}{}", String::from_iter(odd)).repeat(times))
}

fn target(text: &str) -> Target {
    let target = json!({"name": "bot", "template": {"data": {"file": text}}});
    serde_json::from_value(target).unwrap()
}

fn validated(method: MethodName, secret: &SecretString) -> Validated<'_> {
    let has_user = matches!(method, MethodName::ApiToken | MethodName::Basic);
    Validated {
        name: "team-a/bot",
        hosting: Hosting::Cloud,
        method,
        url: "https://jira.example/x",
        site: "https://jira.example",
        cloud_id: None,
        user: has_user.then_some("bot@acme.example"),
        secret,
        signing: (method == MethodName::OAuth1).then_some(Parts {
            consumer_key: "ci",
            private_key: secret,
            token_secret: None,
        }),
        account: "account",
        expires_at: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_template_is_rendered_within_bounds_or_refused_with_a_message(
        text in text(), secret in secret(), method in select(METHODS.to_vec())
    ) {
        let (target, secret) = (target(&text), SecretString::from(secret));
        let error = match template_fault(&target, method) {
            Some(fault) => fault,
            None => match target_contents(&validated(method, &secret), &target) {
                Ok(contents) => {
                    let values: Vec<(&str, &str)> = contents.iter().collect();
                    prop_assert_eq!(values.len(), 1);
                    prop_assert!(values[0].1.len() <= 64 * 1024);
                    return Ok(());
                }
                Err(error) => error,
            },
        };
        prop_assert!(error.starts_with("The Secret bot is not written: "), "{}", error);
        prop_assert!(error.contains("template.data[file] "), "{}", error);
        prop_assert!(error.len() < 1024 && error.ends_with('.'), "{}", error);
        prop_assert!(!error.contains(CANARY), "{}", error);
        prop_assert!(!error.contains(|c: char| c.is_control()), "{}", error);
    }
}

/// The property above says nothing if all texts are refused.
#[test]
fn some_of_these_templates_are_rendered_and_some_refused_at_each_stage() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut counts = [0; 3];
    for _ in 0..2000 {
        let text = text().new_tree(&mut runner).unwrap().current();
        let secret = SecretString::from(secret().new_tree(&mut runner).unwrap().current());
        let (target, method) = (target(&text), MethodName::ApiToken);
        let stage = match template_fault(&target, method) {
            Some(_) => 0,
            None if target_contents(&validated(method, &secret), &target).is_err() => 1,
            None => 2,
        };
        counts[stage] += 1;
    }
    assert!(counts.iter().all(|count| *count >= 30), "{counts:?}");
}

/// The credential `bot` at rest, with this target.
fn world(target: serde_json::Value) -> World {
    let target: Target = serde_json::from_value(target).unwrap();
    World::token()
        .with(|world| world.edit(|spec| spec.targets = vec![target]))
        .at_rest()
}

#[test]
fn the_digest_follows_the_template_and_is_as_before_without_one() {
    let digest = |template: serde_json::Value| {
        let facts = world(json!({"name": "bot", "template": template}))
            .pass()
            .facts;
        facts.wanted_digest(&facts.targets[0].target).unwrap()
    };
    let one = json!({"type": "Opaque", "data": {"a": "{{ token }}"}});
    let other = json!({"type": "Opaque", "data": {"a": "{{ url }}"}});
    assert_eq!(digest(one.clone()), digest(one.clone()));
    assert_ne!(digest(one.clone()), digest(other));
    assert_ne!(digest(one), digest(json!({"type": "Opaque"})));
    // Earlier versions hashed this text.
    let plain: TargetTemplate = serde_json::from_value(json!({"type": "Opaque"})).unwrap();
    let text = serde_json::to_string(&plain).unwrap();
    assert_eq!(text, r#"{"type":"Opaque"}"#);
}

#[test]
fn what_cannot_be_rendered_is_not_tried_again_in_the_same_pass_and_waits_for_a_person() {
    let mut world = world(json!({"name": "bot", "template": {"data": {"a": "{{ token }}"}}}));
    world.secrets.clear();
    let facts = world.pass().facts;
    let told = "The Secret bot is not written: too large.";
    let facts = facts.apply(Answer::TargetNotRendered(0, told.into()));
    assert_eq!(decide(&facts), None);
    let status = conclude(&facts, &facts.status).status;
    for kind in [
        ConditionType::Published,
        ConditionType::Ready,
        ConditionType::Stalled,
    ] {
        let condition = status.condition(kind).unwrap();
        assert_eq!(condition.reason, Reason::TemplateInvalid, "{kind:?}");
        assert_eq!(condition.message, told, "{kind:?}");
    }
    let valid = status.condition(ConditionType::Valid).unwrap();
    assert_eq!(valid.status, ConditionStatus::True);
    // What it holds is still recorded, so that it is repaired and not taken for a stranger's.
    assert!(status.targets.iter().any(|seen| seen.name == "bot"));
}
