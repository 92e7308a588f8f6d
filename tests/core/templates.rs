//! Whatever a template says and whatever the credential is: it is rendered within its bounds, or refused
//! with a message that holds nothing of the credential.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jira_credential_operator::api::{
    Account, ConditionStatus, ConditionType, Hosting, MethodName, Reason, Target,
};
use jira_credential_operator::core::apply::Answer;
use jira_credential_operator::core::conclude::conclude;
use jira_credential_operator::core::decide::decide;
use jira_credential_operator::core::facts::targets::Publication;
use jira_credential_operator::core::spec::{Site, template_fault};
use jira_credential_operator::render::{Parts, Validated, target_contents};
use proptest::prelude::*;
use proptest::sample::select;
use secrecy::SecretString;
use serde_json::json;

use crate::simulator::World;

/// What the credential consists of, and no message and no template does.
const CANARY: &str = "Zq7wX";

/// What depends on the credential: how long it makes the value. With the line of the template.
const BOUNDS: [&str; 2] = [
    "makes a value of more than 64 KiB. Make it shorter.",
    "takes more steps or memory than a template may. Make it simpler.",
];

/// What depends on the credential and has no line.
const BOUNDS_WITHOUT_LINE: [&str; 2] = [
    "template.data[file] makes a value of more than 64 KiB. Make it shorter. The limit is passed in text outside of braces, so no line can be named.",
    "its values have more than 1 MiB together, the most that a Secret can hold. Divide the keys among several targets.",
];

/// The most CPU time that one template takes, in seconds: far more than a slow machine needs.
#[cfg(target_os = "linux")]
const MOST_SECONDS: u64 = 5;

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

/// Values that are put together of others, in brackets, so that filters take all of them.
fn value() -> impl Strategy<Value = String> {
    let known = select(vec![
        "token",
        "url",
        "expiresAt",
        "name",
        "'x'",
        "1",
        "18446744073709551615",
        "true",
    ]);
    // Some methods have the first ones, some places the next, and no place the others.
    let odd = select(vec![
        "cloudId",
        "username",
        "tokenSecret",
        "a",
        "loop.first",
        "loop.index",
        "['x', url]",
        "[[1]*9]",
        "loop",
        "1e999",
        "18446744073709551616",
    ]);
    let simple = prop_oneof![6 => known, 1 => odd].prop_map(str::to_owned);
    simple.prop_recursive(2, 6, 3, |inner| {
        let operator = select(vec!["~", "==", "!=", "in", "not in", "and", "or"]);
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, test)| format!("({one} if {test})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(one, test, other)| format!("({one} if {test} else {other})")),
            (inner.clone(), operator, inner.clone())
                .prop_map(|(one, sign, other)| format!("({one} {sign} {other})")),
            inner.prop_map(|one| format!("(not {one})")),
        ]
    })
}

/// Words in any order; whole expressions in any order; and whatever characters.
fn text() -> impl Strategy<Value = String> {
    let filters = prop::collection::vec(
        select(vec!["|tojson", "|b64encode", "|shquote", "|urlencode"]),
        0..5,
    );
    let emitted = (value(), filters)
        .prop_map(|(value, filters)| format!("{{{{ {value}{} }}}}", filters.concat()));
    let bodies = prop::collection::vec(emitted, 1..4).prop_map(|all| all.concat());
    let names = select(vec!["a", "a", "a", "url", "loop"]);
    let whole = (bodies, value(), value(), names).prop_flat_map(|(body, test, item, name)| {
        let many = "1,".repeat(90);
        select(vec![
            body.clone(),
            format!("{{% if {test} %}}{body}{{% else %}}{body}{{% endif %}}"),
            format!("{{% for {name} in [{item}, 'x'] %}}{body}{{% else %}}{body}{{% endfor %}}"),
            format!("{{% for {name} in [{item}, 'x'] if {test} %}}{body}{{% endfor %}}"),
            format!("{{% for {name} in [{item}] %}}{{% for b in [{test}] if {test} %}}{body}{{% endfor %}}{{% endfor %}}"),
            format!("{{% for a in [{many}] %}}{{% for b in [{many}] %}}{body}{{% endfor %}}{{% endfor %}}"),
        ])
    });
    prop_oneof![
        1 => prop::collection::vec(select(WORDS.to_vec()), 0..60).prop_map(|words| words.join(" ")),
        4 => whole,
        1 => prop::collection::vec(any::<char>(), 0..200).prop_map(String::from_iter),
    ]
}

/// A part of a credential, sometimes a very long one.
fn part() -> impl Strategy<Value = String> {
    let odd = prop::collection::vec(
        select(vec!['\'', '"', '\\', '\n', '\u{1}', '{', '%', 'é', 'a']),
        0..40,
    );
    (odd, select(vec![1, 1, 1, 200, 5000]))
        .prop_map(|(odd, times)| format!("{CANARY}{}", String::from_iter(odd)).repeat(times))
}

