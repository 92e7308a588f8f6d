//! How many requests a second the simulator answers, with a client on the same machine:
//! `cargo run --release -p atlassian-sim --example throughput`.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlassian_sim::{Config, Sim};

const CONNECTIONS: usize = 16;
const REQUESTS: usize = 2_000;
const HANDSHAKES: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::start(Config::default()).await?;
    let site = sim.cloud_site("acme");
    let start = Instant::now();
    let tokens = Arc::new(site.bulk_tokens("user", 5_000));
    println!("{} users and tokens in {:?}", tokens.len(), start.elapsed());

    let ca = reqwest::Certificate::from_pem(sim.ca_pem().as_bytes())?;
    let build = |idle| {
        reqwest::Client::builder()
            .tls_certs_only([ca.clone()])
            .no_proxy()
            .resolve(site.host(), sim.addr())
            .pool_max_idle_per_host(idle)
            .build()
    };
    let url = format!("{}/rest/api/3/myself", site.url());

    let client = build(CONNECTIONS)?;
    let start = Instant::now();
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| {
            let (client, url, tokens) = (client.clone(), url.clone(), Arc::clone(&tokens));
            tokio::spawn(async move {
                for token in tokens.iter().skip(worker).cycle().take(REQUESTS) {
                    let request = client.get(&url).header("authorization", token.basic());
                    request.send().await?.error_for_status()?.bytes().await?;
                }
                Ok::<_, reqwest::Error>(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    report(
        "requests, kept alive",
        CONNECTIONS * REQUESTS,
        start.elapsed(),
    );

    let client = build(0)?;
    let start = Instant::now();
    for token in tokens.iter().take(HANDSHAKES) {
        let request = client.get(&url).header("authorization", token.basic());
        request.send().await?.error_for_status()?.bytes().await?;
    }
    report("requests, a handshake each", HANDSHAKES, start.elapsed());
    Ok(())
}

fn report(what: &str, number: usize, time: Duration) {
    let micros = time.as_micros().max(1);
    println!(
        "{number} {what} in {time:?}: {}/s",
        number as u128 * 1_000_000 / micros
    );
}
