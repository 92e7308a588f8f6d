//! A real proxy: tinyproxy, as Debian ships it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use control_plane::go_build::cache_directory;
use tempfile::TempDir;

use super::{INTERVAL, pat, recovers, through, told};
use crate::support::{PATIENCE, World};

/// The version of Debian 12. apt verifies what it downloads.
const VERSION: &str = "1.11.1-2.1+deb12u1";

/// Where the program is, or why it cannot be had.
fn program() -> Result<PathBuf, String> {
    let is_installed = run(Command::new("tinyproxy").arg("-v")).is_ok();
    if is_installed {
        return Ok("tinyproxy".into());
    }
    let cache = cache_directory("tinyproxy").map_err(|error| error.to_string())?;
    let folder = cache.join(VERSION);
    let program = folder.join("usr/bin/tinyproxy");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let lock = fs::File::create(cache.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if program.exists() {
        return Ok(program);
    }
    let mut download = Command::new("apt-get");
    download.args(["download", "--quiet"]);
    download.arg(format!("tinyproxy-bin={VERSION}"));
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
struct Tinyproxy {
    child: Child,
    log: PathBuf,
}

impl Tinyproxy {
    fn start(program: &Path, folder: &TempDir, port: u16) -> Self {
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
    fn connects_to(&self, authority: &str) -> usize {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_real_proxy_carries_the_calls_tells_a_wrong_password_and_comes_back() {
    let program = match tokio::task::spawn_blocking(program).await.unwrap() {
        Ok(program) => program,
        Err(reason) => {
            eprintln!("skipped: tinyproxy {VERSION} cannot be had: {reason}");
            return;
        }
    };
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    fs::write(&credentials, "robot:canary").unwrap();
    let port = {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    let proxy = Tinyproxy::start(&program, &folder, port);
    let url = format!("http://127.0.0.1:{port}");
    let operator = through(&world, &url, Some(&credentials)).await;
    // The only name of the simulator that a program outside of the tests can resolve.
    let dc = world.sim.data_center_at("localhost");
    pat(&world, "bot", &dc).await;
    told(&world, "bot", "does not accept the operator's credentials").await;
    assert_eq!(world.calls(), 0);

    fs::write(&credentials, "robot:right").unwrap();
    recovers(&world, &operator, "bot").await;
    let authority = format!("localhost:{}", world.sim.port());
    assert_eq!(proxy.connects_to(&authority), 2);

    drop(proxy);
    world.advance(INTERVAL);
    operator.look_again(1).await;
    told(&world, "bot", "there is no connection to the proxy").await;

    let proxy = Tinyproxy::start(&program, &folder, port);
    recovers(&world, &operator, "bot").await;
    assert!(proxy.connects_to(&authority) > 2);

    // What the proxy cannot reach is told as such.
    world.sim.cut_connections();
    let closed = {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    let away = serde_json::json!({"site": format!("https://localhost:{closed}")});
    world.change("bot", away).await;
    told(&world, "bot", "got no connection to it (status 5").await;
}