/// Everything that a credential consists of.
#[derive(Clone, Debug)]
struct Words {
    secret: SecretString,
    previous: Option<SecretString>,
    user: String,
    account: String,
    url: String,
    expires_at: Option<DateTime<Utc>>,
}

impl Words {
    /// A credential with a short word in each place but that of the secret.
    fn of(secret: &str) -> Self {
        Self {
            secret: SecretString::from(secret),
            previous: None,
            user: "bot@acme.example".to_owned(),
            account: "account".to_owned(),
            url: "https://jira.example/x".to_owned(),
            expires_at: Some(DateTime::UNIX_EPOCH),
        }
    }

    /// A credential with everything that its method can have, or with no more than it must have.
    fn validated(&self, method: MethodName, is_whole: bool) -> Validated<'_> {
        let has_user = matches!(method, MethodName::ApiToken | MethodName::Basic);
        Validated {
            name: "team-a/bot",
            hosting: Hosting::Cloud,
            method,
            url: &self.url,
            site: &self.url,
            cloud_id: is_whole.then_some("id"),
            user: has_user.then_some(&self.user),
            secret: &self.secret,
            previous: self.previous.as_ref().filter(|_| is_whole),
            signing: (method == MethodName::OAuth1).then_some(Parts {
                consumer_key: "ci",
                private_key: &self.secret,
                token_secret: is_whole.then_some(&self.secret),
            }),
            account: &self.account,
            expires_at: self.expires_at.filter(|_| is_whole),
        }
    }
}

/// Any credential.
fn words() -> impl Strategy<Value = Words> {
    let ends = select(vec![
        None,
        Some(DateTime::UNIX_EPOCH),
        Some(DateTime::<Utc>::MIN_UTC),
        Some(DateTime::<Utc>::MAX_UTC),
    ]);
    let any_end = any::<i32>().prop_map(|seconds| DateTime::from_timestamp(seconds.into(), 0));
    (
        part(),
        prop::option::of(part()),
        part(),
        part(),
        part(),
        prop_oneof![ends, any_end],
    )
        .prop_map(|(secret, previous, user, account, url, expires_at)| Words {
            secret: SecretString::from(secret),
            previous: previous.map(SecretString::from),
            user,
            account,
            url,
            expires_at,
        })
}

/// The CPU time of this thread so far, in ticks of a hundredth of a second.
#[cfg(target_os = "linux")]
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The name of the thread, which comes before, may have blanks in it.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next().unwrap().parse::<u64>().unwrap();
    next() + next()
}

fn target(text: &str) -> Target {
    let target = json!({"name": "bot", "template": {"data": {"file": text}}});
    serde_json::from_value(target).unwrap()
}

/// The keys that a target has beside those of its template.
fn kept_keys(validated: &Validated<'_>) -> usize {
    match validated.method {
        _ if validated.previous.is_none() => 0,
        MethodName::Session => 1,
        MethodName::PersonalAccessToken | MethodName::OAuth2 | MethodName::ClientCredentials => 2,
        MethodName::ApiToken | MethodName::Basic | MethodName::OAuth1 => 0,
    }
}

