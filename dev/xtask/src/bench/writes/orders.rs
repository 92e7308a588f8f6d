//! The writes that are compared, as users and the operator make them.

use jira_credential_operator::api::{JiraCredential, JiraCredentialStatus, Reason};
use jira_credential_operator::cluster::event;
use jira_credential_operator::core::conclude::Notice;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::failure::{Outcome, fail};

const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON: &str = "application/json";

/// A kind of write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Write {
    CreateSecret,
    CreateCredential,
    UpdateStatus,
    ReportEvent,
    LabelSecret,
    LabelCredential,
}

/// What the objects have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Size {
    /// What most users write.
    Usual,
    /// Most optional fields.
    Full,
}

/// One write.
pub(super) enum Order {
    /// Method, path, content type and body.
    Send(&'static str, String, &'static str, Value),
    /// What the operator itself would send.
    Status(Box<JiraCredential>, Box<JiraCredentialStatus>),
    /// What the operator itself would report.
    Event(Box<Event>),
}

impl Write {
    /// In the order in which they can be made.
    pub(super) const ALL: [Self; 6] = [
        Self::CreateSecret,
        Self::CreateCredential,
        Self::UpdateStatus,
        Self::ReportEvent,
        Self::LabelSecret,
        Self::LabelCredential,
    ];

    pub(super) fn creates(self) -> bool {
        matches!(self, Self::CreateSecret | Self::CreateCredential)
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::CreateSecret => "create a Secret",
            Self::CreateCredential => "create a JiraCredential",
            Self::UpdateStatus => "write the status of one",
            Self::ReportEvent => "report an event about one",
            Self::LabelSecret => "label a Secret",
            Self::LabelCredential => "label a JiraCredential",
        }
    }

    /// For the name of a file.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::CreateSecret => "create-secret",
            Self::CreateCredential => "create-credential",
            Self::UpdateStatus => "write-status",
            Self::ReportEvent => "report-event",
            Self::LabelSecret => "label-secret",
            Self::LabelCredential => "label-credential",
        }
    }

    /// What its cost is compared with.
    pub(super) fn yardstick(self) -> Self {
        match self {
            Self::LabelSecret | Self::LabelCredential => Self::LabelSecret,
            _ => Self::CreateSecret,
        }
    }

    /// The highest ratio that is accepted.
    pub(super) fn most(self) -> Option<f64> {
        match self {
            Self::CreateSecret | Self::LabelSecret | Self::ReportEvent => None,
            Self::CreateCredential => Some(2.0),
            Self::UpdateStatus => Some(3.0),
            Self::LabelCredential => Some(2.5),
        }
    }

    /// The write of one object of a size; `held` is the object as it is, for what the operator writes.
    pub(super) fn order(
        self,
        namespace: &str,
        number: usize,
        variant: usize,
        (size, held): (Size, Option<&JiraCredential>),
    ) -> Outcome<Order> {
        let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
        let credentials =
            format!("/apis/jira-operator.dev/v1alpha1/namespaces/{namespace}/jiracredentials");
        let label = json!({ "metadata": { "labels": { "team": format!("team-{variant}") } } });
        let name = format!("object-{number}");
        Ok(match self {
            Self::CreateSecret => Order::Send("POST", secrets, JSON, secret(&name)),
            Self::CreateCredential => {
                Order::Send("POST", credentials, JSON, credential(&name, size))
            }
            Self::UpdateStatus => {
                let status = serde_json::from_value(status(&name, variant, size))?;
                Order::Status(Box::new(created(held)?.clone()), Box::new(status))
            }
            Self::ReportEvent => {
                let notice = Notice {
                    reason: Reason::Validated,
                    note: format!("The published credential is current and validated. {variant}"),
                    warning: false,
                };
                let now = chrono::DateTime::UNIX_EPOCH;
                Order::Event(Box::new(event(created(held)?, &notice, now)))
            }
            Self::LabelSecret => {
                Order::Send("PATCH", format!("{secrets}/{name}"), MERGE_PATCH, label)
            }
            Self::LabelCredential => {
                Order::Send("PATCH", format!("{credentials}/{name}"), MERGE_PATCH, label)
            }
        })
    }
}

