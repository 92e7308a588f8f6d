//! What the kernel lets the process of a container do.

use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;

use crate::failure::{Outcome, While as _, fail};

/// What `/proc/PID/status` says of a process that runs as the Pod Security Standard `restricted` wants it: no
/// capability now or ever, no more rights by a program that it starts, and a filter of system calls.
const WANTED: [(&str, &str); 6] = [
    ("CapEff", "0000000000000000"),
    ("CapPrm", "0000000000000000"),
    ("CapBnd", "0000000000000000"),
    ("CapAmb", "0000000000000000"),
    ("NoNewPrivs", "1"),
    ("Seccomp", "2"),
];

/// Fails unless the processes of a pod have no more rights than they should. Returns their user.
pub(super) fn check(pod: &Pod) -> Outcome<String> {
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_deref());
    let mut user = None;
    for container in containers.unwrap_or_default() {
        let id = container.container_id.as_deref().unwrap_or_default();
        let id = id.rsplit('/').next().unwrap_or_default();
        let processes = processes_of(id)?;
        if id.is_empty() || processes.is_empty() {
            return fail(format!("the container {} has no process", container.name));
        }
        for process in processes {
            let status = fs::read_to_string(process.join("status")).while_(process.display())?;
            user = Some(judge(&status)?);
        }
    }
    user.map_or_else(|| fail("the pod has no container"), Ok)
}

/// The folders in `/proc` of the processes in the control group of a container.
fn processes_of(container: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").while_("/proc")? {
        let path = entry?.path();
        // Most of what is there is no process, and some processes have just ended.
        let groups = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
        let is_process = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok());
        if is_process && groups.contains(container) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Returns the user of a process, unless it has too many rights.
fn judge(status: &str) -> Outcome<String> {
    for (name, wanted) in WANTED {
        let found = value(status, name);
        if found != Some(wanted) {
            return fail(format!("{name} should be {wanted}, and is {found:?}"));
        }
    }
    let users = value(status, "Uid").unwrap_or_default();
    let mut all = users.split_whitespace();
    match all.next() {
        Some(user) if user != "0" && all.all(|other| other == user) => Ok(user.to_owned()),
        _ => fail(format!("the users should be one that is not root: {users}")),
    }
}

fn value<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.map(str::trim)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    const STATUS: &str = "Name:\tx\nUid:\t65532\t65532\t65532\t65532\nCapInh:\t0000000000000000\n\
        CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n\
        CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";

    #[test]
    fn a_process_with_any_right_too_many_is_found() {
        assert_eq!(judge(STATUS).unwrap(), "65532");
        for (with, instead) in [
            ("Uid:\t65532", "Uid:\t0"),
            ("65532\nCapInh", "0\nCapInh"),
            ("CapEff:\t0", "CapEff:\t8"),
            ("CapBnd:\t0", "CapBnd:\t8"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("Seccomp:\t2", "Seccomp:\t0"),
            ("Seccomp:\t2\n", ""),
        ] {
            assert!(STATUS.contains(with), "{with}");
            let status = STATUS.replace(with, instead);
            assert!(judge(&status).is_err(), "{instead:?}");
        }
    }
}
