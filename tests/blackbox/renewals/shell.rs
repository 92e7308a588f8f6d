//! What people run today, under the same treatment: `dev/shell-loop/refresh.sh`, started by a
//! schedule. `cargo xtask kill` runs it, to compare; `cargo test` leaves it out, because it tests no line of the operator.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use atlassian_sim::{Consent, Fault, OAuthApp, Rule};
use chrono::TimeDelta;
use control_plane::ControlPlane;

use super::LIFE;
use super::cast::{SCOPES, Tempo};
use super::dice::Dice;
use super::ledger::{Lives, Tally, count, drop_newest};
use super::outage::{Away, bring_back, take_away};
use super::report::{Report, number};
use crate::process::PATIENCE;
use crate::stage::{Stage, email, texts};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/shell-loop/refresh.sh");

/// A token that lives for as long as those of the operator in the same test is renewed as often.
const PERIOD: Duration = Duration::from_secs(8);

/// The Secrets, and the runs that refresh them.
struct Loops {
    stage: Stage,
    app: OAuthApp,
    /// Runs that may overlap for one Secret.
    overlap: usize,
    period: Duration,
    members: Vec<Member>,
    lives: Lives,
    random: usize,
    committed: usize,
}

struct Member {
    name: String,
    consents: Vec<Consent>,
    runs: Vec<Child>,
    next: Instant,
}

impl Loops {
    async fn gather(stage: Stage, tempo: &Tempo, count: usize) -> Self {
        stage.sim.configure_oauth(|oauth| {
            oauth.access_life = tempo.life;
            oauth.leeway = tempo.leeway;
            oauth.overlap = tempo.overlap;
        });
        let mut loops = Self {
            app: stage.sim.oauth_app(),
            stage,
            overlap: 1,
            period: PERIOD,
            members: Vec::new(),
            lives: Lives::new(tempo),
            random: 0,
            committed: 0,
        };
        for number in 0..count {
            let share = u32::try_from(number).unwrap() * PERIOD / u32::try_from(count).unwrap();
            loops.members.push(Member {
                name: format!("bot-{number}"),
                consents: Vec::new(),
                runs: Vec::new(),
                next: Instant::now() + share,
            });
            loops.consent(number).await;
        }
        loops.begin();
        loops
    }

    /// A person consents, and stores the tokens.
    async fn consent(&mut self, index: usize) {
        let (site, member) = (self.stage.cloud(), &mut self.members[index]);
        let consent = self.app.consent(&email(&member.name), &[&site], &SCOPES);
        let (refresh, access) = (consent.refresh_token(), consent.access_token());
        member.consents.push(consent);
        let data = [("refresh-token", &*refresh), ("token", &*access)];
        self.stage.secret(&member.name, &data).await;
    }

    fn begin(&mut self) {
        self.lives.begin(self.stage.sim.clock().now());
    }

