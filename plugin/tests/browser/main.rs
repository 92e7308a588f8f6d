//! `login` in a real Chromium. Where there is none, the tests are counted as ignored, and the reason is
//! printed.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test may panic"
)]

mod cases;
mod chromium;
#[expect(dead_code, reason = "shared with another test, which needs more of it")]
#[path = "../plugin/desk.rs"]
mod desk;
#[expect(dead_code, reason = "shared with another test, which needs more of it")]
#[path = "../plugin/support.rs"]
mod support;

use std::process::{Command, Stdio};

use libtest_mimic::{Arguments, Trial};

/// A test of `cases`, under its name.
macro_rules! case {
    ($name:ident) => {
        Trial::test(stringify!($name), || {
            runtime().block_on(cases::$name());
            Ok(())
        })
    };
}

fn main() {
    let arguments = Arguments::from_args();
    let missing = missing();
    if let Some(tool) = missing {
        println!("skipped: {tool} is missing; CONTRIBUTING.md says how to install it");
    }
    let trials = [
        case!(a_person_accepts),
        case!(a_person_declines),
        case!(a_callback_with_another_state_is_not_accepted),
        case!(a_callback_counts_once_and_other_tabs_change_nothing),
        case!(a_window_that_was_closed_can_be_opened_again),
        case!(a_window_that_stays_closed_ends_with_the_time),
        case!(the_address_bar_has_the_callback_when_the_port_is_taken),
        case!(the_callback_may_be_on_the_loopback_of_ipv6),
        case!(every_page_suits_light_and_dark_wide_and_narrow),
    ];
    let trials = trials.map(|trial| trial.with_ignored_flag(missing.is_some()));
    libtest_mimic::run(&arguments, trials.into()).exit();
}

/// The first program that the tests need and this machine does not have.
fn missing() -> Option<&'static str> {
    ["chromium", "chromedriver", "certutil"]
        .into_iter()
        .find(|tool| {
            let mut command = Command::new(tool);
            let command = command.arg("--version").stdin(Stdio::null());
            let started = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            started.is_err()
        })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
