//! A consumer logs in with nothing but what is published.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::Demo;
use super::cluster::Data;
use crate::failure::{Outcome, While as _, fail};

/// The credential of `deploy/examples/api-token.yaml`.
const NAME: &str = "ci-bot";

/// The Secret for curl, by the preset `Netrc`.
const SECRET: &str = "ci-bot-curl";

impl Demo<'_> {
    /// curl logs in with the files that a pod would mount.
    pub(super) async fn consumed(&self) -> Outcome<((), String)> {
        let data = self.cluster.contents(SECRET).await?;
        let folder = tempfile::Builder::new().prefix(SECRET).tempdir()?;
        mount(&data, folder.path())?;
        let Some(url) = data.get("url") else {
            return fail(format!("the Secret {SECRET} should have the key url"));
        };
        let url = format!("{}/rest/api/3/myself", String::from_utf8_lossy(&url.0));
        self.ui.say(&format!(
            "The Secret {SECRET} has the preset Netrc. Its files are in a folder, as in a pod that mounts it:"
        ));
        self.ui.command(&format!(
            "curl --fail --cacert ca.pem --netrc-file {SECRET}/.netrc {url}"
        ));
        let curl = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--noproxy", "*"])
            .arg("--cacert")
            .arg(&self.jira.ca_file)
            .arg("--netrc-file")
            .arg(folder.path().join(".netrc"))
            .arg(&url)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        let curl = match curl {
            Err(missing) if missing.kind() == ErrorKind::NotFound => {
                self.ui
                    .say("There is no curl on this machine, so nothing was called.");
                return Ok(((), "skipped: curl is missing".to_owned()));
            }
            curl => curl.while_("curl")?,
        };
        if !curl.status.success() {
            let said = String::from_utf8_lossy(&curl.stderr);
            return fail(format!("curl failed: {}", said.trim_end()));
        }
        self.is_account(&curl.stdout).await
    }

    /// Fails unless Jira answers with the account that the status names.
    async fn is_account(&self, answer: &[u8]) -> Outcome<((), String)> {
        let me: Value = serde_json::from_slice(answer).while_("reading Jira's answer")?;
        let text = |key: &str| me.get(key).and_then(Value::as_str).unwrap_or_default();
        let (id, name) = (text("accountId"), text("displayName"));
        self.ui
            .output(&format!("accountId {id}, displayName {name}"));
        let account = self.cluster.status(NAME).await?.account;
        let expected = account.map(|account| account.id).unwrap_or_default();
        if id.is_empty() || id != expected {
            return fail(format!("curl should log in as {expected}, not as {id:?}"));
        }
        Ok(((), format!("curl is logged in as {id}")))
    }
}

/// Writes each key as a file, as the kubelet does.
fn mount(data: &Data, folder: &Path) -> Outcome {
    for (key, value) in data {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.join(key))
            .while_(key)?;
        file.write_all(&value.0).while_(key)?;
    }
    Ok(())
}
