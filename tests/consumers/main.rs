//! Real consumers log in to the simulator with nothing but what a pod mounts, before and after a
//! renewal. What cannot be installed is skipped, and the reason is printed.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test may panic"
)]

mod client;
mod mcp;
mod method;
mod method_auth;
mod pages;
#[expect(dead_code, reason = "shared with another test, which needs more of it")]
#[path = "../blackbox/process.rs"]
mod process;
mod proxy;
#[expect(dead_code, reason = "shared with another test, which needs more of it")]
#[path = "../blackbox/stage.rs"]
mod stage;
mod table;
mod tools;

use libtest_mimic::{Arguments, Failed, Trial};

use client::Client;
use method::Method;

/// What became of one client with one method.
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// A row of the results.
pub(crate) struct Row {
    client: Client,
    method: Method,
    outcome: Outcome,
}

fn main() {
    let arguments = Arguments::from_args();
    let rows = if arguments.list {
        Vec::new()
    } else {
        run(&arguments)
    };
    print!("{}", table::of(&rows));
    for row in &rows {
        if let Outcome::Skipped(reason) = &row.outcome {
            println!("skipped: {} with {}: {reason}", row.client, row.method);
        }
    }
    let documented = Trial::test("the_table_of_the_docs_is_up_to_date", || {
        table::compare_with_docs().map_err(Failed::from)
    });
    let presets = Trial::test(
        "every_target_of_a_page_has_the_preset_of_its_consumers",
        || table::compare_with_pages().map_err(Failed::from),
    );
    let skips = Trial::test("a_wrong_pin_is_not_skipped", || {
        tools::check_what_is_skipped().map_err(Failed::from)
    });
    let trials = rows.into_iter().map(|row| {
        let name = name(row.client, row.method);
        let skipped = matches!(row.outcome, Outcome::Skipped(_));
        let trial = Trial::test(name, move || match row.outcome {
            Outcome::Passed | Outcome::Skipped(_) => Ok(()),
            Outcome::Failed(why) => Err(why.into()),
        });
        trial.with_ignored_flag(skipped)
    });
    let trials = trials.chain([documented, presets, skips]).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn name(client: Client, method: Method) -> String {
    format!("{client} with {method}")
}

/// Whether a test of the method was asked for.
fn is_wanted(arguments: &Arguments, method: Method) -> bool {
    let is_wanted = |filter: &str| {
        let mut names = Client::ALL.into_iter().map(|client| name(client, method));
        names.any(|name| name.contains(filter))
    };
    arguments.filter.as_deref().is_none_or(is_wanted)
}

fn run(arguments: &Arguments) -> Vec<Row> {
    let methods = Method::ALL.map(|method| is_wanted(arguments, method).then_some(method));
    if methods == [None; Method::ALL.len()] {
        return Vec::new();
    }
    let tools = tools::Tools::install();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut rows = Vec::new();
        for method in methods.into_iter().flatten() {
            rows.extend(method::run(method, &tools).await);
        }
        rows
    })
}
