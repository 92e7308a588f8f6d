//! Decisions: pure functions over plain values. No runtime, no client, no clock; `now` is a value
//! among the others.
//!
//! One reconcile: [`facts::Facts`] are observed, [`decide::decide`] names the next
//! [`decide::Step`], [`apply`] adds its result to the facts, and so on until no step is left; then
//! [`conclude::conclude`] says what to write into the status, which events to send, and when to
//! reconcile again.
//!
//! Reading order; each module uses only those before it:
//!
//! | module | what it holds |
//! |---|---|
//! | [`time`] | retries, jitter, deadlines |
//! | [`fingerprint`] | keyed fingerprints that stand in for secret values |
//! | [`spec`] | what follows from the spec alone |
//! | [`probe`] | what Jira can answer, and the reason to report for it |
//! | [`grant`] | the stored tokens of a credential that renews itself |
//! | [`facts`] | everything a decision may look at |
//! | [`decide`] | the next step |
//! | [`apply`] | the result of a step becomes a fact |
//! | [`messages`] | the texts of conditions and events |
//! | [`conclude`] | status, events, time of the next reconcile |

pub mod apply;
pub mod conclude;
pub mod decide;
pub mod facts;
pub mod fingerprint;
pub mod grant;
pub mod messages;
pub mod probe;
pub mod spec;
pub mod time;
