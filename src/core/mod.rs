//! Decisions: pure functions over plain values. No runtime, no client, no clock; `now` is a
//! value among the others.

pub mod answer;
pub mod site;
