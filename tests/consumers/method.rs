//! The `JiraCredential`s of the pages with each method, their clients, and their renewal.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;

use atlassian_sim::Verdict;
use serde_json::{Value, json};

use crate::client::{Client, ISSUE, Pod};
use crate::method_auth::{Made, ask, cloud, data_center};
use crate::pages::Shown;
use crate::proxy::Proxy;
use crate::stage::{Stage, texts};
use crate::tools::{Missing, Tools};
use crate::{Outcome, Row};

/// A way to log in to Jira that consumers know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    ApiToken,
    ScopedApiToken,
    OAuth2,
    ClientCredentials,
    PersonalAccessToken,
    Basic,
    Session,
    OAuth2OnDataCenter,
    ClientCredentialsOnDataCenter,
    OAuth1,
}

impl Method {
    pub(crate) const ALL: [Self; 10] = [
        Self::ApiToken,
        Self::ScopedApiToken,
        Self::OAuth2,
        Self::ClientCredentials,
        Self::PersonalAccessToken,
        Self::Basic,
        Self::Session,
        Self::OAuth2OnDataCenter,
        Self::ClientCredentialsOnDataCenter,
        Self::OAuth1,
    ];

    /// The site of the pages that show Cloud.
    pub(crate) const CLOUD: &str = "https://acme.atlassian.net";

    /// The site of the pages that show Data Center.
    pub(crate) const DATA_CENTER: &str = "https://jira.corp.example";

    pub(crate) const fn has_user(self) -> bool {
        matches!(self, Self::ApiToken | Self::ScopedApiToken | Self::Basic)
    }

    pub(crate) const fn is_cloud(self) -> bool {
        match self {
            Self::ApiToken | Self::ScopedApiToken | Self::OAuth2 | Self::ClientCredentials => true,
            Self::PersonalAccessToken
            | Self::Basic
            | Self::Session
            | Self::OAuth2OnDataCenter
            | Self::ClientCredentialsOnDataCenter
            | Self::OAuth1 => false,
        }
    }

    /// Whether the operator renews it when it is asked to.
    const fn is_renewed_on_request(self) -> bool {
        matches!(
            self,
            Self::OAuth2
                | Self::ClientCredentials
                | Self::OAuth2OnDataCenter
                | Self::ClientCredentialsOnDataCenter
        )
    }

    const fn site(self) -> &'static str {
        if self.is_cloud() {
            Self::CLOUD
        } else {
            Self::DATA_CENTER
        }
    }

    /// The `JiraCredential`s whose clients know the method.
    fn shown(self) -> Vec<Shown> {
        let mut all = Vec::new();
        for client in Client::ALL {
            if client.knows(self) && !all.contains(&client.shown()) {
                all.push(client.shown());
            }
        }
        all
    }

    /// The manifest of a page with what a reader replaces: the site, the names of Secrets, and the method where it
    /// is another one. Its targets are left alone.
    fn manifest(self, shown: Shown, auth: &Value) -> Value {
        let mut manifest = shown.manifest();
        let spec = &mut manifest["spec"];
        spec["site"] = json!(self.site());
        for (member, fields) in auth.as_object().unwrap() {
            let own = spec["auth"].get(member).cloned();
            let mut merged = own.unwrap_or_else(|| json!({}));
            for (field, value) in fields.as_object().unwrap() {
                merged[field] = value.clone();
            }
            spec["auth"] = json!({member: merged});
        }
        if !self.is_cloud() && self.is_renewed_on_request() {
            // Nothing else tells where a site of these methods runs.
            spec["hosting"] = json!("DataCenter");
        }
        manifest
    }
}

/// A `JiraCredential` of a page on the stage.
struct Applied {
    shown: Shown,
    target: String,
    made: Made,
    account: String,
    before: BTreeMap<String, String>,
}

impl Applied {
    fn name(&self) -> &'static str {
        self.shown.name
    }

    /// Writes the published Secret as the kubelet does: a file for each key.
    async fn mount(&self, stage: &Stage) -> BTreeMap<String, String> {
        let secret = stage.secrets().get(&self.target).await.unwrap();
        if self.shown.presets() == ["BasicAuth"] {
            let kind = secret.type_.as_deref();
            assert_eq!(kind, Some("kubernetes.io/basic-auth"));
        }
        let data = texts(&secret);
        let folder = mount(stage, self.shown);
        fs::create_dir_all(&folder).unwrap();
        for (key, value) in &data {
            fs::write(folder.join(key), value).unwrap();
        }
        data
    }
}

