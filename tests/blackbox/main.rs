//! The binary as a cluster runs it: a process of its own, in real time, under the rights of its
//! `ServiceAccount`, ended by signals.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test may panic"
)]

mod command_line;
mod ipv6;
mod killed;
mod leader;
mod life;
mod log;
mod process;
mod renewals;
mod shards;
mod stage;
mod stopped;
