//! What the pages of `docs/consumers` show is what the tests run.

use std::path::Path;

use serde_json::Value;

/// The blocks of a page in this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect()
}

const CURL: &str = include_str!("../../docs/consumers/curl.md");
const JIRA_CLI: &str = include_str!("../../docs/consumers/jira-cli.md");
const JIRA_JS: &str = include_str!("../../docs/consumers/jira-js.md");
const PYTHON: &str = include_str!("../../docs/consumers/python.md");

/// The block of a page in this language that has this text, with the files in another folder than `/jira`.
fn script(page: &str, language: &str, text: &str, mount: &Path) -> String {
    let blocks = blocks(page, language);
    let block = blocks.iter().find(|block| block.contains(text));
    mounted(block.unwrap(), mount)
}

fn mounted(text: &str, mount: &Path) -> String {
    text.replace("/jira/", &format!("{}/", mount.display()))
        .replace("\"/jira\"", &format!("{:?}", mount.display().to_string()))
}

/// The command of the workload of a page, without what follows this text.
fn command(page: &str, until: &str, mount: &Path) -> String {
    let documents = blocks(page, "yaml")
        .into_iter()
        .flat_map(|block| serde_saphyr::from_multiple::<Value>(block).unwrap())
        .collect::<Vec<Value>>();
    let places = ["/spec/template", "/spec/jobTemplate/spec/template"];
    let found = documents.iter().find_map(|document| {
        let mut pods = places.iter().filter_map(|place| document.pointer(place));
        pods.find_map(|pod| pod.pointer("/spec/containers/0/args/0")?.as_str())
    });
    mounted(found.unwrap().split(until).next().unwrap(), mount)
}

/// curl with a header that is read from files.
pub(crate) fn curl(is_cookie: bool, mount: &Path) -> String {
    let header = if is_cookie {
        "Cookie:"
    } else {
        "cat /jira/authorization"
    };
    script(CURL, "sh", header, mount)
}

/// curl with variables.
pub(crate) fn variables() -> String {
    script(CURL, "sh", "$JIRA_AUTH_TYPE", Path::new(""))
}

/// curl with a `.netrc`, which asks who it is instead of what the page asks.
pub(crate) fn netrc(mount: &Path) -> String {
    let command = command(CURL, "/rest/", mount);
    format!("{command}/rest/api/2/myself\"")
}

/// jira-cli, which asks for something else than on the page.
pub(crate) fn jira_cli(mount: &Path) -> String {
    let command = command(JIRA_CLI, "issue list", mount);
    format!("{command}serverinfo")
}

/// The function for a package of Python, and who it is.
pub(crate) fn python(package: &str, mount: &Path) -> String {
    let script = script(PYTHON, "python", &format!("from {package} import"), mount);
    format!("{script}\nme = connect().myself()\nprint(me.get('accountId') or me['key'])\n")
}

/// The module for Node, and who it is.
pub(crate) fn node(mount: &Path) -> String {
    let script = script(JIRA_JS, "js", "connect", mount);
    format!(
        "{script}\nconst me = await connect().myself.getCurrentUser();\nconsole.log(me.accountId ?? me.key);\n"
    )
}

/// The configuration of Alertmanager, with the files in this folder, and with the block of the page in
/// which `http_config` has this member instead of `basic_auth`.
pub(crate) fn alertmanager(login: Option<&str>, mount: &Path) -> Value {
    let page = include_str!("../../docs/consumers/alertmanager.md");
    let page = page.replace("/etc/alertmanager/jira", &mount.display().to_string());
    let documents = blocks(&page, "yaml")
        .into_iter()
        .flat_map(|block| serde_saphyr::from_multiple::<Value>(block).unwrap())
        .collect::<Vec<Value>>();
    let map = documents
        .iter()
        .find(|document| document["kind"] == "ConfigMap");
    let text = map.unwrap()["data"]["alertmanager.yml"].as_str().unwrap();
    let mut config: Value = serde_saphyr::from_str(text).unwrap();
    if let Some(login) = login {
        let shown = documents
            .iter()
            .map(|document| &document["http_config"])
            .find(|shown| shown.get(login).is_some());
        config["receivers"][0]["jira_configs"][0]["http_config"] = shown.unwrap().clone();
    }
    config
}
