//! What a replica reads at the start of a reconcile, as `cluster::observe_grant` reads it.

use std::sync::OnceLock;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use crate::model::shared::digest;
use crate::model::world::{Pass, Stored, World, decided};
use crate::model::{Broken, Rules};
use crate::simulator::at;
use jira_credential_operator::api::{JiraCredentialSpec, JiraCredentialStatus, SourceVersion};
use jira_credential_operator::core::decide::{Move, needs_source, renewal};
use jira_credential_operator::core::facts::{
    ApiKey, Facts, GrantState, Held, Object, Peer, Process, Progress, Renewal, SeedState, Source,
    TargetFacts, TargetState, TimeScale, Watched, targets,
};
use jira_credential_operator::core::fingerprint::Fingerprint;
use jira_credential_operator::core::grant::{Holder, Intent};
use jira_credential_operator::core::spec::{
    Client, Periods, Plan, RenewalKind, RenewalPlan, Site, Stated, TokenFormat,
};

pub(super) const GRANT: &str = "jco-grant-model";

pub(super) const UID: &str = "uid-of-bot";

fn spec() -> &'static (JiraCredentialSpec, Plan) {
    static SPEC: OnceLock<(JiraCredentialSpec, Plan)> = OnceLock::new();
    SPEC.get_or_init(|| {
        let spec: JiraCredentialSpec = serde_json::from_value(json!({
            "site": "https://acme.atlassian.net",
            "auth": {"oauth2": {
                "clientId": "app",
                "clientSecretRefs": [{"name": "client", "key": "secret"}],
                "refreshTokenSecretRef": {"name": "seed", "key": "token"},
                "cloudId": "cloud",
            }},
        }))
        .unwrap();
        let periods = Periods::of(&spec).unwrap();
        let method = spec.auth.method().unwrap();
        let plan = Plan {
            method: method.name(),
            site: Site::of(&spec).unwrap(),
            periods,
            issued_at: None,
            expires_at: None,
            renewal: Some(RenewalPlan {
                grant: GRANT.into(),
                kind: RenewalKind::Refresh,
                client: client(),
                gateway: Some("https://api.atlassian.com".into()),
                redirect_uri: None,
                cloud_id: Some("cloud".into()),
                scopes: Vec::new(),
                renew_before: periods.renew_before,
                retention: TimeDelta::hours(24),
                stated: Stated::default(),
            }),
            gateway_fallback: None,
        };
        (spec, plan)
    })
}

pub(super) fn client() -> Client {
    Client {
        endpoint: "https://auth.atlassian.com/oauth/token".into(),
        id: "app".into(),
    }
}

pub(super) fn seed_digest(seed: u8) -> String {
    format!("digest-{seed}")
}

impl World {
    /// Begins a reconcile: on the status as it stands, or as an old watch shows it.
    pub(super) fn observe(&self, who: usize, fresh: bool, rules: &Rules) -> World {
        let mut world = self.clone();
        let replica = &mut world.replicas[who];
        if fresh {
            replica.shown = (self.cluster.status.clone(), self.cluster.status_version);
        }
        let (status, status_version) = replica.shown.clone();
        let seen = world.replicas[who].seen.clone();
        let life = world.replicas[who].life;
        let key = digest(&(self.now, status.digest(), &self.cluster, who, life, seen));
        let (facts, step) = decided(key, || world.gather(who, &status, rules));
        let mut stored = None;
        if let GrantState::Read(held) = &facts.renewal.as_ref().unwrap().grant {
            stored.clone_from(&self.cluster.grant);
            let seen = world.seen(who, held.grant.intent.as_ref());
            world.replicas[who].seen = seen;
        } else if facts.source != Source::Unchanged {
            world.replicas[who].seen = None;
        }
        let pass = Pass {
            step,
            facts,
            recorded: status,
            status_version,
            stored,
            intended: None,
            failed: false,
            began: self.now,
        };
        world.set_pass(who, pass);
        world
    }

    fn gather(&self, who: usize, status: &JiraCredentialStatus, rules: &Rules) -> Facts {
        let mut facts = self.without_grant(who, status);
        let recorded = |name: &str| status.sources.iter().find(|source| source.name == name);
        let all = self.sources();
        let changed = |name: &str| {
            let shown = all.iter().find(|source| source.name == name);
            recorded(name).is_none() || recorded(name) != shown
        };
        if !all.iter().any(|source| changed(&source.name)) && !needs_source(&facts) {
            return facts;
        }
        let found = self.cluster.grant.clone();
        let known = status.grant.as_ref().map(|known| known.uid.clone());
        let ours = found
            .as_ref()
            .is_some_and(|stored| known.is_some_and(|uid| uid == stored.uid));
        let mut seed = SeedState::NotRead;
        if !ours || changed("seed") || facts.spec_changed() {
            seed = SeedState::Read {
                digest: seed_digest(self.cluster.seed),
                print: Fingerprint::recorded(&format!("k1:seed-{}", self.cluster.seed)),
            };
        }
        let grant = grant_state(found.as_ref(), ours, &seed, rules);
        let intent = match &grant {
            GrantState::Read(held) => held.grant.intent.clone(),
            _ => None,
        };
        let process = self.process(who, intent.as_ref(), rules);
        let renewal = facts.renewal.as_mut().unwrap();
        renewal.grant = grant;
        renewal.seed = seed;
        renewal.process = process;
        renewal.clients_changed = changed("client");
        let renews_next = matches!(
            renewal::next(&facts),
            Some(Move::ImportToken | Move::CheckDuplicate | Move::Intend(_) | Move::Renew(_))
        );
        facts.renewal.as_mut().unwrap().clients_read = renews_next;
        let print = facts.chain_print().cloned();
        facts.source = Source::Read {
            fingerprint: print.unwrap_or_else(|| Fingerprint::recorded("")),
            versions: all,
        };
        facts
    }

