//! What the tests share: a client that trusts the simulator and finds its hosts.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of this"
)]

pub(crate) mod authorize;
pub(crate) mod kept;
pub(crate) mod oauth;

use std::time::Duration;

use atlassian_sim::Sim;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap};
use serde_json::Value;

/// A client for the given hosts, without redirects.
pub(crate) fn client(sim: &Sim, hosts: &[&str]) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
    let mut builder = reqwest::Client::builder()
        .tls_certs_only([ca])
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .resolve(sim.gateway_host(), sim.addr())
        .resolve(sim.auth_host(), sim.addr());
    for host in hosts {
        builder = builder.resolve(host, sim.addr());
    }
    builder.build().unwrap()
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// GET with an `Authorization` header, if not empty; its errors as they come.
pub(crate) async fn try_get(
    client: &reqwest::Client,
    url: &str,
    authorization: &str,
) -> Result<Answer, reqwest::Error> {
    let mut request = client.get(url).header(ACCEPT, "application/json");
    if !authorization.is_empty() {
        request = request.header(AUTHORIZATION, authorization);
    }
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer {
        status,
        headers,
        text: response.text().await?,
    })
}

pub(crate) async fn get(client: &reqwest::Client, url: &str, authorization: &str) -> Answer {
    try_get(client, url, authorization).await.unwrap()
}
