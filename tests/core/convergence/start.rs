//! Generated states from which a reconcile may begin.

use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::sample::select;

use crate::simulator::act::held_by;
use crate::simulator::{Effects, Held, Sent, Standing, Told, World, accepted};
use jira_credential_operator::api::{
    Account, Attempt, AttemptOutcome, MethodName, Period, Reason, SiteStatus, Target,
    TargetTemplate, TargetVersion,
};
use jira_credential_operator::core::facts::{Holder, Peer};
use jira_credential_operator::core::probe::{Forbidden, Outage, Verdict};

const SECRETS: [&str; 3] = ["good", "bad", "bertas"];

const NAMES: [&str; 3] = ["bot", "one", "old"];

#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(crate) password: bool,
    spec: Spec,
    source: Held,
    pub(crate) around: RenewalContext,
    targets: Vec<AroundTarget>,
    recorded: Option<Recorded>,
    new_key: bool,
}

#[derive(Clone, Debug)]
struct Spec {
    interval: &'static str,
    expires_in: Option<i64>,
    pinned: Option<&'static str>,
    targets: usize,
    kind: Option<&'static str>,
    suspend: bool,
    host_allowed: bool,
    renew: bool,
}

#[derive(Clone, Debug)]
pub(super) struct RenewalContext {
    outage: Option<Verdict>,
    cooling: Option<i64>,
    pub(crate) peer: Option<Peer>,
}

/// What stands under a name, and what is recorded of it.
#[derive(Clone, Debug)]
struct AroundTarget {
    standing: u8,
    recorded: u8,
    claimed: bool,
    refused: bool,
}

#[derive(Clone, Debug)]
struct Recorded {
    validated: Option<(&'static str, &'static str)>,
    elsewhere: bool,
    validated_ago: i64,
    attempt: Option<(&'static str, u8, i64)>,
    sources: u8,
    generation: i64,
}

fn often<T: Clone + std::fmt::Debug + 'static>(
    usual: T,
    others: Vec<T>,
) -> impl Strategy<Value = T> {
    prop_oneof![3 => Just(usual), 2 => select(others)]
}

fn spec() -> impl Strategy<Value = Spec> {
    (
        select(vec!["10s", "1h", "1d"]),
        select(vec![None, None, Some(-60), Some(3600), Some(30 * 86_400)]),
        often(None, vec![Some("anna"), Some("berta")]),
        0..3_usize,
        often(None, vec![Some("kubernetes.io/basic-auth")]),
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.95),
        any::<bool>(),
    )
        .prop_map(
            |(interval, expires_in, pinned, targets, kind, suspend, host_allowed, renew)| Spec {
                interval,
                expires_in,
                pinned,
                targets,
                kind,
                suspend,
                host_allowed,
                renew,
            },
        )
}

fn around() -> impl Strategy<Value = RenewalContext> {
    let limited = Outage::RateLimited {
        retry_after: Some(Duration::from_secs(30)),
    };
    let outage = often(
        None,
        vec![
            Some(Verdict::NoVerdict(Outage::Timeout)),
            Some(Verdict::NoVerdict(Outage::Dns)),
            Some(Verdict::NoVerdict(limited)),
            Some(Verdict::NoVerdict(Outage::NotJson)),
            Some(Verdict::NotAllowed(Forbidden::Private)),
        ],
    );
    let peers = vec![
        Some(Peer::InFlight),
        Some(Peer::Interrupted),
        Some(Peer::Refused(Reason::Rejected)),
    ];
    (
        outage,
        often(None, vec![Some(30), Some(7200)]),
        often(None, peers),
    )
        .prop_map(|(outage, cooling, peer)| RenewalContext {
            outage,
            cooling,
            peer,
        })
}

fn target() -> impl Strategy<Value = AroundTarget> {
    (
        0..5_u8,
        0..4_u8,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(standing, recorded, claimed, refused)| AroundTarget {
            standing,
            recorded,
            claimed,
            refused,
        })
}

fn recorded() -> impl Strategy<Value = Recorded> {
    (
        prop::option::weighted(
            0.8,
            (select(SECRETS.to_vec()), select(vec!["anna", "berta"])),
        ),
        prop::bool::weighted(0.1),
        select(vec![0, 5, 600, 5000, 200_000]),
        prop::option::of((
            select(SECRETS.to_vec()),
            0..6_u8,
            select(vec![-5, 0, 40, 9000]),
        )),
        0..3_u8,
        0..3_i64,
    )
        .prop_map(
            |(validated, elsewhere, validated_ago, attempt, sources, generation)| Recorded {
                validated,
                elsewhere,
                validated_ago,
                attempt,
                sources,
                generation,
            },
        )
}