    /// The Secrets that the credential depends on, as they stand.
    fn sources(&self) -> Vec<SourceVersion> {
        let version = |name: &str, uid: &str, version: u32| SourceVersion {
            name: name.into(),
            uid: uid.into(),
            resource_version: version.to_string(),
        };
        let grant = match &self.cluster.grant {
            Some(stored) => stored.source_version(),
            None => SourceVersion {
                name: GRANT.into(),
                uid: String::new(),
                resource_version: String::new(),
            },
        };
        vec![
            version("client", "uid-of-client", 1),
            grant,
            version("seed", "uid-of-seed", self.cluster.seed_version),
        ]
    }

    /// What the process knows of the intent, as `controller::renewals` has it.
    fn process(&self, who: usize, intent: Option<&Intent>, rules: &Rules) -> Process {
        let watched = self.seen(who, intent).map(|seen| seen.seen_for());
        let hasty = (rules.is_broken(Broken::Hasty)).then_some(TimeDelta::hours(1));
        Process {
            holder: holder(who, self.replicas[who].life),
            seen_for: hasty.or(watched).unwrap_or_default(),
            ..Process::default()
        }
    }

    fn seen(&self, who: usize, intent: Option<&Intent>) -> Option<Watched> {
        let before = self.replicas[who].seen.as_ref();
        let now = Duration::from_secs(u64::try_from(self.now).unwrap());
        Some(Watched::look(
            before,
            &intent?.attempt,
            now,
            TimeScale::default(),
        ))
    }

    fn without_grant(&self, who: usize, status: &JiraCredentialStatus) -> Facts {
        let (spec, plan) = spec().clone();
        let target = targets::targets(&spec, "team", "bot").remove(0);
        let state = match &self.cluster.target {
            None => TargetState::Absent,
            Some(mounted) => TargetState::Present {
                uid: "uid-of-target".into(),
                resource_version: mounted.version.to_string(),
            },
        };
        Facts {
            now: at(self.now),
            object: Object {
                namespace: "team".into(),
                name: "bot".into(),
                uid: UID.into(),
                generation: 1,
                deleting: false,
                renew: None,
            },
            spec,
            status: status.clone(),
            plan: Ok(plan),
            source: Source::Unchanged,
            form: TokenFormat::default(),
            targets: vec![TargetFacts {
                target,
                state,
                older_claim: None,
                barrier: None,
            }],
            surplus: Vec::new(),
            peer: Peer::Silent,
            watched_since: None,
            site_wait: None,
            renewal_wait: None,
            proxy: None,
            api_key: ApiKey::Unmoved,
            renewal: Some(Renewal {
                grant: GrantState::NotRead,
                seed: SeedState::NotRead,
                rival: None,
                others: Vec::new(),
                login: Peer::Silent,
                clients_changed: false,
                missing: None,
                clients_read: false,
                process: Process {
                    holder: holder(who, self.replicas[who].life),
                    ..Process::default()
                },
                time_scale: TimeScale::default(),
            }),
            texts: Vec::new(),
            batches: None,
            progress: Progress::default(),
        }
    }
}

/// A grant is ours if its uid is recorded, or if it knows the seed.
fn grant_state(found: Option<&Stored>, ours: bool, seed: &SeedState, rules: &Rules) -> GrantState {
    let Some(stored) = found else {
        return GrantState::Absent;
    };
    let knows_seed = match seed {
        SeedState::Read { digest, .. } => stored.grant.seed(digest).is_some(),
        SeedState::NotRead | SeedState::Missing | SeedState::Unusable(_) => false,
    };
    if !ours && !knows_seed {
        return GrantState::Foreign;
    }
    GrantState::Read(Box::new(stored.held(rules)))
}

pub(super) fn holder(who: usize, life: u8) -> Holder {
    Holder {
        pod: format!("pod-{who}"),
        nonce: format!("life-{life}"),
    }
}

impl Stored {
    pub(super) fn held(&self, rules: &Rules) -> Held {
        let mut grant = (*self.grant).clone();
        if rules.is_broken(Broken::SeedsHidden) {
            grant.seeds.clear();
        }
        Held {
            grant,
            uid: self.uid.to_owned(),
        }
    }

    pub(super) fn source_version(&self) -> SourceVersion {
        SourceVersion {
            name: GRANT.into(),
            uid: self.uid.to_owned(),
            resource_version: self.version.to_string(),
        }
    }
}
