//! What a person does with `login` in a real browser, from the authorize page to the page after the callback.

use std::net::TcpListener;
use std::path::PathBuf;

use kubectl_jira_credential::login::page::Page;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::chromium::Chromium;
use crate::desk::{ANN, Desk, Login, parameter};

/// A login that is waiting, and a browser.
struct Scene {
    desk: Desk,
    chromium: Chromium,
    login: Login,
    /// What the program that opens the browser was given.
    start: String,
    /// The address that the terminal shows.
    url: String,
}

impl Scene {
    async fn new(desk: Desk) -> Self {
        let chromium = Chromium::start(&desk.folder.path().join("ca.pem")).await;
        let opened = desk.browser();
        let mut login = desk.first(&[]).await;
        let url = login.url().await;
        let start = crate::support::until_file(&opened).await;
        Self {
            desk,
            chromium,
            login,
            start,
            url,
        }
    }

    /// Presses a button of the authorize page that is shown.
    async fn press(&self, button: &str) {
        press(&self.chromium, &self.desk, button).await;
    }

    /// Looks at the page after the callback.
    async fn shows(&self, title: &str) {
        let heading = "document.querySelector('h1')?.innerText";
        self.chromium.until(heading, title).await;
        is_sound(&self.chromium).await;
        let html = self.chromium.value("document.documentElement.outerHTML");
        let html = html.await.as_str().unwrap().to_owned();
        let address = self.chromium.address().await;
        for name in ["code", "state"] {
            if address.contains(&format!("{name}=")) {
                let value = parameter(&address, name);
                assert!(!html.contains(&value), "the {name} is in the page: {html}");
            }
        }
    }

    /// The login is not over.
    async fn waits(&mut self) {
        assert!(self.login.child.try_wait().unwrap().is_none());
        self.desk.nothing_is_stored().await;
    }

    async fn accepts_and_ends_ready(self) {
        self.press("accept").await;
        self.shows("Consent received").await;
        self.ends_ready().await;
    }

    async fn ends_ready(self) {
        self.chromium.end().await;
        let done = self.login.end().await;
        assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    }
}

/// Chooses the account and the site, and presses a button.
async fn press(chromium: &Chromium, desk: &Desk, button: &str) {
    let host = desk.site.host();
    for selector in [
        format!("option[value='{ANN}']"),
        format!("input[name=site][value='{host}']"),
        format!("button[value={button}]"),
    ] {
        chromium.click(&selector).await;
    }
}

