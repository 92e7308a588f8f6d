//! The clients, and how a pod would run them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::mcp;
use crate::method::Method;
use crate::pages::{self, Page, Shown};
use crate::tools::{Missing, Tools};

/// A client of Jira.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Client {
    Curl,
    CurlNetrc,
    CurlUser,
    CurlEnv,
    PypiJira,
    AtlassianPythonApi,
    McpAtlassian,
    JiraJs,
    JiraCli,
    Alertmanager,
}

/// What a pod has: the Secret that the page's target publishes as a folder, and the way to Jira.
pub(crate) struct Pod<'a> {
    pub(crate) mount: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) authority: &'a Path,
    pub(crate) proxy: &'a str,
    pub(crate) site: &'static str,
    /// The id of the account that the credential belongs to.
    pub(crate) account: String,
    pub(crate) tools: &'a Tools,
}

impl Pod<'_> {
    fn file(&self, key: &str) -> String {
        fs::read_to_string(self.mount.join(key)).unwrap_or_default()
    }

    /// A program with nothing of our environment but where programs are.
    pub(crate) fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("HTTPS_PROXY", self.proxy)
            .env("https_proxy", self.proxy)
            .env("REQUESTS_CA_BUNDLE", self.authority)
            .env("SSL_CERT_FILE", self.authority)
            .env("NODE_EXTRA_CA_CERTS", self.authority)
            .current_dir(&self.home)
            .stdin(Stdio::null());
        command
    }

    /// Every key of the Secret as a variable, as `envFrom` has it.
    pub(crate) fn variables(&self, command: &mut Command) {
        for entry in fs::read_dir(&self.mount).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            // The kubelet leaves out what is no name of a variable.
            if name
                .to_string_lossy()
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_')
            {
                command.env(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
}

/// A call by which the simulator tells who a client is that does not say it.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
}

impl Client {
    pub(crate) const ALL: [Self; 10] = [
        Self::Curl,
        Self::CurlNetrc,
        Self::CurlUser,
        Self::CurlEnv,
        Self::PypiJira,
        Self::AtlassianPythonApi,
        Self::McpAtlassian,
        Self::JiraJs,
        Self::JiraCli,
        Self::Alertmanager,
    ];

    /// The `JiraCredential` that its page shows.
    pub(crate) const fn shown(self) -> Shown {
        let (page, name) = match self {
            Self::Curl => (Page::Curl, "deploy-bot"),
            Self::CurlNetrc => (Page::Curl, "ci-bot"),
            Self::CurlUser => (Page::Curl, "probe-bot"),
            Self::CurlEnv => (Page::Curl, "report-bot"),
            Self::PypiJira | Self::AtlassianPythonApi => (Page::Python, "sync-bot"),
            Self::McpAtlassian => (Page::McpAtlassian, "mcp-bot"),
            Self::JiraJs => (Page::JiraJs, "portal-bot"),
            Self::JiraCli => (Page::JiraCli, "release-bot"),
            Self::Alertmanager => (Page::Alertmanager, "alert-bot"),
        };
        Shown { page, name }
    }

    /// The preset that it needs.
    pub(crate) const fn preset(self) -> &'static str {
        match self {
            Self::Curl | Self::PypiJira | Self::AtlassianPythonApi | Self::JiraJs => "Standard",
            Self::CurlNetrc => "Netrc",
            Self::CurlUser => "BasicAuth",
            Self::CurlEnv => "Env",
            Self::McpAtlassian => "McpAtlassian",
            Self::JiraCli => "JiraCli",
            Self::Alertmanager => "Alertmanager",
        }
    }

    /// Whether it knows the method.
    pub(crate) fn knows(self, method: Method) -> bool {
        let (session, signed) = (method == Method::Session, method == Method::OAuth1);
        match self {
            Self::PypiJira | Self::AtlassianPythonApi => true,
            Self::Curl | Self::JiraJs | Self::Alertmanager => !signed,
            Self::CurlEnv | Self::McpAtlassian | Self::JiraCli => !session && !signed,
            Self::CurlNetrc => method.has_user(),
            // Its page names the site, and tokens with scopes work at the gateway alone.
            Self::CurlUser => method.has_user() && method != Method::ScopedApiToken,
        }
    }

    /// Why it cannot be run here.
    pub(crate) fn missing(self, tools: &Tools) -> Option<Missing> {
        self.tool(tools).as_ref().err().cloned()
    }

    fn tool(self, tools: &Tools) -> &Result<PathBuf, Missing> {
        match self {
            Self::Curl | Self::CurlNetrc | Self::CurlUser | Self::CurlEnv => &tools.curl,
            Self::PypiJira | Self::AtlassianPythonApi | Self::McpAtlassian => &tools.python,
            Self::JiraJs => &tools.node,
            Self::JiraCli | Self::Alertmanager => &tools.go,
        }
    }

    /// The call that tells who it is, if it does not say it itself.
    pub(crate) fn silent_call(self, method: Method, is_renewed: bool) -> Option<Call> {
        let call = |method, path| Some(Call { method, path });
        match self {
            Self::CurlNetrc if method.is_cloud() => {
                call("POST", "/rest/api/3/search/approximate-count")
            }
            Self::JiraCli if method.is_cloud() => call("GET", "/rest/api/3/search/jql"),
            Self::McpAtlassian if method.is_cloud() => call("POST", "/rest/api/3/search/jql"),
            Self::CurlNetrc | Self::JiraCli | Self::McpAtlassian => {
                call("GET", "/rest/api/2/search")
            }
            // It files an issue for an alert, and keeps that up to date.
            Self::Alertmanager if is_renewed => call("PUT", ISSUE_OF_THE_ALERT),
            Self::Alertmanager => call("POST", "/rest/api/2/issue"),
            Self::Curl
            | Self::CurlUser
            | Self::CurlEnv
            | Self::PypiJira
            | Self::AtlassianPythonApi
            | Self::JiraJs => None,
        }
    }

    /// Logs in.
    ///
    /// # Errors
    /// When the client fails, or finds another account.
    pub(crate) fn log_in(self, method: Method, pod: &Pod<'_>) -> Result<(), String> {
        let tool = self.tool(pod.tools).as_deref().unwrap();
        let command = || self.shown().command(pod.site, &pod.mount);
        match self {
            Self::Curl => {
                let script = pages::curl(method == Method::Session, &pod.mount);
                is_me(pod, &run(&mut shell(pod, &script))?)
            }
            Self::CurlNetrc if method.is_cloud() => counts(&run(&mut shell(pod, &command()))?),
            Self::CurlNetrc => {
                let script = pages::netrc_on_data_center(&pod.mount);
                counts(&run(&mut shell(pod, &script))?)
            }
            Self::CurlUser => is_me(pod, &run(&mut shell(pod, &command()))?),
            Self::CurlEnv => {
                let mut sh = shell(pod, &pages::variables());
                pod.variables(&mut sh);
                is_me(pod, &run(&mut sh)?)
            }
            Self::PypiJira => python(tool, pod, &pages::python("jira", &pod.mount)),
            Self::AtlassianPythonApi => python(tool, pod, &pages::python("atlassian", &pod.mount)),
            Self::McpAtlassian => names_the_issue(&mcp::search(tool, pod)?),
            Self::JiraJs => node(tool, pod),
            Self::JiraCli => {
                let mut sh = shell(pod, &command());
                sh.env("PATH", path_with(tool));
                names_the_issue(&run(&mut sh)?)
            }
            Self::Alertmanager => alertmanager(tool, pod),
        }
    }
}

