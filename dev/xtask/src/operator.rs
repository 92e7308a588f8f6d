//! The operator as a process of its own, as it runs in a pod.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::failure::{Outcome, While as _, fail};

/// Ends the operator when we end, however we end: the kernel then closes our end of the pipe.
const WATCHDOG: &str = r#"while read -r _; do :; done; kill -TERM "$0""#;

/// How to start an operator.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    /// The binary.
    pub(crate) binary: &'a Path,
    /// Whom it acts as.
    pub(crate) kubeconfig: &'a Path,
    /// Where its log goes.
    pub(crate) log: &'a Path,
    /// Its command line after `run`.
    pub(crate) flags: &'a [String],
}

/// A running operator.
pub(crate) struct Operator {
    child: Child,
    watchdog: Child,
    log: PathBuf,
    metrics: SocketAddr,
    health: SocketAddr,
}

impl Operator {
    /// Starts it and waits until it has listed everything.
    pub(crate) async fn start(start: Start<'_>) -> Outcome<Self> {
        let (metrics, health) = free_addresses()?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(start.log)
            .while_("the log")?;
        let mut command = Command::new(start.binary);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            // The client of Kubernetes takes a proxy from the environment, which is not there in a pod.
            if text.starts_with("JCO_") || text.eq_ignore_ascii_case("https_proxy") {
                command.env_remove(name);
            }
        }
        let child = command
            .arg("run")
            .args(start.flags)
            .args(["--metrics-bind-address", &metrics.to_string()])
            .args(["--health-probe-bind-address", &health.to_string()])
            .env("KUBECONFIG", start.kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone().while_("the log")?)
            .stderr(log)
            // Ctrl-C is for us alone: we end it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .while_(start.binary.display())?;
        let id = child.id().unwrap_or_default();
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, &id.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .while_("sh")?;
        let mut operator = Self {
            child,
            watchdog,
            log: start.log.to_owned(),
            metrics,
            health,
        };
        operator.until_ready().await?;
        Ok(operator)
    }

    async fn until_ready(&mut self) -> Outcome {
        let begun = Instant::now();
        loop {
            if let Ok((200, _)) = get(self.health, "/readyz").await {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return fail(format!(
                    "the operator ended with {status}\n{}",
                    self.log_tail(20)
                ));
            }
            if begun.elapsed() > Duration::from_secs(60) {
                return fail(format!(
                    "the operator was not ready after a minute\n{}",
                    self.log_tail(20)
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Where its metrics are.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.metrics
    }

    /// What it exports, in the text format of Prometheus.
    pub(crate) async fn scrape(&self) -> Outcome<String> {
        match get(self.metrics, "/metrics").await? {
            (200, text) => Ok(text),
            (status, _) => fail(format!("/metrics answers with {status}")),
        }
    }

    /// Fails if it has ended.
    pub(crate) fn check(&mut self) -> Outcome {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => fail(format!("the operator ended with {status}")),
        }
    }

    /// Asks it to end and waits for that.
    pub(crate) async fn stop(&mut self) -> Outcome {
        // First, since the process id is free for others once the operator is gone.
        self.watchdog.kill().await.while_("ending the watchdog")?;
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        match tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await {
            Ok(status) => match status? {
                status if status.success() => Ok(()),
                status => fail(format!("the operator ended with {status}")),
            },
            Err(_) => fail("the operator did not end within 30 s of SIGTERM"),
        }
    }

    /// Kills it, as a node that loses power does.
    pub(crate) async fn kill(&mut self) -> Outcome {
        self.watchdog.kill().await.while_("ending the watchdog")?;
        self.child.kill().await.while_("killing the operator")
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

/// The last lines of a file.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

fn free_addresses() -> Outcome<(SocketAddr, SocketAddr)> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let (first, second) = (TcpListener::bind(any)?, TcpListener::bind(any)?);
    Ok((first.local_addr()?, second.local_addr()?))
}

/// Asks a plain HTTP server and returns the status and the body.
async fn get(address: SocketAddr, path: &str) -> Outcome<(u16, String)> {
    let answer = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(2), answer).await??;
    let status = answer
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok());
    match (status, answer.split_once("\r\n\r\n")) {
        (Some(status), Some((_, body))) => Ok((status, body.to_owned())),
        _ => fail("no HTTP answer"),
    }
}
