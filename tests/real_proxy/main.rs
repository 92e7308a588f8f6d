//! The operator behind a real proxy. Where there is none, the test is counted as ignored, and the reason is
//! printed.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test may panic"
)]

#[path = "../system/proxied/steps.rs"]
mod steps;
#[expect(dead_code, reason = "shared with another test, which needs more of it")]
#[path = "../system"]
mod system {
    pub(crate) mod support;
}
mod tinyproxy;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use libtest_mimic::{Arguments, Trial};
use serde_json::json;

use steps::{INTERVAL, pat, recovers, through, told};
use support::World;
use system::support;
use tinyproxy::Tinyproxy;

fn main() {
    let arguments = Arguments::from_args();
    let program = tinyproxy::program();
    if let Err(reason) = &program {
        println!("skipped: tinyproxy cannot be had: {reason}");
    }
    let is_missing = program.is_err();
    let name = "a_real_proxy_carries_the_calls_tells_a_wrong_password_and_comes_back";
    let trial = Trial::test(name, move || {
        let program = program?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(carries_tells_and_comes_back(&program));
        Ok(())
    });
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(is_missing)]).exit();
}

async fn carries_tells_and_comes_back(program: &Path) {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    fs::write(&credentials, "robot:canary").unwrap();
    let port = {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    let proxy = Tinyproxy::start(program, &folder, port);
    let url = format!("http://127.0.0.1:{port}");
    let operator = through(&world, &url, Some(&credentials)).await;
    // The only name of the simulator that a program outside of the tests can resolve.
    let dc = world.sim.data_center_at("localhost");
    pat(&world, "bot", &dc).await;
    told(&world, "bot", "does not accept the operator's credentials").await;
    assert_eq!(world.calls(), 0);

    fs::write(&credentials, "robot:right").unwrap();
    recovers(&world, &operator, "bot").await;
    let authority = format!("localhost:{}", world.sim.port());
    assert_eq!(proxy.connects_to(&authority), 2);

    drop(proxy);
    world.advance(INTERVAL);
    operator.look_again(1).await;
    told(&world, "bot", "there is no connection to the proxy").await;

    let proxy = Tinyproxy::start(program, &folder, port);
    recovers(&world, &operator, "bot").await;
    assert!(proxy.connects_to(&authority) > 2);

    // A site that the proxy cannot reach has a message of its own.
    world.sim.cut_connections();
    let closed = {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    let away = json!({"site": format!("https://localhost:{closed}")});
    world.change("bot", away).await;
    told(&world, "bot", "got no connection to it (status 5").await;
}
