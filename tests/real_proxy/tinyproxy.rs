//! tinyproxy, as Debian ships it.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use control_plane::go_build::cache_directory;
use tempfile::TempDir;

use crate::support::PATIENCE;

/// The package of Debian 12. apt verifies what it downloads.
const PACKAGE: &str = "tinyproxy-bin=1.11.1-2.1+deb12u1";
/// The one that apt has: mirrors keep only the newest of a release.
const CANDIDATE: &str = "tinyproxy-bin";

/// Where the program is, or why it cannot be had.
pub(crate) fn program() -> Result<PathBuf, String> {
    let is_installed = run(Command::new("tinyproxy").arg("-v")).is_ok();
    if is_installed {
        return Ok("tinyproxy".into());
    }
    let cache = cache_directory("tinyproxy").map_err(|error| error.to_string())?;
    fs::create_dir_all(&cache).map_err(|error| error.to_string())?;
    let lock = fs::File::create(cache.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    extracted(&cache, PACKAGE).or_else(|pinned| {
        let other = extracted(&cache, CANDIDATE);
        other.map_err(|error| format!("{PACKAGE}: {pinned}; {CANDIDATE}: {error}"))
    })
}

/// The program out of a package, which is downloaded once.
fn extracted(cache: &Path, package: &str) -> Result<PathBuf, String> {
    let folder = cache.join(package);
    let program = folder.join("usr/bin/tinyproxy");
    if program.exists() {
        return Ok(program);
    }
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut download = Command::new("apt-get");
    download.args([
        "-o",
        "Acquire::Retries=0",
        "-o",
        "Acquire::http::Timeout=30",
    ]);
    download.args(["download", "--quiet", package]);
    run(download.current_dir(&folder))?;
    let packages = fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let mut packages = packages.flatten().map(|entry| entry.path());
    let package = packages.find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = package.ok_or("apt-get downloaded nothing")?;
    run(Command::new("dpkg-deb").arg("-x").arg(package).arg(&folder))?;
    Ok(program)
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{name}: {}",
        errors.lines().last().unwrap_or("failed")
    ))
}

/// A running proxy; it is killed when it is dropped.
pub(crate) struct Tinyproxy {
    child: Child,
    log: PathBuf,
}

impl Tinyproxy {
    pub(crate) fn start(program: &Path, folder: &TempDir, port: u16) -> Self {
        let log = folder.path().join("log");
        let settings = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\nLogFile \"{}\"\nLogLevel Connect\nBasicAuth robot right\n",
            log.display()
        );
        let file = folder.path().join("tinyproxy.conf");
        fs::write(&file, settings).unwrap();
        let mut command = Command::new(program);
        command.arg("-d").arg("-c").arg(file);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "the proxy does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, log }
    }

    /// How often a tunnel to a host was asked for.
    pub(crate) fn connects_to(&self, authority: &str) -> usize {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let asked = format!("CONNECT {authority} ");
        log.lines().filter(|line| line.contains(&asked)).count()
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
