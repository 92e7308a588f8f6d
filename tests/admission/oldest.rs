//! The same on the oldest API server that is supported.

use std::env::{current_exe, var_os};
use std::process::Command;

use control_plane::{ControlPlane, tools};

/// Set for the tests that the test below starts.
const STARTED: &str = "JCO_TESTS_ON_THE_OLDEST";

/// All tests of this binary again, in a process of their own, since all tests of a process share a control plane.
#[test]
fn the_oldest_supported_api_server_takes_and_refuses_the_same() {
    if var_os(STARTED).is_some() {
        return;
    }
    let assets = tools::oldest_assets().unwrap();
    let output = Command::new(current_exe().unwrap())
        .env("KUBEBUILDER_ASSETS", assets.path())
        .env(STARTED, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let here = "the_api_server_is_the_one_that_was_asked_for ... ok";
    assert!(text.contains(here), "{text}");
}

/// The test above would prove nothing if it were answered by the other API server.
#[tokio::test]
async fn the_api_server_is_the_one_that_was_asked_for() {
    let client = ControlPlane::shared().await.unwrap().client().unwrap();
    let version = client.apiserver_version().await.unwrap();
    if var_os(STARTED).is_some() {
        assert_eq!(version.minor, "30");
    } else if var_os("KUBEBUILDER_ASSETS").is_none() {
        assert_eq!(version.minor, "36");
    }
}
