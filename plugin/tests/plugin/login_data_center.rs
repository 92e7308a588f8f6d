//! `login` on Data Center: OAuth 2.0 with PKCE, whose callback a person pastes.

use std::collections::BTreeMap;
use std::time::Instant;

use atlassian_sim::{DataCenter, Fault, OAuthApp, Rule};
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use jira_credential_operator::api::{ConditionStatus, ConditionType};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::{Value, json};

use crate::desk::{Login, MACHINE_TIME, parameter, recording_browser, visit};
use crate::support::{Running, World, until_file};

const CALLBACK: &str = "https://localhost:8765/callback";

/// A world with an application link, whose Jira has a certificate of a private CA.
struct Desk {
    world: World,
    _operator: Running,
    site: DataCenter,
    link: OAuthApp,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let world = World::new().await;
        let operator = world.operator().await;
        let site = world.sim.data_center("jira").context_path("/jira");
        let site = site.user("ann").user("bob");
        let link = site.oauth_link(&[CALLBACK]);
        let ca = ConfigMap {
            metadata: ObjectMeta {
                name: Some("corp".to_owned()),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([(
                "ca.crt".into(),
                world.sim.ca_pem().into(),
            )])),
            ..ConfigMap::default()
        };
        let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
        maps.create(&PostParams::default(), &ca).await.unwrap();
        Self {
            world,
            _operator: operator,
            site,
            link,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn login(&self, more: &[&str]) -> Login {
        let mut args = vec!["login", "bot", "--allowed-addresses", "127.0.0.0/8,::1"];
        args.extend(more);
        let mut command = self.world.command(&args);
        Login::start(command.env("PATH", self.folder.path()))
    }

    /// Starts the login of a new credential.
    async fn first(&self, more: &[&str]) -> Login {
        let site = self.site.url();
        let mut args = vec![
            "--site",
            &site,
            "--hosting",
            "DataCenter",
            "--client-id",
            self.link.client_id(),
            "--ca-config-map",
            "corp/ca.crt",
        ];
        args.extend(more);
        let mut login = self.login(&args);
        login.write(&self.link.secret()).await;
        login
    }

    fn accepted(&self, who: &str, url: &str) -> String {
        let landing = self.world.sim.person(who).accept(url);
        landing.callback().unwrap().to_owned()
    }

    async fn nothing_is_stored(&self) {
        let secret = self.world.secrets().get_opt("bot-consent").await.unwrap();
        assert!(secret.is_none());
        let object = self.world.credentials().get_opt("bot").await.unwrap();
        assert!(object.is_none());
    }
}

/// Whether a text has what this challenge was made of.
fn has_verifier(text: &str, challenge: &str) -> bool {
    let is_of_verifier = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut words = text.split(|c| !is_of_verifier(c));
    words.any(|word| {
        let hash = digest(&SHA256, word.as_bytes());
        BASE64URL_NOPAD.encode(hash.as_ref()) == challenge
    })
}

#[tokio::test]
async fn a_first_consent_ends_ready_and_shows_no_secret() {
    let desk = Desk::new().await;
    let opened = recording_browser(desk.folder.path());
    let started = Instant::now();
    let mut login = desk.first(&["--account", "Ann"]).await;
    let url = login.url().await;
    let place = format!("Log in at {} as Ann and consent at", desk.site.url());
    assert!(login.seen.contains(&place), "{}", login.seen);
    assert_eq!(parameter(&url, "code_challenge_method"), "S256");
    assert_eq!(parameter(&url, "scope"), "READ");
    // The browser is sent on by this machine: the state is in no argument.
    let start = until_file(&opened).await;
    assert!(start.starts_with("http://127.0.0.1:"), "{start}");
    assert!(!start.contains(&parameter(&url, "state")), "{start}");
    let response = visit(&start).await;
    assert!(
        response.contains(&format!("Location: {url}\r\n")),
        "{response}"
    );
    let callback = desk.accepted("ann", &url);
    let (code, state) = (parameter(&callback, "code"), parameter(&url, "state"));
    login.until("The browser ends at https://localhost").await;
    login
        .write(&callback.replace(&state, &"0".repeat(64)))
        .await;
    login.until("This address belongs to another login").await;
    desk.nothing_is_stored().await;
    let shown = login.shown_to_others();
    login.write(&callback).await;
    let done = login.end().await;
    let took = started.elapsed();
    assert!(took < MACHINE_TIME, "from nothing to Ready: {took:?}");
    let told = done.ended(0);
    assert!(told.starts_with("bot: Ready True (Validated)"), "{told}");
    assert!(done.err.contains("Ann (ann) consented."), "{}", done.err);
    let world = &desk.world;
    let token = world.value("bot-consent", "refresh-token").await;
    let secret = desk.link.secret();
    assert_eq!(world.value("bot-consent", "client-secret").await, secret);
    let challenge = parameter(&url, "code_challenge");
    for text in [&done.out, &done.err, &shown] {
        for (name, canary) in [("code", &code), ("token", &token), ("secret", &secret)] {
            assert!(!text.contains(canary.as_str()), "the {name} is shown");
        }
        assert!(!has_verifier(text, &challenge), "the verifier is shown");
    }
    assert!(!shown.contains(&state) && !done.out.contains(&state));
    let object = world.credentials().get("bot").await.unwrap();
    let spec: Value = serde_json::to_value(&object.spec).unwrap();
    assert_eq!(spec["hosting"], "DataCenter");
    assert_eq!(spec["auth"]["oauth2"]["redirectUri"], CALLBACK);
    assert_eq!(spec["auth"]["oauth2"]["scopes"], json!(["READ"]));
    assert_eq!(
        spec["tls"],
        json!({"caConfigMapRef": {"name": "corp", "key": "ca.crt"}})
    );
}

#[tokio::test]
async fn a_dead_consent_is_healed_by_the_account_that_gave_it() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let consent = desk.site.consent(&desk.link, "ann", &["WRITE"]);
    world
        .secret("app", &[("secret", &desk.link.secret())])
        .await;
    let seed = consent.refresh_token();
    world
        .secret("seed", &[("seed", &seed), ("other", "kept")])
        .await;
    let spec = json!({
        "site": desk.site.url(), "hosting": "DataCenter",
        "tls": {"caConfigMapRef": {"name": "corp", "key": "ca.crt"}},
        "auth": {"oauth2": {
            "clientId": desk.link.client_id(),
            "clientSecretRefs": [{"name": "app", "key": "secret"}],
            "refreshTokenSecretRef": {"name": "seed", "key": "seed"},
            "redirectUri": CALLBACK,
            "scopes": ["WRITE"],
        }},
    });
    world.create("bot", spec).await;
    let before = world.until_ready("bot").await;
    consent.revoke();
    world.plugin(&["renew", "bot"]).await.ended(3);
    world
        .until("bot", |object| {
            let status = object.status.as_ref().unwrap();
            let valid = status.condition(ConditionType::Valid);
            valid.is_some_and(|valid| valid.status == ConditionStatus::False)
        })
        .await;
    let done = world.plugin(&["login", "bot", "--scopes", "READ"]).await;
    done.ended(2);
    let told = "--scopes are not the scopes of the JiraCredential bot";
    assert!(done.err.contains(told), "{}", done.err);
    // Somebody else's consent changes nothing.
    let mut login = desk.login(&["--no-browser"]);
    let url = login.url().await;
    assert_eq!(parameter(&url, "scope"), "WRITE");
    login.write(&desk.accepted("bob", &url)).await;
    let done = login.end().await;
    done.ended(3);
    let told = "consented, but Ann (ann) must. Nothing was stored; log out of Jira";
    assert!(done.err.contains(told), "{}", done.err);
    assert_eq!(world.value("seed", "seed").await, seed);
    let mut login = desk.login(&["--no-browser"]);
    let url = login.url().await;
    login.write(&desk.accepted("ann", &url)).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    assert_ne!(world.value("seed", "seed").await, seed);
    assert_eq!(world.value("seed", "other").await, "kept");
    let after = world.credentials().get("bot").await.unwrap();
    assert_eq!(after.metadata.generation, before.metadata.generation);
}

