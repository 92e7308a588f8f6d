//! Processes that never outlive their owner.
//!
//! A watchdog holds the read end of a pipe whose write end only the owner
//! holds. However the owner ends, the kernel closes the pipe, and the watchdog
//! stops everything. Nothing here depends on an async runtime, because a
//! runtime may end long before the control plane does.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, error::Context, tail};

/// Notes the process id, then becomes the program, in our directory. The order of note and check
/// closes the race with a watchdog that makes the mark first and then reads
/// the notes: either it sees the note, or the program never begins.
const LAUNCH: &str = r#"
cd "$0" && echo $$ >"$1.pid" && [ ! -e stopping ] || exit 1
shift
exec "$@"
"#;

/// Waits until standard input ends, then stops the processes in an order in
/// which none waits for another: an API server without its etcd hangs. A
/// process id counts only while its command line names our directory; it may
/// have been given to another process, or be a zombie nobody has collected.
const WATCHDOG: &str = r#"
dir=$0
while read -r _; do :; done
: >"$dir/stopping"
alive() {
    if [ -d /proc/self ]; then
        case "$(tr '\0' ' ' <"/proc/$1/cmdline")" in *"$dir"*) return 0 ;; esac
        return 1
    fi
    kill -0 "$1"
}
for name in kube-controller-manager kube-apiserver etcd; do
    pid=$(cat "$dir/$name.pid") || continue
    alive "$pid" || continue
    kill -TERM "$pid"
    kill -CONT "$pid"
    tries=0
    while alive "$pid" && [ "$tries" -lt 100 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    alive "$pid" && kill -KILL "$pid"
done
rm -rf "$dir"
"#;

/// Owns a temporary directory and the processes that work in it.
#[derive(Debug)]
pub(crate) struct Guard {
    directory: PathBuf,
    watchdog: Child,
}

impl Guard {
    pub(crate) fn new() -> Result<Self, Error> {
        // The watchdog removes the directory, even when we are killed.
        let directory = tempfile::Builder::new()
            .prefix("control-plane-")
            .tempdir()
            .context("creating a temporary directory")?
            .keep();
        let watchdog = command("sh")
            .arg("-c")
            .arg(WATCHDOG)
            .arg(&directory)
            .stdin(Stdio::piped())
            .spawn()
            .context("starting the watchdog")?;
        Ok(Self {
            directory,
            watchdog,
        })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts a program that the watchdog stops at the latest. `name` is one
    /// of those the watchdog knows.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        program: &Path,
        arguments: Vec<OsString>,
    ) -> Result<Process, Error> {
        let log = self.directory.join(format!("{name}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .context(format!("opening the log of {name}"))?;
        let errors = output
            .try_clone()
            .context(format!("opening the log of {name}"))?;
        let child = command("sh")
            .arg("-c")
            .arg(LAUNCH)
            .arg(&self.directory)
            .arg(name)
            .arg(program)
            .args(arguments)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .context(format!("starting {name}"))?;
        Ok(Process { name, child, log })
    }

    /// Has the watchdog stop everything. The processes are its owner's
    /// children, so the owner has to collect them while it does.
    pub(crate) fn stop(&mut self, processes: impl IntoIterator<Item = Process>) {
        drop(self.watchdog.stdin.take());
        for mut process in processes {
            let _ = process.child.wait();
        }
        let _ = self.watchdog.wait();
    }
}

/// Own process group: Ctrl-C in the terminal is for the owner alone.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error if the process has ended.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self
            .child
            .try_wait()
            .context(format!("watching {}", self.name))?
        {
            None => Ok(()),
            Some(status) => Err(self.failure(format!("it ended with {status}"))),
        }
    }

    /// Why the process is of no use, with the end of its log.
    pub(crate) fn failure(&self, reason: String) -> Error {
        let log = fs::read(&self.log).unwrap_or_default();
        Error::Start {
            name: self.name,
            reason,
            log: tail(&String::from_utf8_lossy(&log), 20),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return Ok(()) };
        kill_process(pid, signal)
            .map_err(std::io::Error::from)
            .context(format!("signalling {}", self.name))
    }

    /// Ends the process and waits for that: kindly at first.
    pub(crate) fn terminate(mut self) -> Result<(), Error> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let what = format!("stopping {}", self.name);
        self.signal(Signal::TERM)?;
        self.signal(Signal::CONT)?;
        let begun = Instant::now();
        while self.child.try_wait().context(&what)?.is_none() {
            if begun.elapsed() > PATIENCE {
                self.child.kill().context(&what)?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
