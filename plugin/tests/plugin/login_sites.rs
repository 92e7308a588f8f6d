//! `login` without `--site`: the consent tells which sites there are.

use std::path::PathBuf;

use atlassian_sim::{CloudSite, OAuthApp};
use tokio::process::Command;

use crate::desk::Login;
use crate::support::{Running, World};

const ANN: &str = "ann@acme.example";
const CALLBACK: &str = "http://localhost:8765/callback";

struct Desk {
    world: World,
    _operator: Running,
    acme: CloudSite,
    globex: CloudSite,
    app: OAuthApp,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let world = World::new().await;
        let operator = world.operator().await;
        let acme = world.sim.cloud_site("acme").user(ANN);
        let globex = world.sim.cloud_site("globex").user(ANN);
        let app = world.sim.oauth_app().callback(CALLBACK);
        world.secret("app", &[("secret", &app.secret())]).await;
        let folder = tempfile::tempdir().unwrap();
        world.sim.write_ca(folder.path().join("ca.pem")).unwrap();
        Self {
            world,
            _operator: operator,
            acme,
            globex,
            app,
            folder,
        }
    }

    fn command(&self) -> Command {
        let authorities: PathBuf = self.folder.path().join("ca.pem");
        let (auth, gateway) = (self.world.sim.auth_url(), self.world.sim.gateway_url());
        self.world.command(&[
            "login",
            "bot",
            "--no-browser",
            "--client-id",
            self.app.client_id(),
            "--client-secret-from",
            "app/secret",
            "--auth-url",
            &auth,
            "--api-url",
            &gateway,
            "--allowed-addresses",
            "127.0.0.0/8,::1",
            "--extra-ca-file",
            authorities.to_str().unwrap(),
        ])
    }

    fn accepted(&self, sites: &[&CloudSite], url: &str) -> String {
        let landing = self.world.sim.person(ANN).at(sites).accept(url);
        landing.callback().unwrap().to_owned()
    }

    async fn site(&self) -> String {
        let object = self.world.credentials().get("bot").await.unwrap();
        object.spec.site
    }
}

#[tokio::test]
async fn one_site_needs_no_choice_and_several_need_a_terminal() {
    let desk = Desk::new().await;
    let mut login = Login::start(&mut desk.command());
    let url = login.url().await;
    assert!(login.seen.contains("choose a site"), "{}", login.seen);
    let both = [&desk.acme, &desk.globex];
    login.write(&desk.accepted(&both, &url)).await;
    let done = login.end().await;
    done.ended(2);
    let (acme, globex) = (desk.acme.url(), desk.globex.url());
    let told = format!("the consent covers {acme}, {globex}: give --site with one of them.");
    assert!(done.err.contains(&told), "{}", done.err);
    let secret = desk.world.secrets().get_opt("bot-consent").await.unwrap();
    assert!(secret.is_none());
    let object = desk.world.credentials().get_opt("bot").await.unwrap();
    assert!(object.is_none());
    let mut login = Login::start(&mut desk.command());
    let url = login.url().await;
    login.write(&desk.accepted(&[&desk.globex], &url)).await;
    let done = login.end().await;
    assert!(done.ended(0).starts_with("bot: Ready True"), "{}", done.out);
    assert_eq!(desk.site().await, globex);
}

#[tokio::test]
async fn a_person_chooses_among_several_sites_on_a_terminal() {
    let desk = Desk::new().await;
    let mut login = Login::on_terminal(desk.command().env("NO_COLOR", "1"));
    let url = login.url().await;
    let both = [&desk.acme, &desk.globex];
    login.write(&desk.accepted(&both, &url)).await;
    login.until("Enter the number").await;
    let (acme, globex) = (desk.acme.url(), desk.globex.url());
    for line in [format!("  1  {acme}"), format!("  2  {globex}")] {
        assert!(login.seen.contains(&line), "{}", login.seen);
    }
    login.write("3").await;
    login.until("Enter a number from 1 to 2.").await;
    login.write("2").await;
    login.until("bot: Ready True").await;
    assert_eq!(desk.site().await, globex);
}
