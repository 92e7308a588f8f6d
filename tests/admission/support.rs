//! A control plane with `deploy/` applied, a namespace of one's own on it, and people.

use std::{
    process::Output,
    time::{Duration, Instant},
};

use control_plane::ControlPlane;
use http::Request;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{Api, Client, ResourceExt as _, api::PostParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The file that a cluster applies.
pub(crate) const CRD: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/crds/jiracredentials.yaml"
));

/// What a test works with.
pub(crate) struct Context {
    /// The control plane that all tests share.
    pub(crate) plane: &'static ControlPlane,
    /// A client of the administrator.
    pub(crate) client: Client,
    /// A namespace that no other test uses.
    pub(crate) namespace: String,
}

/// What kubectl said when it applied `crds/` and `deploy/`.
static DEPLOYED: OnceCell<Vec<Output>> = OnceCell::const_new();

/// A fresh namespace on a control plane to which `deploy/` was applied as a person would.
pub(crate) async fn context(prefix: &str) -> Context {
    let plane = ControlPlane::shared().await.unwrap();
    DEPLOYED.get_or_init(async || deploy(plane).await).await;
    Context {
        plane,
        client: plane.client().unwrap(),
        namespace: plane.namespace(prefix).await.unwrap(),
    }
}

/// What kubectl said when it applied `crds/` and `deploy/`.
pub(crate) async fn deployed() -> &'static [Output] {
    let plane = ControlPlane::shared().await.unwrap();
    DEPLOYED.get_or_init(async || deploy(plane).await).await
}

async fn deploy(plane: &'static ControlPlane) -> Vec<Output> {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut output = Vec::new();
    // As the README has it.
    for line in ["apply -f crds/", "apply -k deploy"] {
        let mut kubectl = plane.kubectl();
        kubectl.args(line.split(' ')).current_dir(root);
        let said = tokio::task::spawn_blocking(move || kubectl.output().unwrap())
            .await
            .unwrap();
        assert!(said.status.success(), "{line}: {said:?}");
        output.push(said);
    }
    // Waits until the resource is served.
    plane.install_crds(CRD).await.unwrap();
    // The policy takes effect a moment after it was stored.
    let client = plane.client().unwrap();
    let namespace = plane.namespace("policy").await.unwrap();
    let nobody = User::new(plane, &namespace, "nobody");
    nobody
        .may(
            &client,
            &["create"],
            "jira-operator.dev",
            "jiracredentials",
            &[],
        )
        .await;
    let object = credential("probe", password("login", &["target"]));
    nobody
        .is_answered(&object, |answer| {
            answer.is_err_and(|message| message.contains(POLICY))
        })
        .await;
    output
}

/// How the policy begins its refusals.
pub(crate) const POLICY: &str = "ValidatingAdmissionPolicy 'jira-credential-operator'";

/// A person with rights in one namespace.
pub(crate) struct User {
    name: String,
    namespace: String,
    /// Speaks for the person.
    pub(crate) client: Client,
}

impl User {
    /// Somebody without any right.
    pub(crate) fn new(plane: &ControlPlane, namespace: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            client: plane.user_client(name, &[]).unwrap(),
        }
    }

    /// Somebody who may write `JiraCredentials` and nothing else.
    pub(crate) async fn tenant(context: &Context, name: &str) -> Self {
        let user = Self::new(context.plane, &context.namespace, name);
        let verbs = ["get", "list", "create", "update", "patch", "delete"];
        user.may(
            &context.client,
            &verbs,
            "jira-operator.dev",
            "jiracredentials",
            &[],
        )
        .await;
        user
    }

    /// The same person in another namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        Self {
            name: self.name.clone(),
            namespace: namespace.to_owned(),
            client: self.client.clone(),
        }
    }

    /// Grants verbs on a resource, or on these names of it.
    pub(crate) async fn may(
        &self,
        admin: &Client,
        verbs: &[&str],
        group: &str,
        resource: &str,
        names: &[&str],
    ) {
        let granted: Role = from_value(json!({
            "metadata": { "generateName": "granted-" },
            "rules": [{
                "apiGroups": [group], "resources": [resource], "verbs": verbs,
                "resourceNames": names
            }]
        }));
        let roles = Api::<Role>::namespaced(admin.clone(), &self.namespace);
        let role = roles
            .create(&PostParams::default(), &granted)
            .await
            .unwrap();
        self.bind(admin, "Role", &role.name_any()).await;
    }

    /// Binds a `ClusterRole` in the namespace.
    pub(crate) async fn may_what_the_role_may(&self, admin: &Client, role: &str) {
        self.bind(admin, "ClusterRole", role).await;
    }

    async fn bind(&self, admin: &Client, kind: &str, role: &str) {
        let binding: RoleBinding = from_value(json!({
            "metadata": { "generateName": "granted-" },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role
            },
            "subjects": [{
                "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": self.name
            }]
        }));
        let bindings = Api::<RoleBinding>::namespaced(admin.clone(), &self.namespace);
        bindings
            .create(&PostParams::default(), &binding)
            .await
            .unwrap();
    }

    /// Grants verbs on these Secrets.
    pub(crate) async fn may_secrets(&self, admin: &Client, verbs: &[&str], names: &[&str]) {
        self.may(admin, verbs, "", "secrets", names).await;
    }

    /// Tries to create the object, for show, until the answer is the expected one: new rights
    /// take a moment.
    pub(crate) async fn is_answered(
        &self,
        object: &Value,
        expected: impl Fn(Result<Value, String>) -> bool,
    ) {
        eventually(async || {
            let answer = create(&self.client, &self.namespace, object, true).await;
            let text = format!("{answer:?}");
            if expected(answer) { Ok(()) } else { Err(text) }
        })
        .await;
    }

    /// The policy refuses the object, with these words.
    pub(crate) async fn is_refused(&self, object: &Value, words: &[&str]) {
        self.is_answered(object, |answer| {
            answer.is_err_and(|message| {
                message.contains(POLICY) && words.iter().all(|word| message.contains(word))
            })
        })
        .await;
    }

    /// The object is accepted.
    pub(crate) async fn is_accepted(&self, object: &Value) {
        self.is_answered(object, |answer| answer.is_ok()).await;
    }
}

