//! What every command has in common: kubectl's flags, exit codes, colours, completion and man page.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{World, answer, finish, read_until};

#[tokio::test]
async fn a_wrong_command_line_ends_with_2_and_a_missing_cluster_with_1() {
    let world = World::new().await;
    for args in [
        &["frobnicate"][..],
        &[],
        &["status", "--as-group", "g"],
        &["status", "x", "-A"],
    ] {
        let done = world.plugin(args).await;
        assert_eq!(done.code, 2, "{args:?}: {}", done.err);
        assert!(done.out.is_empty(), "{args:?}");
    }
    for (args, named) in [
        (
            ["status", "--kubeconfig", "/does/not/exist"],
            "/does/not/exist",
        ),
        (["status", "--context", "nowhere"], "nowhere"),
    ] {
        let done = world.plugin(&args).await;
        done.ended(1);
        assert!(
            done.err
                .starts_with("error: the kubeconfig cannot be used: "),
            "{}",
            done.err
        );
        assert!(done.err.contains(named), "{}", done.err);
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    }
}

#[tokio::test]
async fn the_kubeconfig_is_the_flag_or_else_the_variable() {
    let world = World::new().await;
    let admin = world.plane.admin_kubeconfig().to_str().unwrap();
    let by_flag = world
        .command(&["status", "--kubeconfig", admin])
        .env("KUBECONFIG", "/does/not/exist")
        .output();
    assert!(by_flag.await.unwrap().status.success());
    world.plugin(&["status"]).await.ended(0);
}

#[tokio::test]
async fn another_user_and_their_groups_are_taken() {
    let world = World::new().await;
    let refused = world.plugin(&["status", "--as", "nobody"]).await;
    refused.ended(1);
    assert!(
        refused.err.contains("User \"nobody\" cannot list")
            && refused.err.contains("ask an administrator"),
        "{}",
        refused.err
    );
    let group = ["status", "--as", "nobody", "--as-group", "system:masters"];
    world.plugin(&group).await.ended(0);
}

#[tokio::test]
async fn a_request_that_takes_too_long_ends_with_4() {
    let world = World::new().await;
    // A server that takes connections and says nothing.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let done = world
        .plugin(&["status", "--kubeconfig", path, "--request-timeout", "1s"])
        .await;
    done.ended(4);
    assert!(done.err.contains("--request-timeout"), "{}", done.err);
}

#[tokio::test]
async fn there_is_colour_on_a_terminal_alone_and_none_with_no_color() {
    let world = World::new().await;
    world.create("bot", world.api_token_spec("bot")).await;
    world.write_status("bot", ready()).await;
    for (line, coloured) in [
        ("$PLUGIN status", true),
        ("NO_COLOR= $PLUGIN status", true),
        ("NO_COLOR=1 $PLUGIN status", false),
        ("TERM=dumb $PLUGIN status", false),
        ("$PLUGIN status | cat", false),
        ("$PLUGIN status -o json", false),
        // A reader that has seen enough is no failure.
        ("set -o pipefail; $PLUGIN status | head -n 1", false),
    ] {
        let mut child = world.terminal(&format!("exec bash -c '{line}'"));
        let done = answer(child.spawn().unwrap(), "").await;
        let shown = done.ended(0);
        assert!(
            shown.contains("READY") || shown.contains("\"ready\""),
            "{line}: {shown}"
        );
        assert_eq!(shown.contains('\u{1b}'), coloured, "{line}: {shown:?}");
    }
}

#[tokio::test]
async fn an_interrupt_ends_with_130_and_leaves_the_terminal_as_it_was() {
    let world = World::new().await;
    world.create("bot", world.api_token_spec("bot")).await;
    let line = "$PLUGIN login new --no-browser --site https://acme.atlassian.net --client-id c";
    let prompt = "(it is not shown): ";
    for typed in [
        &[(prompt, "half\x03")][..],
        // While it waits it reads no keys, and is interrupted by a signal.
        &[
            (prompt, "secret\n"),
            ("paste that whole address here", "\x03"),
        ],
        // Here and below by somebody else's signal.
        &[(prompt, SIGNAL)],
        &[
            (prompt, "secret\n"),
            ("paste that whole address here", SIGNAL),
        ],
    ] {
        // The shell goes on after an interrupt, and the plugin gets the signal.
        let plugin = format!("bash -c \"echo pid \\$\\$; exec {line}\"");
        let line = format!("trap : INT; {plugin}; echo ended with $?; stty -a; echo over");
        let mut terminal = world
            .terminal(&format!("exec bash -c '{line}'"))
            .spawn()
            .unwrap();
        let mut screen = terminal.stdout.take().unwrap();
        let mut keyboard = terminal.stdin.take().unwrap();
        read_until(&mut screen, "pid ").await;
        let pid = read_until(&mut screen, "\n").await;
        for (shown, keys) in typed {
            read_until(&mut screen, shown).await;
            if *keys == SIGNAL {
                let mut kill = Command::new("kill");
                assert!(kill.args(["-INT", pid.trim()]).status().unwrap().success());
            } else {
                keyboard.write_all(keys.as_bytes()).await.unwrap();
            }
        }
        let rest = read_until(&mut screen, "over\r\n").await;
        assert!(rest.contains("ended with 130\r\n"), "{rest}");
        assert!(rest.contains("isig icanon iexten echo "), "{rest}");
        assert!(rest.contains("interrupted"), "{rest}");
        terminal.wait().await.unwrap();
    }
}

/// Stands for a signal where keys could be typed.
const SIGNAL: &str = "a signal";

