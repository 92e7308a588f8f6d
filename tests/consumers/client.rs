//! The clients, and how a pod would run them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::method::Method;
use crate::pages;
use crate::tools::{Missing, Tools};

/// A client of Jira.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Client {
    Curl,
    CurlNetrc,
    CurlEnv,
    PypiJira,
    AtlassianPythonApi,
    McpAtlassian,
    JiraJs,
    JiraCli,
    Alertmanager,
}

/// What a pod has: its published Secrets as folders, one for each preset, and where Jira is.
pub(crate) struct Pod<'a> {
    pub(crate) mounts: &'a Path,
    pub(crate) authority: &'a Path,
    pub(crate) proxy: &'a str,
    pub(crate) tools: &'a Tools,
}

impl Pod<'_> {
    fn mount(&self, preset: &str) -> PathBuf {
        self.mounts.join(preset.to_lowercase())
    }

    fn file(&self, preset: &str, key: &str) -> String {
        fs::read_to_string(self.mount(preset).join(key)).unwrap_or_default()
    }

    /// The id of the account that the credential belongs to.
    fn account(&self) -> String {
        self.file("Standard", "accountId")
    }

    /// A program with nothing of our environment but where programs are.
    fn program(&self, program: &Path) -> Command {
        let home = self.mounts.join("home");
        fs::create_dir_all(&home).unwrap();
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("HTTPS_PROXY", self.proxy)
            .env("https_proxy", self.proxy)
            .env("REQUESTS_CA_BUNDLE", self.authority)
            .env("SSL_CERT_FILE", self.authority)
            .env("NODE_EXTRA_CA_CERTS", self.authority)
            .stdin(Stdio::null());
        command
    }

    /// Every key of a Secret as a variable, as `envFrom` has it.
    fn variables(&self, preset: &str, command: &mut Command) {
        for entry in fs::read_dir(self.mount(preset)).unwrap() {
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

impl Client {
    pub(crate) const ALL: [Self; 9] = [
        Self::Curl,
        Self::CurlNetrc,
        Self::CurlEnv,
        Self::PypiJira,
        Self::AtlassianPythonApi,
        Self::McpAtlassian,
        Self::JiraJs,
        Self::JiraCli,
        Self::Alertmanager,
    ];

    /// The preset that it is run with, if it knows the method.
    pub(crate) fn preset(self, method: Method) -> Option<&'static str> {
        let (session, signed) = (method == Method::Session, method == Method::OAuth1);
        match self {
            Self::PypiJira | Self::AtlassianPythonApi => Some("Standard"),
            Self::Curl | Self::JiraJs => (!signed).then_some("Standard"),
            Self::CurlNetrc => method.has_user().then_some("Netrc"),
            Self::CurlEnv => (!session && !signed).then_some("Env"),
            Self::McpAtlassian => (!session && !signed).then_some("McpAtlassian"),
            Self::JiraCli => (!session && !signed).then_some("JiraCli"),
            Self::Alertmanager => (!signed).then_some("Alertmanager"),
        }
    }

    /// Why it cannot be run here.
    pub(crate) fn missing(self, tools: &Tools) -> Option<Missing> {
        self.tool(tools).as_ref().err().cloned()
    }

    fn tool(self, tools: &Tools) -> &Result<PathBuf, Missing> {
        match self {
            Self::Curl | Self::CurlNetrc | Self::CurlEnv => &tools.curl,
            Self::PypiJira | Self::AtlassianPythonApi | Self::McpAtlassian => &tools.python,
            Self::JiraJs => &tools.node,
            Self::JiraCli | Self::Alertmanager => &tools.go,
        }
    }

    /// The end of the path that it calls, if it does not say who it is: then the simulator says it.
    pub(crate) fn silent_call(self, method: Method) -> Option<&'static str> {
        match self {
            // It asks for what Jira tells everybody.
            Self::JiraCli => Some("/serverInfo"),
            Self::Alertmanager if method.is_cloud() => Some("/search/jql"),
            Self::Alertmanager => Some("/search"),
            Self::Curl
            | Self::CurlNetrc
            | Self::CurlEnv
            | Self::PypiJira
            | Self::AtlassianPythonApi
            | Self::McpAtlassian
            | Self::JiraJs => None,
        }
    }

    /// Logs in.
    ///
    /// # Errors
    /// When the client fails, or finds another account.
    pub(crate) fn log_in(self, pod: &Pod<'_>) -> Result<(), String> {
        let tool = self.tool(pod.tools).as_deref().unwrap();
        match self {
            Self::Curl => {
                let is_cookie = !pod.file("Standard", "cookie").is_empty();
                let script = pages::curl(is_cookie, &pod.mount("Standard"));
                is_me(pod, &shell(pod, &script, None, None)?)
            }
            Self::CurlNetrc => {
                let script = pages::netrc(&pod.mount("Netrc"));
                is_me(pod, &shell(pod, &script, None, None)?)
            }
            Self::CurlEnv => is_me(pod, &shell(pod, &pages::variables(), Some("Env"), None)?),
            Self::PypiJira => {
                let script = pages::python("jira", &pod.mount("Standard"));
                python(tool, pod, &script, None)
            }
            Self::AtlassianPythonApi => {
                let script = pages::python("atlassian", &pod.mount("Standard"));
                python(tool, pod, &script, None)
            }
            Self::McpAtlassian => {
                let script = include_str!("clients/mcp_atlassian.py");
                python(tool, pod, script, Some("McpAtlassian"))
            }
            Self::JiraJs => node(tool, pod),
            Self::JiraCli => {
                let script = pages::jira_cli(&pod.mount("JiraCli"));
                shell(pod, &script, None, Some(tool)).map(drop)
            }
            Self::Alertmanager => alertmanager(tool, pod),
        }
    }
}