pub(super) fn start() -> impl Strategy<Value = Start> {
    let mut sources: Vec<Held> = SECRETS.map(Held::Secret).to_vec();
    sources.extend([Held::Secret("good"), Held::Nothing, Held::Garbage]);
    (
        any::<bool>(),
        spec(),
        select(sources),
        around(),
        prop::collection::vec(target(), NAMES.len()),
        prop::option::weighted(0.8, recorded()),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(password, spec, source, around, targets, recorded, new_key)| Start {
                password,
                spec,
                source,
                around,
                targets,
                recorded,
                new_key,
            },
        )
}

impl Start {
    /// Without a cool-down if Jira would take back a recorded validation. Cool-downs live in the
    /// process: while one lasts a recorded validation is believed, and after a crash Jira is asked.
    /// Both are right, and what was published meanwhile is a matter of when Jira was asked.
    pub(super) fn without_race(mut self) -> Self {
        let world = self.world();
        let validated = self
            .recorded
            .as_ref()
            .and_then(|recorded| recorded.validated);
        let holds = validated
            .is_none_or(|(secret, account)| world.jira.get(secret) == Some(&accepted(account)));
        self.around.cooling = self.around.cooling.filter(|_| holds);
        // Likewise old targets go as long as nothing is out of date, which a reconcile finds that
        // has validated a successor and cannot publish it.
        if self.targets.iter().any(|target| target.recorded != 0) {
            self.targets
                .iter_mut()
                .for_each(|target| target.refused = false);
        }
        self
    }

    pub(super) fn world(&self) -> World {
        let mut world = if self.password {
            World::password()
        } else {
            World::token()
        };
        world.jira.insert("bertas", accepted("berta"));
        world.source = self.source.clone();
        world.outage.clone_from(&self.around.outage);
        world.rate_limited_until = self
            .around
            .cooling
            .map(|seconds| world.now + TimeDelta::seconds(seconds));
        world.object.generation = 2;
        world.object.renew = self.spec.renew.then(|| "now".to_owned());
        world.host_allowed = self.spec.host_allowed;
        self.shape(&mut world);
        if let Some(recorded) = &self.recorded {
            recorded.enter(&mut world);
        }
        self.place_targets(&mut world);
        if self.new_key {
            world.key = b"key two";
        }
        if let (Some(what), Held::Secret(secret)) = (self.around.peer, &self.source) {
            let print = world.print(secret).as_str().to_owned();
            world.passwords.insert(print, Sent { uid: "other", what });
        }
        let cooling = world.rate_limited_until;
        world.restart();
        world.rate_limited_until = cooling;
        world
    }

    fn shape(&self, world: &mut World) {
        let spec = &mut world.spec;
        spec.validation.interval = Some(Period::new(self.spec.interval));
        spec.validation.account_id = self.spec.pinned.map(str::to_owned);
        spec.suspend = self.spec.suspend;
        if let (Some(token), Some(seconds)) = (&mut spec.auth.api_token, self.spec.expires_in) {
            token.expires_at = Some((world.now + TimeDelta::seconds(seconds)).into());
        }
        let template = self.spec.kind.map(|kind| TargetTemplate {
            kind: Some(kind.into()),
            ..Default::default()
        });
        let names = NAMES.iter().take(self.spec.targets);
        spec.targets = names
            .map(|name| Target {
                name: (*name).into(),
                template: template.clone(),
                ..Target::default()
            })
            .collect();
    }

