//! Builds Go binaries into a cache directory, once.

use std::{
    env, fs,
    io::{self, IsTerminal, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use aws_lc_rs::digest;

use crate::{Error, error::Context, hex, tail};

/// A Go module with binaries to build.
#[derive(Debug)]
pub struct Module {
    /// The beginning of the name of its folder in the cache.
    pub name: &'static str,
    /// What its folder says of the version.
    pub version: &'static str,
    /// Names and contents of its files; `go.mod` is among them.
    pub files: &'static [(&'static str, &'static str)],
    /// For `-ldflags`.
    pub linker_flags: &'static str,
    /// Build tags, separated by commas.
    pub tags: &'static str,
    /// What is built, in this order.
    pub targets: &'static [Target],
    /// How long it takes, in words.
    pub estimate: &'static str,
}

/// One binary of a module.
#[derive(Debug)]
pub struct Target {
    /// The name of its file.
    pub name: &'static str,
    /// Its package.
    pub package: &'static str,
}

/// A folder of the user's cache directory for what is built once per user.
///
/// # Errors
/// When no variable says where the cache is.
pub fn cache_directory(purpose: &str) -> Result<PathBuf, Error> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        // The XDG specification has relative paths ignored.
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("jira-credential-operator").join(purpose))
        .ok_or_else(|| Error::Malformed {
            what: "finding the cache directory".to_owned(),
            reason: "neither XDG_CACHE_HOME nor HOME is set".to_owned(),
        })
}

impl Module {
    /// The directory with all binaries of this module. Builds what is missing, and says so.
    ///
    /// # Errors
    /// When Go is missing or too old, or the build fails.
    pub fn ensure(&self, cache: &Path) -> Result<PathBuf, Error> {
        let key = self.key();
        let directory = cache.join(&key);
        // The directory is renamed into place when it is complete.
        if directory.is_dir() {
            return Ok(directory);
        }
        fs::create_dir_all(cache).context(format!("creating {}", cache.display()))?;
        let _lock = self.lock(&cache.join(format!("{key}.lock")))?;
        if directory.is_dir() {
            return Ok(directory);
        }
        let partial = cache.join(format!("{key}.partial"));
        self.build(&partial)?;
        fs::rename(&partial, &directory)
            .context(format!("moving {} into place", directory.display()))?;
        Ok(directory)
    }

    /// Changes whenever the binaries would.
    fn key(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        let targets = self
            .targets
            .iter()
            .map(|target| (target.name, target.package));
        let flags = std::iter::once(("flags", self.linker_flags));
        let tags = Some(("tags", self.tags)).filter(|(_, tags)| !tags.is_empty());
        let parts = self.files.iter().copied().chain(targets).chain(flags);
        for (name, text) in parts.chain(tags) {
            context.update(name.as_bytes());
            context.update(&[0]);
            context.update(text.as_bytes());
            context.update(&[0]);
        }
        let digest = hex(context.finish().as_ref());
        let digest = digest.get(..16).unwrap_or(&digest);
        format!("{}-{}-{digest}", self.name, self.version)
    }

