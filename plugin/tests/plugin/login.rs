//! `login`: a consent in the browser becomes a credential, and no secret is shown on the way.

mod browser;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use atlassian_sim::{CloudSite, OAuthApp};
use jira_credential_operator::api::{ConditionStatus, ConditionType};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};

use crate::support::{Done, PATIENCE, Running, World};

const ANN: &str = "ann@acme.example";
const BOB: &str = "bob@acme.example";
/// A whole first consent takes no longer, beside what the person takes.
pub(crate) const MACHINE_TIME: Duration = Duration::from_secs(15);

const SCOPES: [&str; 3] = ["read:jira-work", "read:jira-user", "offline_access"];

/// A world with an app, and a machine with a browser.
struct Desk {
    world: World,
    _operator: Running,
    site: CloudSite,
    app: OAuthApp,
    callback: String,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let world = World::new().await;
        let operator = world.operator().await;
        let site = world.sim.cloud_site("acme").user(ANN).user(BOB);
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let callback = format!("http://localhost:{port}/callback");
        let app = world.sim.oauth_app().callback(&callback);
        let folder = tempfile::tempdir().unwrap();
        world.sim.write_ca(folder.path().join("ca.pem")).unwrap();
        Self {
            world,
            _operator: operator,
            site,
            app,
            callback,
            folder,
        }
    }

    /// A program that opens a browser: it writes down what it was given.
    fn browser(&self) -> PathBuf {
        let program = self.folder.path().join("xdg-open");
        let opened = self.folder.path().join("opened");
        let script = format!(
            "#!/bin/sh\nprintf %s \"$*\" > {0}.new && /bin/mv {0}.new {0}\n",
            opened.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        opened
    }

    /// Starts a login, and reads the authorize URL.
    fn login(&self, more: &[&str]) -> Login {
        let authorities = self.folder.path().join("ca.pem");
        let (auth, gateway) = (self.world.sim.auth_url(), self.world.sim.gateway_url());
        let mut args = vec![
            "login",
            "bot",
            "--redirect-uri",
            &self.callback,
            "--auth-url",
            &auth,
            "--api-url",
            &gateway,
            "--allowed-addresses",
            "127.0.0.0/8,::1",
            "--extra-ca-file",
            authorities.to_str().unwrap(),
        ];
        args.extend(more);
        let mut command = self.world.command(&args);
        Login::start(command.env("PATH", self.folder.path()))
    }

    /// Starts the login of a new credential.
    async fn first(&self, more: &[&str]) -> Login {
        let site = self.site.url();
        let mut args = vec!["--site", &site, "--client-id", self.app.client_id()];
        args.extend(more);
        let mut login = self.login(&args);
        login.write(&self.app.secret()).await;
        login
    }

    fn accepted(&self, who: &str, url: &str) -> String {
        let landing = self.world.sim.person(who).at(&[&self.site]).accept(url);
        landing.callback().unwrap().to_owned()
    }

    async fn nothing_is_stored(&self) {
        let secret = self.world.secrets().get_opt("bot-consent").await.unwrap();
        assert!(secret.is_none());
        let object = self.world.credentials().get_opt("bot").await.unwrap();
        assert!(object.is_none());
    }
}

/// A login that runs.
pub(crate) struct Login {
    child: Child,
    stdin: Option<ChildStdin>,
    stderr: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    pub(crate) seen: String,
}

