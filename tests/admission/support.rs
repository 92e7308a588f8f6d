//! A control plane with the definition installed, and a namespace of one's own on it.

use control_plane::ControlPlane;
use http::Request;
use kube::Client;
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

static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// A fresh namespace on a control plane that knows `JiraCredential`.
pub(crate) async fn context(prefix: &str) -> Context {
    let plane = ControlPlane::shared().await.unwrap();
    INSTALLED
        .get_or_init(async || plane.install_crds(CRD).await.unwrap())
        .await;
    Context {
        plane,
        client: plane.client().unwrap(),
        namespace: plane.namespace(prefix).await.unwrap(),
    }
}

/// A `JiraCredential` of this name and spec.
pub(crate) fn credential(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "jira-operator.dev/v1alpha1",
        "kind": "JiraCredential",
        "metadata": { "name": name },
        "spec": spec
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