    fn spawn(&self, name: &str) -> Child {
        let kubeconfig = self.stage.file("person.kubeconfig");
        let kubectl = self.stage.kubectl();
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", kubectl.parent().unwrap().display());
        Command::new("sh")
            .arg(SCRIPT)
            .env("PATH", path)
            .env("HOME", kubeconfig.parent().unwrap())
            .env("KUBECONFIG", &kubeconfig)
            .env("CURL_CA_BUNDLE", self.stage.file("ca.pem"))
            .env("SECRET", name)
            .env(
                "TOKEN_URL",
                format!("{}/oauth/token", self.stage.sim.auth_url()),
            )
            .env("CLIENT_ID", self.app.client_id())
            .env("CLIENT_SECRET", self.app.secret())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    /// Starts what is due until something holds, at most for this long. Says whether it held.
    async fn run(&mut self, most: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end = Instant::now() + most;
        loop {
            for index in 0..self.members.len() {
                let member = &mut self.members[index];
                member
                    .runs
                    .retain_mut(|run| run.try_wait().unwrap().is_none());
                let due = member.next <= Instant::now() && member.runs.len() < self.overlap;
                if due {
                    member.next = Instant::now() + self.period;
                    let name = member.name.clone();
                    for _ in 0..self.overlap {
                        let run = self.spawn(&name);
                        self.members[index].runs.push(run);
                    }
                }
            }
            if holds(self) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The node goes away with everything that runs on it.
    fn kill(&mut self) {
        let runs = self
            .members
            .iter_mut()
            .flat_map(|member| member.runs.drain(..));
        let mut runs: Vec<Child> = runs.collect();
        let groups = runs.iter().map(|run| format!("-{}", run.id()));
        let mut kill = Command::new("sh");
        kill.args(["-c", r#"kill -s KILL -- "$@""#, "kill"])
            .args(groups);
        // Some may have ended by themselves.
        let _ = kill.stderr(Stdio::null()).status();
        for run in &mut runs {
            let _ = run.wait();
        }
        if let Some(life) = self.lives.all.last_mut() {
            life.killed = Some(self.stage.sim.clock().now());
        }
    }

    async fn kill_for(&mut self, downtime: Duration) {
        self.kill();
        tokio::time::sleep(downtime).await;
        // Nobody tells the person; here she looks by herself.
        self.consent_again().await;
        self.begin();
    }

    /// Wherever a consent is over. Not while a run goes on: it would write its own tokens over
    /// hers.
    async fn consent_again(&mut self) {
        for index in 0..self.members.len() {
            let member = &self.members[index];
            let lives = member.consents.last().is_some_and(Consent::is_alive);
            if !lives && member.runs.is_empty() {
                self.consent(index).await;
            }
        }
    }

    async fn killed_again_and_again(&mut self, downtime: Duration) {
        let mut dice = Dice::new(number("JCO_KILL_SEED", 20_261_125) as u64);
        for _ in 0..number("JCO_KILL_RANDOM", 10) {
            let moment = Duration::from_micros(dice.below(2_000_000));
            self.run(moment, |_| false).await;
            self.kill_for(downtime).await;
            self.random += 1;
        }
        for _ in 0..number("JCO_KILL_COMMIT", 6) {
            let hang = self.hang();
            assert!(self.run(PATIENCE, |_| hang.hits() > 0).await);
            self.kill_for(downtime).await;
            hang.remove();
            hang.release();
            self.committed += 1;
        }
        self.finish().await;
    }

    fn hang(&self) -> atlassian_sim::FaultHandle {
        let rule = Rule::new(Fault::HangAfter);
        let rule = rule.host(self.stage.sim.auth_host()).path("/oauth/token");
        self.stage.sim.fault(rule)
    }

    /// Lets every Secret have two more runs.
    async fn finish(&mut self) {
        self.run(self.period * 2, |_| false).await;
        let idle = |loops: &Self| loops.members.iter().all(|member| member.runs.is_empty());
        self.period = PATIENCE * 10;
        for member in &mut self.members {
            member.next = Instant::now() + self.period;
        }
        assert!(self.run(PATIENCE, idle).await);
    }

    async fn report(&self, setting: &str) -> Report {
        let spends = self.stage.sim.spends();
        let mut tally = Tally::default();
        for member in &self.members {
            for consent in &member.consents {
                count(&mut tally, consent, &spends, &self.lives);
            }
            let secret = self.stage.secrets().get(&member.name).await.unwrap();
            let last = member.consents.last().unwrap();
            if last.is_alive() && !last.can_exchange(&texts(&secret)["refresh-token"]) {
                drop_newest(&mut tally, &member.name);
            }
        }
        let report = Report {
            setting: setting.to_owned(),
            who: "shell loop".to_owned(),
            grants: self.members.len(),
            random: self.random,
            committed: self.committed,
            tally,
            ..Report::default()
        };
        report.tell();
        report
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        self.kill();
    }
}

/// As many Secrets as the operator has, at most ten: every run starts a dozen programs.
fn size() -> usize {
    number("JCO_KILL_GRANTS", 10).min(10)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures a script of others, with curl and jq; cargo xtask kill runs it"]
async fn killed_while_the_leeway_lasts_longer_than_it_is_away() {
    let stage = Stage::new().await;
    let mut loops = Loops::gather(stage, &Tempo::divided_by(30, LIFE), size()).await;
    loops.killed_again_and_again(Duration::ZERO).await;
    let report = loops.report("leeway above downtime").await;
    assert!(report.tally.exchanged > 0, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures a script of others, with curl and jq; cargo xtask kill runs it"]
async fn killed_and_away_for_longer_than_the_leeway() {
    let stage = Stage::new().await;
    let tempo = Tempo::divided_by(600, LIFE);
    let mut loops = Loops::gather(stage, &tempo, size()).await;
    let downtime = tempo.leeway + TimeDelta::milliseconds(500);
    loops
        .killed_again_and_again(downtime.to_std().unwrap())
        .await;
    let report = loops.report("leeway below downtime").await;
    assert!(report.tally.lost > 0, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures a script of others, with curl and jq; cargo xtask kill runs it"]
async fn the_api_server_is_away_when_it_has_an_answer() {
    let plane = ControlPlane::start().await.unwrap();
    let stage = Stage::on(&plane).await;
    let tempo = Tempo {
        leeway: TimeDelta::seconds(1),
        ..Tempo::divided_by(10, TimeDelta::seconds(30))
    };
    let mut loops = Loops::gather(stage, &tempo, 6).await;
    for how in [Away::Silent, Away::Killed] {
        let hang = loops.hang();
        assert!(loops.run(PATIENCE, |_| hang.hits() > 0).await);
        take_away(&plane, how).await;
        hang.remove();
        hang.release();
        loops.run(Duration::from_secs(3), |_| false).await;
        bring_back(&plane, how).await;
        loops.run(PERIOD, |_| false).await;
        loops.consent_again().await;
    }
    loops.finish().await;
    let report = loops.report("API server away").await;
    assert!(report.tally.lost > 0, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures a script of others, with curl and jq; cargo xtask kill runs it"]
async fn two_runs_overlap() {
    let stage = Stage::new().await;
    let tempo = Tempo {
        leeway: TimeDelta::zero(),
        ..Tempo::divided_by(20, TimeDelta::seconds(6))
    };
    let mut loops = Loops::gather(stage, &tempo, size()).await;
    (loops.overlap, loops.period) = (2, PERIOD / 2);
    let refreshes = number("JCO_KILL_REFRESHES", 100);
    let end = Instant::now() + PATIENCE * 20;
    while loops.stage.sim.spends().len() < refreshes {
        assert!(Instant::now() < end);
        loops.run(Duration::from_millis(500), |_| false).await;
        loops.consent_again().await;
    }
    loops.finish().await;
    let report = loops.report("two replicas").await;
    assert!(report.tally.twice > 0, "{report:#?}");
}
