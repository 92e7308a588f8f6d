//! Templates: keys that a target makes of a credential, and what becomes of one that cannot be rendered.

use std::process::Command;

use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::{Value, json};

use crate::oauth::renewing;
use crate::support::{World, keys, says, value};

const READY: ConditionType = ConditionType::Ready;

/// What a shell reads in a word.
fn in_a_shell(word: &str) -> String {
    let script = format!("printf %s {word}");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Compares the keys of the template with the token that is published.
async fn assert_rendered(world: &World) {
    let token = world.published("bot").await;
    let files = world.secrets().get("files").await.unwrap();
    assert_eq!(keys(&files).join(" "), "auth.json jira.sh netrc.b64 where");
    let read: Value = serde_json::from_str(&value(&files, "auth.json")).unwrap();
    let site = world.cloud().url();
    assert_eq!(read, json!({"site": site, "token": token, "ends": true}));
    let script = value(&files, "jira.sh");
    let quoted = script.strip_prefix("export JIRA_TOKEN=").unwrap();
    assert_eq!(in_a_shell(quoted), token);
    // base64 by another program.
    let script = format!("printf %s \"token:{token}\" | base64 -w 0");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let expected = String::from_utf8(output.stdout).unwrap();
    assert_eq!(value(&files, "netrc.b64"), expected);
    let own = format!("{}/bot", world.namespace);
    assert_eq!(value(&files, "where"), own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_rendered_again_at_each_renewal_with_one_write() {
    let (world, operator, _, consent) = renewing().await;
    let targets = json!({"targets": [{"name": "bot"}, {"name": "files", "template": {"data": {
        "auth.json": "{\"site\": {{ site | tojson }}, \"token\": {{ token | tojson }}, \"ends\": {{ 'true' if expiresAt else 'false' }}}\n",
        "jira.sh": "export JIRA_TOKEN={{ token | shquote }}",
        "netrc.b64": "{{ ('token:' ~ token) | b64encode }}",
        "where": "{{ namespace }}/{{ name }}",
    }}}]});
    let (mark, calls) = (operator.mark(), world.calls());
    world.change("bot", targets).await;
    world.observed("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(
        operator.writes_since(mark),
        ["create secrets", "update jiracredentials/status"]
    );
    assert_eq!(world.calls(), calls, "a template needs no call");
    assert_rendered(&world).await;
    let first = world.published("bot").await;
    let mark = operator.mark();
    world.renewal_falls_due(&operator).await;
    world.wait_ready("bot").await;
    // The intent, the answer, one for each of the two targets.
    assert_eq!(
        operator.writes_since(mark),
        [
            "update secrets",
            "update secrets",
            "patch secrets",
            "patch secrets",
            "update jiracredentials/status"
        ]
    );
    assert_ne!(world.published("bot").await, first);
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_rendered(&world).await;
    // Another template: one write, and no call.
    let (mark, calls) = (operator.mark(), world.calls());
    let data = json!({"JIRA_TOKEN": "{{ token }}", "JIRA_URL": "{{ site }}"});
    let other =
        json!({"targets": [{"name": "bot"}, {"name": "files", "template": {"data": data}}]});
    world.change("bot", other).await;
    world.observed("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(
        operator.writes_since(mark),
        ["patch secrets", "update jiracredentials/status"]
    );
    assert_eq!(world.calls(), calls);
    let files = world.secrets().get("files").await.unwrap();
    assert_eq!(value(&files, "JIRA_URL"), world.cloud().url());
    assert_eq!(keys(&files).join(" "), "JIRA_TOKEN JIRA_URL");
    assert_eq!(value(&files, "JIRA_TOKEN"), world.published("bot").await);
    // A restart changes nothing.
    operator.stop().await;
    let operator = world.operator().await;
    let (mark, calls) = (operator.mark(), world.calls());
    operator.quiet().await;
    assert!(operator.writes_since(mark).is_empty());
    assert_eq!(world.calls(), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_cannot_be_rendered_stops_its_target_only() {
    let world = World::new().await;
    let operator = world.operator().await;
    let site = world.data_center().user("bot");
    let token = site.pat("bot");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let targets = |text: &str| json!([{"name": "plain"}, {"name": "file", "template": {"data": {"a.txt": text}}}]);
    let spec = json!({
        "site": site.url(), "hosting": "DataCenter",
        "auth": {"personalAccessToken": {"tokenSecretRef": {"name": "bot-source", "key": "token"}}},
        "targets": targets("first\n{{ passwrod }}"),
    });
    world.create("bot", spec).await;
    let cases = [
        (
            "first\n{{ passwrod }}",
            "The Secret file is not written: line 2 of template.data[a.txt] uses `passwrod`, which is no variable of this method. Use one of name, namespace, url, site, hosting, scheme, authorization, token, accountId, expiresAt.",
        ),
        (
            "{{ token",
            "The Secret file is not written: line 1 of template.data[a.txt] cannot be read: unexpected end of input, expected end of variable block. Correct the template.",
        ),
        // Only the token itself shows how long it becomes.
        (
            "{% for a in [1,2,3,4,5,6,7,8,9] %}{% for b in [1,2,3,4,5,6,7,8,9] %}{% for c in [1,2,3,4,5,6,7,8,9] %}{% for d in [1,2,3,4,5,6,7,8,9] %}{{ token }}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
            "The Secret file is not written: line 1 of template.data[a.txt] makes a value of more than 64 KiB. Make it shorter.",
        ),
    ];
    let mut calls = None;
    for (text, told) in cases {
        world.change("bot", json!({"targets": targets(text)})).await;
        world.observed("bot").await;
        let object = world.wait_unready("bot", Reason::TemplateInvalid).await;
        for kind in [READY, ConditionType::Published, ConditionType::Stalled] {
            assert_eq!(says(&object, kind).message, told);
        }
        assert_eq!(
            says(&object, ConditionType::Valid).status,
            ConditionStatus::True
        );
        // The other target does not wait for it.
        world.until_value("plain", "token", token.secret()).await;
        assert!(world.secrets().get_opt("file").await.unwrap().is_none());
        operator.quiet().await;
        let before = calls.get_or_insert_with(|| world.calls());
        assert_eq!(world.calls(), *before, "{text}");
    }
    // Another spec mends it, without a call.
    let mark = operator.mark();
    world
        .change("bot", json!({"targets": targets("{{ token | tojson }}")}))
        .await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let quoted = format!("\"{}\"", token.secret());
    world.until_value("file", "a.txt", &quoted).await;
    assert_eq!(
        operator.writes_since(mark),
        ["create secrets", "update jiracredentials/status"]
    );
    assert_eq!(Some(world.calls()), calls);
    // Broken again: the Secret keeps what it holds.
    world
        .change("bot", json!({"targets": targets("{{ nothing }}")}))
        .await;
    world.wait_unready("bot", Reason::TemplateInvalid).await;
    operator.quiet().await;
    world.until_value("file", "a.txt", &quoted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_no_more_after_a_replacement_keeps_the_old_value_and_says_so() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (old, new) = ("short-pass", "a-password-of-more-letters");
    world.data_center().user("bot").set_password("bot", old);
    world.password("bot", "bot", old).await;
    // 4800 times the password, and 64 KiB at most.
    let many = "{{password}}".repeat(600);
    let text = format!("{{% for a in [1,2,3,4,5,6,7,8] %}}{many}{{% endfor %}}");
    let targets = |text: &str| json!({"targets": [{"name": "plain"}, {"name": "file", "template": {"data": {"a.txt": text}}}]});
    world.change("bot", targets(&text)).await;
    world.until_value("file", "a.txt", &old.repeat(4800)).await;
    world.wait_ready("bot").await;
    world.data_center().set_password("bot", new);
    let patch = json!({"stringData": {"password": new}});
    world.edit_secret("bot-source", patch).await;
    let object = world.wait_unready("bot", Reason::TemplateInvalid).await;
    let told = says(&object, ConditionType::Published).message;
    assert_eq!(
        told,
        "The Secret file is not written: line 1 of template.data[a.txt] makes a value of more than 64 KiB. Make it shorter."
    );
    let valid = says(&object, ConditionType::Valid).status;
    assert_eq!(valid, ConditionStatus::True);
    // The other target goes on, and this one has what it had.
    world.until_value("plain", "password", new).await;
    let file = world.secrets().get("file").await.unwrap();
    assert_eq!(value(&file, "a.txt"), old.repeat(4800));
    let calls = world.calls();
    world.change("bot", targets("{{ password }}")).await;
    world.wait_ready("bot").await;
    world.until_value("file", "a.txt", new).await;
    operator.quiet().await;
    assert_eq!(world.calls(), calls);
}
