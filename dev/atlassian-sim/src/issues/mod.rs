//! Projects and issues: what version 2 and 3 of the interface have in common on Cloud and Data Center, as far as
//! a client needs that files issues. Statuses and texts follow Atlassian's documentation where it says anything.

mod answers;
mod project;
mod query;

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::permissions::Permissions;
use crate::reply::Reply;
use crate::request::Incoming;

pub(crate) use project::{Host, Kept};
pub use project::{Issue, Project};

/// The projects of a site or an instance, by key.
pub(crate) type Projects = BTreeMap<String, Kept>;

/// Whether the body of a POST or PUT to this path is looked at.
pub(crate) fn reads_body(path: &str) -> bool {
    let resource = path.split_once("/rest/api/").map(|(_, rest)| rest);
    resource.is_some_and(|rest| rest.contains("/issue") || rest.contains("/search"))
}

/// A request about issues.
pub(crate) struct Ask<'a> {
    pub(crate) call: &'a Incoming,
    /// `2`, `3` or `latest`.
    pub(crate) version: &'a str,
    /// The path behind the version.
    pub(crate) resource: &'a str,
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

    /// What is asked for; none if it cannot be read.
    fn wish(&self) -> Option<Value> {
        if self.call.method != Method::GET {
            return serde_json::from_slice(&self.call.body).ok();
        }
        let most = value(&self.call.query, "maxResults");
        let most: Option<u64> = most.and_then(|most| most.parse().ok());
        Some(json!({ "jql": value(&self.call.query, "jql"), "maxResults": most }))
    }
}

/// A parameter of a query.
fn value(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let found = pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()));
    found.filter(|value| !value.is_empty())
}

/// Whether a request writes: it needs another scope.
pub(crate) fn writes(method: &Method, resource: &str) -> bool {
    *method != Method::GET && !resource.starts_with("search")
}

/// Whether a request is one of those that [`answer`] knows.
pub(crate) fn knows(call: &Incoming, resource: &str, is_cloud: bool) -> bool {
    let search = if is_cloud { "search/jql" } else { "search" };
    let parts: Vec<&str> = resource.split('/').collect();
    match (call.method.as_str(), parts.as_slice()) {
        ("POST", _) if resource == search => true,
        ("GET", _) if resource == search => value(&call.query, "jql").is_some(),
        ("POST", ["search", "approximate-count"]) => is_cloud,
        ("POST", ["issue"] | ["issue", _, "comment" | "transitions"])
        | ("PUT", ["issue", _])
        | ("GET", ["issue", _] | ["issue", _, "transitions"]) => true,
        _ => false,
    }
}

/// The answer to a request that it [`knows`].
pub(crate) fn answer(projects: &mut Projects, ask: &Ask<'_>) -> Reply {
    let Some(wish) = ask.wish() else {
        return answers::malformed();
    };
    let parts: Vec<&str> = ask.resource.split('/').collect();
    match (ask.call.method.as_str(), parts.as_slice()) {
        ("POST", ["search", "approximate-count"]) => answers::count(projects, ask, &wish),
        (_, ["search", ..]) => answers::search(projects, ask, &wish),
        ("POST", ["issue"]) => answers::create(projects, ask, &wish),
        ("PUT", ["issue", key]) => answers::edit(projects, ask, key, &wish),
        ("POST", ["issue", key, "comment"]) => answers::comment(projects, ask, key, &wish),
        ("GET", ["issue", key, "transitions"]) => answers::transitions(projects, ask, key),
        ("POST", ["issue", key, "transitions"]) => answers::transition(projects, ask, key, &wish),
        ("GET", ["issue", key]) => answers::issue(projects, ask, key),
        _ => answers::absent(),
    }
}
