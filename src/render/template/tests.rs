use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use secrecy::SecretString;

use super::*;
use crate::api::{Hosting, MethodName, Preset, TargetTemplate};
use crate::core::spec::{FILTERS, template_fault};
use crate::render::{Parts, target_contents};

fn validated(method: MethodName, secret: &SecretString, is_whole: bool) -> Validated<'_> {
    let has_user = matches!(method, MethodName::ApiToken | MethodName::Basic);
    let at_gateway = matches!(
        method,
        MethodName::ApiToken | MethodName::OAuth2 | MethodName::ClientCredentials
    );
    Validated {
        name: "team-a/bot",
        hosting: Hosting::Cloud,
        method,
        url: "https://jira.example/x",
        site: "https://jira.example",
        cloud_id: Some("id").filter(|_| is_whole && at_gateway),
        user: Some("bot@acme.example").filter(|_| has_user),
        secret,
        previous: None,
        signing: (method == MethodName::OAuth1).then_some(Parts {
            consumer_key: "ci",
            private_key: secret,
            token_secret: Some(secret).filter(|_| is_whole),
        }),
        account: "account",
        expires_at: Some(DateTime::UNIX_EPOCH).filter(|_| is_whole),
    }
}

fn target(presets: &[Preset], data: &[(&str, &str)]) -> Target {
    let pairs = data.iter();
    Target {
        name: "files".to_owned(),
        presets: presets.to_vec(),
        template: Some(TargetTemplate {
            data: pairs
                .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
                .collect(),
            ..TargetTemplate::default()
        }),
        ..Target::default()
    }
}

/// What a template makes of an API token.
fn made(text: &str, secret: &str) -> Result<String, String> {
    let secret = SecretString::from(secret);
    let target = target(&[], &[("file", text)]);
    assert_eq!(
        template_fault(&target, MethodName::ApiToken),
        None,
        "{text}"
    );
    let contents = target_contents(&validated(MethodName::ApiToken, &secret, true), &target)?;
    let (key, value) = contents.iter().next().unwrap();
    assert_eq!(key, "file");
    Ok(value.to_owned())
}

#[test]
fn the_variables_are_the_keys_of_standard_and_two_names() {
    let secret = SecretString::from("JSESSIONID=canary");
    for method in MethodName::ALL {
        let keys = |is_whole| {
            let mut contents = Contents::default();
            standard::standard(&validated(method, &secret, is_whole), &mut contents);
            let keys = contents.iter().map(|(key, _)| key.to_owned());
            keys.chain(["name".to_owned(), "namespace".to_owned()])
                .collect::<BTreeSet<_>>()
        };
        let known = variables(method);
        let all: BTreeSet<String> = known.iter().map(|known| known.name.to_owned()).collect();
        assert_eq!(all, keys(true), "{method:?}");
        let sure = known.iter().filter(|known| !known.may_be_empty);
        let sure: BTreeSet<String> = sure.map(|known| known.name.to_owned()).collect();
        let mut least = keys(false);
        // Every session that the operator makes has one.
        least.remove("JSESSIONID");
        assert_eq!(sure, least, "{method:?}");
        // What is not there is empty, and no error.
        let texts: Vec<String> = all.iter().map(|name| format!("{{{{{name}}}}}")).collect();
        let text = texts.join("|");
        let target = target(&[], &[("file", &text)]);
        for is_whole in [false, true] {
            target_contents(&validated(method, &secret, is_whole), &target).unwrap();
        }
    }
}