/// Runs a script with the keys of a preset as variables, and with one more folder of programs.
fn shell(
    pod: &Pod<'_>,
    script: &str,
    variables: Option<&str>,
    programs: Option<&Path>,
) -> Result<String, String> {
    let mut sh = pod.program("sh".as_ref());
    sh.args(["-c", script]);
    if let Some(preset) = variables {
        pod.variables(preset, &mut sh);
    }
    if let Some(folder) = programs {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        sh.env("PATH", std::env::join_paths(path).unwrap());
    }
    run(&mut sh)
}

/// The module of the page, where its packages are found.
fn node(tool: &Path, pod: &Pod<'_>) -> Result<(), String> {
    let script = pod.mounts.join("connect.mjs");
    fs::write(&script, pages::node(&pod.mount("Standard"))).unwrap();
    let packages = pod.mounts.join("node_modules");
    if !packages.exists() {
        std::os::unix::fs::symlink(tool.join("node_modules"), packages).unwrap();
    }
    let mut node = pod.program("node".as_ref());
    node.arg("--require").arg(tool.join("localhost.cjs"));
    is_account(pod, &run(node.arg(script))?)
}

/// Whether Jira's answer to `myself` is of the account.
fn is_me(pod: &Pod<'_>, answer: &str) -> Result<(), String> {
    let me: serde_json::Value = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    let id = me["accountId"].as_str().or(me["key"].as_str());
    is_account(pod, id.unwrap_or_default())
}

fn python(tool: &Path, pod: &Pod<'_>, script: &str, variables: Option<&str>) -> Result<(), String> {
    let mut python = pod.program(tool);
    python.args(["-I", "-c", script]);
    if let Some(preset) = variables {
        pod.variables(preset, &mut python);
    }
    is_account(pod, &run(&mut python)?)
}

/// Alertmanager's own check of its configuration, and its notifier, with that of the page.
fn alertmanager(tool: &Path, pod: &Pod<'_>) -> Result<(), String> {
    let preset = "Alertmanager";
    let login = if !pod.file(preset, "username").is_empty() {
        None
    } else if !pod.file(preset, "credentials").is_empty() {
        Some("authorization")
    } else {
        Some("http_headers")
    };
    let mut config = pages::alertmanager(login, &pod.mount(preset));
    let jira = &mut config["receivers"][0]["jira_configs"][0];
    // They are taken from no file.
    for key in ["api_url", "api_type"] {
        jira[key] = json!(pod.file(preset, key));
    }
    jira["http_config"]["proxy_from_environment"] = json!(true);
    let path = pod.mounts.join("alertmanager.yml");
    fs::write(&path, config.to_string()).unwrap();
    let mut check = pod.program(&tool.join("amtool"));
    run(check.arg("check-config").arg(&path))?;
    let mut notify = pod.program(&tool.join("alertmanager-notify"));
    run(notify.arg(path)).map(drop)
}

fn is_account(pod: &Pod<'_>, said: &str) -> Result<(), String> {
    let account = pod.account();
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
