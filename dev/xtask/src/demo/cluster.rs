//! What the demo asks of the cluster: mostly what a person would type.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use control_plane::ControlPlane;
use jira_credential_operator::api::{ConditionType, JiraCredential, JiraCredentialStatus};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::failure::{Outcome, While as _, fail};
use crate::ui::Ui;

/// The contents of a Secret.
pub(crate) type Data = BTreeMap<String, ByteString>;

/// A namespace of the cluster.
pub(crate) struct Cluster<'a> {
    ui: &'a Ui,
    plane: &'a ControlPlane,
    namespace: &'static str,
    client: kube::Client,
    tokens: BTreeMap<String, String>,
}

/// What kubectl said, and whether it was content.
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) well: bool,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(
        ui: &'a Ui,
        plane: &'a ControlPlane,
        namespace: &'static str,
    ) -> Outcome<Self> {
        Ok(Self {
            ui,
            plane,
            namespace,
            client: plane.client()?,
            tokens: BTreeMap::new(),
        })
    }

    pub(crate) fn namespace(&self) -> &str {
        self.namespace
    }

    /// The kubeconfig of the administrator.
    pub(crate) fn admin_kubeconfig(&self) -> &std::path::Path {
        self.plane.admin_kubeconfig()
    }

    /// Keeps in mind which token a credential uses.
    pub(crate) fn uses(&mut self, name: &str, token: &str) {
        self.tokens.insert(name.to_owned(), token.to_owned());
    }

    /// The ids of the tokens by credential.
    pub(crate) fn tokens(&self) -> &BTreeMap<String, String> {
        &self.tokens
    }

    /// Shows and runs a kubectl command in the namespace and shows what it prints.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Outcome<String> {
        let said = self.run(arguments, "").await?;
        self.ui.output(&said.text);
        if said.well {
            Ok(said.text)
        } else {
            fail(format!("kubectl failed: {}", said.text.trim_end()))
        }
    }

    /// Shows and runs `kubectl apply -f FILE`, with this manifest as the file.
    pub(crate) async fn apply(&self, file: &str, manifest: &str) -> Outcome {
        self.ui
            .command(&format!("kubectl apply -n {} -f {file}", self.namespace));
        let said = self.quietly(&["apply", "-f", "-"], manifest).await?;
        self.ui.output(&said.text);
        if said.well {
            Ok(())
        } else {
            fail(format!("kubectl apply -f {file}: {}", said.text.trim_end()))
        }
    }

    /// Applies a manifest without a word about its contents.
    pub(crate) async fn store(&self, manifest: &str) -> Outcome {
        let said = self.quietly(&["apply", "-f", "-"], manifest).await?;
        self.ui.output(&said.text);
        if said.well {
            Ok(())
        } else {
            fail(format!("kubectl apply: {}", said.text.trim_end()))
        }
    }

    /// Shows and runs a kubectl command, with input.
    pub(crate) async fn run(&self, arguments: &[&str], input: &str) -> Outcome<Said> {
        let words = arguments.iter().map(|word| {
            if word.contains([' ', '{', '"', '*']) {
                format!("'{word}'")
            } else {
                (*word).to_owned()
            }
        });
        let words: Vec<String> = words.collect();
        self.ui.command(&format!(
            "kubectl -n {} {}",
            self.namespace,
            words.join(" ")
        ));
        self.quietly(arguments, input).await
    }

    async fn quietly(&self, arguments: &[&str], input: &str) -> Outcome<Said> {
        let mut child = Command::from(self.plane.kubectl())
            .args(["--namespace", self.namespace])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .while_("kubectl")?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that stops reading says why itself.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await.while_("kubectl")?;
        let mut text = output.stdout;
        text.extend_from_slice(&output.stderr);
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Said {
            text,
            well: output.status.success(),
        })
    }

    /// The status of a credential.
    pub(crate) async fn status(&self, name: &str) -> Outcome<JiraCredentialStatus> {
        let object = self.credentials().get(name).await?;
        Ok(object.status.unwrap_or_default())
    }

    /// Status, reason and message of a condition.
    pub(crate) async fn condition(
        &self,
        name: &str,
        kind: ConditionType,
    ) -> Outcome<(String, String, String)> {
        let conditions = self.status(name).await?.conditions;
        let found = conditions
            .into_iter()
            .find(|condition| condition.kind == kind);
        Ok(found.map_or_else(Default::default, |found| {
            (
                format!("{:?}", found.status),
                format!("{:?}", found.reason),
                found.message,
            )
        }))
    }

    /// Waits until a condition has this status and reason; returns its message.
    pub(crate) async fn until(
        &self,
        name: &str,
        kind: ConditionType,
        status: &str,
        reason: &str,
        within: Duration,
    ) -> Outcome<String> {
        let begun = Instant::now();
        loop {
            let (now, why, message) = self.condition(name, kind).await?;
            if now == status && why == reason {
                return Ok(message);
            }
            if begun.elapsed() > within {
                return fail(format!(
                    "{name}: {kind:?} should be {status} ({reason}) within {within:?}, and is {now} ({why}): {message}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The contents of a Secret, and its uid; nothing when there is none.
    pub(crate) async fn secret(&self, name: &str) -> Outcome<Option<(Data, String)>> {
        let secret = Api::<Secret>::namespaced(self.client.clone(), self.namespace)
            .get_opt(name)
            .await?;
        Ok(secret.map(|secret| {
            (
                secret.data.unwrap_or_default(),
                secret.metadata.uid.unwrap_or_default(),
            )
        }))
    }

    /// The contents of a Secret that must exist.
    pub(crate) async fn contents(&self, name: &str) -> Outcome<Data> {
        let Some((data, _)) = self.secret(name).await? else {
            return fail(format!("there is no Secret {name}"));
        };
        Ok(data)
    }

    /// Waits until a Secret is as it should be.
    pub(crate) async fn until_secret(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(Option<&(Data, String)>) -> bool,
    ) -> Outcome {
        let begun = Instant::now();
        while !holds(self.secret(name).await?.as_ref()) {
            if begun.elapsed() > Duration::from_secs(30) {
                return fail(format!("the Secret {name} should be {what} within 30 s"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn credentials(&self) -> Api<JiraCredential> {
        Api::namespaced(self.client.clone(), self.namespace)
    }
}
