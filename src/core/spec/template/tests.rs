use std::collections::BTreeMap;

use super::*;
use crate::api::TargetTemplate;

fn target(text: &str) -> Target {
    Target {
        name: "bot".to_owned(),
        template: Some(TargetTemplate {
            data: BTreeMap::from([("file".to_owned(), text.to_owned())]),
            ..TargetTemplate::default()
        }),
        ..Target::default()
    }
}

/// What is wrong, without the words that every message begins with.
fn fault(text: &str) -> Option<String> {
    let told = template_fault(&target(text), MethodName::ApiToken)?;
    let rest = told
        .strip_prefix("The Secret bot is not written: ")
        .unwrap();
    Some(rest.to_owned())
}

#[test]
fn what_templates_have_is_taken() {
    for text in [
        "",
        "plain text, even with * and - and { } and 100 % of it",
        "{{ token }}",
        "{{- token -}}",
        "{# a comment with {{ nothing }} in it #}{% raw %}{{ nothing * 2 }}{% endraw %}",
        r#"{"token": {{ token | tojson }}, "auth": "{{ (username ~ ":" ~ token) | b64encode }}"}"#,
        "{{ token | b64encode | urlencode | shquote }}",
        "{% if expiresAt %}{{ expiresAt }}{% elif cloudId == 'x' %}{{ cloudId }}{% else %}-{% endif %}",
        "{{ 'yes' if hosting == 'Cloud' and not (expiresAt or cloudId) else 'no' }}",
        "{{ 'yes' if hosting != 'Cloud' }}",
        "{% for host in ['a', site] if host != url %}{{ loop.index }}{{ host }}{% else %}none{% endfor %}",
        "{% for a in ['x'] %}{% for b in [loop.index] if loop.last %}{{ b }}{% endfor %}{% endfor %}",
        "{{ 18446744073709551615 }} {{ 1.5 }} {{ 1e300 | tojson }}",
        "{{ 'gov' in site }} {{ hosting not in ['Cloud', 'DataCenter'] }} {{ name }}/{{ namespace }}",
    ] {
        assert_eq!(fault(text), None, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, told) in [
        (
            "{{ token",
            "line 1 of template.data[file] cannot be read: unexpected end of input, expected end of variable block. Correct the template.",
        ),
        (
            "a\n{% if token %}\nb",
            "line 2 of template.data[file] cannot be read: unexpected end of input, expected end of block. Correct the template.",
        ),
        (
            "a\n\n{{ url }} {{ passwrod }}",
            "line 3 of template.data[file] uses `passwrod`, which is no variable of this method. Use one of name, namespace, url, site, hosting, cloudId, scheme, authorization, token, username, email, accountId, expiresAt.",
        ),
        (
            "{{ token | b64 }}",
            "line 1 of template.data[file] uses `b64`, which is no filter. Use one of b64encode, shquote, tojson, urlencode.",
        ),
        (
            "{{ token | tojson(2) }}",
            "line 1 of template.data[file] gives arguments to the filter `tojson`. Remove them.",
        ),
        (
            "{{ 1e999 }}",
            "line 1 of template.data[file] has a number that is too large. Write it as a text, in quotes.",
        ),
        (
            "\n{{ 18446744073709551616 | tojson }}",
            "line 2 of template.data[file] has a number that is too large. Write it as a text, in quotes.",
        ),
        (
            "{% for loop in ['x'] %}{% endfor %}",
            "line 1 of template.data[file] cannot be read: cannot assign to reserved variable name loop. Correct the template.",
        ),
        (
            "\n{% macro a() %}{% endmacro %}",
            "line 2 of template.data[file] cannot be read: unknown statement macro. Correct the template.",
        ),
    ] {
        assert_eq!(fault(text).as_deref(), Some(told), "{text}");
    }
    // Also where it would not be rendered, and under any other method.
    let told = fault("{% if false %}{{ password }}{% endif %}").unwrap();
    assert!(told.contains("uses `password`"), "{told}");
    let basic = template_fault(&target("{{ password }}"), MethodName::Basic);
    assert_eq!(basic, None);
}

#[test]
fn what_has_no_use_here_is_refused_with_what_there_is() {
    for (text, what) in [
        ("{{ 'x' * 100000000 }}", "`*`"),
        ("{{ [[1]*100000000] == [[1]*100000000] }}", "`*`"),
        ("{{ 1 + 1 }}", "`+`"),
        ("{{ -1 }}", "`-`"),
        ("{{ {'a': 1} }}", "`{`"),
        ("{{ url[0] }}", "`[`"),
        ("{{ url[1:2] }}", "`:`"),
        ("{{ url.x }}", "`.` after"),
        ("{{ loop.index }}", "`.` after"),
        (
            "{% for a in ['x'] %}{{ loop.previtem }}{% endfor %}",
            "`.` after",
        ),
        ("{% for a in ['x'] recursive %}{% endfor %}", "`recursive`"),
        (
            "{% for a, b in ['x'] %}{% endfor %}",
            "`for` with several variables",
        ),
        ("{% for a in [['x']] %}{% endfor %}", "a list at this place"),
        ("{{ ['x'] }}", "a list at this place"),
        ("{{ ['x'] | tojson }}", "a list at this place"),
        ("{{ ('x', 'y') }}", "a list at this place"),
        ("{{ url() }}", "a call"),
        ("{{ url.upper() }}", "a call"),
        ("{{ url is defined }}", "`is`"),
        ("{{ url < 'x' }}", "`<`"),
        ("{{ 'a' in 5 }}", "`in` with something"),
        (
            "{{ 'a' == 'b' in url }}",
            "a chain of comparisons with `in` or `<`",
        ),
        ("{{ none }}", "`none`"),
        (
            "{% for a in [1] %}{{ 'x' in a }}{% endfor %}",
            "`in` with something",
        ),
        (
            "{% for url in [1] if 'x' not in url %}{% endfor %}",
            "`in` with something",
        ),
        (
            "{% for a in ['x'] if loop.first %}{% endfor %}",
            "`.` after",
        ),
        (
            "{% for a in ['x'] %}{% else %}{{ loop.first }}{% endfor %}",
            "`.` after",
        ),
        ("{% set a = token %}", "`=`"),
        ("{% set a %}{{ token }}{% endset %}", "`set`"),
        (
            "{% filter tojson %}{{ token }}{% endfilter %}",
            "`filter` as a tag",
        ),
        ("{% with %}{% endwith %}", "`with`"),
        ("{% autoescape true %}{% endautoescape %}", "`autoescape`"),
        ("{% do url() %}", "`do`"),
    ] {
        let told = fault(text).unwrap_or_default();
        let expected = format!("line 1 of template.data[file] uses {what}");
        assert!(told.starts_with(&expected), "{text}: {told}");
        assert!(told.ends_with("They have variables, text, filters, `~`, `==`, `!=`, `in`, `not`, `and`, `or`, `if`, and `for` over a list."), "{told}");
    }
    for text in [
        "{% for a in url %}{% endfor %}",
        "{% for a in ('x',) %}{% endfor %}",
    ] {
        let told = fault(text).unwrap();
        assert!(told.contains("needs a list that is written out"), "{told}");
    }
    // What a loop binds ends with it.
    assert_eq!(fault("{% for a in ['x'] %}{{ a }}{% endfor %}"), None);
    assert!(fault("{% for a in ['x'] %}{{ a }}{% endfor %}{{ a }}").is_some());
    assert!(fault("{% for a in ['x'] %}{% else %}{{ a }}{% endfor %}").is_some());
}

/// Everything that makes the parser go deeper, as often as fits into the longest template.
#[test]
fn no_template_exhausts_the_stack() {
    let repeated = |before: &str, part: &str, after: &str| {
        let times = (8192 - before.len() - after.len()) / part.len();
        format!("{before}{}{after}", part.repeat(times))
    };
    let texts = [
        repeated("{{ ", "-", "1 }}"),
        repeated("{{ ", "not ", "1 }}"),
        repeated("{{ ", "(", " }}"),
        repeated("{{ ", "[", " }}"),
        repeated("{{ 1", "~1", " }}"),
        repeated("{{ 1", "|tojson", " }}"),
        repeated("{{ 1", " is a", " }}"),
        repeated("{{ a", ".a", " }}"),
        repeated("{{ a", "()", " }}"),
        repeated("{{ a", "[1]", " }}"),
        repeated("{{ 1", " if 1", " }}"),
        repeated("{{ 1", " if 1 else 1", " }}"),
        repeated("{{ 1", " == 1", " }}"),
        repeated("{{ 1", " or 1", " }}"),
        repeated("{% if 1 %}", "{% elif 1 %}", ""),
        repeated("", "{% if 1 %}", ""),
        repeated("", "{% for a in [1] %}", ""),
        repeated("", "{{1}}", ""),
        repeated("{% for ", "(", ""),
        repeated("", "{%raw%}{%endraw%}", ""),
        repeated("", "{#", ""),
        repeated("{{ '", "\\", ""),
    ];
    // A fourth of what a worker has.
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    let checked = small.spawn(move || {
        let told = texts.map(|text| fault(&text));
        told.iter().filter(|told| told.is_none()).count()
    });
    // Many plain values in a row go no deeper, nor does raw text.
    assert_eq!(checked.unwrap().join().unwrap(), 2);
}
