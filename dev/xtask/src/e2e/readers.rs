//! Pods that log in to Jira again and again with what they mount.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Stage, cluster};
use crate::failure::{Outcome, fail};

/// The image of the pods: busybox and curl.
pub(super) const IMAGE: &str = "docker.io/library/reader:local";

/// Prints for each call the status of the answer and a digest of the header that was sent. The header
/// goes through a pipe, where no list of processes shows it.
const LOOP: &str = r#"
while :; do
  header=$(read_header)
  code=$(printf 'header = "Authorization: %s"\n' "$header" | curl --silent --output /dev/null \
    --write-out '%{http_code}' --cacert /simulator/ca.pem --config - "$(read_url)/rest/api/3/myself")
  echo "$code $(printf %s "$header" | busybox sha256sum | busybox cut -c 1-12)"
  busybox sleep 0.5
done
"#;

/// How a pod reads the published Secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reader {
    /// As files of a volume: the kubelet replaces them.
    File,
    /// As environment variables, which stay as they were at the start.
    Env,
    /// As single files by `subPath`, which stay as well.
    SubPath,
}

/// All of them.
pub(super) const READERS: [Reader; 3] = [Reader::File, Reader::Env, Reader::SubPath];

/// One line of a reader.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Login {
    /// When it was printed.
    pub(super) at: DateTime<Utc>,
    /// The status of the answer.
    pub(super) code: String,
    /// A digest of the header.
    pub(super) header: String,
}

/// The logins in a file of the kubelet, where a time, a stream and a tag begin each line.
fn parsed(text: &str) -> impl Iterator<Item = Login> {
    text.lines().filter_map(|line| {
        let mut words = line.splitn(4, ' ');
        let at = words.next()?.parse().ok()?;
        let (code, header) = words.nth(2)?.split_once(' ')?;
        Some(Login {
            at,
            code: code.to_owned(),
            header: header.to_owned(),
        })
    })
}

/// The first login that should have been accepted and was not. From `excused` on they may be refused.
pub(super) fn refused(logins: &[Login], excused: Option<DateTime<Utc>>) -> Option<&Login> {
    logins.iter().find(|login| {
        let is_excused = excused.is_some_and(|from| login.at >= from);
        login.code != "200" && !is_excused
    })
}

impl Reader {
    /// The name of its Deployment.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "file-reader",
            Self::Env => "env-reader",
            Self::SubPath => "subpath-reader",
        }
    }

    fn deployment(self, secret: &str) -> Value {
        let labels = json!({"app.kubernetes.io/name": self.name()});
        let file = |key: &str| json!({"name": "jira", "mountPath": format!("/jira/{key}"), "subPath": key});
        let variable = |name: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}});
        let (functions, env, mut mounts) = match self {
            Self::Env => (
                "read_header() { printf %s \"$HEADER\"; }; read_url() { printf %s \"$URL\"; }",
                vec![variable("HEADER", "authorization"), variable("URL", "url")],
                vec![],
            ),
            Self::File => (
                FILES,
                vec![],
                vec![json!({"name": "jira", "mountPath": "/jira"})],
            ),
            Self::SubPath => (FILES, vec![], vec![file("authorization"), file("url")]),
        };
        mounts.push(json!({"name": "simulator", "mountPath": "/simulator"}));
        let volumes = json!([
            {"name": "jira", "secret": {"secretName": secret}},
            {"name": "simulator", "configMap": {"name": "simulator"}},
        ]);
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name()},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "hostNetwork": true,
                        "automountServiceAccountToken": false,
                        "terminationGracePeriodSeconds": 0,
                        "securityContext": pod_context(),
                        "containers": [{
                            "name": "reader",
                            "image": IMAGE,
                            "imagePullPolicy": "Never",
                            "command": ["busybox", "sh", "-c", format!("{functions}\n{LOOP}")],
                            "env": env,
                            "securityContext": container_context(),
                            "volumeMounts": mounts,
                        }],
                        "volumes": volumes,
                    },
                },
            },
        })
    }
}

/// What the Pod Security Standard `restricted` asks of a pod.
pub(super) fn pod_context() -> Value {
    let profile = json!({"type": "RuntimeDefault"});
    json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": profile})
}