/// The page keeps its content security policy, loads nothing and runs nothing.
async fn is_sound(chromium: &Chromium) {
    let loaded = "performance.getEntriesByType('resource').map(entry => entry.name)";
    assert_eq!(chromium.value(loaded).await, json!([]));
    assert_eq!(chromium.value("document.scripts.length").await, 0);
    // A policy that forbids the style would leave the margin of the browser.
    let styled = "getComputedStyle(document.body).margin !== '8px'";
    assert_eq!(chromium.value(styled).await, true);
    let refused = chromium.log().await;
    let refused: Vec<_> = refused
        .iter()
        // Chromium reports the status of the page itself, too.
        .filter(|line| !line.contains("the server responded with a status of 4"))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

pub(crate) async fn a_person_accepts() {
    let scene = Scene::new(Desk::new().await).await;
    scene.chromium.open(&scene.start).await.unwrap();
    assert!(scene.chromium.address().await.starts_with(&scene.url));
    scene.accepts_and_ends_ready().await;
}

pub(crate) async fn a_person_declines() {
    let scene = Scene::new(Desk::new().await).await;
    scene.chromium.open(&scene.start).await.unwrap();
    scene.press("decline").await;
    scene.shows("Consent declined").await;
    scene.chromium.end().await;
    let done = scene.login.end().await;
    done.ended(3);
    scene.desk.nothing_is_stored().await;
}

pub(crate) async fn a_callback_with_another_state_is_not_accepted() {
    let mut scene = Scene::new(Desk::new().await).await;
    let callback = scene.desk.accepted(ANN, &scene.url);
    let state = parameter(&scene.url, "state");
    for wrong in [
        callback.replace(&state, &"0".repeat(64)),
        callback.replace("&state=", "&was="),
    ] {
        scene.chromium.open(&wrong).await.unwrap();
        let title = "This answer belongs to another login";
        scene.shows(title).await;
        scene.waits().await;
    }
    // The way from there: the address that the terminal shows.
    scene.chromium.open(&scene.url).await.unwrap();
    scene.accepts_and_ends_ready().await;
}

pub(crate) async fn a_callback_counts_once_and_other_tabs_change_nothing() {
    let mut scene = Scene::new(Desk::new().await).await;
    scene.chromium.open(&scene.start).await.unwrap();
    let first = scene.chromium.tab().await;
    // The start page redirects once; another user who finds its address in a list of processes gets nothing.
    scene.chromium.open(&scene.start).await.unwrap();
    scene.shows("There is nothing here").await;
    scene.chromium.open(&scene.url).await.unwrap();
    scene.waits().await;
    let second = scene.chromium.tab().await;
    scene.chromium.go_to(&first).await;
    scene.press("accept").await;
    scene.shows("Consent received").await;
    let callback = scene.chromium.address().await;
    // The same callback again, and one of a second consent: nobody listens any more.
    let refused = scene.chromium.open(&callback).await.unwrap_err();
    assert!(refused.contains("ERR_CONNECTION_REFUSED"), "{refused}");
    scene.chromium.go_to(&second).await;
    scene.press("accept").await;
    assert_ne!(scene.chromium.address().await, callback);
    let refused = "document.body.innerText.includes('ERR_CONNECTION_REFUSED')";
    scene.chromium.until(refused, true).await;
    assert_eq!(scene.desk.world.sim.consent_counts().codes, 2);
    scene.ends_ready().await;
}

pub(crate) async fn a_window_that_was_closed_can_be_opened_again() {
    let mut scene = Scene::new(Desk::new().await).await;
    let first = scene.chromium.tab().await;
    scene.chromium.open(&scene.start).await.unwrap();
    scene.chromium.close_tab().await;
    scene.chromium.go_to(&first).await;
    scene.waits().await;
    scene.chromium.open(&scene.url).await.unwrap();
    scene.accepts_and_ends_ready().await;
}

pub(crate) async fn a_window_that_stays_closed_ends_with_the_time() {
    let desk = Desk::new().await;
    let chromium = Chromium::start(&desk.folder.path().join("ca.pem")).await;
    let _opened = desk.browser();
    let mut login = desk.first(&["--consent-timeout", "5s"]).await;
    let url = login.url().await;
    let _first = chromium.tab().await;
    chromium.open(&url).await.unwrap();
    chromium.close_tab().await;
    chromium.end().await;
    let done = login.end().await;
    done.ended(4);
    assert!(done.err.contains("nobody consented within"), "{}", done.err);
    desk.nothing_is_stored().await;
}

pub(crate) async fn the_address_bar_has_the_callback_when_the_port_is_taken() {
    let desk = Desk::new().await;
    let chromium = Chromium::start(&desk.folder.path().join("ca.pem")).await;
    let host = desk.callback.split('/').nth(2).unwrap();
    let taken = tokio::net::TcpListener::bind(host.replace("localhost", "127.0.0.1"));
    let taken = taken.await.unwrap();
    // Another program, which knows nothing of a login.
    let other = tokio::spawn(async move {
        loop {
            let (mut stream, _) = taken.accept().await.unwrap();
            let response =
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let _ = stream.write_all(response).await;
            }
        }
    });
    let mut login = desk.first(&["--no-browser"]).await;
    let url = login.url().await;
    login.until("The browser ends at ").await;
    chromium.open(&url).await.unwrap();
    press(&chromium, &desk, "accept").await;
    chromium.until("document.body.innerText", "no").await;
    let shown = chromium.address().await;
    assert!(shown.starts_with(&desk.callback), "{shown}");
    chromium.end().await;
    other.abort();
    login.write(&shown).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
}

pub(crate) async fn the_callback_may_be_on_the_loopback_of_ipv6() {
    let mut desk = Desk::new().await;
    let socket = TcpListener::bind("[::1]:0")
        .unwrap_or_else(|error| panic!("this machine has no IPv6 loopback: {error}"));
    desk.callback = format!("http://{}/callback", socket.local_addr().unwrap());
    drop(socket);
    desk.app = desk.world.sim.oauth_app().callback(&desk.callback);
    let scene = Scene::new(desk).await;
    assert!(scene.start.starts_with("http://[::1]:"), "{}", scene.start);
    scene.chromium.open(&scene.start).await.unwrap();
    scene.accepts_and_ends_ready().await;
}

/// Serves one page of the listener, whatever is asked.
async fn serve(page: Page) -> String {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/callback", socket.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = socket.accept().await.unwrap();
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let _ = stream.write_all(page.response().as_bytes()).await;
            }
        }
    });
    address
}

/// With `JCO_SCREENSHOTS` set to a folder, the pictures are kept there.
pub(crate) async fn every_page_suits_light_and_dark_wide_and_narrow() {
    let sim = atlassian_sim::Sim::start_blocking(atlassian_sim::Config::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    sim.write_ca(folder.path().join("ca.pem")).unwrap();
    let chromium = Chromium::start(&folder.path().join("ca.pem")).await;
    let pictures = std::env::var_os("JCO_SCREENSHOTS").map(PathBuf::from);
    for page in Page::ALL {
        chromium.open(&serve(page).await).await.unwrap();
        let mut colours = Vec::new();
        for (scheme, width) in [
            ("light", 1024),
            ("dark", 1024),
            ("light", 320),
            ("dark", 320),
        ] {
            chromium.appear(scheme, width).await;
            let wide = chromium.value("document.documentElement.scrollWidth").await;
            assert_eq!(wide, width, "{page:?} does not fit {width}");
            colours.push(
                chromium
                    .value("getComputedStyle(document.body).backgroundColor")
                    .await,
            );
            if let Some(folder) = &pictures {
                let name = format!("{page:?}-{scheme}-{width}.png").to_lowercase();
                chromium.screenshot(&folder.join(name)).await;
            }
        }
        assert_ne!(colours[0], colours[1], "{page:?} has one scheme");
        is_sound(&chromium).await;
    }
    chromium.end().await;
}
