//! The program that ships, as a process of its own.

use crate::support::{OPERATOR, PATIENCE, World};
use std::fs::File;
use std::io::{Read as _, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program as it ships.
pub(super) struct Program {
    pub(super) child: Child,
    pub(super) log: std::path::PathBuf,
    pub(super) metrics: u16,
    pub(super) health: u16,
}

impl Program {
    pub(super) fn start(
        world: &World,
        directory: &std::path::Path,
        kubeconfig: &std::path::Path,
    ) -> Self {
        let ca = directory.join("ca.pem");
        world.sim.write_ca(&ca).unwrap();
        let log = directory.join("log");
        let (metrics, health) = (free_port(), free_port());
        let child = Command::new(env!("CARGO_BIN_EXE_jira-credential-operator"))
            .arg("run")
            .args(["--namespace", OPERATOR])
            .args(["--cloud-hosts", "*.cloud.localhost"])
            .args(["--allowed-hosts", "*.dc.localhost"])
            .args(["--api-url", &world.sim.gateway_url()])
            .args(["--allowed-addresses", "127.0.0.0/8,::1"])
            .args(["--log-level", "trace"])
            .arg("--extra-ca-file")
            .arg(&ca)
            .arg(format!("--metrics-bind-address=127.0.0.1:{metrics}"))
            .arg(format!("--health-probe-bind-address=127.0.0.1:{health}"))
            .env("KUBECONFIG", kubeconfig)
            // What an administrator in search of a fault sets, in the hope that it helps.
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(File::create(directory.join("out")).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            metrics,
            health,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        get(self.health, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Stops in good order; returns the logs.
    pub(super) fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        let started = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < PATIENCE, "the program does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.child.wait().unwrap().success());
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub(super) fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