fn mount(stage: &Stage, shown: Shown) -> PathBuf {
    stage.file("mounts").join(shown.name)
}

/// Runs every client that knows the method, before and after a renewal.
pub(crate) async fn run(method: Method, tools: &Tools) -> Vec<Row> {
    let mut stage = Stage::new().await;
    let proxy = Proxy::to(stage.sim.addr());
    // The sites are those of the pages, and the addresses of Atlassian its own: the proxy leads all to the simulator.
    stage.flags = ["--watch-namespaces", &stage.namespace]
        .into_iter()
        .chain(["--allowed-hosts", "jira.corp.example"])
        .chain(["--https-proxy", &proxy.url()])
        .chain(["--extra-ca-file", stage.file("ca.pem").to_str().unwrap()])
        .map(str::to_owned)
        .collect();
    // A renewal on request follows another one after five minutes at the earliest: here after a second.
    stage.set_pace(300);
    let operator = stage.operator().await;
    let credentials = apply(method, &stage).await;
    let authority = stage.file("ca.pem");
    let world = World {
        method,
        stage: &stage,
        tools,
        credentials: &credentials,
        authority: &authority,
        proxy: &proxy.url(),
    };
    let clients = Client::ALL.into_iter();
    let clients: Vec<Client> = clients.filter(|client| client.knows(method)).collect();
    let before = world.outcomes(&clients, false);
    for credential in &credentials {
        credential
            .made
            .renew(method, credential.name(), &stage)
            .await;
    }
    for credential in &credentials {
        until_renewed(method, credential, &stage).await;
    }
    let after = world.outcomes(&clients, true);
    drop(operator);
    let both = clients.into_iter().zip(before.into_iter().zip(after));
    both.map(|(client, (before, after))| Row {
        client,
        method,
        outcome: match before {
            Outcome::Passed => after,
            Outcome::Failed(_) | Outcome::Skipped(_) => before,
        },
    })
    .collect()
}

/// Applies the pages, and waits until their `JiraCredential`s are ready.
async fn apply(method: Method, stage: &Stage) -> Vec<Applied> {
    set_up(method, stage);
    let mut made = Vec::new();
    for shown in method.shown() {
        made.push((shown, Made::new(method, shown.name, stage).await));
    }
    let mut manifests = Vec::new();
    let mut pages = Vec::new();
    for (shown, made) in &made {
        manifests.push(method.manifest(*shown, &made.auth));
        if !pages.contains(&shown.page) {
            pages.push(shown.page);
            let rest = shown.page.manifests().into_iter();
            manifests.extend(rest.filter(|one| one["kind"] != "JiraCredential"));
        }
    }
    kubectl_apply(stage, &manifests);
    let mut applied = Vec::new();
    for (shown, made) in made {
        stage.wait_ready(shown.name).await;
        let object = stage.credentials().get(shown.name).await.unwrap();
        let mut one = Applied {
            shown,
            target: shown.target(),
            made,
            account: object.status.unwrap().account.unwrap().id,
            before: BTreeMap::new(),
        };
        one.before = one.mount(stage).await;
        applied.push(one);
    }
    applied
}

/// The site of the method, with one issue.
fn set_up(method: Method, stage: &Stage) {
    let project = if method.is_cloud() {
        cloud(stage).project("OPS")
    } else {
        data_center(stage).project("OPS")
    };
    if method == Method::ClientCredentialsOnDataCenter {
        // The first version that has service accounts.
        let _ = data_center(stage).version("11.3.5");
    }
    assert_eq!(project.create_issue("somebody", "There before"), ISSUE);
}

