//! The sets of keys that a published Secret can have.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A set of keys for one kind of consumer.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum Preset {
    /// One key for each thing that a client can need: url, token, authorization and others.
    Standard,
    /// Variables that scripts and clients read, for envFrom: `JIRA_URL`, `JIRA_API_TOKEN` and others.
    Env,
    /// username and password, in a Secret of the type kubernetes.io/basic-auth.
    BasicAuth,
    /// The file .netrc, as curl and Python read it.
    Netrc,
    /// The file .config.yml and the variables of jira-cli.
    JiraCli,
    /// The files that `jira_configs` of Alertmanager names.
    Alertmanager,
    /// Variables of mcp-atlassian, for envFrom.
    McpAtlassian,
    /// Keys and labels of Jenkins' Kubernetes Credentials Provider.
    Jenkins,
}

impl Preset {
    /// Every preset, in the order of the schema.
    pub const ALL: [Self; 8] = [
        Self::Standard,
        Self::Env,
        Self::BasicAuth,
        Self::Netrc,
        Self::JiraCli,
        Self::Alertmanager,
        Self::McpAtlassian,
        Self::Jenkins,
    ];
}

impl fmt::Display for Preset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}
