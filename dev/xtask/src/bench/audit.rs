//! The audit log of the API server: every request of the operator, and no other.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::failure::{Outcome, While as _};

/// What is written down.
pub(super) const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ['system:serviceaccount:jira-credential-operator:jira-credential-operator']
- level: None
";

/// The end of the request that makes a credential Ready; releases differ in its verb.
const STATUS: &str = " jiracredentials/status";

const FILE: &str = "audit.log";

/// A program that starts the API server with an audit log in the current directory.
pub(super) fn launcher(api_server: &Path, policy: &Path) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    format!(
        "#!/bin/sh\nexec {} \"$@\" --audit-policy-file={} --audit-log-path={FILE} --audit-log-maxsize=100000\n",
        quoted(api_server),
        quoted(policy),
    )
}

/// Requests by `verb resource`.
pub(super) type Requests = BTreeMap<String, u64>;

/// Reads the log as it grows.
pub(super) struct AuditLog {
    path: PathBuf,
    offset: u64,
}

/// What the operator asked since the last look.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How often.
    pub(super) requests: Requests,
    /// When the last answer was sent.
    pub(super) last: Option<DateTime<Utc>>,
    /// When the last status was written.
    pub(super) last_status: Option<DateTime<Utc>>,
    /// Requests that were not answered with success, by `status verb resource`.
    pub(super) failures: Requests,
}

impl Seen {
    /// All requests.
    pub(super) fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Adds what was seen later.
    pub(super) fn add(&mut self, later: Self) {
        for (name, number) in later.requests {
            *self.requests.entry(name).or_default() += number;
        }
        for (name, number) in later.failures {
            *self.failures.entry(name).or_default() += number;
        }
        self.last = self.last.max(later.last);
        self.last_status = self.last_status.max(later.last_status);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    object_ref: Option<ObjectRef>,
    #[serde(rename = "requestURI")]
    request_uri: String,
    stage_timestamp: DateTime<Utc>,
    response_status: Option<ResponseStatus>,
}

#[derive(Deserialize)]
struct ObjectRef {
    resource: Option<String>,
    subresource: Option<String>,
}

#[derive(Deserialize)]
struct ResponseStatus {
    code: Option<u16>,
}

impl Event {
    fn name(&self) -> String {
        let Some(object) = &self.object_ref else {
            return format!("{} {}", self.verb, self.request_uri);
        };
        let resource = object.resource.as_deref().unwrap_or_default();
        match &object.subresource {
            Some(subresource) => format!("{} {resource}/{subresource}", self.verb),
            None => format!("{} {resource}", self.verb),
        }
    }

    /// A watch is told when it begins, and again when it ends.
    fn counts(&self) -> bool {
        let stage = if self.verb == "watch" {
            "ResponseStarted"
        } else {
            "ResponseComplete"
        };
        self.stage == stage || self.stage == "Panic"
    }
}

impl AuditLog {
    /// The log of the API server that works in this directory.
    pub(super) fn of(directory: &Path) -> Self {
        Self {
            path: directory.join(FILE),
            offset: 0,
        }
    }

    /// What has come since the last call.
    pub(super) fn read(&mut self) -> Outcome<Seen> {
        let mut file = File::open(&self.path).while_("the API server's audit log")?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let mut seen = Seen::default();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            self.offset += line.len() as u64;
            let event: Event = serde_json::from_slice(line).while_("a line of the audit log")?;
            if !event.counts() {
                continue;
            }
            let name = event.name();
            let code = event
                .response_status
                .as_ref()
                .and_then(|status| status.code)
                .unwrap_or(0);
            if !(200..300).contains(&code) {
                *seen.failures.entry(format!("{code} {name}")).or_default() += 1;
            }
            if name.ends_with(STATUS) {
                seen.last_status = seen.last_status.max(Some(event.stage_timestamp));
            }
            *seen.requests.entry(name).or_default() += 1;
            seen.last = seen.last.max(Some(event.stage_timestamp));
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{AuditLog, FILE, launcher};

    #[test]
    fn only_whole_lines_and_answers_count() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = std::fs::File::create(directory.path().join(FILE)).unwrap();
        let line = |stage: &str, verb: &str, code: u16| {
            format!(
                r#"{{"stage":"{stage}","verb":"{verb}","requestURI":"/x","objectRef":{{"resource":"secrets"}},"stageTimestamp":"2026-01-02T03:04:05.678901Z","responseStatus":{{"code":{code}}}}}"#
            )
        };
        writeln!(file, "{}", line("ResponseComplete", "get", 200)).unwrap();
        writeln!(file, "{}", line("ResponseStarted", "watch", 200)).unwrap();
        writeln!(file, "{}", line("ResponseComplete", "watch", 200)).unwrap();
        write!(file, "{}", line("ResponseComplete", "create", 409)).unwrap();
        let mut log = AuditLog::of(directory.path());
        let seen = log.read().unwrap();
        assert_eq!(seen.requests["get secrets"], 1);
        assert_eq!(seen.requests["watch secrets"], 1);
        assert_eq!(seen.total(), 2);
        writeln!(file).unwrap();
        let seen = log.read().unwrap();
        assert_eq!(seen.failures["409 create secrets"], 1);
        assert_eq!(log.read().unwrap().total(), 0);
    }

    #[test]
    fn paths_are_quoted() {
        assert!(launcher("/a 'b'/s".as_ref(), "/p".as_ref()).contains(r"'/a '\''b'\''/s'"));
    }
}
