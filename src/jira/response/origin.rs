//! Who wrote an answer, by its headers: a node of Data Center, Atlassian's edge, or a proxy.

use http::HeaderMap;

use crate::jira::response::headers::{all, challenges};

/// Headers of the nodes of Data Center (recorded on 8.5); Cloud has none of them.
pub(super) fn is_from_data_center(headers: &HeaderMap) -> bool {
    ["x-anodeid", "x-ausername", "x-asessionid"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

/// Headers of Atlassian's edge, and of Jira behind it (recorded).
pub(super) fn is_from_cloud(headers: &HeaderMap) -> bool {
    all(headers, "server").contains("AtlassianEdge")
        || ["x-aaccountid", "atl-traceid", "atl-request-id"]
            .iter()
            .any(|name| headers.contains_key(*name))
}

/// Whether Atlassian's edge says that it has no site of this name, or no Jira on it (recorded).
pub(super) fn is_missing_site(headers: &HeaderMap) -> bool {
    headers.contains_key("atl-missing-tcs")
}

/// Whether Jira, or the edge of Atlassian's cloud, wrote the answer: by headers that were recorded
/// on answers of each.
pub(in crate::jira) fn is_from_jira(headers: &HeaderMap) -> bool {
    is_from_cloud(headers)
        || is_from_data_center(headers)
        || ["x-seraph-loginreason", "x-arequestid"]
            .iter()
            .any(|name| headers.contains_key(*name))
        || challenges(headers).any(|scheme| scheme == "oauth")
}

/// Whether the answer asks for a login that is not Jira's.
pub(super) fn has_foreign_challenge(headers: &HeaderMap) -> bool {
    challenges(headers).any(|scheme| scheme != "oauth" && scheme != "jira")
}