impl Login {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            stderr: BufReader::new(Box::new(child.stderr.take().unwrap())),
            child,
            seen: String::new(),
        }
    }

    /// The same command on a terminal of its own, which shows both outputs.
    pub(crate) fn on_terminal(command: &Command) -> Self {
        let command = command.as_std();
        let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap());
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(quoted)
            .collect();
        let variables = command.get_envs();
        let mut script = Command::new("script");
        script
            .args(["--quiet", "--return", "--echo", "never", "--command"])
            .args([&words.join(" "), "/dev/null"])
            .envs(variables.filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = script.spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            stderr: BufReader::new(Box::new(child.stdout.take().unwrap())),
            child,
            seen: String::new(),
        }
    }

    pub(crate) async fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    /// Reads standard error up to a line that begins like this.
    pub(crate) async fn until(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line);
            let read = tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
            assert!(read > 0, "no line begins with {begin}: {}", self.seen);
            self.seen.push_str(&line);
            if line.starts_with(begin) {
                return line.trim().to_owned();
            }
        }
    }

    pub(crate) async fn url(&mut self) -> String {
        self.until("https://").await
    }

    /// The command line and the environment, as every program of the user can read them.
    pub(crate) fn shown_to_others(&self) -> String {
        let process = PathBuf::from(format!("/proc/{}", self.child.id().unwrap()));
        let read = |name| std::fs::read(process.join(name)).unwrap();
        let all = [read("cmdline"), read("environ")].concat();
        assert!(!all.is_empty());
        String::from_utf8_lossy(&all).into_owned()
    }

    pub(crate) async fn end(mut self) -> Done {
        drop(self.stdin.take());
        self.end_of_itself().await
    }

    /// The end, while standard input stays open.
    pub(crate) async fn end_of_itself(mut self) -> Done {
        let ended = async {
            self.stderr.read_to_string(&mut self.seen).await.unwrap();
            self.child.wait_with_output().await.unwrap()
        };
        let output = tokio::time::timeout(PATIENCE, ended).await.unwrap();
        Done {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: self.seen,
        }
    }
}

/// What the browser gets at an address on this machine.
pub(crate) async fn visit(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

pub(crate) fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let found = query.split('&').find_map(|pair| {
        let (known, value) = pair.split_once('=')?;
        (known == name).then(|| value.to_owned())
    });
    found.unwrap()
}

#[tokio::test]
async fn a_first_consent_ends_ready_and_shows_no_secret() {
    let desk = Desk::new().await;
    let opened = desk.browser();
    let mut login = desk.first(&["--account", ANN]).await;
    let url = login.url().await;
    // The browser is sent on by this machine: the state is in no argument.
    let start = crate::support::until_file(&opened).await;
    assert!(start.starts_with(desk.callback.trim_end_matches("/callback")));
    let response = visit(&start).await;
    assert!(
        response.contains(&format!("Location: {url}\r\n")),
        "{response}"
    );
    let callback = desk.accepted(ANN, &url);
    let (code, state) = (parameter(&callback, "code"), parameter(&url, "state"));
    assert_eq!(state.len(), 64);
    // An idle connection, as browsers make them, holds nobody up.
    let host = callback.split('/').nth(2).unwrap();
    let _idle = TcpStream::connect(host).await.unwrap();
    let wrong = callback.replace(&state, &"0".repeat(64));
    let response = visit(&wrong).await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert!(response.contains("It was not accepted"), "{response}");
    desk.nothing_is_stored().await;
    let shown = login.shown_to_others();
    let response = visit(&callback).await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(response.contains("Consent received"), "{response}");
    assert!(response.contains("Content-Security-Policy: default-src 'none'"));
    let done = login.end().await;
    let told = done.ended(0);
    assert!(told.starts_with("bot: Ready True (Validated)"), "{told}");
    assert!(
        done.err.contains("Ann (ann@acme.example) consented."),
        "{}",
        done.err
    );
    let token = desk.world.value("bot-consent", "refresh-token").await;
    let secret = desk.app.secret();
    assert_eq!(
        desk.world.value("bot-consent", "client-secret").await,
        secret
    );
    for (name, canary) in [("code", &code), ("token", &token), ("secret", &secret)] {
        for text in [&done.out, &done.err, &response, &shown] {
            assert!(!text.contains(canary.as_str()), "the {name} is shown");
        }
    }
    assert!(!shown.contains(&state) && !done.out.contains(&state) && !response.contains(&state));
    let seed = desk.world.secrets().get("bot-consent").await.unwrap();
    assert_eq!(seed.metadata.labels, None);
    let object = desk.world.credentials().get("bot").await.unwrap();
    let spec: Value = serde_json::to_value(&object.spec).unwrap();
    assert_eq!(
        spec["auth"]["oauth2"]["scopes"],
        json!(["read:jira-work", "read:jira-user"])
    );
    // The port is free again.
    TcpStream::connect(host).await.unwrap_err();
}

