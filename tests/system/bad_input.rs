//! Whatever is wrong with what people write or with what answers at the site: each case has its
//! reason, a message that names the remedy, and publishes nothing.

mod answers;

mod sources;

use sources::{Use, nothing_came_of_it, spec};
use std::time::Duration;

use jira_credential_operator::api::{JiraCredential, JiraCredentialSpec, Reason};
use jira_credential_operator::core::spec::{Site, SiteError};
use jira_credential_operator::jira::HostPolicy;
use kube::api::PostParams;
use serde_json::json;

use crate::support::World;

/// Stands in every value that is no credential; no message may repeat it.
const CANARY: &str = "c4n4ryC4N4RY";

/// A port of this machine on which nobody listens.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_not_there_is_told_with_what_to_check() {
    let world = World::new().await;
    let hosts = ["*.dc.localhost", "*.nowhere.invalid"];
    let _operator = world
        .operator_with(|config| {
            config.hosts = HostPolicy::parse(["*.cloud.localhost"], hosts).unwrap();
            config.jira.timeouts.resolve = Duration::from_millis(500);
        })
        .await;
    let jira = world.data_center();
    let token = jira.pat("bot");
    world.secret("source", &[("token", token.secret())]).await;
    let without_path = format!("https://{}:{}", jira.host(), world.sim.port());
    let auth =
        json!({"personalAccessToken": {"tokenSecretRef": {"name": "source", "key": "token"}}});
    for (name, site, remedy) in [
        (
            "no-path",
            without_path.clone(),
            "Check the name in spec.site, and whether Jira has a context path there",
        ),
        (
            "other-path",
            format!("{without_path}/wiki"),
            "whether the path in it is the context path of Jira",
        ),
        (
            "closed-port",
            format!("https://{}:{}", jira.host(), closed_port()),
            "Check spec.site, network policies and whether Jira is up.",
        ),
        (
            "no-such-name",
            "https://jira.nowhere.invalid".to_owned(),
            "does not resolve. Check spec.site and the cluster's DNS.",
        ),
    ] {
        world
            .create(name, json!({"site": site, "auth": auth}))
            .await;
        let object = world.wait_unready(name, Reason::SiteUnavailable).await;
        nothing_came_of_it(&world, &object, remedy).await;
    }
    // The correction is tried at once, not after the wait that the wrong site had earned.
    for name in ["no-path", "closed-port", "no-such-name"] {
        world.change(name, json!({"site": jira.url()})).await;
        world.wait_ready(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_spec_is_tried_at_once_after_an_outage() {
    let world = World::new().await;
    let _operator = world
        .operator_with(|config| config.jira.extra_ca_pem = None)
        .await;
    let jira = world.data_center();
    let token = jira.pat("bot");
    let data = [("token", token.secret()), ("ca.crt", world.sim.ca_pem())];
    world.secret("source", &data).await;
    world
        .create("bot", spec(&world, &jira, Use::Pat, "source"))
        .await;
    let object = world.wait_unready("bot", Reason::SiteUnavailable).await;
    nothing_came_of_it(&world, &object, "For a private CA set spec.tls.").await;
    let ca = json!({"caSecretRef": {"name": "source", "key": "ca.crt"}});
    world.change("bot", json!({"tls": ca})).await;
    world.wait_ready("bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_international_name_works_in_its_ascii_form() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let jira = world.sim.data_center("xn--bcher-kva");
    let token = jira.pat("bot");
    world.secret("source", &[("token", token.secret())]).await;
    world
        .create("bot", spec(&world, &jira, Use::Pat, "source"))
        .await;
    world.wait_ready("bot").await;
}

fn basic_spec(site: &str) -> JiraCredentialSpec {
    let auth = json!({"basic": {"secretRef": {"name": "source"}}});
    serde_json::from_value(json!({"site": site, "auth": auth})).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_no_site_is_refused_by_the_api_server_and_again_by_the_operator() {
    use SiteError::{IpLiteral, NotAUrl, NotHttps, Surplus};
    let world = World::new().await;
    for (site, remedy, again) in [
        (
            "http://jira.example.com",
            "must start with https://",
            Some(NotHttps),
        ),
        (
            "jira.example.com",
            "must start with https://",
            Some(NotAUrl),
        ),
        ("https://", "", Some(NotAUrl)),
        (
            "https://bot:secret@jira.example.com",
            "must not contain user info: remove everything up to the @",
            Some(Surplus),
        ),
        (
            "https://bot@jira.example.com",
            "must not contain user info",
            Some(Surplus),
        ),
        (
            "https://jira.example.com/?a=b",
            "must not contain a query or fragment",
            Some(Surplus),
        ),
        (
            "https://jira.example.com/#a",
            "must not contain a query or fragment",
            Some(Surplus),
        ),
        ("https://127.0.0.1", "not an IP address", Some(IpLiteral)),
        (
            "https://169.254.169.254/jira",
            "not an IP address",
            Some(IpLiteral),
        ),
        ("https://[::1]:8443", "not an IP address", Some(IpLiteral)),
        (
            "https://[::ffff:169.254.169.254]",
            "not an IP address",
            Some(IpLiteral),
        ),
        ("https://2130706433", "not an IP address", Some(IpLiteral)),
        ("https://0x7f000001", "not an IP address", Some(IpLiteral)),
        ("https://127.1", "not an IP address", Some(IpLiteral)),
        // To be corrected by the author; the operator reads these as the name that is meant.
        (
            "https://bücher.example.com",
            "write an international name in its xn-- form",
            None,
        ),
        ("https://jira.example.com..", "in ASCII letters", None),
        ("https://jira.example.com:0", "a port from 1 to 65535", None),
        (
            "https://jira.example.com/a/../b",
            "a plain context path",
            None,
        ),
    ] {
        let object = JiraCredential::new("site", basic_spec(site));
        let refusal = world
            .credentials()
            .create(&PostParams::default(), &object)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains("spec.site") && refusal.contains(remedy),
            "{site}: {refusal}"
        );
        let read = Site::of(&object.spec);
        assert_eq!(read.err(), again, "{site}");
    }
}
