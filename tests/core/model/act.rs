//! What a replica may do next, one effect at a time, and how each effect may go wrong.

use crate::model::Rules;
use crate::model::observe::client;
use crate::model::shared::{Shared, digest};
use crate::model::world::{Mounted, Next, Pass, Phase, Stored, World, decided};
use jira_credential_operator::api::{
    Account, ConditionType, JiraCredentialStatus, Reason, TargetVersion,
};
use jira_credential_operator::core::apply::{Answer, Written};
use jira_credential_operator::core::decide::{Publish, Step};
use jira_credential_operator::core::facts::{Facts, SeedState};
use jira_credential_operator::core::fingerprint::Fingerprint;
use jira_credential_operator::core::grant::Grant;
use jira_credential_operator::core::probe::{Outage, Permissions, Refusal, Verdict};

/// What a replica does whose decision has grown old.
pub(super) const HELD_UP: &str = "was held up, and looks again";

/// How a write may end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Went {
    Well,
    /// It was carried out, and the answer was lost.
    Unheard,
    /// The API server could not be reached.
    Nowhere,
}

impl World {
    pub(super) fn replica_moves(&self, who: usize, rules: &Rules, all: &mut Vec<Next>) {
        let replica = &self.replicas[who];
        match &replica.phase {
            Phase::Idle => self.idle_moves(who, rules, all),
            Phase::Down if rules.alone && who == 1 => return,
            Phase::Down => {
                let mut world = self.clone();
                world.begin_life(who);
                all.push(Next::of(Some(who), "starts again", false, world));
                return;
            }
            Phase::Pass(pass) => self.pass_moves(who, pass, rules, all),
            Phase::Keep(pass, word) => self.keep_moves(who, pass, word, rules, all),
        }
        // A crash at rest makes a difference only while a renewal is under way.
        let matters = self.intent().is_some() || !matches!(replica.phase, Phase::Idle);
        if self.left.crashes > 0 && matters {
            let mut world = self.clone();
            world.left.crashes -= 1;
            if let Phase::Keep(_, word) = &replica.phase
                && word.brought.is_ok()
            {
                world
                    .ledger
                    .change(|ledger| ledger.died.insert(word.spent.clone()));
            }
            world.replicas[who].phase = Phase::Down;
            all.push(Next::of(Some(who), "crashes", true, world));
        }
    }

    fn begin_life(&mut self, who: usize) {
        let shown = (self.cluster.status.clone(), self.cluster.status_version);
        let now = self.now;
        let replica = &mut self.replicas[who];
        replica.life += 1;
        replica.seen = None;
        replica.shown = shown;
        replica.knew = None;
        replica.wake = now;
        replica.phase = Phase::Idle;
    }

    fn idle_moves(&self, who: usize, rules: &Rules, all: &mut Vec<Next>) {
        let replica = &self.replicas[who];
        if self.is_at_rest(replica) {
            return;
        }
        let world = self.observe(who, true, rules);
        all.push(Next::of(Some(who), "looks", false, world));
        if self.left.stale > 0 && replica.shown.1 != self.cluster.status_version {
            let mut world = self.observe(who, false, rules);
            world.left.stale -= 1;
            all.push(Next::of(Some(who), "looks at an old status", true, world));
        }
    }

    fn pass_moves(&self, who: usize, pass: &Pass, rules: &Rules, all: &mut Vec<Next>) {
        let step = (*pass.step.step).clone();
        match step.filter(|_| !pass.failed) {
            None => self.conclude_moves(who, pass, all),
            Some(Step::ImportToken) => {
                let change = |grant: &mut Grant<Fingerprint>| adopt(grant, &pass.facts);
                self.grant_moves(
                    who,
                    pass,
                    rules,
                    ("adopts the seed", &change, &Answer::TokenImported),
                    all,
                );
            }
            Some(Step::Promote) => {
                let change = |grant: &mut Grant<Fingerprint>| grant.promote();
                self.grant_moves(
                    who,
                    pass,
                    rules,
                    ("promotes", &change, &Answer::Promoted),
                    all,
                );
            }
            Some(Step::Intend(spend)) => self.intend_moves(who, pass, &spend, rules, all),
            Some(Step::Renew(spend)) => self.renew_moves(who, pass, &spend, rules, all),
            Some(Step::Publish(publish)) => self.publish_moves(who, pass, &publish, all),
            Some(step @ (Step::Validate | Step::ValidateCandidate)) => {
                self.jira_moves(who, pass, &step, all);
            }
            Some(other) => panic!("not a step of this credential: {other:?}"),
        }
    }

    /// The reconcile goes on with an answer.
    pub(super) fn absorbed(&self, who: usize, pass: &Pass, answer: &Answer) -> World {
        let mut world = self.clone();
        world.apply(who, pass, answer);
        world
    }

    pub(super) fn apply(&mut self, who: usize, pass: &Pass, answer: &Answer) {
        let key = digest(&(pass.facts.digest(), gist(answer), &pass.stored));
        let absorbed = || (*pass.facts).clone().apply(answer.clone());
        let (facts, step) = decided(key, absorbed);
        let pass = Pass {
            facts,
            step,
            ..pass.clone()
        };
        self.set_pass(who, pass);
    }