/// A proxy that makes tunnels, and counts them.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", socket.local_addr().unwrap());
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = socket.accept().await.unwrap();
            let count = count.clone();
            tokio::spawn(async move {
                let head = read_until(&mut near, "\r\n\r\n").await;
                let to = head
                    .strip_prefix("CONNECT ")
                    .unwrap()
                    .split(' ')
                    .next()
                    .unwrap();
                let mut far = TcpStream::connect(to).await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (address, made)
}

#[tokio::test]
async fn the_api_server_may_be_behind_a_proxy() {
    let world = World::new().await;
    let (address, made) = proxy().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let text = std::fs::read_to_string(world.plane.admin_kubeconfig()).unwrap();
    let config: Value = serde_saphyr::from_str(&text).unwrap();
    let user = &config["users"][0]["user"];
    kubeconfig(&world, &path, user, &json!({"proxy-url": address}));
    let args = ["status", "--kubeconfig", path.to_str().unwrap()];
    world.plugin(&args).await.ended(0);
    assert_eq!(made.load(Ordering::SeqCst), 1);
    let mut command = world.command(&["status"]);
    command.env("HTTPS_PROXY", &address);
    finish(command.spawn().unwrap()).await.ended(0);
    assert_eq!(made.load(Ordering::SeqCst), 2);
}

/// The status of a credential that is well.
fn ready() -> Value {
    json!({
        "observedGeneration": 1, "method": "ApiToken",
        "conditions": [{"type": "Ready", "status": "True", "reason": "Validated", "message": "Well.",
            "lastTransitionTime": "2027-01-01T00:00:00Z"}],
    })
}

#[tokio::test]
async fn kubectl_finds_the_plugin_under_its_name() {
    let world = World::new().await;
    let program = Path::new(env!("CARGO_BIN_EXE_kubectl-jira_credential"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let mut kubectl = world.plane.kubectl();
    kubectl
        .args(["jira-credential", "--version"])
        .env("PATH", path)
        .stderr(Stdio::inherit());
    let output = kubectl.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text,
        format!("kubectl jira-credential {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn completion_scripts_and_man_pages_know_every_command() {
    let world = World::new().await;
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let done = world.plugin(&["completion", shell]).await;
        assert!(done.ended(0).contains("status"), "{shell}");
    }
    let page = world.plugin(&["man"]).await;
    assert!(page.ended(0).contains(".TH"), "{}", page.out);
    let page = world.plugin(&["man", "status"]).await;
    assert!(
        page.ended(0).contains("jira_credential\\-status"),
        "{}",
        page.out
    );
    world.plugin(&["man", "frobnicate"]).await.ended(2);
}

/// A kubeconfig of the test cluster with another user, and with more in its cluster.
fn kubeconfig(world: &World, path: &Path, user: &Value, cluster: &Value) {
    let text = std::fs::read_to_string(world.plane.admin_kubeconfig()).unwrap();
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    config["users"][0]["user"] = user.clone();
    let more = cluster.as_object().unwrap().clone();
    let old = config["clusters"][0]["cluster"].as_object_mut().unwrap();
    old.extend(more);
    std::fs::write(path, config.to_string()).unwrap();
}

/// A user whose token comes from this shell script.
fn exec_user(script: &str, more: &Value) -> Value {
    let mut exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
    });
    let more = more.as_object().unwrap().clone();
    exec.as_object_mut().unwrap().extend(more);
    json!({"exec": exec})
}

#[tokio::test]
async fn what_a_kubeconfig_keeps_secret_is_not_in_an_error() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let env = json!({"env": [{"name": "PASSWORD", "value": "example-hidden"}]});
    let failing = exec_user("echo example-hidden; exit 1", &env);
    let proxy = json!({"proxy-url": "http://user:example-hidden@127.0.0.1:1"});
    let strange = json!({"proxy-url": "socks5://user:example-hidden@127.0.0.1:1"});
    for (user, cluster, told) in [
        (
            failing,
            json!({}),
            "the credential plugin of the kubeconfig failed",
        ),
        (json!({}), proxy, "cannot list JiraCredentials"),
        (
            json!({}),
            strange,
            "names a proxy of a kind that this plugin does not support",
        ),
    ] {
        kubeconfig(&world, &path, &user, &cluster);
        let done = world
            .plugin(&["status", "--kubeconfig", path.to_str().unwrap()])
            .await;
        done.ended(1);
        assert!(done.err.contains(told), "{}", done.err);
        assert!(!done.err.contains("example-hidden"), "{}", done.err);
    }
}

#[tokio::test]
async fn a_credential_plugin_does_not_get_what_is_piped_in() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let got = folder.path().join("got");
    let answer = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"example"}}"#;
    let script = format!("cat >>{}; echo '{answer}'", got.display());
    for (mode, told) in [
        (json!({}), "cannot read the JiraCredential"),
        (
            json!({"interactiveMode": "IfAvailable"}),
            "cannot read the JiraCredential",
        ),
        (json!({"interactiveMode": "Always"}), "needs a terminal"),
    ] {
        kubeconfig(&world, &path, &exec_user(&script, &mode), &json!({}));
        let args = ["rotate", "bot", "--kubeconfig", path.to_str().unwrap()];
        let done = world.plugin_reading(&args, "example-hidden").await;
        done.ended(1);
        assert!(done.err.contains(told), "{mode}: {}", done.err);
        let read = std::fs::read_to_string(&got).unwrap_or_default();
        assert_eq!(read, "", "{mode}");
    }
}
