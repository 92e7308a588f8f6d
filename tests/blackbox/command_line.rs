//! What a person types.

use std::process::Output;

use crate::process::binary;

fn run(arguments: &[&str]) -> Output {
    binary().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn text_of(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn a_wrong_command_line_is_a_usage_error_that_names_what_is_wrong() {
    for (arguments, named) in [
        (vec!["run", "--no-such-flag"], "--no-such-flag"),
        (vec!["walk"], "walk"),
        (vec![], "Usage"),
        (
            vec!["run", "--metrics-bind-address", "8080"],
            "--metrics-bind-address",
        ),
        (
            vec!["run", "--health-probe-bind-address", "here"],
            "--health-probe-bind-address",
        ),
        (vec!["run", "--log-format", "xml"], "--log-format"),
        (vec!["run", "--log-level", "chatty"], "--log-level"),
        (
            vec!["run", "--max-concurrent-reconciles", "0"],
            "--max-concurrent-reconciles",
        ),
        (
            vec!["run", "--max-concurrent-calls-per-site", "many"],
            "--max-concurrent-calls-per-site",
        ),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(named), "{arguments:?}: {error}");
    }
}

#[test]
fn a_value_that_makes_no_sense_ends_the_start_and_is_named() {
    for (flag, value, named) in [
        ("--cloud-hosts", "*", "*"),
        ("--allowed-hosts", "*.com", "*.com"),
        ("--notify-hosts", "*.com", "*.com"),
        ("--allowed-addresses", "ten", "--allowed-addresses"),
        ("--extra-ca-file", "/no/such/file", "--extra-ca-file"),
        ("--shard-selector", "shard is a", "key in (a,b)"),
        ("--shard-selector", "shard=a,shard=b", "contradict"),
        ("--shard-selector", "shard=a", "--leader-elect"),
        ("--shard-selector", " ", "leave it out"),
    ] {
        let output = run(&["run", flag, value]);
        let error = text(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{flag}: {error}"
        );
        assert!(error.contains(named), "{flag}: {error}");
    }
}

#[test]
fn a_proxy_that_cannot_be_used_ends_the_start_and_no_password_is_repeated() {
    let (proxy, file) = (
        "http://proxy.example:3128",
        "--https-proxy-credentials-file",
    );
    for (arguments, named) in [
        (
            vec!["--https-proxy", "http://robot:canary@proxy.example:3128"],
            file,
        ),
        (
            vec!["--https-proxy", "robot:canary@proxy.example:3128"],
            file,
        ),
        (
            vec!["--https-proxy", "proxy.example:3128"],
            "http://HOST:PORT",
        ),
        (
            vec!["--https-proxy", proxy, "--no-proxy", "https://a.example"],
            "--no-proxy",
        ),
        (vec!["--https-proxy", proxy, file, "/no/such/file"], file),
        (vec![file, "/no/such/file"], "--https-proxy"),
    ] {
        let arguments = [vec!["run"], arguments].concat();
        let output = run(&arguments);
        let error = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains(named), "{arguments:?}: {error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn receivers_that_cannot_be_used_end_the_start_and_no_address_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notify.yaml");
    let start = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = binary();
        command.args(["run", "--notify-config", file.to_str().unwrap()]);
        command.args(["--notify-hosts", "hooks.example"]);
        // There is no cluster, so that it ends.
        command.env("KUBECONFIG", "/no/such/file");
        command.env_remove("KUBERNETES_SERVICE_HOST");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        text_of(&output)
    };
    for (sink, named) in [
        ("http://hooks.example/canary", "sinks[0] (chat).url"),
        ("https://canary.example/hook", "--notify-hosts"),
        ("[https://hooks.example/canary]", "line 4"),
        ("https://hooks.example/canary\n  kind: a", "line 5"),
    ] {
        let said = start(&format!(
            "sinks:\n- name: chat\n  format: slack\n  url: {sink}\n"
        ));
        assert!(said.contains("--notify-config: "), "{said}");
        assert!(said.contains(named), "{named}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
    let good = "sinks: [{name: chat, format: slack, url: 'https://hooks.example/canary'}]";
    let said = start(good);
    assert!(said.contains("chat (slack)"), "{said}");
    assert!(!said.contains("canary"), "{said}");
    // A chat that cannot be reached must not stop renewals.
    let said = start("sinks: [{name: chat, format: slack, urlFile: no-such-file}]");
    assert!(said.contains("gets nothing until this"), "{said}");
    assert!(said.contains("the Kubernetes"), "{said}");
}

#[test]
fn the_start_names_the_proxy_and_what_it_changes_but_no_credential() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "robot:canary").unwrap();
    let file = file.to_str().unwrap();
    let clear = "in clear text";
    for (address, is_clear) in [
        ("http://proxy.example:3128", true),
        ("https://proxy.example:3129", false),
    ] {
        let mut command = binary();
        command.args([
            "run",
            "--log-level",
            "debug",
            "--no-proxy",
            "a.example,10.0.0.0/8",
        ]);
        command.args([
            "--https-proxy",
            address,
            "--https-proxy-credentials-file",
            file,
        ]);
        // There is no cluster, so that it ends.
        command.env("KUBECONFIG", "/no/such/file");
        command.env_remove("KUBERNETES_SERVICE_HOST");
        let output = command.output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!output.status.success(), "{said}");
        let (_, name) = address.split_once("://").unwrap();
        for words in [
            name,
            "Jira is called through a proxy",
            "a.example,10.0.0.0/8",
            "addresses and networks have no effect",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(said.contains(clear), is_clear, "{said}");
        assert!(
            !said.contains("canary") && !said.contains("cm9ib3Q6"),
            "{said}"
        );
    }
}

#[test]
fn the_definition_and_the_version_are_printed() {
    let output = run(&["crd"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("kind: CustomResourceDefinition"));
    let version = run(&["version"]);
    assert!(version.status.success());
    assert!(text(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
    let flag = run(&["--version"]);
    assert_eq!(text(&flag.stdout), text(&version.stdout));
}