#[test]
fn filters_quote_for_their_language() {
    let odd = "a'b\"c\\d e/é\n$x";
    for (text, value) in [
        ("{{ token }}", odd),
        ("{{ token | tojson }}", r#""a'b\"c\\d e/é\n$x""#),
        ("{{ token | shquote }}", "'a'\\''b\"c\\d e/é\n$x'"),
        (
            "{{ token | urlencode }}",
            "a%27b%22c%5Cd%20e%2F%C3%A9%0A%24x",
        ),
        ("{{ token | b64encode }}", "YSdiImNcZCBlL8OpCiR4"),
        ("{{ '-._~' | urlencode }}", "-._~"),
        (
            "{{ 1 | tojson }} {{ true | tojson }} {{ 1 | shquote }}",
            "1 true '1'",
        ),
        (
            "{% for a in ['x', 'y'] %}{{ a }}{{ '' if loop.last else ',' }}{% endfor %}\n",
            "x,y",
        ),
        ("{{ name }}/{{ namespace }}", "bot/team-a"),
        (
            "{{ expiresAt }}{{ 'x' if false }}{{ 'in' if 'jira' in site }}",
            "1970-01-01T00:00:00Zin",
        ),
        (
            "{{ (username ~ ':' ~ 'x') | b64encode }}",
            "Ym90QGFjbWUuZXhhbXBsZTp4",
        ),
    ] {
        assert_eq!(made(text, odd).as_deref(), Ok(value), "{text}");
    }
    let mut environment = Environment::empty();
    filters::add(&mut environment);
    for filter in FILTERS {
        let text = format!("{{{{ 'x' | {filter} }}}}");
        assert!(environment.render_str(&text, ()).is_ok(), "{filter}");
    }
}

/// A version of the engine that fails here needs another `RENDERING`.
#[test]
fn texts_come_out_as_they_always_did() {
    for (text, value) in [
        ("a\n{% if 1 %}\nb\n{% endif %}\nc\n", "a\n\nb\n\nc"),
        ("a \n {%- if 1 -%} \n b {%- endif -%} \n c", "abc"),
        ("  {{- name -}}  \n|", "bot|"),
        ("{# gone #}x\n\n", "x\n"),
        ("x\r\n", "x"),
        ("{% raw %}{{ token }}{% endraw %}", "{{ token }}"),
        ("{{ '<&>\"' }}{{ '\\n' }}", "<&>\"\n"),
        ("{{ true }} {{ 1 == 2 }} {{ not '' }}", "True False True"),
        ("{{ 1.0 }} {{ 1.5 ~ 2 }} {{ 1.0 | tojson }}", "1.0 1.52 1.0"),
        ("{{ '' or 'b' }} {{ 'a' and 'b' }}", "b b"),
        (
            "{% for a in ['x', 'y', 'z'] if a != 'y' %}{{ loop.index }}{{ loop.index0 }}{{ loop.length }}{{ loop.first }}{{ a }} {% endfor %}",
            "102Truex 212Falsez ",
        ),
    ] {
        assert_eq!(made(text, "canary").as_deref(), Ok(value), "{text}");
    }
}

#[test]
fn what_a_credential_lacks_is_empty_in_every_filter() {
    let secret = SecretString::from("canary");
    let least = validated(MethodName::ApiToken, &secret, false);
    for (text, value) in [
        ("{{ (expiresAt if expiresAt) | tojson }}", "\"\""),
        ("{{ (expiresAt if expiresAt) | shquote }}", "''"),
        (
            "{{ ('x' if cloudId) | b64encode }}{{ ('x' if cloudId) | urlencode }}",
            "",
        ),
        (
            "{{ expiresAt | tojson }}{{ 'a' ~ ('x' if cloudId) }}",
            "\"\"a",
        ),
        (
            "{% for a in ['x' if cloudId] %}{{ a | tojson }}{% endfor %}",
            "\"\"",
        ),
    ] {
        let target = target(&[], &[("file", text)]);
        assert_eq!(template_fault(&target, MethodName::ApiToken), None);
        let contents = target_contents(&least, &target).unwrap();
        assert_eq!(contents.iter().next(), Some(("file", value)), "{text}");
    }
}

/// The deepest templates that are accepted, also compiled, rendered and dropped.
#[test]
fn the_deepest_templates_are_rendered_on_a_small_stack() {
    let nested =
        |before: &str, after: &str| format!("{}x{}", before.repeat(100), after.repeat(100));
    let texts = [
        nested("{% if 1 %}", "{% endif %}"),
        nested("{% for a in [1] %}", "{% endfor %}"),
        nested("{% for a in [1] if 1 %}", "{% endfor %}"),
        format!("{{% if '' %}}{}x{{% endif %}}", "{% elif 1 %}".repeat(198)),
        format!("{{{{ 1{} }}}}", "~1".repeat(99)),
        format!("{{{{ 1{} }}}}", " or 1".repeat(99)),
        format!("{{{{ 1{} }}}}", " == 1".repeat(99)),
        format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(49)),
        format!("{{{{ 1{} }}}}", "|shquote".repeat(5)),
        format!("{{{{ 1{} }}}}", "|urlencode".repeat(99)),
        format!("{{{{ {}1 }}}}", "not ".repeat(198)),
        format!("{{{{ {}1{} }}}}", "(".repeat(70), ")".repeat(70)),
    ];
    // A fourth of what a worker has.
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    let rendered = small.spawn(move || texts.map(|text| made(&text, "canary")));
    for made in rendered.unwrap().join().unwrap() {
        assert!(made.is_ok(), "{made:?}");
    }
}

