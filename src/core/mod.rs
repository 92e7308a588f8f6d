//! Decisions: pure functions over plain values. No runtime, no client, no clock; `now` is a
//! value among the others.
//!
//! One pass: [`facts::Facts`] are observed, [`decide::decide`] names the next [`decide::Step`],
//! its [`decide::Answer`] is absorbed, and so on until no step is left; then
//! [`conclude::conclude`] says what to write down, what to tell, and when to look again.

pub mod absorb;
mod address;
pub mod answer;
pub mod attempt;
pub mod care;
pub mod conclude;
pub mod conditions;
pub mod decide;
mod detour;
mod expiry_known;
pub mod facts;
pub mod fingerprint;
pub mod form;
pub mod grant;
mod grant_status;
mod hint;
pub mod judge;
pub mod listed;
pub mod lookup;
pub mod message;
pub mod permissions;
pub mod problem;
pub mod protocol;
pub mod publication;
mod published;
mod record;
pub mod renewal;
pub mod rotation;
pub mod rsa_key;
pub mod schedule;
pub mod scopes;
pub mod site;
pub mod survey;
pub mod trouble;
mod unproven;

#[cfg(test)]
mod convergence;
#[cfg(test)]
mod model;
#[cfg(test)]
mod testing;
