//! Projects and issues: what version 2 and 3 of the interface have in common on Cloud and Data Center, as far as
//! a client needs that files issues. Statuses and texts follow Atlassian's documentation where it says anything.

mod answers;
mod project;
mod query;

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use crate::permissions::Permissions;
use crate::reply::Reply;

pub(crate) use project::{Host, Kept};
pub use project::{Issue, Project};

/// The projects of a site or an instance, by key.
pub(crate) type Projects = BTreeMap<String, Kept>;

/// Whether the body of a POST to this path is looked at.
pub(crate) fn reads_body(path: &str) -> bool {
    let resource = path.split_once("/rest/api/").map(|(_, rest)| rest);
    resource.is_some_and(|rest| rest.contains("/issue") || rest.contains("/search"))
}

/// A request about issues.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a Method,
    /// `2`, `3` or `latest`.
    pub(crate) version: &'a str,
    /// The path behind the version.
    pub(crate) resource: &'a str,
    pub(crate) body: &'a [u8],
    /// The name of the account; empty for nobody.
    pub(crate) caller: &'a str,
    pub(crate) permissions: &'a Permissions,
    pub(crate) is_cloud: bool,
    pub(crate) base: &'a str,
}

impl Ask<'_> {
    fn may(&self, key: &str) -> bool {
        self.permissions.has(key)
    }

    /// Version 3 takes documents in place of text.
    fn wants_documents(&self) -> bool {
        self.is_cloud && self.version != "2"
    }
}

/// Whether a request writes: it needs another scope.
pub(crate) fn writes(method: &Method, resource: &str) -> bool {
    *method == Method::POST && !resource.starts_with("search")
}

/// Whether a request is one of those that [`answer`] knows.
pub(crate) fn knows(method: &Method, resource: &str, is_cloud: bool) -> bool {
    let search = if is_cloud { "search/jql" } else { "search" };
    let parts: Vec<&str> = resource.split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("POST", _) if resource == search => true,
        ("POST", ["issue"] | ["issue", _, "comment" | "transitions"])
        | ("GET", ["issue", _] | ["issue", _, "transitions"]) => true,
        _ => false,
    }
}

/// The answer to a request that it [`knows`].
pub(crate) fn answer(projects: &mut Projects, ask: &Ask<'_>) -> Reply {
    let wish: Value = match serde_json::from_slice(ask.body) {
        Ok(wish) => wish,
        Err(_) if *ask.method == Method::POST => return answers::malformed(),
        Err(_) => Value::Null,
    };
    let parts: Vec<&str> = ask.resource.split('/').collect();
    match (ask.method.as_str(), parts.as_slice()) {
        ("POST", ["search", ..]) => answers::search(projects, ask, &wish),
        ("POST", ["issue"]) => answers::create(projects, ask, &wish),
        ("POST", ["issue", key, "comment"]) => answers::comment(projects, ask, key, &wish),
        ("GET", ["issue", key, "transitions"]) => answers::transitions(projects, ask, key),
        ("POST", ["issue", key, "transitions"]) => answers::transition(projects, ask, key, &wish),
        ("GET", ["issue", key]) => answers::issue(projects, ask, key),
        _ => answers::absent(),
    }
}
