//! What a node needs beside the kubelet: containerd with its shim, runc, and what goes into images. Found
//! on the search path, or taken from Debian's packages, which are unpacked into the user's cache and not
//! installed.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Blocked;
use crate::failure::{Outcome, While as _};
use crate::image::layout::File;

/// Programs, and the packages of Debian that hold them.
const NEEDED: [(&str, &str); 5] = [
    ("containerd", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("busybox", "busybox-static"),
];

/// Programs that come with every Debian, or that are not unpacked because of their many libraries.
const EXPECTED: [(&str, &str); 4] = [
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("ldd", "libc-bin"),
    ("curl", "curl"),
];

/// Where the programs are.
pub(crate) struct Tools {
    /// For `PATH` of whatever the node starts.
    pub(crate) search_path: OsString,
    /// The kubelet and the scheduler.
    pub(crate) kubernetes: PathBuf,
}

impl Tools {
    /// Finds them, and downloads and builds what is missing. This blocks.
    pub(crate) fn ensure() -> Result<Self, Blocked> {
        for (program, package) in EXPECTED {
            if on_path(program, &env::var_os("PATH").unwrap_or_default()).is_none() {
                return Err(Blocked(format!(
                    "{program} is missing: apt-get install {package}"
                )));
            }
        }
        may_unshare()?;
        let mut search_path = env::var_os("PATH").unwrap_or_default();
        let missing = |path: &OsString| {
            NEEDED
                .into_iter()
                .find(|(program, _)| on_path(program, path).is_none())
        };
        if missing(&search_path).is_some() {
            let unpacked = unpack()?;
            for folder in ["bin", "sbin", "usr/bin", "usr/sbin"] {
                search_path.push(":");
                search_path.push(unpacked.join(folder));
            }
        }
        if let Some((program, package)) = missing(&search_path) {
            return Err(Blocked(format!(
                "{program} is missing: apt-get install {package}"
            )));
        }
        let kubernetes = control_plane::tools::node()
            .map_err(|error| Blocked(format!("the kubelet cannot be built: {error}")))?;
        Ok(Self {
            search_path,
            kubernetes,
        })
    }

    /// A program and the libraries that it needs, as files of an image.
    pub(crate) fn with_libraries(&self, program: &str) -> Outcome<Vec<File>> {
        let Some(path) = on_path(program, &self.search_path) else {
            return crate::failure::fail(format!("{program} is missing"));
        };
        let mut files = vec![file(&format!("bin/{program}"), &path)?];
        // A static program has none, and ldd fails.
        let listed = Command::new("ldd").arg(&path).output().while_("ldd")?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for word in listed
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
        {
            files.push(file(word.trim_start_matches('/'), Path::new(word))?);
        }
        Ok(files)
    }
}

fn file(name: &str, path: &Path) -> Outcome<File> {
    Ok(File {
        path: name.to_owned(),
        executable: true,
        content: fs::read(path).while_(path.display())?,
    })
}

fn on_path(program: &str, path: &OsString) -> Option<PathBuf> {
    env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| {
            fs::metadata(file)
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
}

/// Root in a sandbox may have no right to make namespaces.
fn may_unshare() -> Result<(), Blocked> {
    let arguments = ["--mount", "--pid", "--fork", "--mount-proc", "true"];
    said(Command::new("unshare").args(arguments)).map_err(Blocked)
}

/// The folder into which Debian's packages are unpacked.
fn unpack() -> Result<PathBuf, Blocked> {
    let cache = control_plane::go_build::cache_directory("node")
        .map_err(|error| Blocked(error.to_string()))?;
    let folder = cache.join("debian");
    if folder.is_dir() {
        return Ok(folder);
    }
    let partial = cache.join(format!("debian.{}.partial", std::process::id()));
    let made = download(&partial);
    let moved = made.and_then(|()| {
        // Another process may have been quicker.
        let moved = fs::rename(&partial, &folder);
        moved.or_else(|error| folder.is_dir().then_some(()).ok_or(error.to_string()))
    });
    let _ = fs::remove_dir_all(&partial);
    let packages = "containerd, runc and busybox-static";
    match moved {
        Ok(()) => Ok(folder),
        Err(why) => Err(Blocked(format!(
            "Debian's packages {packages} cannot be downloaded: {why}"
        ))),
    }
}

fn download(folder: &Path) -> Result<(), String> {
    eprintln!(
        "Downloading containerd, runc and busybox-static from Debian: less than a minute, once."
    );
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    // apt downloads as another user, who must be able to write here.
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder, open).map_err(|error| error.to_string())?;
    let mut packages: Vec<&str> = NEEDED.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    said(
        Command::new("apt-get")
            .args(["--quiet=2", "-o", "Acquire::Retries=0"])
            .args(["-o", "Acquire::http::Timeout=30", "download"])
            .args(packages)
            .current_dir(folder),
    )?;
    let listed = fs::read_dir(folder).map_err(|error| error.to_string())?;
    for entry in listed {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            said(Command::new("dpkg-deb").arg("-x").arg(&path).arg(folder))?;
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

fn said(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().next().unwrap_or_default().to_owned();
    Err(format!("{name}: {line}"))
}
