//! Chromium without a window, driven over the protocol `WebDriver` of W3C and the commands that
//! `chromedriver` adds to it. The crates that speak it cost too much here: thirtyfour turns on
//! `serde_json/preserve_order` for the whole workspace, fantoccini brings a second `http` and ICU.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::PATIENCE;

/// The name of an element reference (`WebDriver`, section Elements).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const INSTALL: &str = "install chromium, chromium-driver and libnss3-tools (CONTRIBUTING.md)";

pub(crate) struct Chromium {
    http: reqwest::Client,
    session: String,
    _driver: Child,
    _home: TempDir,
}

impl Chromium {
    /// Starts a browser that trusts one more certificate authority and reaches this machine only.
    pub(crate) async fn start(authority: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        trust(home.path(), authority).await;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", home.path())
            .env_remove("XDG_DATA_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver does not start: {error}; {INSTALL}"));
        let address = format!("http://127.0.0.1:{}", port(&mut driver).await);
        let profile = home.path().join("profile");
        let mut chromium = Self {
            http: reqwest::Client::builder()
                .timeout(PATIENCE)
                .build()
                .unwrap(),
            session: address,
            _driver: driver,
            _home: home,
        };
        let wanted = capabilities(&profile);
        let session = chromium.send(Method::POST, "/session", wanted).await;
        let id = session.unwrap()["sessionId"].as_str().unwrap().to_owned();
        chromium.session = format!("{}/session/{id}", chromium.session);
        chromium
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Result<Value, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.session));
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let is_success = response.status().is_success();
        let mut answer: Value = response.json().await.unwrap();
        let value = answer["value"].take();
        if is_success {
            return Ok(value);
        }
        Err(value["message"].as_str().unwrap_or_default().to_owned())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.send(Method::POST, path, body).await.unwrap()
    }

    /// Opens an address; the error is that of the network.
    pub(crate) async fn open(&self, url: &str) -> Result<(), String> {
        let opened = self.send(Method::POST, "/url", json!({"url": url})).await;
        opened.map(drop)
    }

    /// What stands in the address bar.
    pub(crate) async fn address(&self) -> String {
        let url = self.send(Method::GET, "/url", Value::Null).await.unwrap();
        url.as_str().unwrap().to_owned()
    }

    /// The value of an expression of JavaScript in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.post("/execute/sync", json!({"script": script, "args": []}))
            .await
    }

    /// Polls until an expression has a value: a click may return before the page that follows is there.
    pub(crate) async fn until(&self, expression: &str, expected: impl Into<Value>) {
        let (started, expected) = (Instant::now(), expected.into());
        loop {
            let value = self.value(expression).await;
            if value == expected {
                return;
            }
            let address = self.address().await;
            assert!(
                started.elapsed() < PATIENCE,
                "{expression} is {value} at {address}"
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Clicks what a CSS selector finds.
    pub(crate) async fn click(&self, selector: &str) {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.post("/element", wanted).await;
        let element = found[ELEMENT].as_str().unwrap();
        self.post(&format!("/element/{element}/click"), json!({}))
            .await;
    }

    /// Opens a tab and goes to it; says which one it was in.
    pub(crate) async fn tab(&self) -> String {
        let before = self.send(Method::GET, "/window", Value::Null).await;
        let tab = self.post("/window/new", json!({"type": "tab"})).await;
        self.go_to(tab["handle"].as_str().unwrap()).await;
        before.unwrap().as_str().unwrap().to_owned()
    }

    pub(crate) async fn go_to(&self, tab: &str) {
        self.post("/window", json!({"handle": tab})).await;
    }

    /// Closes the tab that it is in.
    pub(crate) async fn close_tab(&self) {
        let closed = self.send(Method::DELETE, "/window", Value::Null).await;
        closed.unwrap();
    }

    /// What the browser has logged since this was last asked: errors of the network, of scripts, and
    /// of content security policies.
    pub(crate) async fn log(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({"type": "browser"})).await;
        let entries = log.as_array().unwrap().iter();
        entries
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Shows pages as a screen of a width in a colour scheme does.
    pub(crate) async fn appear(&self, scheme: &str, width: u32) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        let media = json!({"features": [feature]});
        self.developer_tools("Emulation.setEmulatedMedia", media)
            .await;
        let size = json!({"width": width, "height": 640, "deviceScaleFactor": 1, "mobile": false});
        self.developer_tools("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    async fn developer_tools(&self, command: &str, parameters: Value) {
        let body = json!({"cmd": command, "params": parameters});
        self.post("/goog/cdp/execute", body).await;
    }

    pub(crate) async fn screenshot(&self, to: &Path) {
        let picture = self.send(Method::GET, "/screenshot", Value::Null).await;
        let picture = picture.unwrap();
        let picture = BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap();
        std::fs::write(to, picture).unwrap();
    }

    pub(crate) async fn end(self) {
        let ended = self.send(Method::DELETE, "", Value::Null).await;
        ended.unwrap();
    }
}

/// Where Chromium on Linux looks for authorities beside its own.
async fn trust(home: &Path, authority: &Path) {
    let folder = home.join(".pki/nssdb");
    std::fs::create_dir_all(&folder).unwrap();
    let database = format!("sql:{}", folder.display());
    let authority = authority.to_str().unwrap();
    for args in [
        &["-N", "--empty-password"][..],
        &["-A", "-n", "simulator", "-t", "C,,", "-i", authority],
    ] {
        let mut certutil = Command::new("certutil");
        let ended = certutil.args(["-d", &database]).args(args).status().await;
        let ended =
            ended.unwrap_or_else(|error| panic!("certutil does not start: {error}; {INSTALL}"));
        assert!(ended.success(), "certutil {args:?}");
    }
}

/// The port that the driver has taken.
async fn port(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return port.trim_end_matches('.').parse().unwrap();
            }
        }
        panic!("chromedriver ended; {INSTALL}");
    };
    tokio::time::timeout(PATIENCE, port).await.unwrap()
}

fn capabilities(profile: &Path) -> Value {
    let mut args = vec![
        "--headless=new".to_owned(),
        // It ends with its driver, also when a test fails.
        "--remote-debugging-pipe".to_owned(),
        format!("--user-data-dir={}", profile.display()),
        "--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE ::1".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--no-first-run".to_owned(),
    ];
    // The sandbox of Chromium does not start as root.
    if std::fs::metadata("/proc/self")
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
    {
        args.push("--no-sandbox".to_owned());
    }
    json!({"capabilities": {"alwaysMatch": {
        "browserName": "chrome",
        "acceptInsecureCerts": false,
        "goog:chromeOptions": {"args": args},
        "goog:loggingPrefs": {"browser": "ALL"},
    }}})
}
