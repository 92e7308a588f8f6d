//! The lives of tokens, and where the real endpoint's behaviour is not established.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// What a refresh token gives that is presented once more within the leeway. Which of the two
/// Atlassian does is not established.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replay {
    /// The pair that its first exchange gave, word for word.
    SameSuccessor,
    /// Another pair: a sibling of the first successor.
    #[default]
    NewSuccessor,
}

/// The settings of the token endpoint, for all clients. The defaults are Atlassian's.
///
/// A life of length `d` that begins at `t` is over at `t + d`, not a moment later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthSettings {
    /// The life of an authorization code. That it is ten minutes is an assumption.
    pub code_life: TimeDelta,
    /// The life of an access token.
    pub access_life: TimeDelta,
    /// How long after its first exchange a refresh token may be exchanged again.
    pub leeway: TimeDelta,
    /// How long an access token survives the next exchange in its family.
    pub overlap: TimeDelta,
    /// A refresh token unused for so long is dead.
    pub idle: TimeDelta,
    /// So long after the consent the whole family is dead.
    pub absolute: TimeDelta,
    /// The answer lacks the refresh token, and the one presented stays the valid one. A token
    /// that was rotated before is not concerned: its replay still gives a successor.
    pub omit_refresh_token: bool,
    /// What a replay within the leeway gives.
    pub replay: Replay,
}

impl DataCenterOAuthSettings {
    /// The same in the terms of the Cloud endpoint.
    pub(crate) fn rules(&self) -> OAuthSettings {
        OAuthSettings {
            code_life: self.code_life,
            access_life: self.access_life,
            leeway: TimeDelta::zero(),
            overlap: TimeDelta::zero(),
            idle: self.idle,
            absolute: TimeDelta::MAX,
            omit_refresh_token: false,
            replay: Replay::default(),
        }
    }
}

/// The settings of the token endpoints of all Data Center instances.
///
/// There is no leeway: a refresh deletes the refresh token and the access token before it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataCenterOAuthSettings {
    /// The life of an authorization code; 600 s at most, whatever is set here.
    pub code_life: TimeDelta,
    /// The life of an access token.
    pub access_life: TimeDelta,
    /// A refresh token unused for so long is dead.
    pub idle: TimeDelta,
    /// Answers do not say the scope, as those in the documentation.
    pub omit_scope: bool,
    /// The code of a refusal for the scope is `invalid_scope` in place of `invalid scope`.
    pub standard_scope_error: bool,
}

impl Default for DataCenterOAuthSettings {
    fn default() -> Self {
        Self {
            code_life: TimeDelta::seconds(10),
            access_life: TimeDelta::minutes(60),
            idle: TimeDelta::days(90),
            omit_scope: false,
            standard_scope_error: false,
        }
    }
}

impl Default for OAuthSettings {
    fn default() -> Self {
        Self {
            code_life: TimeDelta::minutes(10),
            access_life: TimeDelta::minutes(60),
            leeway: TimeDelta::minutes(10),
            overlap: TimeDelta::minutes(10),
            idle: TimeDelta::days(90),
            absolute: TimeDelta::days(365),
            omit_refresh_token: false,
            replay: Replay::default(),
        }
    }
}