#[tokio::test]
async fn a_dead_consent_is_healed_by_the_account_that_gave_it() {
    let desk = Desk::new().await;
    let (world, site) = (&desk.world, &desk.site);
    let consent = desk.app.consent(ANN, &[site], &SCOPES);
    world.secret("app", &[("secret", &desk.app.secret())]).await;
    let seed = [
        ("seed", consent.refresh_token()),
        ("other", "kept".to_owned()),
    ];
    let seed: Vec<(&str, &str)> = seed
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    world.secret("seed", &seed).await;
    let spec = json!({
        "site": site.url(), "hosting": "Cloud",
        "auth": {"oauth2": {
            "clientId": desk.app.client_id(),
            "clientSecretRefs": [{"name": "app", "key": "secret"}],
            "refreshTokenSecretRef": {"name": "seed", "key": "seed"},
            "scopes": ["read:jira-work", "read:jira-user"],
        }},
    });
    world.create("bot", spec).await;
    let before = world.until_ready("bot").await;
    consent.revoke();
    world.plugin(&["renew", "bot"]).await.ended(3);
    world
        .until("bot", |object| {
            let status = object.status.as_ref().unwrap();
            let valid = status.condition(ConditionType::Valid);
            valid.is_some_and(|valid| valid.status == ConditionStatus::False)
        })
        .await;
    // Somebody else's consent changes nothing.
    let mut login = desk.login(&["--no-browser"]);
    let url = login.url().await;
    assert!(
        login.seen.contains("Log in at Atlassian as Ann ("),
        "{}",
        login.seen
    );
    visit(&desk.accepted(BOB, &url)).await;
    let done = login.end().await;
    done.ended(3);
    assert!(
        done.err
            .contains("consented, but Ann (ann@acme.example) must"),
        "{}",
        done.err
    );
    assert_eq!(world.value("seed", "seed").await, consent.refresh_token());
    // Nor does another site or app.
    let done = world
        .plugin(&["login", "bot", "--site", "https://other.atlassian.net"])
        .await;
    done.ended(2);
    assert!(done.err.contains("--site is not spec.site"), "{}", done.err);
    let mut login = desk.login(&["--no-browser"]);
    let url = login.url().await;
    visit(&desk.accepted(ANN, &url)).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    assert_ne!(world.value("seed", "seed").await, consent.refresh_token());
    assert_eq!(world.value("seed", "other").await, "kept");
    let after = world.credentials().get("bot").await.unwrap();
    assert_eq!(after.metadata.generation, before.metadata.generation);
    assert_eq!(world.secrets().get_opt("bot-consent").await.unwrap(), None);
}

#[tokio::test]
async fn a_declined_consent_stores_nothing() {
    let desk = Desk::new().await;
    let mut login = desk.first(&["--no-browser"]).await;
    let url = login.url().await;
    let ann = desk.world.sim.person(ANN).at(&[&desk.site]);
    let landing = ann.decline(&url);
    // A browser may take either address of localhost.
    let mut callback = landing.callback().unwrap().to_owned();
    if TcpListener::bind("[::1]:0").is_ok() {
        callback = callback.replace("localhost", "[::1]");
    }
    let response = visit(&callback).await;
    assert!(response.contains("Consent declined"), "{response}");
    let done = login.end().await;
    done.ended(3);
    assert!(
        done.err.contains("error: the consent was declined"),
        "{}",
        done.err
    );
    desk.nothing_is_stored().await;
}

#[tokio::test]
async fn the_callback_can_be_pasted_even_when_the_port_is_taken() {
    let desk = Desk::new().await;
    let host = desk.callback.split('/').nth(2).unwrap();
    let _taken = TcpListener::bind(host.replace("localhost", "127.0.0.1")).unwrap();
    // Without a way to paste, that is the end.
    let login = desk.first(&[]).await;
    let done = login.end().await;
    done.ended(1);
    assert!(
        done.err.contains("is taken by another program"),
        "{}",
        done.err
    );
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    desk.nothing_is_stored().await;
    let mut login = desk.first(&["--no-browser"]).await;
    let url = login.url().await;
    let callback = desk.accepted(ANN, &url);
    let state = parameter(&url, "state");
    login.write("what?").await;
    login.until("This is not the address of the callback").await;
    login.write(&callback.replace(&state, "0")).await;
    login.until("This address belongs to another login").await;
    login.write(&callback).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    assert!(!done.err.contains(&parameter(&callback, "code")));
}