#[test]
fn a_template_stands_alone_beside_presets_it_adds_and_wins() {
    let secret = SecretString::from("canary");
    let validated = validated(MethodName::ApiToken, &secret, true);
    let data = [("token", "mine"), ("a.json", "{{ token | tojson }}")];
    let all = |presets: &[Preset]| {
        let contents = target_contents(&validated, &target(presets, &data)).unwrap();
        assert!(!format!("{contents:?}").contains("canary"));
        let pairs = contents.iter();
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let alone = all(&[]);
    assert_eq!(alone.len(), 2);
    assert_eq!(alone["a.json"], "\"canary\"");
    let both = all(&[Preset::Standard]);
    assert_eq!(both["token"], "mine");
    assert_eq!(both["username"], "bot@acme.example");
    // Without a template nothing is another than it was.
    let none = target_contents(&validated, &target(&[], &[])).unwrap();
    let standard = super::super::contents(&validated, &[Preset::Standard]);
    assert_eq!(none, standard);
}

#[test]
fn what_becomes_too_large_is_refused_without_a_value() {
    let token = format!("canary{}", "x".repeat(20_000));
    let four = "{{ token }}".repeat(4);
    let text = "{{ token }}".repeat(3) + &"x".repeat(6000);
    let many = "1,".repeat(90);
    let nested = format!(
        "a\n{{% for a in [{many}] %}}{{% for b in [{many}] %}}{{% for c in [{many}] %}}{{% endfor %}}{{% endfor %}}{{% endfor %}}"
    );
    for (text, told) in [
        (
            four.as_str(),
            "line 1 of template.data[file] makes a value of more than 64 KiB. Make it shorter.",
        ),
        (
            nested.as_str(),
            "line 2 of template.data[file] takes more steps or memory than a template may. Make it simpler.",
        ),
        (
            "{% for a in [1,2,3,4,5,6,7,8,9] %}{{ '' if (token ~ token ~ token) | shquote == 'x' }}{% endfor %}",
            "line 1 of template.data[file] takes more steps or memory than a template may. Make it simpler.",
        ),
        (
            "\n{{ '' if (token ~ token ~ token ~ token) | shquote == 'x' }}",
            "line 2 of template.data[file] makes a value of more than 64 KiB. Make it shorter.",
        ),
        (
            text.as_str(),
            ": template.data[file] makes a value of more than 64 KiB. Make it shorter. The limit is passed in text outside of braces, so no line can be named.",
        ),
    ] {
        let error = made(text, &token).unwrap_err();
        assert!(error.ends_with(told), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    // As long as a value may be.
    let fits = made("{{ token }}{{ token }}{{ token }}", &token).unwrap();
    assert_eq!(fits.len(), 3 * token.len());
}

#[test]
fn a_secret_of_more_than_a_mebibyte_is_not_sent() {
    let secret = SecretString::from("x".repeat(60_000));
    let validated = validated(MethodName::PersonalAccessToken, &secret, true);
    let keys: Vec<String> = (0..16).map(|number| format!("key{number}")).collect();
    let data: Vec<(&str, &str)> = keys
        .iter()
        .map(|key| (key.as_str(), "{{ token }}"))
        .collect();
    assert!(target_contents(&validated, &target(&[], &data)).is_ok());
    let all = [Preset::Standard, Preset::Env];
    let error = target_contents(&validated, &target(&all, &data)).unwrap_err();
    assert!(
        error.starts_with("The Secret files is not written: its values have more than 1 MiB"),
        "{error}"
    );
}
