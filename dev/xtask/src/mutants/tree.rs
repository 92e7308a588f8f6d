//! A copy of the work tree, always at the same place, so that cargo builds only what changed.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Outcome, While as _, fail};
use crate::root;

/// The copy. Held until it is dropped: two runs would spoil each other's.
pub(super) struct Tree {
    path: PathBuf,
    _lock: File,
}

impl Tree {
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        fs::create_dir_all(path).while_(path.display())?;
        let lock = File::create(path.with_extension("lock"))?;
        if lock.try_lock().is_err() {
            return fail("another `cargo xtask mutants` is running");
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the copy equal to the files of the work tree that git knows or could know. Files
    /// that are equal are not touched, so that cargo need not build them again.
    pub(super) fn sync(&self) -> Outcome {
        let wanted = listed()?;
        for file in &wanted {
            let Ok(new) = fs::read(root().join(file)) else {
                continue;
            };
            let copy = self.path.join(file);
            if fs::read(&copy).is_ok_and(|old| old == new) {
                continue;
            }
            if let Some(parent) = copy.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&copy, new).while_(copy.display())?;
        }
        self.remove_others(&self.path, &wanted)
    }

    fn remove_others(&self, directory: &Path, wanted: &HashSet<PathBuf>) -> Outcome {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.remove_others(&path, wanted)?;
                continue;
            }
            let name = path.strip_prefix(&self.path)?;
            if !wanted.contains(name) || !root().join(name).is_file() {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Applies a patch.
    pub(super) async fn apply(&self, patch: &Path) -> Outcome {
        let output = tokio::process::Command::new("git")
            .args(["apply", "--whitespace=nowarn"])
            .arg(patch)
            .current_dir(&self.path)
            // Inside of a repository git would skip what lies outside of the current directory,
            // and say nothing.
            .env("GIT_CEILING_DIRECTORIES", self.path.parent().unwrap_or(&self.path))
            .kill_on_drop(true)
            .output()
            .await
            .while_("git")?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        fail(format!("the patch does not apply: {}", said.trim_end()))
    }
}

fn listed() -> Outcome<HashSet<PathBuf>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .while_("git ls-files")?;
    if !output.status.success() {
        return fail(format!(
            "git ls-files: {}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        ));
    }
    let names = output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names
        .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
        .collect())
}