#[tokio::test]
async fn what_is_declined_or_wrong_stores_nothing() {
    let desk = Desk::new().await;
    let mut login = desk.first(&["--no-browser"]).await;
    let url = login.url().await;
    let landing = desk.world.sim.person("ann").decline(&url);
    login.write(landing.callback().unwrap()).await;
    let done = login.end().await;
    done.ended(3);
    let told = "error: the consent was declined";
    assert!(done.err.contains(told), "{}", done.err);
    desk.nothing_is_stored().await;
    // A code for which nobody has sent a challenge is somebody else's.
    let mut login = desk.first(&["--no-browser"]).await;
    let url = login.url().await;
    let (plain, _) = url.split_once("&code_challenge=").unwrap();
    login.write(&desk.accepted("ann", plain)).await;
    let done = login.end().await;
    done.ended(3);
    let told = "Jira does not accept the code";
    assert!(done.err.contains(told), "{}", done.err);
    desk.nothing_is_stored().await;
    let mut login = desk.first(&["--no-browser", "--account", "ann"]).await;
    let url = login.url().await;
    login.write(&desk.accepted("bob", &url)).await;
    let done = login.end().await;
    done.ended(3);
    let told = "Bob (bob) (JIRAUSER";
    assert!(done.err.contains(told), "{}", done.err);
    desk.nothing_is_stored().await;
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_the_flags_say_it_is() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let ca = world.sim.ca_pem().to_owned();
    world.secret("ca", &[("pem", &ca), ("none", "")]).await;
    let site = desk.site.url();
    let flags = |from| {
        [
            "--no-browser",
            "--site",
            &site,
            "--hosting",
            "DataCenter",
            "--client-id",
            desk.link.client_id(),
            "--ca-secret",
            from,
        ]
        .map(str::to_owned)
    };
    let login = |from| {
        let flags = flags(from);
        desk.login(&flags.each_ref().map(String::as_str))
    };
    let done = login("ca/none").end().await;
    done.ended(1);
    let told = "the key that spec.tls names holds no certificates";
    assert!(done.err.contains(told), "{}", done.err);
    desk.nothing_is_stored().await;
    let mut login = login("ca/pem");
    login.write(&desk.link.secret()).await;
    let url = login.url().await;
    login.write(&desk.accepted("ann", &url)).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    let object = world.credentials().get("bot").await.unwrap();
    let tls = object.spec.tls.unwrap().ca_secret_ref.unwrap();
    assert_eq!(tls.to_string(), "the key pem of the Secret ca");
}

