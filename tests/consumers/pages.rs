//! What the pages of `docs/consumers` show is what the tests apply and run.

use std::path::Path;

use serde_json::Value;

/// A page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Page {
    Curl,
    Python,
    McpAtlassian,
    JiraJs,
    JiraCli,
    Alertmanager,
}

/// A `JiraCredential` of a page, by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shown {
    pub(crate) page: Page,
    pub(crate) name: &'static str,
}

impl Page {
    fn text(self) -> &'static str {
        match self {
            Self::Curl => include_str!("../../docs/consumers/curl.md"),
            Self::Python => include_str!("../../docs/consumers/python.md"),
            Self::McpAtlassian => include_str!("../../docs/consumers/mcp-atlassian.md"),
            Self::JiraJs => include_str!("../../docs/consumers/jira-js.md"),
            Self::JiraCli => include_str!("../../docs/consumers/jira-cli.md"),
            Self::Alertmanager => include_str!("../../docs/consumers/alertmanager.md"),
        }
    }

    /// The blocks in this language.
    fn blocks(self, language: &str) -> Vec<&'static str> {
        let fence = format!("```{language}\n");
        self.text()
            .split(fence.as_str())
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap_or_default())
            .collect()
    }

    /// The manifests.
    pub(crate) fn manifests(self) -> Vec<Value> {
        self.blocks("yaml")
            .into_iter()
            .flat_map(|block| serde_saphyr::from_multiple::<Value>(block).unwrap())
            .filter(|manifest| manifest.get("kind").is_some())
            .collect()
    }

    /// The block in this language that has this text, with the mounted files in this folder.
    fn script(self, language: &str, text: &str, mount: &Path) -> String {
        let blocks = self.blocks(language);
        let block = blocks.iter().find(|block| block.contains(text));
        let block = block.unwrap_or_else(|| panic!("{self:?} shows no {language} with {text}"));
        mounted(block, mount)
    }
}

impl Shown {
    /// The manifest.
    pub(crate) fn manifest(self) -> Value {
        let mut all = self.page.manifests().into_iter();
        let found =
            all.find(|one| one["kind"] == "JiraCredential" && one["metadata"]["name"] == self.name);
        found.unwrap_or_else(|| panic!("{:?} shows no {}", self.page, self.name))
    }

    /// The presets of its target, by name.
    pub(crate) fn presets(self) -> Vec<String> {
        match self.manifest()["spec"]["targets"][0].get("presets") {
            None => vec!["Standard".to_owned()],
            Some(named) => serde_json::from_value(named.clone()).unwrap(),
        }
    }

    /// The Secret that the clients of the page use.
    pub(crate) fn target(self) -> String {
        let manifest = self.manifest();
        let targets = manifest["spec"]["targets"].as_array().unwrap();
        assert_eq!(targets.len(), 1, "{}", self.name);
        targets[0]["name"].as_str().unwrap().to_owned()
    }

    /// The command of the workload that mounts the Secret, with the site in the place of the one of the page.
    pub(crate) fn command(self, site: &str, mount: &Path) -> String {
        let target = self.target();
        let pods = [
            "/spec/template/spec",
            "/spec/jobTemplate/spec/template/spec",
        ];
        let mounts = |pod: &Value| pod["volumes"][0]["secret"]["secretName"] == target.as_str();
        let manifests = self.page.manifests();
        let mut pods = manifests
            .iter()
            .flat_map(|one| pods.iter().filter_map(|place| one.pointer(place)));
        let pod = pods.find(|pod| mounts(pod));
        let pod = pod.unwrap_or_else(|| panic!("no workload mounts {target}"));
        let command = pod["containers"][0]["args"][0].as_str().unwrap();
        let manifest = self.manifest();
        let shown = manifest["spec"]["site"].as_str().unwrap();
        mounted(&command.replace(shown, site), mount)
    }
}

/// A text of a page with the files of the Secret in this folder.
pub(crate) fn mounted(text: &str, mount: &Path) -> String {
    let folder = mount.display().to_string();
    text.replace("/etc/alertmanager/jira", &folder)
        .replace(" /jira/", &format!(" {folder}/"))
        .replace("`/jira/", &format!("`{folder}/"))
        .replace("\"/jira\"", &format!("{folder:?}"))
}

/// curl with a header that is read from files.
pub(crate) fn curl(is_cookie: bool, mount: &Path) -> String {
    let header = if is_cookie {
        "Cookie:"
    } else {
        "cat /jira/authorization"
    };
    Page::Curl.script("sh", header, mount)
}

/// curl with variables.
pub(crate) fn variables() -> String {
    Page::Curl.script("sh", "$JIRA_AUTH_TYPE", Path::new(""))
}

/// curl with a `.netrc`, on Data Center.
pub(crate) fn netrc_on_data_center(mount: &Path) -> String {
    Page::Curl.script("sh", "--netrc-file", mount)
}

/// The function for a package of Python, and who it is.
pub(crate) fn python(package: &str, mount: &Path) -> String {
    let script = Page::Python.script("python", &format!("from {package} import"), mount);
    format!("{script}\nme = connect().myself()\nprint(me.get('accountId') or me['key'])\n")
}

/// The module for Node, and who it is.
pub(crate) fn node(mount: &Path) -> String {
    let script = Page::JiraJs.script("js", "connect", mount);
    format!(
        "{script}\nconst me = await connect().myself.getCurrentUser();\nconsole.log(me.accountId ?? me.key);\n"
    )
}
