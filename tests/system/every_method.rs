//! Every way into Jira in one world, and what a pod does with what it gets.

mod redaction;
mod switching;

use atlassian_sim::{AccessToken, ApplicationLink, LinkKey, OAuthApp, Token};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionType, Reason, SecretKeyRef};
use jira_credential_operator::core::probe::Verdict;
use jira_credential_operator::core::spec::grant_name;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::oauth1;
use crate::support::{World, keys, says, value};

const CLOUD_SCOPES: [&str; 3] = ["read:jira-work", "read:jira-user", "offline_access"];
const REDIRECT: &str = "https://app.example/callback";

/// A way into Jira.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    ClassicToken,
    ScopedToken,
    CloudConsent,
    CloudClient,
    Pat,
    PatThatReplacesItself,
    Password,
    Session,
    Signed,
    Consent,
    Client,
}

const EVERY: [Way; 11] = [
    Way::ClassicToken,
    Way::ScopedToken,
    Way::CloudConsent,
    Way::CloudClient,
    Way::Pat,
    Way::PatThatReplacesItself,
    Way::Password,
    Way::Session,
    Way::Signed,
    Way::Consent,
    Way::Client,
];

impl Way {
    /// The member of `spec.auth`.
    const fn member(self) -> &'static str {
        match self {
            Self::ClassicToken | Self::ScopedToken => "apiToken",
            Self::CloudConsent | Self::Consent => "oauth2",
            Self::CloudClient | Self::Client => "clientCredentials",
            Self::Pat | Self::PatThatReplacesItself => "personalAccessToken",
            Self::Password => "basic",
            Self::Session => "session",
            Self::Signed => "oauth1",
        }
    }

    const fn is_cloud(self) -> bool {
        match self {
            Self::ClassicToken | Self::ScopedToken | Self::CloudConsent | Self::CloudClient => true,
            Self::Pat
            | Self::PatThatReplacesItself
            | Self::Password
            | Self::Session
            | Self::Signed
            | Self::Consent
            | Self::Client => false,
        }
    }

    /// The key of its Secret from which a grant begins, if the operator keeps one.
    const fn seed(self) -> Option<&'static str> {
        match self {
            Self::CloudConsent | Self::Consent => Some("refresh-token"),
            Self::CloudClient | Self::Client => Some("client-secret"),
            Self::PatThatReplacesItself => Some("token"),
            Self::Session => Some("password"),
            Self::ClassicToken | Self::ScopedToken | Self::Pat | Self::Password | Self::Signed => {
                None
            }
        }
    }

    /// What pods get, all of it.
    const fn published(self) -> &'static str {
        match self {
            Self::ClassicToken => {
                "accountId authorization email hosting scheme site token url username"
            }
            Self::ScopedToken => {
                "accountId authorization cloudId email hosting scheme site token url username"
            }
            Self::CloudConsent | Self::CloudClient => {
                "accountId authorization cloudId expiresAt hosting scheme site token url"
            }
            Self::Pat => "accountId authorization hosting scheme site token url",
            Self::PatThatReplacesItself | Self::Consent | Self::Client => {
                "accountId authorization expiresAt hosting scheme site token url"
            }
            Self::Password => "accountId authorization hosting password scheme site url username",
            Self::Session => "JSESSIONID accountId cookie expiresAt hosting scheme site url",
            Self::Signed => {
                "accountId consumerKey hosting privateKey scheme signatureMethod site token tokenSecret url"
            }
        }
    }
}

/// A person, and what Jira has given this person.
struct Person {
    name: String,
    password: String,
    /// One that a person made, good for 90 days.
    pat: Token,
    key: LinkKey,
    access: AccessToken,
    /// For the consent, on Data Center and on Cloud, and for the two client credentials.
    apps: [OAuthApp; 4],
}

impl Person {
    fn new(world: &World, name: &str) -> Self {
        let cloud = world.cloud();
        // Service accounts came with 11, which switches Basic off unless an administrator wants it.
        let jira = world.data_center().version("11.3.5").basic(true);
        let key = LinkKey::generate().unwrap();
        let link: ApplicationLink = jira.application_link(&format!("{name}-link"), &key);
        let scopes = ["read:jira-work", "read:jira-user"];
        let pat = jira.pat(name);
        world
            .sim
            .expire_at(&pat, world.clock.now() + TimeDelta::days(90));
        Self {
            pat,
            password: jira.new_password(name),
            access: link.authorize(name),
            apps: [
                world.sim.oauth_app(),
                cloud.service_client(name, &scopes),
                jira.oauth_link(&[REDIRECT]),
                jira.service_client(name, &["READ"]),
            ],
            key,
            name: name.to_owned(),
        }
    }

