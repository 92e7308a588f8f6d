//! `login --method oauth1`: a key pair, the application link that a person makes with it, and the dance.

use std::time::Instant;

use atlassian_sim::{ApplicationLink, DataCenter, LinkKey};
use jira_credential_operator::clock::Clock;
use serde_json::{Value, json};

use crate::desk::{Login, MACHINE_TIME, free_callback, parameter, visit};
use crate::support::{Running, World};

const PROMPT: &str = "Press Enter when";

struct Desk {
    world: World,
    _operator: Running,
    site: DataCenter,
    callback: String,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let world = World::new().await;
        let operator = world.operator().await;
        let site = world.sim.data_center("jira").context_path("/jira");
        let site = site.user("ann").user("bob");
        let folder = tempfile::tempdir().unwrap();
        world.sim.write_ca(folder.path().join("ca.pem")).unwrap();
        Self {
            world,
            _operator: operator,
            site,
            callback: free_callback(),
            folder,
        }
    }

    fn login(&self, more: &[&str]) -> Login {
        let ca = self.folder.path().join("ca.pem");
        let mut args = vec!["login", "bot", "--allowed-addresses", "127.0.0.0/8,::1"];
        args.extend(["--extra-ca-file", ca.to_str().unwrap()]);
        args.extend(more);
        let mut command = self.world.command(&args);
        // There is no browser.
        Login::start(command.env("PATH", self.folder.path()))
    }

    /// Starts the login of a new credential.
    fn first(&self, more: &[&str]) -> Login {
        let site = self.site.url();
        let mut args = vec!["--method", "oauth1", "--consumer-key", "sync", "--site"];
        args.extend([site.as_str()]);
        args.extend(more);
        self.login(&args)
    }

    /// Enters what a login shows in Jira.
    fn link(&self, login: &Login) -> ApplicationLink {
        let key = LinkKey::pasted(&login.seen).unwrap();
        self.site.application_link("sync", &key)
    }

    /// The Secret has a key and no token, and there is no credential.
    async fn only_the_key_is_stored(&self) {
        let secret = self.world.secrets().get("bot-link").await.unwrap();
        let data = secret.data.unwrap();
        let keys: Vec<&str> = data.keys().map(String::as_str).collect();
        assert_eq!(keys, ["privateKey"]);
        let object = self.world.credentials().get_opt("bot").await.unwrap();
        assert!(object.is_none());
    }
}

#[tokio::test]
async fn a_first_login_ends_ready_and_shows_no_secret() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let started = Instant::now();
    let mut login = desk.first(&["--redirect-uri", &desk.callback]);
    login.until(PROMPT).await;
    for line in ["Consumer key:  sync", "Made a key pair"] {
        assert!(login.seen.contains(line), "{}", login.seen);
    }
    // Jira is asked, and the person again.
    login.write("").await;
    login
        .until("Jira knows no application link with the consumer key sync.")
        .await;
    login.until(PROMPT).await;
    desk.only_the_key_is_stored().await;
    desk.link(&login);
    login.write("").await;
    let url = login.url().await;
    let landing = world.sim.person("ann").accept(&url);
    let callback = landing.callback().unwrap();
    let request = parameter(&url, "oauth_token");
    let response = visit(&callback.replace(&request, "0")).await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    let shown = login.shown_to_others();
    let response = visit(callback).await;
    assert!(response.contains("Consent received"), "{response}");
    let done = login.end().await;
    let took = started.elapsed();
    assert!(took < MACHINE_TIME, "from nothing to Ready: {took:?}");
    let told = done.ended(0);
    assert!(told.starts_with("bot: Ready True (Validated)"), "{told}");
    assert!(done.err.contains("Ann (ann) consented."), "{}", done.err);
    let private = world.value("bot-link", "privateKey").await;
    let line = private.lines().nth(5).unwrap().to_owned();
    let token = world.value("bot-link", "token").await;
    let token_secret = world.value("bot-link", "tokenSecret").await;
    let verifier = parameter(callback, "oauth_verifier");
    for canary in [&line, &token, &token_secret, &verifier] {
        for text in [&done.out, &done.err, &response, &shown] {
            assert!(!text.contains(canary.as_str()), "{canary} is shown");
        }
    }
    assert!(!shown.contains(&request) && !done.out.contains(&request));
    assert!(!done.err.contains("PRIVATE KEY"), "{}", done.err);
    let object = world.credentials().get("bot").await.unwrap();
    let spec: Value = serde_json::to_value(&object.spec).unwrap();
    let today = Clock::system().now().date_naive();
    assert_eq!(spec["hosting"], "DataCenter");
    assert_eq!(
        spec["auth"]["oauth1"],
        json!({"consumerKey": "sync", "secretRef": {"name": "bot-link"}, "issuedAt": today})
    );
}