/// Applies manifests as a person does.
fn kubectl_apply(stage: &Stage, manifests: &[Value]) {
    let file = stage.file("pages.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": manifests});
    fs::write(&file, list.to_string()).unwrap();
    let output = std::process::Command::new(stage.kubectl())
        .env("KUBECONFIG", stage.file("person.kubeconfig"))
        .args(["apply", "--filename"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

async fn until_renewed(method: Method, credential: &Applied, stage: &Stage) {
    let name = credential.name();
    let polls = Cell::new(0_u32);
    let what = format!("{name} with {method}: the renewed credential is published");
    stage
        .until(&what, async || {
            polls.set(polls.get() + 1);
            // A request that came too soon is answered without a renewal.
            if method.is_renewed_on_request() && polls.get().is_multiple_of(40) {
                ask(stage, name, polls.get()).await;
            }
            (credential.mount(stage).await != credential.before).then_some(())
        })
        .await;
}

/// What the clients of a method have in common.
struct World<'a> {
    method: Method,
    stage: &'a Stage,
    tools: &'a Tools,
    credentials: &'a [Applied],
    authority: &'a std::path::Path,
    proxy: &'a str,
}

impl World<'_> {
    /// Runs the clients in two rows at a time: each of them waits for a part of its time.
    fn outcomes(&self, clients: &[Client], is_renewed: bool) -> Vec<Outcome> {
        let row = |first: usize| {
            let clients = clients.iter().skip(first).step_by(2);
            clients
                .map(|client| self.outcome(*client, is_renewed))
                .collect::<Vec<_>>()
        };
        let (even, odd) = thread::scope(|scope| {
            let odd = scope.spawn(|| row(1));
            (row(0), odd.join().unwrap())
        });
        let mut odd = odd.into_iter();
        let pairs = even.into_iter().map(|first| [Some(first), odd.next()]);
        pairs.flatten().flatten().collect()
    }

    fn outcome(&self, client: Client, is_renewed: bool) -> Outcome {
        let when = if is_renewed { "after" } else { "before" };
        let method = self.method;
        let failed = |why: String| {
            Outcome::Failed(format!("{client} with {method}, {when} the renewal: {why}"))
        };
        match client.missing(self.tools) {
            None => {}
            Some(Missing::Here(reason)) => return Outcome::Skipped(reason),
            Some(Missing::Broken(reason)) => return failed(reason),
        }
        let credential = self
            .credentials
            .iter()
            .find(|credential| credential.shown == client.shown());
        match self.log_in(client, credential.unwrap(), is_renewed) {
            Ok(()) => Outcome::Passed,
            Err(why) => failed(why),
        }
    }

    fn log_in(&self, client: Client, credential: &Applied, is_renewed: bool) -> Result<(), String> {
        let pod = Pod {
            mount: mount(self.stage, credential.shown),
            home: self.stage.file("home"),
            authority: self.authority,
            proxy: self.proxy,
            site: self.method.site(),
            account: credential.account.clone(),
            tools: self.tools,
        };
        fs::create_dir_all(&pod.home).unwrap();
        let before = self.stage.sim.calls().len();
        client.log_in(self.method, &pod)?;
        let Some(expected) = client.silent_call(self.method, is_renewed) else {
            return Ok(());
        };
        let calls = self.stage.sim.calls();
        let calls = calls.get(before..).unwrap_or_default();
        let found = calls
            .iter()
            .rfind(|call| call.method == expected.method && call.path.ends_with(expected.path));
        let user = found.and_then(|call| call.user.as_deref());
        match found {
            Some(call) if call.verdict != Verdict::Accepted => Err(format!(
                "Jira did not accept the credential: {:?}",
                call.verdict
            )),
            Some(_) if user == Some(&credential.made.user) => Ok(()),
            Some(_) => Err(format!("Jira was asked by {user:?}")),
            None => Err("Jira was not asked".to_owned()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ApiToken => "`apiToken`",
            Self::ScopedApiToken => "`apiToken` with scopes",
            Self::OAuth2 => "`oauth2` on Cloud",
            Self::ClientCredentials => "`clientCredentials` on Cloud",
            Self::OAuth2OnDataCenter => "`oauth2` on Data Center",
            Self::ClientCredentialsOnDataCenter => "`clientCredentials` on Data Center",
            Self::OAuth1 => "`oauth1`",
            Self::PersonalAccessToken => "`personalAccessToken`",
            Self::Basic => "`basic`",
            Self::Session => "`session`",
        })
    }
}