    /// What concerns nobody else follows at once: that no other grant has the seed, what the token
    /// covers, and the end of a reconcile that has nothing to write down.
    pub(super) fn set_pass(&mut self, who: usize, pass: Pass) {
        let answer = match &*pass.step.step {
            Some(Step::CheckDuplicate) => Answer::DuplicateChecked(None),
            Some(Step::ListSites) => Answer::SitesListed(Ok(None)),
            Some(Step::Permissions) => Answer::Permitted(Ok(Permissions::default())),
            _ => {
                let conclusion = pass.conclusion();
                let nothing = conclusion.filter(|conclusion| !conclusion.changed);
                if let Some(wake) = nothing.map(|conclusion| conclusion.wake) {
                    let wake = (!pass.failed).then_some(self.now + wake);
                    self.end(who, wake, pass.failed);
                } else {
                    self.replicas[who].phase = Phase::Pass(pass);
                }
                return;
            }
        };
        self.apply(who, &pass, &answer);
    }

    /// A step has failed. What has happened is written down first.
    pub(super) fn fail(&mut self, who: usize, pass: &Pass, conflict: bool) {
        if pass.facts.has_effects() {
            let pass = Pass {
                failed: true,
                intended: None,
                ..pass.clone()
            };
            self.set_pass(who, pass);
        } else {
            self.end(who, None, conflict);
        }
    }

    /// The reconcile ends; without a time it is started again.
    fn end(&mut self, who: usize, wake: Option<i64>, fresh: bool) {
        let (now, knew) = (self.now, self.versions());
        let shown = (self.cluster.status.clone(), self.cluster.status_version);
        let replica = &mut self.replicas[who];
        if fresh {
            replica.shown = shown;
        }
        replica.knew = wake.map(|_| knew);
        replica.wake = wake.unwrap_or(now);
        replica.phase = Phase::Idle;
    }

    /// The ways in which a write may end.
    pub(super) fn ways(&self) -> Vec<(Went, World)> {
        let mut ways = vec![(Went::Well, self.clone())];
        if self.left.faults > 0 {
            let mut world = self.clone();
            world.left.faults -= 1;
            ways.extend([(Went::Unheard, world.clone()), (Went::Nowhere, world)]);
        }
        ways
    }

    #[expect(clippy::type_complexity, reason = "a word, a change and an answer")]
    pub(super) fn grant_moves(
        &self,
        who: usize,
        pass: &Pass,
        rules: &Rules,
        (what, change, answer): (
            &'static str,
            &dyn Fn(&mut Grant<Fingerprint>),
            &dyn Fn(Written) -> Answer,
        ),
        all: &mut Vec<Next>,
    ) {
        for (went, mut world) in self.ways() {
            let mut grant = pass
                .stored
                .as_ref()
                .map(|stored| (*stored.grant).clone())
                .unwrap_or_default();
            change(&mut grant);
            let written = match went {
                Went::Well | Went::Unheard => world.put_grant(pass.stored.as_ref(), grant),
                Went::Nowhere => None,
            };
            match (went, written) {
                (Went::Well, Some(stored)) => {
                    let answer = answer(stored.written(rules));
                    let pass = Pass {
                        stored: Some(stored),
                        ..pass.clone()
                    };
                    world.apply(who, &pass, &answer);
                }
                (Went::Well, None) => world.fail(who, pass, true),
                (Went::Unheard | Went::Nowhere, _) => world.fail(who, pass, false),
            }
            all.push(Next::of(
                Some(who),
                named(what, went),
                went != Went::Well,
                world,
            ));
        }
    }

    fn jira_moves(&self, who: usize, pass: &Pass, step: &Step, all: &mut Vec<Next>) {
        let facts = &pass.facts;
        let access = facts.asked_about().and_then(|chain| chain.access.as_ref());
        let print = access
            .map(|access| access.token.as_str().to_owned())
            .unwrap_or_default();
        let accepts = self.atlassian.accepts(&print, self.now);
        let verdict = if accepts {
            Verdict::Accepted(Account {
                id: "anna".into(),
                kind: None,
                display_name: None,
                user_name: None,
            })
        } else {
            Verdict::Refused(Refusal::Rejected)
        };
        let of = |verdict: Verdict| match step {
            Step::ValidateCandidate => Answer::CandidateValidated(verdict),
            _ => Answer::Validated(verdict),
        };
        let mut world = self.clone();
        world.ledger.change(|ledger| {
            let said = if accepts {
                &mut ledger.accepted
            } else {
                &mut ledger.refused
            };
            said.insert(print);
        });
        world.apply(who, pass, &of(verdict));
        let what = match step {
            Step::ValidateCandidate => "asks Jira about the candidate",
            _ => "asks Jira",
        };
        all.push(Next::of(Some(who), what, false, world));
        if self.left.faults > 0 {
            let mut world = self.clone();
            world.left.faults -= 1;
            let silence = Verdict::NoVerdict(Outage::ServerError(503));
            world.apply(who, pass, &of(silence));
            all.push(Next::of(
                Some(who),
                "asks Jira, which does not answer",
                true,
                world,
            ));
        }
    }