#[tokio::test]
async fn a_consent_for_another_site_or_with_a_wrong_secret_stores_nothing() {
    let desk = Desk::new().await;
    let globex = desk.world.sim.cloud_site("globex").user(ANN);
    let mut login = desk.first(&["--no-browser"]).await;
    let url = login.url().await;
    let landing = desk.world.sim.person(ANN).at(&[&globex]).accept(&url);
    visit(landing.callback().unwrap()).await;
    let done = login.end().await;
    done.ended(3);
    let told = format!(
        "the consent covers {}, not {}",
        globex.url(),
        desk.site.url()
    );
    assert!(done.err.contains(&told), "{}", done.err);
    desk.nothing_is_stored().await;
    let site = desk.site.url();
    let flags = [
        "--no-browser",
        "--site",
        &site,
        "--client-id",
        desk.app.client_id(),
    ];
    let mut login = desk.login(&flags);
    login.write("wrong").await;
    let url = login.url().await;
    visit(&desk.accepted(ANN, &url)).await;
    let done = login.end().await;
    done.ended(3);
    assert!(
        done.err
            .contains("refuses the client id or the client secret"),
        "{}",
        done.err
    );
    desk.nothing_is_stored().await;
}

#[tokio::test]
async fn a_secret_that_somebody_made_meanwhile_is_not_overwritten() {
    let desk = Desk::new().await;
    // Neither one that is new, nor one that was read.
    for theirs in ["theirs", "newer"] {
        let mut login = desk.first(&["--no-browser"]).await;
        let url = login.url().await;
        let values = [("refresh-token", theirs)];
        desk.world.secret("bot-consent", &values).await;
        visit(&desk.accepted(ANN, &url)).await;
        let done = login.end().await;
        done.ended(1);
        let told = "somebody changed the Secret bot-consent meanwhile. Nothing was stored";
        assert!(done.err.contains(told), "{}", done.err);
        let value = desk.world.value("bot-consent", "refresh-token").await;
        assert_eq!(value, theirs);
    }
    let object = desk.world.credentials().get_opt("bot").await.unwrap();
    assert!(object.is_none());
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_before_the_consent() {
    let world = World::new().await;
    let group = "rbac.authorization.k8s.io";
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Role",
        "metadata": {"name": "creator", "namespace": world.namespace},
        "rules": [
            {"apiGroups": ["jira-operator.dev"], "resources": ["jiracredentials"],
                "verbs": ["get", "list", "watch", "create"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
            // The admission policy wants these for the published Secret.
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["bot"],
                "verbs": ["create", "update"]},
        ],
    });
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
        "metadata": {"name": "creator", "namespace": world.namespace},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "creator"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "carla"}],
    });
    for object in [role, binding] {
        let text = object.to_string();
        world.plane.kubectl_apply(&text).await.unwrap();
    }
    let site = "https://acme.atlassian.net";
    let args = ["login", "bot", "--as", "carla", "--site", site];
    let args = [&args[..], &["--client-id", "id", "--no-browser"]].concat();
    let started = Instant::now();
    let done = loop {
        let done = world.plugin_reading(&args, "example\n").await;
        // The authorizer of the API server learns of a binding a moment later.
        let is_unknown =
            done.err.contains("the JiraCredential") || done.err.contains("cannot read");
        if !is_unknown || started.elapsed() > PATIENCE {
            break done;
        }
    };
    done.ended(1);
    let told = "refused to write the Secret bot-consent (403 Forbidden). Nothing was stored; ask";
    assert!(done.err.contains(told), "{}", done.err);
    assert!(!done.err.contains("consent at"), "{}", done.err);
}
