//! A cluster that has IPv6 only.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};

use control_plane::ControlPlane;
use reqwest::{Certificate, StatusCode};

use crate::stage::{Stage, texts};

/// What the sockets of a process are connected to or listen on, as the kernel lists them.
struct Sockets {
    ipv4: Vec<String>,
    ipv6: Vec<String>,
}

impl Sockets {
    fn of(process: u32) -> Self {
        let mine = inodes(process);
        let lines = |tables: [&str; 2]| {
            let texts =
                tables.map(|table| fs::read_to_string(format!("/proc/{process}/net/{table}")));
            let lines = texts.into_iter().flat_map(|text| {
                let text = text.unwrap();
                let lines = text.lines().skip(1).map(str::to_owned);
                lines.collect::<Vec<_>>()
            });
            let is_mine = |line: &String| {
                let inode = line.split_whitespace().nth(9);
                mine.contains(inode.unwrap())
            };
            lines.filter(is_mine).collect()
        };
        Self {
            ipv4: lines(["tcp", "udp"]),
            ipv6: lines(["tcp6", "udp6"]),
        }
    }

    /// Whether an IPv6 socket has this address, on its side or on the other.
    fn have(&self, address: &str) -> bool {
        self.ipv6.iter().any(|line| line.contains(address))
    }
}

fn inodes(process: u32) -> BTreeSet<String> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let socket = |link: &std::path::Path| {
        let name = link.to_str()?.strip_prefix("socket:[")?;
        name.strip_suffix(']').map(str::to_owned)
    };
    links.filter_map(|link| socket(&link)).collect()
}

/// As the kernel writes it: four words, each with its last byte first.
fn in_hex(address: SocketAddr) -> String {
    let SocketAddr::V6(address) = address else {
        panic!("{address}")
    };
    let octets = address.ip().octets();
    let words = octets.chunks_exact(4).map(|word| {
        let word = u32::from_le_bytes(word.try_into().unwrap());
        format!("{word:08X}")
    });
    let words: Vec<String> = words.collect();
    format!("{}:{:04X}", words.concat(), address.port())
}

/// Logs in at the site on `::1` with what was published.
async fn logs_in(stage: &Stage, published: &str) -> StatusCode {
    let secret = stage.secrets().get(published).await.unwrap();
    let site: reqwest::Url = stage.cloud().url().parse().unwrap();
    let ca = Certificate::from_pem(stage.sim.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .resolve(site.host_str().unwrap(), stage.sim.addr())
        .tls_certs_only([ca])
        .build()
        .unwrap();
    let myself = site.join("/rest/api/2/myself").unwrap();
    let login = &texts(&secret)["authorization"];
    let answer = client.get(myself).header("authorization", login);
    answer.send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ipv4_a_credential_is_validated_and_published_and_probes_are_answered() {
    let loopback = IpAddr::from(Ipv6Addr::LOCALHOST);
    if TcpListener::bind((loopback, 0)).is_err() {
        let _ = writeln!(std::io::stderr(), "skipped: this machine has no ::1");
        return;
    }
    let plane = ControlPlane::start_on(loopback).await.unwrap();
    let mut stage = Stage::on_at(&plane, loopback).await;
    stage.elect(1).await;
    let mut operator = stage.operator().await;
    operator.until_it_leads().await;
    stage.api_token("bot").await;
    stage.password("robot").await;
    for name in ["bot", "robot"] {
        stage.wait_ready(name).await;
    }
    assert_eq!(logs_in(&stage, "bot").await, StatusCode::OK);
    assert_eq!(operator.get_health("/readyz").0, 200);
    assert!(operator.passes() > 0, "{}", operator.metrics());
    assert!(operator.metrics_address().is_ipv6());

    let sockets = Sockets::of(operator.child.id());
    assert_eq!(sockets.ipv4, Vec::<String>::new());
    let api_server = SocketAddr::new(loopback, plane.port());
    for address in [operator.metrics_address(), stage.sim.addr(), api_server] {
        assert!(
            sockets.have(&in_hex(address)),
            "{address}: {:?}",
            sockets.ipv6
        );
    }
    stage.assert_at_rest(&mut operator).await;
    operator.kill();
    plane.stop().await.unwrap();
}