    fn email(&self) -> String {
        format!("{}@acme.example", self.name)
    }

    fn app(&self, way: Way) -> &OAuthApp {
        match way {
            Way::CloudConsent => &self.apps[0],
            Way::CloudClient => &self.apps[1],
            Way::Consent => &self.apps[2],
            _ => &self.apps[3],
        }
    }

    /// What stands in the Secret of a way, when it is right.
    fn data(&self, world: &World, way: Way) -> Vec<(&'static str, String)> {
        let (cloud, jira) = (world.cloud(), world.data_center());
        let token = |token: Token| vec![("token", token.secret().to_owned())];
        let client = || ("client-secret", self.app(way).secret());
        let refresh = |token| vec![("refresh-token", token), client()];
        match way {
            Way::ClassicToken => token(cloud.api_token(&self.email())),
            Way::ScopedToken => token(cloud.scoped_token(&self.email(), &CLOUD_SCOPES[..2])),
            Way::CloudConsent => {
                let app = self.app(way);
                let consent = app.consent(&self.email(), &[&cloud], &CLOUD_SCOPES);
                refresh(consent.refresh_token())
            }
            Way::Consent => {
                let consent = jira.consent(self.app(way), &self.name, &["WRITE"]);
                refresh(consent.refresh_token())
            }
            Way::CloudClient | Way::Client => vec![client()],
            Way::Pat | Way::PatThatReplacesItself => token(self.pat.clone()),
            Way::Password | Way::Session => vec![
                ("username", self.name.clone()),
                ("password", self.password.clone()),
            ],
            Way::Signed => vec![
                ("privateKey", self.key.private_pem()),
                ("token", self.access.token.secret().to_owned()),
                ("tokenSecret", self.access.token_secret().to_owned()),
            ],
        }
    }

    /// The same with something else in the place of what counts.
    fn wrong_data(&self, world: &World, way: Way) -> Vec<(&'static str, String)> {
        let wrong = format!("wrong-{way:?}-{}", self.name);
        let mut data = self.data(world, way);
        let counts = way.seed().unwrap_or(match way {
            Way::Password => "password",
            _ => "token",
        });
        for (key, value) in &mut data {
            if *key == counts {
                value.clone_from(&wrong);
            }
        }
        data
    }

    /// What `spec.auth` says of a way whose Secret has this name.
    fn auth(&self, way: Way, secret: &str) -> Value {
        let at = |key: &str| json!({"name": secret, "key": key});
        match way {
            Way::ClassicToken | Way::ScopedToken => {
                json!({"email": self.email(), "tokenSecretRef": at("token")})
            }
            Way::CloudConsent | Way::Consent => {
                let cloud = way == Way::CloudConsent;
                let mut auth = json!({
                    "clientId": self.app(way).client_id(),
                    "clientSecretRefs": [at("client-secret")],
                    "refreshTokenSecretRef": at("refresh-token"),
                    "scopes": if cloud { &CLOUD_SCOPES[..2] } else { &["READ"] },
                });
                if !cloud {
                    auth["redirectUri"] = json!(REDIRECT);
                }
                auth
            }
            Way::CloudClient | Way::Client => {
                let mut auth = json!({
                    "clientId": self.app(way).client_id(),
                    "clientSecretRefs": [at("client-secret")],
                });
                if way == Way::Client {
                    auth["scopes"] = json!(["READ"]);
                }
                auth
            }
            Way::Pat => json!({"tokenSecretRef": at("token"), "rotation": "Manual"}),
            Way::PatThatReplacesItself => {
                json!({"tokenSecretRef": at("token"), "rotation": "Automatic"})
            }
            Way::Password | Way::Session => json!({"secretRef": {"name": secret}}),
            Way::Signed => {
                let consumer = format!("{}-link", self.name);
                json!({"consumerKey": consumer, "secretRef": {"name": secret}})
            }
        }
    }

    fn spec(&self, world: &World, way: Way, secret: &str) -> Value {
        let (site, hosting) = if way.is_cloud() {
            (world.cloud().url(), "Cloud")
        } else {
            (world.data_center().url(), "DataCenter")
        };
        json!({
            "site": site, "hosting": hosting, "auth": {way.member(): self.auth(way, secret)},
        })
    }
}