    fn go_mod(&self) -> &'static str {
        self.files
            .iter()
            .find(|(name, _)| *name == "go.mod")
            .map_or("", |(_, text)| text)
    }

    fn go_version(&self) -> &'static str {
        self.go_mod()
            .lines()
            .find_map(|line| line.strip_prefix("go "))
            .unwrap_or("1.26.0")
            .trim()
    }

    /// Held until the returned file is dropped, or its process dies.
    fn lock(&self, path: &Path) -> Result<fs::File, Error> {
        let what = || format!("locking {}", path.display());
        let file = fs::File::create(path).context(what())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                say(&format!(
                    "Waiting for another process that is building {}.",
                    self.names()
                ));
                file.lock().context(what())?;
            }
            Err(fs::TryLockError::Error(source)) => return Err(source).context(what()),
        }
        Ok(file)
    }

    fn names(&self) -> String {
        self.targets
            .iter()
            .map(|target| target.name)
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn build(&self, directory: &Path) -> Result<(), Error> {
        let source = directory.join("source");
        fs::create_dir_all(&source).context(format!("creating {}", source.display()))?;
        for (name, text) in self.files {
            fs::write(source.join(name), text).context(format!("writing {name}"))?;
        }
        self.check_go(&source)?;
        say(&format!(
            "Building {} from Go modules: {}.",
            self.names(),
            self.estimate
        ));
        let begun = Instant::now();
        for target in self.targets {
            self.build_one(target, &source, directory)?;
        }
        say(&format!(
            "Built {} in {} s.",
            self.names(),
            begun.elapsed().as_secs()
        ));
        remove_leftovers(directory).context("removing what a build leaves behind")
    }

    /// Fails with one clear sentence if Go is absent or too old.
    fn check_go(&self, source: &Path) -> Result<(), Error> {
        let needed = self.go_version().to_owned();
        let output = match go(source).args(["env", "GOVERSION"]).output() {
            Ok(output) => output,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoGo { needed });
            }
            other => other.context("running go")?,
        };
        let said = String::from_utf8_lossy(if output.status.success() {
            &output.stdout
        } else {
            &output.stderr
        });
        let found = said.trim().to_owned();
        // Since 1.21 Go itself refuses, or fetches the version go.mod asks for.
        if output.status.success() && numbers(&found) >= numbers(&needed) {
            Ok(())
        } else {
            Err(Error::OldGo { needed, found })
        }
    }

    fn build_one(&self, target: &Target, source: &Path, directory: &Path) -> Result<(), Error> {
        let finished = directory.join(target.name);
        if finished.is_file() {
            // An interrupted build got this far.
            return Ok(());
        }
        // The process id: a `go build` orphaned by a killed process of ours
        // may still be writing under that process's name.
        let unfinished =
            directory.join(format!("{}.{}.unfinished", target.name, std::process::id()));
        let child = go(source)
            .args(["build", "-trimpath", "-tags", self.tags])
            .args(["-ldflags", self.linker_flags, "-o"])
            .arg(&unfinished)
            .arg(target.package)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("running go build")?;
        let output = watch(child, target.name)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::Build {
                name: target.name.to_owned(),
                output: tail(&said, 30),
            });
        }
        fs::rename(&unfinished, &finished)
            .context(format!("moving {} into place", finished.display()))
    }
}

/// Leaves only the binaries.
fn remove_leftovers(directory: &Path) -> io::Result<()> {
    fs::remove_dir_all(directory.join("source"))?;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "unfinished")
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

pub(crate) fn go(directory: &Path) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(directory)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        // A go.work above the cache directory is none of our business.
        .env("GOWORK", "off")
        .env_remove("GOOS")
        .env_remove("GOARCH");
    command
}

/// Waits for a build and shows that it is alive.
fn watch(child: Child, name: &str) -> Result<Output, Error> {
    let begun = Instant::now();
    let terminal = io::stderr().is_terminal();
    let interval = Duration::from_secs(if terminal { 1 } else { 15 });
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    loop {
        let result = receiver.recv_timeout(interval);
        let seconds = begun.elapsed().as_secs();
        match result {
            Ok(output) => {
                let end = if terminal { "\r" } else { "" };
                say(&format!("{end}  {name}: {seconds} s    "));
                return output.context("waiting for go build");
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) if terminal => {
                let _ = write!(io::stderr(), "\r  {name}: {seconds} s ...");
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                say(&format!("  {name}: {seconds} s ..."));
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the waiting thread ended"))
                    .context("waiting for go build");
            }
        }
    }
}

/// Straight to standard error: the test harness captures `eprintln!`, and a
/// silent wait of minutes looks like a hang.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", line.trim_end());
}

/// The numbers in a version such as `go1.26.8`.
fn numbers(version: &str) -> Vec<u64> {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(digits.len());
    digits
        .get(..end)
        .unwrap_or_default()
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("go1.26.8") >= numbers("1.26.0"));
        assert!(numbers("go1.9.1") < numbers("1.26.0"));
        assert!(numbers("go1.27rc1 X:something") >= numbers("1.26.0"));
        assert!(numbers("devel") < numbers("1.26.0"));
    }
}