/// Asks until there is no complaint left, for at most a minute and a half: two control planes may share two cores.
pub(crate) async fn eventually(ask: impl AsyncFn() -> Result<(), String>) {
    let begun = Instant::now();
    while let Err(complaint) = ask().await {
        assert!(
            begun.elapsed() < Duration::from_secs(90),
            "still: {complaint}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn from_value<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A spec that reads one Secret and publishes to targets.
pub(crate) fn password(source: &str, targets: &[&str]) -> Value {
    let targets: Vec<Value> = targets.iter().map(|name| json!({ "name": name })).collect();
    json!({
        "site": "https://jira.corp.example",
        "auth": { "basic": { "secretRef": { "name": source } } },
        "targets": targets
    })
}

/// A `JiraCredential` of this name and spec.
pub(crate) fn credential(name: &str, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "jira-operator.dev/v1alpha1",
        "kind": "JiraCredential",
        "metadata": { "name": name }
    });
    object["spec"] = spec;
    object
}

/// The same for a person who changes what an administrator has made.
pub(crate) async fn change_as(
    user: &User,
    test: &Context,
    before: &Value,
    after: Value,
) -> Result<Value, String> {
    changed(&test.client, &user.client, &test.namespace, before, after).await
}

/// Creates a `JiraCredential`, asks whether it may be changed to another, and deletes it.
pub(crate) async fn change(
    client: &Client,
    namespace: &str,
    before: &Value,
    after: Value,
) -> Result<Value, String> {
    changed(client, client, namespace, before, after).await
}

async fn changed(
    client: &Client,
    author: &Client,
    namespace: &str,
    before: &Value,
    mut after: Value,
) -> Result<Value, String> {
    let stored = create(client, namespace, before, false).await.unwrap();
    after["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
    let name = before["metadata"]["name"].as_str().unwrap();
    let uri =
        format!("/apis/jira-operator.dev/v1alpha1/namespaces/{namespace}/jiracredentials/{name}");
    let request = Request::put(format!("{uri}?fieldValidation=Strict&dryRun=All"))
        .header("content-type", "application/json")
        .body(after.to_string().into_bytes())
        .unwrap();
    let answer = author.request(request).await;
    let gone = Request::delete(uri).body(Vec::new()).unwrap();
    client.request::<Value>(gone).await.unwrap();
    answer.map_err(|error| match error {
        kube::Error::Api(status) => status.message,
        other => panic!("the API server did not answer: {other}"),
    })
}

/// Creates a `JiraCredential` under strict validation; an error is the API server's message.
pub(crate) async fn create(
    client: &Client,
    namespace: &str,
    object: &Value,
    dry_run: bool,
) -> Result<Value, String> {
    let dry_run = if dry_run { "&dryRun=All" } else { "" };
    let uri = format!(
        "/apis/jira-operator.dev/v1alpha1/namespaces/{namespace}/jiracredentials?fieldValidation=Strict{dry_run}"
    );
    let request = Request::post(uri)
        .header("content-type", "application/json")
        .body(object.to_string().into_bytes())
        .unwrap();
    client.request(request).await.map_err(|error| match error {
        kube::Error::Api(status) => status.message,
        other => panic!("the API server did not answer: {other}"),
    })
}