#[tokio::test]
async fn a_site_that_the_person_has_not_named_gets_no_secret() {
    let desk = Desk::new().await;
    let world = &desk.world;
    world
        .secret("app", &[("secret", &desk.link.secret())])
        .await;
    let spec = json!({
        "site": desk.site.url(), "hosting": "DataCenter",
        "auth": {"oauth2": {
            "clientId": desk.link.client_id(),
            "clientSecretRefs": [{"name": "app", "key": "secret"}],
            "refreshTokenSecretRef": {"name": "seed", "key": "seed"},
            "redirectUri": CALLBACK,
        }},
    });
    world.create("bot", spec).await;
    world.until_seen("bot").await;
    let done = desk.login(&["--no-browser"]).end().await;
    done.ended(2);
    let told = format!("give --site {} if", desk.site.url());
    assert!(done.err.contains(&told), "{}", done.err);
    let folder = desk.folder.path().join("ca.pem");
    world.sim.write_ca(&folder).unwrap();
    let (site, ca) = (desk.site.url(), folder.to_str().unwrap());
    let flags = ["--no-browser", "--site", &site, "--extra-ca-file", ca];
    let mut login = desk.login(&flags);
    let url = login.url().await;
    login.write(&desk.accepted("ann", &url)).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
}

#[tokio::test]
async fn flags_that_do_not_fit_are_named() {
    let world = World::new().await;
    let site = world.sim.data_center("jira").url();
    let folder = tempfile::tempdir().unwrap();
    world.sim.write_ca(folder.path().join("ca.pem")).unwrap();
    let ca = folder.path().join("ca.pem");
    let on_site = ["--site", &site, "--client-id", "id"];
    let acme = ["--site", "https://acme.atlassian.net", "--client-id", "id"];
    for (flags, told) in [
        (
            &["--hosting", "DataCenter"][..],
            "give --site and --client-id",
        ),
        (&[], "give --client-id"),
        (
            &["--method", "oauth1", "--site", &site],
            "give --consumer-key",
        ),
        (&on_site, "give --hosting DataCenter or --hosting Cloud"),
        (
            &[
                &on_site[..],
                &["--hosting", "datacenter", "--scopes", "read:jira-work"],
            ]
            .concat(),
            "read:jira-work is not a scope of Data Center",
        ),
        (
            &[
                &on_site[..],
                &[
                    "--hosting",
                    "DataCenter",
                    "--redirect-uri",
                    "http://localhost:8765/callback",
                ],
            ]
            .concat(),
            "--redirect-uri: an application link of OAuth 2.0 has an https URL",
        ),
        (
            &[&acme[..], &["--hosting", "DataCenter"]].concat(),
            "acme.atlassian.net is a site of Jira Cloud",
        ),
        (
            &[&acme[..], &["--ca-secret", "corp/ca.crt"]].concat(),
            "--ca-secret and --ca-config-map are for Data Center",
        ),
        (
            &[&acme[..], &["--consumer-key", "sync"]].concat(),
            "--consumer-key does not belong to the method oauth2",
        ),
        (
            &[
                "--method",
                "oauth1",
                "--site",
                &site,
                "--consumer-key",
                "sync",
                "--client-id",
                "id",
            ],
            "--client-id does not belong to the method oauth1",
        ),
        (
            &[
                "--method",
                "oauth1",
                "--site",
                "https://acme.atlassian.net",
                "--consumer-key",
                "sync",
            ],
            "acme.atlassian.net is a site of Jira Cloud; use --method oauth2",
        ),
        (
            &[
                &on_site[..],
                &["--hosting", "DataCenter", "--account", "ann@corp.example"],
            ]
            .concat(),
            "--account: on Data Center give the user name",
        ),
        (
            &["--method", "oauth1", "--hosting", "Cloud"],
            "--method oauth1 is for Data Center",
        ),
    ] {
        let mut args = vec!["login", "bot", "--allowed-addresses", "127.0.0.0/8,::1"];
        args.extend(["--extra-ca-file", ca.to_str().unwrap()]);
        args.extend(flags);
        let done = world.plugin(&args).await;
        assert!(done.err.contains(told), "{flags:?}: {}", done.err);
        done.ended(2);
    }
}

