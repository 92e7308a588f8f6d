//! Who looks after a credential.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// Who looks after a credential. The operator repeats it in notifications and in the metric
/// `jira_credential_owner_info`, and decides nothing by it.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct Owner {
    /// The team, as your organisation names it; one line.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = rules::one_line("team"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Where the team is reached: a channel, an address, a page; one line.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::one_line("contact"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
}