    /// Puts Secrets under the names, and what is recorded of them into the status.
    fn place_targets(&self, world: &mut World) {
        for (name, around) in NAMES.iter().zip(&self.targets) {
            if around.claimed {
                world.claims.insert(name);
            }
            if around.refused {
                world.refuses.insert(name);
            }
            let wanted = Target {
                name: (*name).into(),
                ..Target::default()
            };
            let digest = world.observe().wanted_digest(&wanted);
            let print = world.status.validated_fingerprint.clone().zip(digest);
            let old = Some((world.print("bad").as_str().to_owned(), "old".to_owned()));
            let (holder, contents) = match around.standing {
                0 => continue,
                1 => (None, print.or(old)),
                2 => (None, old),
                3 => (Some(Holder::Stranger), None),
                _ => (Some(Holder::Credential("other".into())), None),
            };
            let standing = Standing {
                uid: format!("uid-{name}"),
                version: 9,
                holder,
                contents,
            };
            let seen = |uid: &str, version: &str, hash| TargetVersion {
                namespace: None,
                name: (*name).into(),
                uid: uid.into(),
                resource_version: version.into(),
                hash,
                held_by: held_by(standing.holder.as_ref()),
                merge: None,
            };
            let hash = standing.contents.clone().map(|(_, digest)| digest);
            if self.recorded.is_some() {
                match around.recorded {
                    0 => {}
                    1 => world.status.targets.push(seen(&standing.uid, "9", hash)),
                    2 => world
                        .status
                        .targets
                        .push(seen(&standing.uid, "8", Some("old".into()))),
                    _ => world
                        .status
                        .targets
                        .push(seen("uid-gone", "9", Some("old".into()))),
                }
            }
            world.secrets.insert((*name).into(), standing);
        }
        world.effects = Effects::default();
    }
}

impl Recorded {
    /// Writes the status as an earlier process may have left it.
    fn enter(&self, world: &mut World) {
        let now = world.now;
        let plan = world.plan().ok();
        let status = &mut world.status.clone();
        status.observed_generation = self.generation;
        status.method = plan.as_ref().map(|plan| plan.method);
        status.site = plan.map(|plan| SiteStatus {
            hosting: plan.site.hosting,
            api_url: if self.elsewhere {
                "https://else.example".into()
            } else {
                plan.site.base
            },
            address: None,
            cloud_id: None,
        });
        let is_password = status.method == Some(MethodName::Basic);
        if let Some((secret, account)) = self.validated {
            let print = world.print(secret).as_str().to_owned();
            world
                .told
                .0
                .insert(print.clone(), Told::Accepted(account.into()));
            status.validated_fingerprint = Some(print);
            status.account = Some(Account {
                id: account.into(),
                kind: None,
                display_name: None,
                user_name: None,
            });
            let validated = now - TimeDelta::seconds(self.validated_ago);
            status.last_validated_time = Some(validated);
            status.first_seen_time = Some(validated);
        }
        if let Some((secret, outcome, next)) = self.attempt {
            let (outcome, reason) = match (outcome, is_password) {
                (0, _) => (AttemptOutcome::Refused, Some(Reason::Rejected)),
                (1, _) => (AttemptOutcome::Refused, Some(Reason::AccountChanged)),
                (2, _) => (AttemptOutcome::NoVerdict, Some(Reason::SiteUnavailable)),
                (3, true) => (AttemptOutcome::Started, None),
                (4, true) => (AttemptOutcome::Started, Some(Reason::Rejected)),
                (_, true) => (AttemptOutcome::Interrupted, Some(Reason::NotValidated)),
                (_, false) => (AttemptOutcome::Unconfirmed, Some(Reason::Confirming)),
            };
            let waits = outcome == AttemptOutcome::NoVerdict || !is_password;
            let print = world.print(secret).as_str().to_owned();
            let kept = matches!(
                (outcome, reason),
                (AttemptOutcome::NoVerdict | AttemptOutcome::Interrupted, _)
                    | (AttemptOutcome::Started, None)
            );
            if !kept {
                world.told.0.insert(print.clone(), Told::Refused);
            }
            status.attempt = Some(Attempt {
                failures: 3,
                last_failure_time: now - TimeDelta::seconds(50),
                next_attempt_time: waits.then(|| now + TimeDelta::seconds(next)),
                fingerprint: print,
                outcome,
                reason,
            });
        }
        // Versions are recorded only of what the status names.
        let named = self
            .attempt
            .map(|attempt| attempt.0)
            .or(self.validated.map(|validated| validated.0));
        let versions = world.source_versions();
        match (&world.source, self.sources) {
            (Held::Secret(secret), 0) if named == Some(*secret) => status.sources = versions,
            (_, 1) => {
                status.sources = versions;
                world.source_version += 1;
            }
            _ => {}
        }
        world.told.1 = world.told.0.clone();
        world.status = status.clone();
    }
}