    fn publish_moves(&self, who: usize, pass: &Pass, publish: &Publish, all: &mut Vec<Next>) {
        let print = pass
            .facts
            .chain_print()
            .map(|print| print.as_str().to_owned());
        let print = print.expect("what is published was read");
        let violation = self.check_publish(&print, &pass.facts);
        for (went, mut world) in self.ways() {
            // Made by POST, which meets one that exists; ours, and it is changed like any other.
            if went != Went::Nowhere {
                world.mount(&print);
            }
            if went == Went::Well {
                let version = TargetVersion {
                    namespace: None,
                    name: "bot".into(),
                    uid: "uid-of-target".into(),
                    resource_version: world.versions().2.to_string(),
                    hash: Some(publish.digest.clone()),
                    held_by: None,
                    merge: None,
                };
                world.apply(who, pass, &Answer::TargetWritten(publish.index, version));
            } else {
                world.fail(who, pass, false);
            }
            let next = Next::of(
                Some(who),
                named("publishes", went),
                went != Went::Well,
                world,
            );
            all.push(next.wrong(violation));
        }
    }

    pub(super) fn mount(&mut self, print: &str) {
        // A write that changes nothing makes no new version.
        let same = self
            .cluster
            .target
            .as_ref()
            .is_some_and(|mounted| mounted.print == print);
        let version = self.versions().2 + u32::from(!same);
        self.cluster.target = Some(Mounted {
            print: print.to_owned(),
            version,
        });
    }

    fn conclude_moves(&self, who: usize, pass: &Pass, all: &mut Vec<Next>) {
        let conclusion = pass.conclusion().expect("no step is left");
        let wake = self.now + conclusion.wake;
        let wake = (!pass.failed).then_some(wake);
        for (went, mut world) in self.ways() {
            let unchanged = self.cluster.status_version == pass.status_version;
            let mut violation = None;
            if went != Went::Nowhere && unchanged {
                violation = world.write_status(&conclusion.status);
            }
            let ours = world.cluster.status.digest() == conclusion.status.digest();
            match went {
                Went::Well if ours => world.end(who, wake, true),
                Went::Well => world.end(who, None, true),
                Went::Unheard | Went::Nowhere => world.end(who, None, false),
            }
            let next = Next::of(
                Some(who),
                named("writes the status", went),
                went != Went::Well,
                world,
            );
            all.push(next.wrong(violation));
        }
    }

    fn write_status(&mut self, status: &Shared<JiraCredentialStatus>) -> Option<&'static str> {
        let says = |status: &JiraCredentialStatus| {
            status
                .condition(ConditionType::Ready)
                .map(|ready| ready.reason)
                == Some(Reason::ReconsentRequired)
        };
        if says(status) && !says(&self.cluster.status) {
            self.ledger.change(|ledger| ledger.reconsents += 1);
        }
        self.cluster.status = status.clone();
        self.cluster.status_version += 1;
        let more = self.ledger.reconsents > self.atlassian.killed.len();
        more.then_some("ReconsentRequired is said without a dead consent, or twice")
    }
}

/// What tells an answer from another; the grant that was written is told by the pass itself.
fn gist(answer: &Answer) -> String {
    match answer {
        Answer::TokenImported(_) => "adopted".to_owned(),
        Answer::Promoted(_) => "promoted".to_owned(),
        Answer::Intended(spend, _) => format!("{spend:?}"),
        Answer::Renewed(miss, _, written) => format!("{miss:?} {}", written.is_some()),
        other => format!("{other:?}"),
    }
}

fn adopt(grant: &mut Grant<Fingerprint>, facts: &Facts) {
    // What was read in this reconcile; the versions guard against a newer one.
    let SeedState::Read { digest, print } = &facts.renewal.as_ref().expect("it renews itself").seed
    else {
        panic!("a seed is adopted that was not read");
    };
    grant.adopt(digest, print.clone(), client(), facts.now, false);
}

impl Stored {
    pub(super) fn written(&self, rules: &Rules) -> Written {
        Written {
            held: self.held(rules),
            version: self.source_version(),
        }
    }
}

pub(super) fn named(what: &'static str, went: Went) -> &'static str {
    match (went, what) {
        (Went::Well, what) => what,
        (Went::Unheard, "writes its intent") => "writes its intent; the answer is lost",
        (Went::Unheard, "stores the new pair") => "stores the new pair; the answer is lost",
        (Went::Unheard, "publishes") => "publishes; the answer is lost",
        (Went::Unheard, "writes the status") => "writes the status; the answer is lost",
        (Went::Unheard, _) => "writes; the answer is lost",
        (Went::Nowhere, "writes its intent") => "cannot write its intent",
        (Went::Nowhere, "stores the new pair") => "cannot store the new pair",
        (Went::Nowhere, "publishes") => "cannot publish",
        (Went::Nowhere, "writes the status") => "cannot write the status",
        (Went::Nowhere, _) => "cannot write",
    }
}