/// What it asks of a container.
pub(super) fn container_context() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    })
}

const FILES: &str =
    "read_header() { busybox cat /jira/authorization; }; read_url() { busybox cat /jira/url; }";

impl Stage<'_> {
    /// Starts the pods that read the published Secret.
    pub(super) async fn start_readers(&self, secret: &str) -> Outcome<((), String)> {
        let ca = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "simulator"},
            "data": {"ca.pem": self.jira.sim.ca_pem()},
        });
        self.cluster.store(&ca.to_string()).await?;
        for reader in READERS {
            let manifest = reader.deployment(secret).to_string();
            self.cluster.store(&manifest).await?;
        }
        for reader in READERS {
            self.until_logged_in(reader, |_| true).await?;
        }
        Ok(((), "each logs in to Jira with what it mounts".to_owned()))
    }

    /// Keeps what pods print from now on; ends with a failure only.
    pub(super) async fn keep_output(&self) -> Outcome {
        loop {
            self.collect()?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Keeps what the pods of all readers have printed: it goes away with a pod.
    fn collect(&self) -> Outcome {
        let mut kept = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        for reader in READERS {
            let begin = format!("{}-", reader.name());
            for (pod, text) in self.node.output(self.cluster.namespace(), &begin)? {
                let before = kept.entry(pod).or_default();
                // A file that is being removed is shorter.
                if text.len() > before.len() {
                    *before = text;
                }
            }
        }
        Ok(())
    }

    /// What the pods of a reader have printed whose names begin like this.
    fn logins_of(&self, begin: &str) -> Outcome<Vec<Login>> {
        self.collect()?;
        let begin = format!("{}_{begin}", self.cluster.namespace());
        let kept = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        let pods = kept.iter().filter(|(pod, _)| pod.starts_with(&begin));
        Ok(pods.flat_map(|(_, text)| parsed(text)).collect())
    }

    /// What all pods of a reader have printed, those that are gone included.
    pub(super) fn logins(&self, reader: Reader) -> Outcome<Vec<Login>> {
        self.logins_of(&format!("{}-", reader.name()))
    }

    /// The last line of the newest pod of a reader.
    async fn last_login(&self, reader: Reader) -> Outcome<Option<Login>> {
        let newest = self
            .until_ready(self.cluster.namespace(), reader.name())
            .await?;
        let newest = newest.metadata.name.unwrap_or_default();
        Ok(self.logins_of(&format!("{newest}_"))?.pop())
    }

    /// Waits until the last login of a reader was accepted and is as wanted; returns its header's digest.
    pub(super) async fn until_logged_in(
        &self,
        reader: Reader,
        wanted: impl Fn(&Login) -> bool,
    ) -> Outcome<String> {
        let begun = Instant::now();
        loop {
            let last = self.last_login(reader).await?;
            if let Some(last) = last.filter(|last| last.code == "200" && wanted(last)) {
                return Ok(last.header);
            }
            if begun.elapsed() > cluster::PATIENCE {
                return fail(format!("{} should have logged in by now", reader.name()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The end of what the pods of a Deployment have printed.
    pub(super) fn tail(&self, name: &str) -> String {
        let namespace = if name == "operator" {
            crate::stage::OPERATOR
        } else {
            self.cluster.namespace()
        };
        self.node.tail(namespace, 12, name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    const PRINTED: &str = "\
2026-01-02T03:04:05.5Z stdout F 200 abc
2026-01-02T03:04:06.0Z stderr F curl: (7) failed
2026-01-02T03:04:06.5Z stdout F 401 abc
";

    #[test]
    fn a_refused_login_is_found_unless_the_token_has_ended() {
        let logins: Vec<Login> = parsed(PRINTED)
            .filter(|login| login.code.len() == 3)
            .collect();
        assert_eq!(logins.len(), 2);
        let at = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
        let found = |excused| refused(&logins, excused).map(|login| login.code.as_str());
        assert_eq!(found(None), Some("401"));
        assert_eq!(found(at("2026-01-02T03:04:07Z")), Some("401"));
        assert_eq!(found(at("2026-01-02T03:04:06Z")), None);
        assert_eq!(refused(&logins[..1], None), None);
    }
}