fn created(held: Option<&JiraCredential>) -> Outcome<&JiraCredential> {
    held.map_or_else(|| fail("the JiraCredentials were not created"), Ok)
}

/// The objects with their versions.
pub(super) async fn credentials(client: &Client, namespace: &str) -> Outcome<Vec<JiraCredential>> {
    let api = Api::<JiraCredential>::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default()).await?.items)
}

/// As large as the Secret of a token.
fn secret(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name },
        "stringData": { "token": "x".repeat(200) },
    })
}

fn credential(name: &str, size: Size) -> Value {
    let mut spec = json!({
        "site": "https://acme.atlassian.net",
        "auth": { "apiToken": {
            "email": format!("{name}@acme.example"),
            "tokenSecretRef": { "name": format!("source-{name}"), "key": "token" },
        } },
    });
    if size == Size::Full {
        add(&mut spec, optional(name));
    }
    json!({
        "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// The fields that a spec may have beside.
fn optional(name: &str) -> Value {
    let template = json!({
        "labels": { "app.kubernetes.io/part-of": "ci" },
        "data": { "auth.json": "{\"url\": {{ url | tojson }}, \"token\": {{ token | tojson }}}" },
    });
    json!({
        "validation": { "interval": "15m", "requiredPermissions": ["BROWSE_PROJECTS"] },
        "rotation": { "maxAge": "90d", "warnBefore": "14d" },
        "owner": { "team": "platform", "contact": "#platform" },
        "targets": [
            { "name": name, "presets": ["Standard", "Env"], "template": template },
            { "name": format!("{name}-retained"), "deletionPolicy": "Retain" },
            { "name": name, "namespace": "elsewhere" },
        ],
        "restart": [
            { "kind": "Deployment", "name": "importer" },
            { "kind": "StatefulSet", "name": "exporter" },
        ],
    })
}

/// Adds the members of the second object to the first one.
fn add(object: &mut Value, more: Value) {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
}

/// The status of such a credential when it is Ready.
fn status(name: &str, variant: usize, size: Size) -> Value {
    let time = format!(
        "2026-01-01T{:02}:{:02}:00Z",
        variant / 60 % 24,
        variant % 60
    );
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let mut status = json!({
        "observedGeneration": 1,
        "conditions": [
            condition("Ready", "True", "Validated", "The published credential is current and validated."),
            condition("Valid", "True", "Accepted", "Jira accepts the credential."),
            condition("Published", "True", "Written", "All targets are up to date."),
            condition("RotationDue", "False", "NotDue", "No rotation is due."),
        ],
        "method": "ApiToken",
        "account": {
            "id": format!("712020:{name}"), "type": "atlassian",
            "displayName": name, "userName": format!("{name}@acme.example"),
        },
        "site": { "hosting": "Cloud", "apiUrl": "https://acme.atlassian.net" },
        "validatedFingerprint": "0123456789abcdef0123456789abcdef",
        "firstSeenTime": "2026-01-01T00:00:00Z",
        "permissions": { "checkedTime": "2026-01-01T00:00:00Z" },
        "lastValidatedTime": time,
        "sources": [{
            "name": format!("source-{name}"),
            "uid": "00000000-0000-0000-0000-000000000000",
            "resourceVersion": "1000",
        }],
        "targets": [{
            "name": name,
            "uid": "00000000-0000-0000-0000-000000000000",
            "resourceVersion": "1001",
            "hash": "0123456789abcdef0123456789abcdef",
        }],
        "binding": { "name": name },
    });
    if size == Size::Full {
        let restart = json!({
            "fingerprint": "0123456789abcdef0123456789abcdef",
            "revision": "0123456789abcdef",
        });
        let target = |name: String, namespace: Option<&str>| {
            json!({
                "name": name, "namespace": namespace,
                "uid": "00000000-0000-0000-0000-000000000000",
                "resourceVersion": "1001",
                "hash": "0123456789abcdef0123456789abcdef",
            })
        };
        let targets = json!([
            target(name.to_owned(), None),
            target(format!("{name}-retained"), None),
            target(name.to_owned(), Some("elsewhere")),
        ]);
        add(
            &mut status,
            json!({ "restart": restart, "targets": targets }),
        );
    }
    status
}
