//! The operator's process.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Anything slower than this is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where everything listens, as a rule.
pub(crate) const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Ends the operator when we end, however we end: the kernel then closes our end of the pipe.
const WATCHDOG: &str = r#"while read -r _; do :; done; kill -KILL "$0""#;

/// The binary, undisturbed by the environment of the tests.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jira-credential-operator"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        // The client of Kubernetes takes a proxy from the environment, which is not there in a pod.
        if text.starts_with("JCO_") || text.eq_ignore_ascii_case("https_proxy") {
            command.env_remove(name);
        }
    }
    command
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .stdin(Stdio::null());
    command
}

/// A running operator. It ends with this value.
pub(crate) struct Process {
    pub(crate) child: Child,
    watchdog: Child,
    log: PathBuf,
    metrics: SocketAddr,
    health: SocketAddr,
}

impl Process {
    /// Starts `run` with these flags, and with addresses and a log of its own.
    pub(crate) fn start(
        directory: &Path,
        kubeconfig: &Path,
        loopback: IpAddr,
        flags: &[String],
    ) -> Self {
        let (metrics, health) = (free_address(loopback), free_address(loopback));
        let log = directory.join(format!("{}.log", metrics.port()));
        let is_format = |flag: &&String| flag.starts_with("--log-format");
        let format = (flags.iter().find(is_format)).map_or("--log-format=json", String::as_str);
        let child = binary()
            .args(["run", format, "--log-level", "debug"])
            .args(["--metrics-bind-address", &metrics.to_string()])
            .args(["--health-probe-bind-address", &health.to_string()])
            .args(flags.iter().filter(|flag| !is_format(flag)))
            .env("KUBECONFIG", kubeconfig)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            watchdog,
            log,
            metrics,
            health,
        }
    }

    /// What the kernel allows it, by the name of the limit: soft and hard.
    pub(crate) fn limit(&self, name: &str) -> Vec<String> {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        let values = line.unwrap().split_whitespace().take(2);
        values.map(str::to_owned).collect()
    }

    /// Waits until it says that it has listed everything.
    pub(crate) async fn ready(&mut self) {
        self.until("ready", |process| process.get_health("/readyz").0 == 200)
            .await;
    }

    /// Polls until something holds of the process, which must live.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.until_async(what, async |process: &Self| holds(process))
            .await;
    }

    /// The same for what has to be asked for.
    pub(crate) async fn until_async(&mut self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self).await {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "the operator ended\n{}",
                self.log()
            );
            assert!(Instant::now() < deadline, "not {what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn get_health(&self, path: &str) -> (u16, String) {
        get(self.health, path).unwrap_or_default()
    }

    pub(crate) fn metrics_address(&self) -> SocketAddr {
        self.metrics
    }

    pub(crate) fn metrics(&self) -> String {
        let (status, text) = get(self.metrics, "/metrics").unwrap_or_default();
        assert!(matches!(status, 200 | 0), "/metrics: {status}");
        text
    }

    /// Whether it says that it leads.
    pub(crate) fn leads(&self) -> bool {
        let metrics = self.metrics();
        let mut lines = metrics.lines();
        lines.any(|line| line == "jira_credential_leader 1")
    }

    /// Waits until it leads; returns how long that took.
    pub(crate) async fn until_it_leads(&mut self) -> Duration {
        let begun = Instant::now();
        self.until("leading", Self::leads).await;
        begun.elapsed()
    }

    /// The number of reconciles that have ended.
    pub(crate) fn passes(&self) -> u64 {
        let metrics = self.metrics();
        let counters = metrics
            .lines()
            .filter(|line| line.starts_with("jira_credential_reconcile_total"));
        counters
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Waits until no pass has ended for a while.
    pub(crate) async fn quiet(&mut self) {
        let (mut last, mut since) = (self.passes(), Instant::now());
        let deadline = Instant::now() + PATIENCE;
        while since.elapsed() < Duration::from_millis(500) {
            assert!(Instant::now() < deadline, "no rest\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(25)).await;
            let passes = self.passes();
            if passes != last {
                (last, since) = (passes, Instant::now());
            }
        }
    }

    /// SIGKILL: it has no say in this.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// SIGKILL, while it is still of interest what it has left behind.
    pub(crate) fn terminate_by_force(&self) {
        self.signal("KILL");
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGSTOP: it stands still, and notices nothing of it.
    pub(crate) fn stop(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let mut kill = Command::new("sh");
        kill.args(["-c", r#"kill -s "$1" "$0""#, &id, name]);
        assert!(kill.status().unwrap().success());
    }

    /// Waits until it has ended by itself, at most this long.
    pub(crate) async fn ended(&mut self, within: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            let waited = begun.elapsed();
            assert!(
                waited < within,
                "still there after {waited:?}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The lines of the log.
    pub(crate) fn log_lines(&self) -> Vec<Value> {
        let log = self.log();
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        log.lines().map(parse).collect()
    }

    /// The watchdog goes first: the id of an ended process may be given to another.
    fn end(&mut self) {
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// An address outside the range from which outgoing connections take theirs.
fn free_address(loopback: IpAddr) -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Far from those of the processes that were started just before.
    let seed = u64::from(std::process::id()) * 7919;
    loop {
        let step = u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 12_000 + u16::try_from((seed + step * 7) % 18_000).unwrap();
        let address = SocketAddr::new(loopback, port);
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Status and body of a GET; `None` while nobody listens.
fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: operator\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