impl World {
    async fn fill(&self, secret: &str, data: &[(&'static str, String)]) {
        let data: Vec<(&str, &str)> = data.iter().map(|(key, text)| (*key, &**text)).collect();
        self.secret(secret, &data).await;
    }

    /// What a pod reaches with a published Secret, by what stands in it and nothing else: the
    /// account that Jira takes it for, or the status of the refusal.
    async fn use_as_pod(&self, secret: &Secret) -> Result<String, u16> {
        if value(secret, "scheme") == "OAuth" {
            return match oauth1::consume(self, secret).await {
                Verdict::Accepted(account) => Ok(account.id),
                other => panic!("{other:?}"),
            };
        }
        let authority = reqwest::Certificate::from_pem(self.sim.ca_pem().as_bytes()).unwrap();
        let url = value(secret, "url");
        let host = reqwest::Url::parse(&url)
            .unwrap()
            .host_str()
            .unwrap()
            .to_owned();
        let http = reqwest::Client::builder()
            .tls_certs_only([authority])
            .resolve(&host, self.sim.addr())
            .no_proxy()
            .build()
            .unwrap();
        let header = if value(secret, "scheme") == "Cookie" {
            "cookie"
        } else {
            "authorization"
        };
        let request = http.get(format!("{url}/rest/api/2/myself"));
        let request = request.header(header, value(secret, header));
        let answer = request.send().await.unwrap();
        if !answer.status().is_success() {
            return Err(answer.status().as_u16());
        }
        let account: Value = answer.json().await.unwrap();
        let id = account.get("accountId").or(account.get("key")).unwrap();
        Ok(id.as_str().unwrap().to_owned())
    }

    /// The published Secret of a way is whole, and works.
    async fn assert_of_use(&self, name: &str, way: Way, person: &Person) {
        let secret = self.secrets().get(name).await.unwrap();
        assert_eq!(keys(&secret).join(" "), way.published(), "{name}");
        let account = match way {
            // A service account is somebody of its own.
            Way::CloudClient => value(&secret, "accountId"),
            _ if way.is_cloud() => self.cloud().account_id(&person.email()),
            _ => self.data_center().user_key(&person.name),
        };
        assert_eq!(value(&secret, "accountId"), account, "{name}");
        assert_eq!(self.use_as_pod(&secret).await, Ok(account), "{name}");
    }
}

/// The name of the grant of a way whose Secret has this name.
fn grant_of(way: Way, secret: &str) -> Option<String> {
    let key = way.seed()?.to_owned();
    Some(grant_name(&SecretKeyRef {
        name: secret.to_owned(),
        key,
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_credential_of_every_method_works_beside_the_others() {
    let world = World::new().await;
    let operator = world.operator().await;
    let person = Person::new(&world, "robot");
    let name = |way: Way| format!("{way:?}").to_lowercase();
    for way in EVERY {
        let (name, secret) = (name(way), format!("{}-source", name(way)));
        world.fill(&secret, &person.data(&world, way)).await;
        world.create(&name, person.spec(&world, way, &secret)).await;
    }
    operator.quiet().await;
    // A credential whose password another is sending waits for the answer, by the clock of the world.
    world.advance(TimeDelta::seconds(5));
    operator.look_again(EVERY.len() as u64).await;
    for way in EVERY {
        world.wait_ready(&name(way)).await;
    }
    operator.quiet().await;
    for way in EVERY {
        let object = world.wait_ready(&name(way)).await;
        let rotation = says(&object, ConditionType::RotationDue);
        assert_eq!(rotation.reason, Reason::NotDue, "{way:?}");
        world.assert_of_use(&name(way), way, &person).await;
    }
    // All of them are at rest, and stay of use when those that renew themselves have done so.
    let calls = world.calls();
    let mark = operator.mark();
    operator.look_again(EVERY.len() as u64).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    assert_eq!(world.calls(), calls);
    for _ in 0..5 {
        world.advance(TimeDelta::minutes(55));
        operator.look_again(EVERY.len() as u64).await;
        operator.quiet().await;
    }
    // The login may have found the password in flight for the validation of the other credential.
    world.advance(TimeDelta::seconds(5));
    operator.look_again(EVERY.len() as u64).await;
    for way in EVERY {
        world.wait_ready(&name(way)).await;
        world.assert_of_use(&name(way), way, &person).await;
    }
    assert_eq!(world.data_center().logins_and_logouts().0, 2);
}
