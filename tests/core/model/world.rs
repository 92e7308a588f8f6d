//! The model: one `JiraCredential`, what stands on the cluster, two replicas, Atlassian, and what
//! an observer has noted down to tell right from wrong.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use crate::model::atlassian::{Atlassian, LIFE};
use crate::model::shared::Shared;
use crate::model::{Limits, Rules};
use crate::simulator;
use jira_credential_operator::api::JiraCredentialStatus;
use jira_credential_operator::core::conclude::conclude;
use jira_credential_operator::core::decide::{Step, decide};
use jira_credential_operator::core::facts::{Facts, Watched};
use jira_credential_operator::core::fingerprint::Fingerprint;
use jira_credential_operator::core::grant::{Grant, Intent, RenewalFailure, Tokens};

/// The Secret of the grant.
#[derive(Clone, Debug, Hash)]
pub(super) struct Stored {
    pub(crate) grant: Shared<Grant<Fingerprint>>,
    pub(crate) uid: &'static str,
    pub(crate) version: u32,
}

/// The Secret that pods mount.
#[derive(Clone, Debug, Hash)]
pub(super) struct Mounted {
    pub(crate) print: String,
    pub(crate) version: u32,
}

/// What stands on the cluster.
#[derive(Clone, Debug, Hash)]
pub(super) struct Cluster {
    pub(crate) status: Shared<JiraCredentialStatus>,
    pub(crate) status_version: u32,
    pub(crate) grant: Option<Stored>,
    pub(crate) target: Option<Mounted>,
    /// Which consent the user's Secret holds.
    pub(crate) seed: u8,
    pub(crate) seed_version: u32,
}

/// The versions that a watch shows: status, grant, target, seed.
pub(super) type Versions = (u32, u32, u32, u32);

/// A process of the operator.
#[derive(Clone, Debug, Hash)]
pub(super) struct Replica {
    /// Every start is another life.
    pub(crate) life: u8,
    /// The intent that was seen last, and since when.
    pub(crate) seen: Option<Watched>,
    /// The `JiraCredential` as the watch shows it; it may be old.
    pub(crate) shown: (Shared<JiraCredentialStatus>, u32),
    /// What it knew when its last reconcile ended.
    pub(crate) knew: Option<Versions>,
    /// When its next reconcile is due.
    pub(crate) wake: i64,
    pub(crate) phase: Phase,
}

/// What a replica is doing.
#[derive(Clone, Debug, Hash)]
pub(super) enum Phase {
    Idle,
    /// It crashed and has not started again.
    Down,
    /// In the middle of a reconcile: the next step is what `decide` says.
    Pass(Pass),
    /// It has the word of the token endpoint and has not stored it.
    Keep(Pass, Word),
}

/// A reconcile.
#[derive(Clone, Debug, Hash)]
pub(super) struct Pass {
    pub(crate) facts: Shared<Facts>,
    pub(crate) recorded: Shared<JiraCredentialStatus>,
    pub(crate) status_version: u32,
    /// The grant as this reconcile knows it.
    pub(crate) stored: Option<Stored>,
    /// What this reconcile has written down as about to be spent: attempt, refresh token, when.
    pub(crate) intended: Option<(String, String, i64)>,
    /// A step has failed: what happened is written down, and the reconcile started again.
    pub(crate) failed: bool,
    pub(crate) began: i64,
    /// What `decide` says.
    pub(crate) step: Decided,
}

/// What follows from the facts: no part of the state's identity.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub(crate) step: Rc<Option<Step>>,
    conclusion: Rc<OnceCell<Concluded>>,
}

/// The end of a reconcile.
#[derive(Debug)]
pub(super) struct Concluded {
    pub(crate) status: Shared<JiraCredentialStatus>,
    pub(crate) changed: bool,
    pub(crate) wake: i64,
}