/// The issue that is there before any client comes.
pub(crate) const ISSUE: &str = "OPS-1";

/// The first issue that is filed.
const ISSUE_OF_THE_ALERT: &str = "/rest/api/2/issue/OPS-2";

fn shell(pod: &Pod<'_>, script: &str) -> Command {
    let mut sh = pod.program("sh".as_ref());
    sh.args(["-c", script]);
    sh
}

/// Where programs are, and one more folder of them.
fn path_with(folder: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(path).unwrap()
}

/// The module of the page, where its packages are found.
fn node(tool: &Path, pod: &Pod<'_>) -> Result<(), String> {
    let script = pod.home.join("connect.mjs");
    fs::write(&script, pages::node(&pod.mount)).unwrap();
    let packages = pod.home.join("node_modules");
    if !packages.exists() {
        std::os::unix::fs::symlink(tool.join("node_modules"), packages).unwrap();
    }
    let mut node = pod.program("node".as_ref());
    is_account(pod, &run(node.arg(script))?)
}

/// Whether Jira's answer to `myself` is of the account.
fn is_me(pod: &Pod<'_>, answer: &str) -> Result<(), String> {
    let me: serde_json::Value = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    let id = me["accountId"].as_str().or(me["key"].as_str());
    is_account(pod, id.unwrap_or_default())
}

/// Whether Jira's answer is a number of issues.
fn counts(answer: &str) -> Result<(), String> {
    let told: serde_json::Value =
        serde_json::from_str(answer).map_err(|error| error.to_string())?;
    let number = told["count"].as_u64().or(told["total"].as_u64());
    match number {
        Some(1..) => Ok(()),
        _ => Err(format!("no number of issues: {answer}")),
    }
}

fn names_the_issue(answer: &str) -> Result<(), String> {
    if answer.contains(ISSUE) {
        return Ok(());
    }
    Err(format!("{ISSUE} is not in the answer: {answer}"))
}

fn python(tool: &Path, pod: &Pod<'_>, script: &str) -> Result<(), String> {
    let mut python = pod.program(tool);
    is_account(pod, &run(python.args(["-I", "-c", script]))?)
}

/// Alertmanager's own check of the configuration that is published, and its notifier.
fn alertmanager(tool: &Path, pod: &Pod<'_>) -> Result<(), String> {
    let config = pages::mounted(&pod.file("alertmanager.yml"), &pod.mount);
    let path = pod.home.join("alertmanager.yml");
    fs::write(&path, config).unwrap();
    let mut check = pod.program(&tool.join("amtool"));
    run(check.arg("check-config").arg(&path))?;
    let mut notify = pod.program(&tool.join("alertmanager-notify"));
    run(notify.arg(path)).map(drop)
}

fn is_account(pod: &Pod<'_>, said: &str) -> Result<(), String> {
    let account = &pod.account;
    let found = said.lines().last().unwrap_or_default();
    if !account.is_empty() && found == account {
        return Ok(());
    }
    Err(format!("the account {found:?}, expected {account:?}"))
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {text}{errors}", output.status))
}

impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Curl => "curl, a header",
            Self::CurlNetrc => "curl, --netrc-file",
            Self::CurlUser => "curl, --user",
            Self::CurlEnv => "curl, variables",
            Self::PypiJira => "jira (PyPI)",
            Self::AtlassianPythonApi => "atlassian-python-api",
            Self::McpAtlassian => "mcp-atlassian",
            Self::JiraJs => "jira.js",
            Self::JiraCli => "jira-cli",
            Self::Alertmanager => "Alertmanager",
        })
    }
}
