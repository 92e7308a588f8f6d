//! A login that runs, and the desk of the person that it is for: an app, a site and a browser.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use atlassian_sim::{CloudSite, OAuthApp};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};

use crate::support::{Done, PATIENCE, Running, World};

pub(crate) const ANN: &str = "ann@acme.example";
pub(crate) const BOB: &str = "bob@acme.example";
/// A whole first consent takes no longer, beside what the person takes.
pub(crate) const MACHINE_TIME: Duration = Duration::from_secs(15);

/// A world with an app, and a machine with a browser.
pub(crate) struct Desk {
    pub(crate) world: World,
    _operator: Running,
    pub(crate) site: CloudSite,
    pub(crate) app: OAuthApp,
    pub(crate) callback: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let operator = world.operator().await;
        let site = world.sim.cloud_site("acme").user(ANN).user(BOB);
        let callback = free_callback();
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

    /// The file in which the browser writes what it was given.
    pub(crate) fn browser(&self) -> PathBuf {
        recording_browser(self.folder.path())
    }

    /// Starts a login, and reads the authorize URL.
    pub(crate) fn login(&self, more: &[&str]) -> Login {
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
    pub(crate) async fn first(&self, more: &[&str]) -> Login {
        let site = self.site.url();
        let mut args = vec!["--site", &site, "--client-id", self.app.client_id()];
        args.extend(more);
        let mut login = self.login(&args);
        login.write(&self.app.secret()).await;
        login
    }

    pub(crate) fn accepted(&self, who: &str, url: &str) -> String {
        let landing = self.world.sim.person(who).at(&[&self.site]).accept(url);
        landing.callback().unwrap().to_owned()
    }

    pub(crate) async fn nothing_is_stored(&self) {
        let secret = self.world.secrets().get_opt("bot-consent").await.unwrap();
        assert!(secret.is_none());
        let object = self.world.credentials().get_opt("bot").await.unwrap();
        assert!(object.is_none());
    }
}

/// A login that runs.
pub(crate) struct Login {
    pub(crate) child: Child,
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

/// A program that opens a browser: it writes down what it was given, in the file that is returned.
pub(crate) fn recording_browser(folder: &Path) -> PathBuf {
    let program = folder.join("xdg-open");
    let opened = folder.join("opened");
    let script = format!(
        "#!/bin/sh\nprintf %s \"$*\" > {0}.new && /bin/mv {0}.new {0}\n",
        opened.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    opened
}

/// A callback on this machine whose port nobody uses.
pub(crate) fn free_callback() -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    format!("http://localhost:{port}/callback")
}