impl Hash for Decided {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What was decided upon facts before, by the digest of how they came about.
type Memory = HashMap<u64, (Shared<Facts>, Decided)>;

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// Facts and what is decided upon them, which is the same every time.
pub(super) fn decided(key: u64, facts: impl FnOnce() -> Facts) -> (Shared<Facts>, Decided) {
    MEMORY.with_borrow_mut(|memory| {
        let make = || {
            let facts = facts();
            let decided = Decided {
                step: Rc::new(decide(&facts)),
                conclusion: Rc::default(),
            };
            (Shared::new(facts, key), decided)
        };
        memory.entry(key).or_insert_with(make).clone()
    })
}

impl Pass {
    /// What the reconcile concludes, if no step is left.
    pub(super) fn conclusion(&self) -> Option<&Concluded> {
        let over = self.failed || self.step.step.is_none();
        let conclude = || {
            let conclusion = conclude(&self.facts, &self.recorded);
            Concluded {
                changed: conclusion.status != *self.recorded,
                status: Shared::of(conclusion.status),
                wake: conclusion.wake.num_seconds(),
            }
        };
        over.then(|| self.step.conclusion.get_or_init(conclude))
    }
}

/// What a renewal brought.
#[derive(Clone, Debug, Hash)]
pub(super) struct Word {
    pub(crate) attempt: String,
    pub(crate) origin: String,
    pub(crate) spent: String,
    pub(crate) brought: Shared<Result<Tokens<Fingerprint>, RenewalFailure>>,
}

/// What an observer notes down.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Ledger {
    /// Refresh tokens that were sent to the token endpoint.
    pub(crate) sent: BTreeSet<String>,
    /// Those of which an answer died, with its process or on the wire.
    pub(crate) died: BTreeSet<String>,
    /// Last attempts after the leeway, by token.
    pub(crate) late: BTreeMap<String, u8>,
    /// Access tokens that Jira accepted, and refused.
    pub(crate) accepted: BTreeSet<String>,
    pub(crate) refused: BTreeSet<String>,
    /// How often the status began to say `ReconsentRequired`.
    pub(crate) reconsents: usize,
}

/// A state of the model.
#[derive(Clone, Debug, Hash)]
pub(super) struct World {
    pub(crate) now: i64,
    pub(crate) cluster: Cluster,
    pub(crate) atlassian: Shared<Atlassian>,
    pub(crate) replicas: [Replica; 2],
    pub(crate) left: Limits,
    pub(crate) ledger: Shared<Ledger>,
    /// Whether the API server is away.
    pub(crate) outage: bool,
}

/// What happened between two states.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Event {
    /// The replica; `None`: the world.
    pub(crate) who: Option<usize>,
    pub(crate) what: &'static str,
    /// Whether it is something that a world without faults does not do.
    pub(crate) fault: bool,
}

/// What must never happen.
pub(super) type Violation = &'static str;

/// A state that may follow.
pub(super) struct Next {
    pub(crate) event: Event,
    pub(crate) world: World,
    pub(crate) violation: Option<Violation>,
}

impl World {
    /// Nothing but a `JiraCredential` and a consent that nobody has used.
    pub(super) fn new(rules: &Rules) -> Self {
        let status = Shared::of(JiraCredentialStatus::default());
        let mut atlassian = Atlassian::default();
        atlassian.consent("k1:seed-0", 0);
        let replica = |life| Replica {
            life,
            seen: None,
            shown: (status.clone(), 0),
            knew: None,
            wake: 0,
            phase: Phase::Idle,
        };
        let mut replicas = [replica(0), replica(100)];
        if rules.alone {
            replicas[1].phase = Phase::Down;
        }
        Self {
            now: 0,
            replicas,
            cluster: Cluster {
                status,
                status_version: 0,
                grant: None,
                target: None,
                seed: 0,
                seed_version: 1,
            },
            atlassian: Shared::hashed(atlassian),
            left: rules.limits,
            ledger: Shared::hashed(Ledger::default()),
            outage: false,
        }
    }

    pub(super) fn versions(&self) -> Versions {
        let cluster = &self.cluster;
        let grant = cluster.grant.as_ref().map_or(0, |grant| grant.version);
        let target = cluster.target.as_ref().map_or(0, |target| target.version);
        (cluster.status_version, grant, target, cluster.seed_version)
    }

    /// Replaces the grant, provided that it has the version that was read. `base` is `None` when
    /// there was none.
    pub(super) fn put_grant(
        &mut self,
        base: Option<&Stored>,
        mut grant: Grant<Fingerprint>,
    ) -> Option<Stored> {
        let found = self.cluster.grant.as_ref().map(|stored| stored.version);
        if found != base.map(|stored| stored.version) {
            return None;
        }
        let uid = "uid-of-grant";
        grant.uid = base.map(|_| uid.to_owned());
        let stored = Stored {
            grant: Shared::of(grant),
            uid,
            version: found.unwrap_or_default() + 1,
        };
        self.cluster.grant = Some(stored.clone());
        Some(stored)
    }

    /// The renewal that stands in the grant as begun.
    pub(super) fn intent(&self) -> Option<&Intent> {
        self.cluster.grant.as_ref()?.grant.intent.as_ref()
    }

    /// Whether a replica has nothing to do now.
    pub(super) fn is_at_rest(&self, replica: &Replica) -> bool {
        match replica.phase {
            Phase::Idle => replica.wake > self.now && replica.knew == Some(self.versions()),
            Phase::Down => true,
            Phase::Pass(_) | Phase::Keep(..) => false,
        }
    }