/// Whether a message says no more than that the credential makes the value too long, and where.
fn is_about_size(error: &str) -> bool {
    let prefix = "The Secret bot is not written: ";
    let said = error.strip_prefix(prefix).unwrap_or_default();
    let with_line = |bound: &&str| {
        let number = said
            .strip_suffix(*bound)
            .and_then(|said| said.strip_prefix("line "))
            .and_then(|said| said.strip_suffix(" of template.data[file] "));
        number.is_some_and(|number| number.parse::<usize>().is_ok_and(|line| line > 0))
    };
    BOUNDS.iter().any(with_line) || BOUNDS_WITHOUT_LINE.contains(&said)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_template_is_rendered_within_bounds_or_refused_with_a_message(
        text in text(), words in words(), method in select(MethodName::ALL.to_vec())
    ) {
        let target = target(&text);
        #[cfg(target_os = "linux")]
        let begin = ticks();
        let errors = if let Some(fault) = template_fault(&target, method) {
            vec![fault]
        } else {
            let mut errors = Vec::new();
            for is_whole in [true, false] {
                let validated = words.validated(method, is_whole);
                match target_contents(&validated, &target) {
                    Ok(contents) => {
                        let values: BTreeMap<&str, &str> = contents.iter().collect();
                        prop_assert_eq!(values.len(), 1 + kept_keys(&validated));
                        prop_assert!(values["file"].len() <= 64 * 1024);
                    }
                    Err(error) => {
                        // Whatever else is wrong is known before there is a credential.
                        prop_assert!(is_about_size(&error), "{}", error);
                        errors.push(error);
                    }
                }
            }
            errors
        };
        #[cfg(target_os = "linux")]
        prop_assert!(ticks() - begin <= 100 * MOST_SECONDS, "{} ticks", ticks() - begin);
        for error in errors {
            prop_assert!(error.starts_with("The Secret bot is not written: "), "{}", error);
            let is_named = error.contains("template.data[file] ") || is_about_size(&error);
            prop_assert!(is_named, "{}", error);
            prop_assert!(error.len() < 1024 && error.ends_with('.'), "{}", error);
            prop_assert!(!error.contains(CANARY), "{}", error);
            prop_assert!(!error.contains(|c: char| c.is_control()), "{}", error);
        }
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
        let words = words().new_tree(&mut runner).unwrap().current();
        let (target, method) = (target(&text), MethodName::ApiToken);
        let stage = match template_fault(&target, method) {
            Some(_) => 0,
            None if target_contents(&words.validated(method, true), &target).is_err() => 1,
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
fn the_digest_follows_the_template() {
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
}

/// Another digest rewrites every Secret of its kind: then `RENDERING` is to be raised on purpose.
#[test]
fn without_templates_the_digest_is_that_of_earlier_versions() {
    let site = Site {
        hosting: Hosting::DataCenter,
        base: "https://jira.example".to_owned(),
        host: "jira.example".to_owned(),
    };
    let account: Account = serde_json::from_value(json!({"id": "JIRAUSER10000"})).unwrap();
    for (template, digest) in [
        (json!(null), "8c114b4e35a46926"),
        (json!({"type": "Opaque"}), "2fbafb3f134b07fd"),
        (json!({"data": {}}), "16ed7ff5aa0f2bf2"),
        (json!({"data": {"a": "{{ token }}"}}), "db80b0ce48f76321"),
    ] {
        let target = json!({"name": "bot", "template": template});
        let target: Target = serde_json::from_value(target).unwrap();
        let publication = Publication {
            fingerprint: "print",
            method: MethodName::PersonalAccessToken,
            url: "https://jira.example",
            site: &site,
            account: &account,
            expires_at: "",
            previous: None,
            target: &target,
        };
        assert_eq!(publication.digest(), digest, "{template}");
    }
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

/// What grows most of all that the syntax allows.
fn greedy() -> Vec<String> {
    let times = |unit: &str, join: &str, times: usize| vec![unit; times].join(join);
    let (sum, half) = (times("token", " ~ ", 90), times("token", " ~ ", 45));
    let list = times("1", ",", 95);
    let filtered = ["tojson", "urlencode", "b64encode", "shquote"]
        .map(|filter| format!("{{{{ token{} }}}}", format!("|{filter}").repeat(95)));
    let nested =
        format!("{{% for i in [{list}] %}}").repeat(3) + "{{ token }}" + &"{% endfor %}".repeat(3);
    let unused = format!("{{% if ({half}) == ({half}) %}}x{{% endif %}}");
    [
        format!("{{{{ {sum} }}}}"),
        format!("{{{{ ({sum})|tojson|urlencode }}}}"),
        format!("{{% if ({sum})|urlencode == token %}}x{{% endif %}}").repeat(6),
        unused,
        nested,
        "{{ token }}".repeat(700),
    ]
    .into_iter()
    .chain(filtered)
    .collect()
}

/// So many generated templates that can be rendered with some credential.
#[cfg(target_os = "linux")]
fn generated(count: usize) -> Vec<String> {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut next = || text().new_tree(&mut runner).unwrap().current();
    std::iter::repeat_with(&mut next)
        .filter(|text| template_fault(&target(text), MethodName::ApiToken).is_none())
        .take(count)
        .collect()
}

/// The most memory that this process has had, in kB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

/// In a process of its own, since other tests need memory, too.
#[test]
#[cfg(target_os = "linux")]
fn greedy_templates_take_little_memory() {
    const CHILD: &str = "JCO_GREEDY_TEMPLATES";
    if std::env::var_os(CHILD).is_none() {
        // A template that never ends is ended by its CPU time.
        let limited = "ulimit -t 300; exec \"$@\"";
        let output = std::process::Command::new("sh")
            .args(["-c", limited, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "templates::greedy_templates_take_little_memory",
                "--nocapture",
            ])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        println!("{text}");
        return;
    }
    let long = "\\\"".repeat(32 * 1024);
    let words = Words {
        user: long.clone(),
        account: long.clone(),
        url: long.clone(),
        ..Words::of(&long)
    };
    let generated = generated(400);
    let (before, all) = (peak(), greedy());
    for text in &all {
        assert_eq!(
            template_fault(&target(text), MethodName::ApiToken),
            None,
            "{text}"
        );
    }
    for text in all.iter().chain(&generated) {
        let target = target(text);
        drop(template_fault(&target, MethodName::ApiToken));
        let validated = words.validated(MethodName::ApiToken, true);
        drop(target_contents(&validated, &target));
    }
    let grown = peak() - before;
    println!(
        "{} greedy and {} generated templates took {grown} kB at most",
        all.len(),
        generated.len()
    );
    assert!(grown < 8 * 1024, "{grown} kB");
}