#[tokio::test]
async fn a_second_run_goes_on_with_the_key_that_is_stored() {
    let desk = Desk::new().await;
    let world = &desk.world;
    // Nobody can answer: the key is made, and the person told how to go on.
    let mut login = desk.first(&["--no-browser"]);
    login.until(PROMPT).await;
    desk.link(&login);
    let done = login.end().await;
    done.ended(3);
    let told = "the new private key stays in the key privateKey of the Secret bot-link";
    assert!(done.err.contains(told), "{}", done.err);
    desk.only_the_key_is_stored().await;
    let private = world.value("bot-link", "privateKey").await;
    let mut login = desk.first(&["--no-browser"]);
    let url = login.url().await;
    login.until("Jira then shows a verification code").await;
    let landing = world.sim.person("ann").accept(&url);
    login.write("two words").await;
    login.until("This is not a verification code").await;
    login.write(&landing.verifier().unwrap()).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    assert!(!done.err.contains("key pair"), "{}", done.err);
    assert_eq!(world.value("bot-link", "privateKey").await, private);
    let token = world.value("bot-link", "token").await;
    // Again: the spec says everything, and gets the date of the new token.
    let old = json!({"spec": {"auth": {"oauth1": {"issuedAt": "2024-02-01"}}}});
    let patch = kube::api::Patch::Merge(old);
    let params = kube::api::PatchParams::default();
    let api = world.credentials();
    api.patch("bot", &params, &patch).await.unwrap();
    let object = world
        .until("bot", |object| {
            let status = object.status.as_ref();
            let seen = status.map(|status| status.observed_generation);
            seen == object.metadata.generation
        })
        .await;
    assert_eq!(object.metadata.generation, Some(2));
    let mut login = desk.login(&["--no-browser"]);
    let url = login.url().await;
    assert!(login.seen.contains("as Ann (ann) and"), "{}", login.seen);
    let landing = world.sim.person("ann").accept(&url);
    login.write(&landing.verifier().unwrap()).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    assert_ne!(world.value("bot-link", "token").await, token);
    let object = api.get("bot").await.unwrap();
    let issued = object.spec.auth.oauth1.unwrap().issued_at.unwrap();
    assert_eq!(
        serde_json::to_value(issued).unwrap(),
        json!(Clock::system().now().date_naive())
    );
}