    /// The next moment at which anything can be different, if there is one.
    fn next_instant(&self, rules: &Rules) -> Option<i64> {
        let mut times: Vec<i64> = Vec::new();
        let intent = self.intent();
        let idle = |replica: &Replica| matches!(replica.phase, Phase::Idle | Phase::Down);
        let over = !self.atlassian.killed.is_empty() && self.is_settled();
        let long = self.now > i64::from(rules.exchanges) * LIFE;
        let full = self.atlassian.exchanges >= rules.exchanges || over || long;
        if full && intent.is_none() && self.replicas.iter().all(idle) {
            return None;
        }
        for replica in &self.replicas {
            match &replica.phase {
                Phase::Idle => times.push(replica.wake),
                Phase::Down => {}
                // A process may be held up where an old view could do harm; elsewhere it goes on,
                // and it stores what it got as soon as there is an API server.
                Phase::Pass(pass) => match &*pass.step.step {
                    _ if self.outage => {}
                    Some(Step::Intend(_) | Step::Renew(_)) => {
                        times.extend([100, 240, 540].map(|wait| pass.began + wait));
                    }
                    _ => return None,
                },
                Phase::Keep(..) if self.outage => {}
                Phase::Keep(..) => return None,
            }
        }
        if let Some(intent) = intent {
            let first = (intent.first_sent - simulator::at(0)).num_seconds();
            times.extend([100, 240, 540, 660, 1260].map(|wait| first + wait));
        }
        times.into_iter().filter(|time| *time > self.now).min()
    }

    /// Every state that may follow.
    pub(super) fn successors(&self, rules: &Rules) -> Vec<Next> {
        let mut all = Vec::new();
        if self.outage {
            let mut world = self.clone();
            world.outage = false;
            all.push(Next::of(None, "the API server is back", false, world));
        } else {
            for who in 0..self.replicas.len() {
                self.replica_moves(who, rules, &mut all);
            }
        }
        let holds = |replica: &Replica| matches!(replica.phase, Phase::Keep(..));
        if !self.outage && self.left.faults > 0 && self.replicas.iter().any(holds) {
            let mut world = self.clone();
            world.left.faults -= 1;
            world.outage = true;
            all.push(Next::of(None, "the API server goes away", true, world));
        }
        if let Some(time) = self.next_instant(rules) {
            let busy = |replica: &Replica| !self.is_at_rest(replica);
            let held_up = !self.outage && self.replicas.iter().any(busy);
            let mut world = self.clone();
            world.now = time;
            if !held_up {
                all.push(Next::of(None, "time passes", false, world));
            } else if self.left.faults > 0 {
                world.left.faults -= 1;
                all.push(Next::of(
                    None,
                    "time passes; a process is held up",
                    true,
                    world,
                ));
            }
        }
        self.person_moves(&mut all);
        for next in &mut all {
            next.world.forget();
        }
        all
    }

    /// Drops what can make no difference any more.
    fn forget(&mut self) {
        let intent = self.intent().map(|intent| intent.attempt.clone());
        for replica in &mut self.replicas {
            replica
                .seen
                .take_if(|seen| Some(seen.attempt()) != intent.as_deref());
            if let Phase::Pass(pass) = &mut replica.phase
                && self.left.faults == 0
            {
                pass.began = 0;
            }
        }
        if self.left.stale == 0 {
            let status = (self.cluster.status.clone(), self.cluster.status_version);
            for replica in &mut self.replicas {
                replica.shown = status.clone();
            }
        }
    }

    fn person_moves(&self, all: &mut Vec<Next>) {
        // Before its uid is recorded, a grant is known by its seed alone: who exchanges the seed
        // in that moment gets GrantForeign.
        let recorded = self.cluster.status.grant.as_ref();
        if self.left.edits == 0 || recorded.is_none_or(|grant| grant.uid.is_empty()) {
            return;
        }
        let mut world = self.clone();
        world.left.edits -= 1;
        world.cluster.seed_version += 1;
        let what = if self.cluster.seed == 0 {
            world.cluster.seed = 1;
            if world.atlassian.family("k1:seed-1").is_none() {
                world
                    .atlassian
                    .change(|atlassian| atlassian.consent("k1:seed-1", 1));
            }
            "a person stores a new consent"
        } else {
            world.cluster.seed = 0;
            "an older seed comes back"
        };
        all.push(Next::of(None, what, true, world));
    }
}

impl Next {
    pub(super) fn of(who: Option<usize>, what: &'static str, fault: bool, world: World) -> Self {
        Self {
            event: Event { who, what, fault },
            world,
            violation: None,
        }
    }

    #[must_use]
    pub(super) fn wrong(mut self, violation: Option<Violation>) -> Self {
        self.violation = self.violation.or(violation);
        self
    }
}
