//! The step about a first consent that a person gives from the terminal.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use super::Demo;
use crate::cargo;
use crate::failure::{Outcome, While as _, fail};

/// The credential that is made, its account, and the callback of its app.
const NAME: &str = "dashboard";
const EMAIL: &str = "dashboard@acme.example";
const CALLBACK: &str = "http://localhost:8765/callback";

/// How long the plugin may take for each thing that it says.
const SOON: Duration = Duration::from_secs(60);

const PLUGIN: &str = "kubectl-jira_credential";

impl Demo<'_> {
    pub(crate) async fn login(&self) -> Outcome<((), String)> {
        let ui = self.ui;
        ui.say("The first consent needs a person and a browser. The plugin of kubectl asks for it, stores the");
        ui.say("tokens, and makes the JiraCredential. Here a script stands for the person and the browser.");
        let app = self.jira.sim.oauth_app().callback(CALLBACK);
        let mut child = self.start_login(app.client_id()).await?;
        let (Some(mut stdin), Some(stderr)) = (child.stdin.take(), child.stderr.take()) else {
            return fail("the plugin has no standard input or error");
        };
        stdin
            .write_all(format!("{}\n", app.secret()).as_bytes())
            .await?;
        let mut stderr = BufReader::new(stderr);
        let url = until_url(&mut stderr).await?;
        ui.output(&format!("Open {}…", url.split('?').next().unwrap_or(&url)));
        let site = self.jira.cloud.clone().user(EMAIL);
        let landing = self.jira.sim.person(EMAIL).at(&[&site]).accept(&url);
        let Some(callback) = landing.callback() else {
            return fail("the consent page should send the browser back");
        };
        ui.say("The person accepts, and the browser ends at the callback of the app, with a code for one use.");
        stdin.write_all(format!("{callback}\n").as_bytes()).await?;
        drop(stdin);
        self.end_login(child, stderr).await
    }

    async fn start_login(&self, client_id: &str) -> Outcome<Child> {
        let ui = self.ui;
        let site = self.jira.cloud.url();
        ui.command(&format!(
            "kubectl jira-credential login {NAME} --no-browser --site {site} --client-id {client_id}"
        ));
        let packages = super::PACKAGES;
        let program = cargo::build(PLUGIN, &packages, ui.is_terminal()).await?;
        let mut command = Command::new(program);
        command
            .args(["login", NAME, "--no-browser", "--hosting", "Cloud"])
            .args(["--site", &site, "--client-id", client_id])
            .args(["--redirect-uri", CALLBACK])
            .args(["--namespace", self.cluster.namespace()])
            .args(["--auth-url", &self.jira.sim.auth_url()])
            .args(["--api-url", &self.jira.sim.gateway_url()])
            .args(["--allowed-addresses", "127.0.0.0/8,::1"])
            .arg("--extra-ca-file")
            .arg(&self.jira.ca_file)
            .env("KUBECONFIG", self.cluster.admin_kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().while_("starting the plugin")
    }

    async fn end_login(
        &self,
        child: Child,
        mut stderr: BufReader<ChildStderr>,
    ) -> Outcome<((), String)> {
        let mut told = String::new();
        let ended = async {
            stderr.read_to_string(&mut told).await?;
            child.wait_with_output().await
        };
        let Ok(ended) = tokio::time::timeout(SOON, ended).await else {
            return fail("the login does not end");
        };
        let ended = ended.while_("waiting for the plugin")?;
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        for line in told.lines().chain(said.lines()) {
            self.ui.output(line);
        }
        if !ended.status.success() {
            return fail(format!("the login ended with {}", ended.status));
        }
        // Later steps count renewals; this one is done.
        let jc = format!("jc/{NAME}");
        self.cluster.kubectl(&["delete", &jc]).await?;
        Ok(((), "from nothing to Ready in one command".to_owned()))
    }
}

/// Reads to the line with the address that the person is to open.
async fn until_url(stderr: &mut BufReader<ChildStderr>) -> Outcome<String> {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        let read = tokio::time::timeout(SOON, stderr.read_line(&mut line)).await;
        match read {
            Ok(Ok(size)) if size > 0 => {}
            _ => return fail(format!("the login names no address to open: {seen}")),
        }
        if line.starts_with("https://") {
            return Ok(line.trim().to_owned());
        }
        seen.push_str(&line);
    }
}