#[tokio::test]
async fn what_is_declined_or_wrong_stores_no_token() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let mut login = desk.first(&["--redirect-uri", &desk.callback]);
    login.until(PROMPT).await;
    let link = desk.link(&login);
    login.write("").await;
    let url = login.url().await;
    let landing = world.sim.person("ann").decline(&url);
    let response = visit(landing.callback().unwrap()).await;
    assert!(response.contains("Consent declined"), "{response}");
    let done = login.end().await;
    done.ended(3);
    let told = "the consent was declined. Nothing was stored; run login again to consent (the new";
    assert!(done.err.contains(told), "{}", done.err);
    desk.only_the_key_is_stored().await;
    for (who, told, wrong) in [
        ("ann", "does not accept the verification code", true),
        ("bob", "consented, but ann must", false),
    ] {
        let mut login = desk.first(&["--no-browser", "--account", "ann"]);
        let url = login.url().await;
        let landing = world.sim.person(who).accept(&url);
        let verifier = landing.verifier().unwrap();
        login.write(if wrong { "wrong" } else { &verifier }).await;
        let done = login.end().await;
        done.ended(3);
        assert!(done.err.contains(told), "{}", done.err);
        // Nobody took the access back that bob gave.
        let remains = "The access that was granted remains at Jira; to remove it";
        assert_eq!(done.err.contains(remains), !wrong, "{}", done.err);
        desk.only_the_key_is_stored().await;
    }
    // The link has another callback.
    let link = link.callback("http://localhost:1/other");
    let done = desk.first(&["--redirect-uri", &desk.callback]).end().await;
    done.ended(3);
    let told = "leave the callback URL of the link empty";
    assert!(done.err.contains(told), "{}", done.err);
    desk.only_the_key_is_stored().await;
    // The administrator has pasted another key.
    link.set_key(&LinkKey::generate().unwrap());
    let mut login = desk.first(&["--no-browser"]);
    login.until("Jira does not accept the signature").await;
    login.until(PROMPT).await;
    desk.link(&login);
    login.write("").await;
    let url = login.url().await;
    let landing = world.sim.person("ann").accept(&url);
    login.write(&landing.verifier().unwrap()).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
}

#[tokio::test]
async fn a_secret_that_somebody_changed_meanwhile_is_not_overwritten() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let mut login = desk.first(&["--no-browser"]);
    login.until(PROMPT).await;
    desk.link(&login);
    login.write("").await;
    let url = login.url().await;
    world.secret("bot-link", &[("token", "theirs")]).await;
    let landing = world.sim.person("ann").accept(&url);
    login.write(&landing.verifier().unwrap()).await;
    let done = login.end().await;
    done.ended(1);
    let told = "somebody changed the Secret bot-link meanwhile. Nothing was stored";
    assert!(done.err.contains(told), "{}", done.err);
    assert_eq!(world.value("bot-link", "token").await, "theirs");
    let object = world.credentials().get_opt("bot").await.unwrap();
    assert!(object.is_none());
    // A key that somebody stored is used or refused, never replaced.
    world.secret("bot-link", &[("privateKey", "theirs")]).await;
    let done = desk.first(&["--no-browser"]).end().await;
    done.ended(1);
    let told = "the key privateKey of the Secret bot-link holds no private key";
    assert!(done.err.contains(told), "{}", done.err);
    assert_eq!(world.value("bot-link", "privateKey").await, "theirs");
}

#[tokio::test]
async fn a_callback_that_is_given_counts_without_a_browser_too() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let mut login = desk.first(&["--no-browser", "--redirect-uri", &desk.callback]);
    login.until(PROMPT).await;
    desk.link(&login);
    login.write("").await;
    let url = login.url().await;
    login.until("The browser ends at http://localhost").await;
    // Another key of the Secret is nobody's loss.
    world.secret("bot-link", &[("more", "theirs")]).await;
    let landing = world.sim.person("ann").accept(&url);
    let response = visit(landing.callback().unwrap()).await;
    assert!(response.contains("Consent received"), "{response}");
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    assert_eq!(world.value("bot-link", "more").await, "theirs");
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_the_limit() {
    let desk = Desk::new().await;
    let mut login = desk.first(&["--no-browser", "--consent-timeout", "1s"]);
    login.until(PROMPT).await;
    let done = login.end_of_itself().await;
    done.ended(4);
    let told = "nobody pressed Enter within --consent-timeout. Nothing was stored";
    assert!(done.err.contains(told), "{}", done.err);
    desk.only_the_key_is_stored().await;
}