#[tokio::test]
async fn input_that_ends_is_told_when_only_a_paste_could_answer() {
    let desk = Desk::new().await;
    let mut login = desk.first(&[]).await;
    login.url().await;
    let done = login.end().await;
    done.ended(1);
    let told = "standard input ended before anything was pasted";
    assert!(done.err.contains(told), "{}", done.err);
    desk.nothing_is_stored().await;
}

#[tokio::test]
async fn a_jira_that_does_not_answer_for_a_moment_costs_no_consent() {
    let desk = Desk::new().await;
    let fails = |times| {
        let rule = Rule::new(Fault::ServerError { status: 500 });
        let rule = rule.host(desk.site.host()).times(times);
        desk.world.sim.fault(rule.path("/jira/rest/api/2/myself"))
    };
    for (times, code, told) in [
        (
            3,
            3,
            "Nothing was stored. The access that was granted remains at Jira; to remove it",
        ),
        (2, 0, "Ann (ann) consented."),
    ] {
        let mut login = desk.first(&["--no-browser"]).await;
        let url = login.url().await;
        fails(times);
        login.write(&desk.accepted("ann", &url)).await;
        let done = login.end().await;
        done.ended(code);
        assert!(done.err.contains(told), "{}", done.err);
        if code != 0 {
            desk.nothing_is_stored().await;
        }
    }
}

#[tokio::test]
async fn the_secret_of_another_credential_is_not_taken_over() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let spec = json!({
        "site": desk.site.url(), "hosting": "DataCenter",
        "auth": {"oauth2": {
            "clientId": desk.link.client_id(),
            "clientSecretRefs": [{"name": "app", "key": "secret"}],
            "refreshTokenSecretRef": {"name": "bot-consent", "key": "refresh-token"},
            "redirectUri": CALLBACK,
        }},
    });
    world.create("other", spec).await;
    world
        .secret("bot-consent", &[("refresh-token", "theirs")])
        .await;
    let done = desk.first(&["--no-browser"]).await.end().await;
    done.ended(1);
    let told = "the Secret bot-consent belongs to the JiraCredential other";
    assert!(done.err.contains(told), "{}", done.err);
    let token = world.value("bot-consent", "refresh-token").await;
    assert_eq!(token, "theirs");
}
