//! What a request to the API server asks for.

use std::fmt;

use http::{Method, Request, header::CONTENT_TYPE};
use kube::client::Body;
use serde_json::Value;

/// What a request does, in the words of RBAC rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Reads one object, or a path that is no resource.
    Get,
    /// Reads a collection.
    List,
    /// Follows changes.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH, server-side apply included.
    Patch,
    /// Deletes one object.
    Delete,
    /// Deletes a collection.
    DeleteCollection,
}

impl Verb {
    /// The verb as RBAC rules spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Whether the verb changes something.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One request, as the API server's authorizer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What it does.
    pub verb: Verb,
    /// The API group; empty for the core group, and for no resource.
    pub group: String,
    /// The plural name; empty for paths such as `/version`.
    pub resource: String,
    /// Such as `status`.
    pub subresource: Option<String>,
    /// For namespaced resources.
    pub namespace: Option<String>,
    /// The object: from the path, from a field selector for `metadata.name`,
    /// or, when one is created, from the body.
    pub name: Option<String>,
    /// Tells server-side apply from the other kinds of patch.
    pub content_type: Option<String>,
    /// Whether the server is told to change nothing.
    pub dry_run: bool,
    /// The path, without the query.
    pub path: String,
}

impl Recorded {
    /// The resource and its subresource, as RBAC rules spell them; the path of
    /// a request for no resource.
    pub fn target(&self) -> String {
        match &self.subresource {
            _ if self.resource.is_empty() => self.path.clone(),
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.clone(),
        }
    }

    /// Whether the cluster is different afterwards in a way that a controller
    /// could trip over. Heartbeats and events are not, and neither are
    /// questions that have the form of a creation.
    pub fn is_effect(&self) -> bool {
        let heartbeat = self.group == "coordination.k8s.io" && self.resource == "leases";
        let event = self.resource == "events";
        let question = self.group == "authorization.k8s.io"
            || self.group == "authentication.k8s.io"
            || self.subresource.as_deref() == Some("token");
        self.verb.is_write() && !self.dry_run && !heartbeat && !event && !question
    }

    /// Reads what a request asks for, and returns it with the request.
    pub(crate) async fn read(request: Request<Body>) -> kube::Result<(Self, Request<Body>)> {
        let mut recorded = Self::from_head(&request);
        if recorded.verb != Verb::Create || recorded.name.is_some() {
            return Ok((recorded, request));
        }
        let (head, body) = request.into_parts();
        let bytes = body.collect_bytes().await?;
        recorded.name = serde_json::from_slice::<Value>(&bytes)
            .ok()
            .and_then(|object| Some(object.pointer("/metadata/name")?.as_str()?.to_owned()));
        Ok((recorded, Request::from_parts(head, Body::from(bytes))))
    }

    fn from_head<B>(request: &Request<B>) -> Self {
        let path = request.uri().path();
        let query = Query(request.uri().query().unwrap_or_default());
        let target = Target::from_path(path);
        let collection = target.name.is_none() && !target.resource.is_empty();
        let verb = match *request.method() {
            Method::POST => Verb::Create,
            Method::PUT => Verb::Update,
            Method::PATCH => Verb::Patch,
            Method::DELETE if collection => Verb::DeleteCollection,
            Method::DELETE => Verb::Delete,
            _ if query
                .value("watch")
                .is_some_and(|value| value == "true" || value == "1") =>
            {
                Verb::Watch
            }
            _ if collection => Verb::List,
            _ => Verb::Get,
        };
        let content_type = request.headers().get(CONTENT_TYPE);
        let owned = |value: Option<&str>| value.map(ToOwned::to_owned);
        Self {
            verb,
            group: target.group.to_owned(),
            resource: target.resource.to_owned(),
            subresource: owned(target.subresource),
            namespace: owned(target.namespace),
            name: owned(target.name).or_else(|| query.selected_name()),
            content_type: owned(content_type.and_then(|value| value.to_str().ok())),
            dry_run: query.value("dryRun").is_some(),
            path: path.to_owned(),
        }
    }
}

/// What a path names.
#[derive(Default)]
struct Target<'a> {
    group: &'a str,
    resource: &'a str,
    subresource: Option<&'a str>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads a path the way the API server does.
    fn from_path(path: &'a str) -> Self {
        let segments: Vec<&str> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return Self::default(),
        };
        let (namespace, rest) = match rest {
            // These belong to the namespace itself.
            ["namespaces", name, "status" | "finalize", ..] => (Some(*name), rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            ["namespaces", name] => (Some(*name), rest),
            _ => (None, rest),
        };
        let Some((resource, rest)) = rest.split_first() else {
            // Discovery.
            return Self::default();
        };
        Self {
            group,
            resource,
            namespace,
            name: rest.first().copied(),
            subresource: rest.get(1).copied(),
        }
    }
}

/// The query of a request.
struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn value(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self
            .0
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn selected_name(&self) -> Option<String> {
        let selector = self
            .value("fieldSelector")?
            .replace("%3D", "=")
            .replace("%3d", "=");
        let selector = selector.replace("%2C", ",").replace("%2c", ",");
        let name = selector
            .split(',')
            .find_map(|term| term.strip_prefix("metadata.name="))?;
        Some(name.trim_start_matches('=').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Method, Recorded, Request};

    const REQUESTS: &[(&str, &str, &str)] = &[
        ("GET", "/api/v1/namespaces/a/secrets/b", "get  secrets a b"),
        (
            "GET",
            "/api/v1/namespaces/a/secrets?limit=5",
            "list  secrets a -",
        ),
        ("GET", "/api/v1/secrets?watch=true", "watch  secrets - -"),
        (
            "GET",
            "/api/v1/namespaces/a/secrets?watch=1&fieldSelector=metadata.name%3Db",
            "watch  secrets a b",
        ),
        (
            "PATCH",
            "/apis/x.io/v1/namespaces/a/things/b/status?",
            "patch x.io things/status a b",
        ),
        ("PUT", "/apis/x.io/v1/things/b", "update x.io things - b"),
        (
            "DELETE",
            "/apis/x.io/v1/namespaces/a/things",
            "deletecollection x.io things a -",
        ),
        (
            "DELETE",
            "/apis/x.io/v1/namespaces/a/things/b",
            "delete x.io things a b",
        ),
        (
            "POST",
            "/api/v1/namespaces/a/serviceaccounts/b/token",
            "create  serviceaccounts/token a b",
        ),
        ("GET", "/api/v1/namespaces/a", "get  namespaces a a"),
        (
            "PUT",
            "/api/v1/namespaces/a/finalize",
            "update  namespaces/finalize a a",
        ),
        ("GET", "/api/v1/namespaces", "list  namespaces - -"),
        ("GET", "/apis/x.io/v1", "get  /apis/x.io/v1 - -"),
        ("GET", "/version", "get  /version - -"),
    ];

    #[test]
    fn requests_are_read_like_the_api_server_reads_them() {
        for &(method, uri, expected) in REQUESTS {
            let method: Method = method.parse().unwrap();
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            let read = Recorded::from_head(&request);
            let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            let summary = format!(
                "{} {} {} {} {}",
                read.verb,
                read.group,
                read.target(),
                or_dash(&read.namespace),
                or_dash(&read.name)
            );
            assert_eq!(summary, expected, "{uri}");
        }
    }
}
