//! The simulator as a program: `atlassian-sim --port 8443 --admin-port 8444 --ca-file ca.pem`.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;

use atlassian_sim::{Config, Sim};
use clap::Parser;

/// Simulates Atlassian Cloud and Jira Data Center on loopback.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Options {
    /// The HTTPS port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The port of the admin API (plain HTTP); 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    admin_port: u16,
    /// Where to write the certificate of the simulator's authority.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// A JSON document of the sites, users, tokens and faults to start with.
    #[arg(long)]
    state: Option<PathBuf>,
    /// A further name in the certificate, such as `*.atlassian.test`; may be repeated.
    #[arg(long = "name")]
    names: Vec<String>,
    /// How many calls the log keeps.
    #[arg(long, default_value_t = 100_000)]
    call_log: usize,
    /// Threads of the server.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let sim = Sim::start_blocking(Config {
        port: options.port,
        admin_port: Some(options.admin_port),
        extra_names: options.names,
        call_log_capacity: options.call_log,
        worker_threads: options.threads,
        ..Config::default()
    })?;
    if let Some(path) = &options.state {
        sim.load_state(&std::fs::read_to_string(path)?)?;
    }
    // The file comes last: who waits for it finds a simulator that is ready.
    if let Some(path) = &options.ca_file {
        sim.write_ca(path)?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "https://localhost:{}", sim.port())?;
    if let Some(admin) = sim.admin_url() {
        writeln!(out, "{admin}")?;
    }
    out.flush()?;
    drop(out);
    loop {
        std::thread::park();
    }
}
