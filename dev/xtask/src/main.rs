//! The workshop's commands: `cargo xtask demo | bench | e2e | image | kill | krew | mutants | site | soak | messages | generate`.

mod bench;
mod cargo;
mod demo;
mod e2e;
mod failure;
mod generate;
mod hash;
mod image;
mod kill;
mod krew;
mod messages;
mod mutants;
mod operator;
mod reference;
mod site;
mod soak;
mod stage;
mod ui;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The workshop of jira-credential-operator.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the operator at work: a real API server, simulated Jira sites, the real binary.
    Demo(demo::Options),
    /// Measures time, requests, CPU and memory with many credentials.
    Bench(bench::Options),
    /// Runs the image in a real pod, and pods that mount what it publishes; says so where that cannot be.
    E2e(e2e::Options),
    /// Builds the container image, without a container engine.
    Image(image::Options),
    /// Kills the operator while it renews tokens, and counts what became of them.
    Kill(kill::Options),
    /// Puts the kubectl plugin into archives, and writes the manifest by which Krew installs it.
    Krew(krew::Options),
    /// Breaks the operator on purpose and requires a named test to notice.
    Mutants(mutants::Options),
    /// Builds the documents as a web site, and checks its links.
    Site(site::Options),
    /// Lets everything around many credentials fail in turn, and counts what was lost.
    Soak(soak::Options),
    /// Writes docs/messages.md, the table of all messages.
    Messages,
    /// Writes the files that are generated from the code.
    Generate(generate::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Chosen here once: kube and reqwest must not each bring a provider of their own.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cargo xtask: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Demo(options) => Box::pin(demo::run(&options)).await,
            Command::Bench(options) => bench::run(&options).await,
            Command::E2e(options) => Box::pin(e2e::run(&options)).await,
            Command::Image(options) => image::run(&options).await,
            Command::Kill(options) => kill::run(&options).await,
            Command::Krew(options) => krew::run(&options).await,
            Command::Site(options) => site::run(&options).await,
            Command::Soak(options) => Box::pin(soak::run(&options)).await,
            Command::Mutants(options) => mutants::run(&options).await,
            Command::Generate(options) => generate::run(&options),
            Command::Messages => messages::run().await,
        }
    });
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("cargo xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The directory of the workspace.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or(here.clone(), PathBuf::from)
}
