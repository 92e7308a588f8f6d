//! A model of everything outside the core: a cluster, a Jira, and a process that may die at any
//! effect. Passes are made as the controller makes them.

pub(crate) mod act;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use jira_credential_operator::api::{
    Account, AttemptOutcome, Condition, ConditionType, JiraCredentialSpec, JiraCredentialStatus,
    MethodName, Reason, SourceVersion,
};
use jira_credential_operator::core::conclude::{Conclusion, conclude};
use jira_credential_operator::core::decide::{Step, decide, needs_source, restart_waits};
use jira_credential_operator::core::facts::{
    ApiKey, Batches, Facts, Holder, Object, Peer, Progress, Source, TargetFacts, TargetState,
    targets,
};
use jira_credential_operator::core::fingerprint::{Fingerprint, FingerprintKey};
use jira_credential_operator::core::probe::{Permissions, Refusal, SiteWait, Verdict, WaitCause};
use jira_credential_operator::core::spec::{
    Periods, Plan, Site, SourceError, SpecError, TokenFormat, expiry,
};

/// A time, in seconds after the noon at which every test begins.
pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_400 + seconds, 0).unwrap()
}

pub(super) fn accepted(account: &str) -> Verdict {
    Verdict::Accepted(Account {
        id: account.to_owned(),
        kind: None,
        display_name: None,
        user_name: None,
    })
}

pub(super) const REJECTED: Verdict = Verdict::Refused(Refusal::Rejected);

/// What the user's Secret holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Held {
    Nothing,
    Garbage,
    Secret(&'static str),
}

/// A Secret under the name of a target.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    pub(crate) uid: String,
    pub(crate) version: u64,
    /// `None`: it is ours.
    pub(crate) holder: Option<Holder>,
    /// Fingerprint and digest of what we wrote; `None`: somebody edited it.
    pub(crate) contents: Option<(String, String)>,
}

/// What the process knows of passwords that were sent; another credential's uid is `other`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent {
    pub(crate) uid: &'static str,
    pub(crate) what: Peer,
}

/// What was done, and how often.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Effects {
    pub(crate) status_writes: usize,
    pub(crate) target_writes: usize,
    /// Writes that the API server refused.
    pub(crate) refused_writes: usize,
    /// The workloads whose pods were replaced.
    pub(crate) rolled: Vec<String>,
    /// How often a workload was patched or looked for.
    pub(crate) restart_requests: usize,
    pub(crate) reads: usize,
    /// The fingerprints that were sent to Jira.
    pub(crate) calls: Vec<String>,
    /// What else Jira was asked, and what the gateway was asked.
    pub(crate) questions: Vec<&'static str>,
}

/// The process was cut at an effect.
#[derive(Debug)]
pub(super) struct Cut;

/// What a reconcile left behind, apart from its effects.
#[derive(Debug)]
pub(super) struct Passed {
    /// Without the question about rights that nobody asked for, on which nothing depends.
    pub(crate) steps: Vec<Step>,
    pub(crate) facts: Facts,
    pub(crate) conclusion: Conclusion,
}

/// The world of one credential.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(crate) now: DateTime<Utc>,
    pub(crate) object: Object,
    pub(crate) spec: JiraCredentialSpec,
    pub(crate) host_allowed: bool,
    pub(crate) status: JiraCredentialStatus,
    pub(crate) source: Held,
    pub(crate) source_version: u64,
    /// What the secret value looks like.
    pub(crate) form: TokenFormat,
    /// The gateway, for a test in which an API token may work only there.
    pub(crate) gateway: Option<&'static str>,
    /// What the gateway says about each secret; about any other it says no.
    pub(crate) at_gateway: BTreeMap<&'static str, Verdict>,
    /// The id that the site tells.
    pub(crate) cloud_id: Result<&'static str, Verdict>,
    /// What Jira says of permissions.
    pub(crate) permissions: Result<Permissions, Verdict>,
    pub(crate) secrets: BTreeMap<String, Standing>,
    /// Targets that an older credential names as well.
    pub(crate) claims: BTreeSet<&'static str>,
    /// Targets that the API server refuses to write.
    pub(crate) refuses: BTreeSet<&'static str>,
    /// What Jira says about each secret; about any other it says no.
    pub(crate) jira: BTreeMap<&'static str, Verdict>,
    /// What Jira says whatever it is asked.
    pub(crate) outage: Option<Verdict>,
    pub(crate) rate_limited_until: Option<DateTime<Utc>>,
    pub(crate) passwords: BTreeMap<String, Sent>,
    pub(crate) key: &'static [u8],
    /// The workloads, and what the annotation of each says.
    pub(crate) workloads: BTreeMap<String, String>,
    /// Workloads that the API server does not restart, and why.
    pub(crate) stuck: BTreeMap<&'static str, Reason>,
    /// Workloads about which it does not answer.
    pub(crate) silent: BTreeSet<&'static str>,
    pub(crate) effects: Effects,
    /// Effects until the process is cut; after the effect, before its answer is seen.
    pub(crate) cut_after: Option<usize>,
    /// What the process was told last about each fingerprint, and that as the status has it.
    pub(crate) told: (BTreeMap<String, Told>, BTreeMap<String, Told>),
    pub(crate) versions: u64,
    /// What the process remembers of restarts.
    pub(crate) batches: Option<Batches>,
}

/// What Jira said about a credential.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Accepted(String),
    Refused,
}

const ME: &str = "uid-of-bot";

impl World {
    /// A new credential with the API token `good`, which belongs to `anna`.
    pub(super) fn token() -> Self {
        Self::new(json!({"apiToken": {
            "email": "bot@acme.example", "tokenSecretRef": {"name": "source", "key": "token"}
        }}))
    }

    /// A new credential with the password `good`, which belongs to `anna`.
    pub(super) fn password() -> Self {
        Self::new(json!({"basic": {"secretRef": {"name": "source"}}}))
    }

    #[expect(clippy::needless_pass_by_value, reason = "a literal at every call")]
    fn new(auth: serde_json::Value) -> Self {
        let cloud = auth.get("apiToken").is_some();
        let site = if cloud {
            "https://acme.atlassian.net"
        } else {
            "https://jira.acme.example"
        };
        Self {
            now: at(0),
            object: Object {
                namespace: "team".into(),
                name: "bot".into(),
                uid: ME.into(),
                generation: 1,
                deleting: false,
                renew: None,
            },
            spec: serde_json::from_value(json!({
                "site": site, "auth": auth, "validation": {"interval": "1h"}
            }))
            .unwrap(),
            host_allowed: true,
            status: JiraCredentialStatus::default(),
            source: Held::Secret("good"),
            source_version: 1,
            form: TokenFormat::default(),
            gateway: None,
            at_gateway: BTreeMap::new(),
            cloud_id: Ok("cloud"),
            permissions: Ok(Permissions::default()),
            secrets: BTreeMap::new(),
            claims: BTreeSet::new(),
            refuses: BTreeSet::new(),
            jira: BTreeMap::from([("good", accepted("anna"))]),
            outage: None,
            rate_limited_until: None,
            passwords: BTreeMap::new(),
            key: b"key one",
            workloads: BTreeMap::new(),
            stuck: BTreeMap::new(),
            silent: BTreeSet::new(),
            effects: Effects::default(),
            cut_after: None,
            told: (BTreeMap::new(), BTreeMap::new()),
            versions: 100,
            batches: None,
        }
    }

    /// The same after its first reconcile: validated, published, at rest.
    #[must_use]
    pub(super) fn at_rest(mut self) -> Self {
        self.pass();
        assert_eq!(
            self.status_of(ConditionType::Ready),
            "True Validated",
            "{:?}",
            self.status
        );
        self.effects = Effects::default();
        self
    }

    /// The same with something changed.
    #[must_use]
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// A person edits the spec.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut JiraCredentialSpec)) {
        change(&mut self.spec);
        self.object.generation += 1;
    }

    /// A person stores something in the source.
    pub(super) fn store(&mut self, secret: &'static str) {
        self.source = Held::Secret(secret);
        self.source_version += 1;
    }

    /// Time passes.
    pub(super) fn wait(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    /// Somebody changes the contents of a target.
    pub(super) fn tamper(&mut self, target: &str) {
        let standing = self.secrets.get_mut(target).unwrap();
        standing.version += 1000;
        standing.contents = None;
    }

    /// The process ends; another begins with what stands on the cluster.
    pub(super) fn restart(&mut self) {
        self.cut_after = None;
        self.rate_limited_until = None;
        self.batches = None;
        self.told.0 = self.told.1.clone();
        self.passwords.retain(|_, sent| sent.uid != ME);
        let Some(attempt) = &self.status.attempt else {
            return;
        };
        let what = match attempt.outcome {
            AttemptOutcome::Refused
                if matches!(
                    attempt.reason,
                    Some(Reason::AccountChanged | Reason::PermissionMissing)
                ) =>
            {
                return;
            }
            AttemptOutcome::Refused => Peer::Refused(attempt.reason.unwrap_or(Reason::Rejected)),
            AttemptOutcome::Started | AttemptOutcome::Interrupted => Peer::Interrupted,
            AttemptOutcome::Unconfirmed | AttemptOutcome::NoVerdict => return,
        };
        if self.status.method == Some(MethodName::Basic) {
            self.passwords
                .entry(attempt.fingerprint.clone())
                .or_insert(Sent { uid: ME, what });
        }
    }

    pub(super) fn plan(&self) -> Result<Plan, SpecError> {
        let method = self.spec.auth.method().ok_or(SpecError::NoMethod)?;
        if !self.host_allowed {
            return Err(SpecError::HostNotAllowed("the site is not allowed".into()));
        }
        Ok(Plan {
            method: method.name(),
            site: Site::of(&self.spec)?,
            periods: Periods::of(&self.spec)?,
            issued_at: method.issued_at(),
            expires_at: expiry(&method),
            renewal: None,
            gateway_fallback: self.gateway.map(str::to_owned),
        })
    }

    /// The fingerprint of a secret at the present site.
    pub(super) fn print(&self, secret: &str) -> Fingerprint {
        let key = FingerprintKey::new(self.key);
        let method = self
            .spec
            .auth
            .method()
            .map(|method| format!("{:?}", method.name()));
        key.fingerprint(&[
            method.unwrap_or_default().as_bytes(),
            self.spec.site.as_bytes(),
            secret.as_bytes(),
        ])
    }

    pub(super) fn source_versions(&self) -> Vec<SourceVersion> {
        vec![SourceVersion {
            name: "source".into(),
            uid: "uid-of-source".into(),
            resource_version: self.source_version.to_string(),
        }]
    }

    fn peer(&self, facts: &Facts) -> Peer {
        let Some(print) = facts.fingerprint().filter(|_| facts.is_password()) else {
            return Peer::Silent;
        };
        match self.passwords.get(print.as_str()) {
            Some(Sent {
                what: Peer::Refused(reason),
                ..
            }) => Peer::Refused(*reason),
            Some(sent) if sent.uid != ME => sent.what,
            Some(_) | None => Peer::Silent,
        }
    }

    /// Gathers the facts.
    pub(super) fn observe(&mut self) -> Facts {
        let mut facts = self.without_source();
        facts.correct_times();
        facts.begin_restarts();
        facts.recall_batches(self.batches.clone());
        facts.peer = self.peer(&facts);
        if facts.object.deleting || facts.spec.suspend || facts.plan.is_err() {
            return facts;
        }
        let missing = SourceError::Missing {
            kind: "Secret",
            name: "source".into(),
        };
        let changed = self.status.sources != self.source_versions();
        match &self.source {
            Held::Nothing => facts.source = Source::Unusable(missing),
            _ if !changed && !needs_source(&facts) => {}
            Held::Garbage => {
                self.effects.reads += 1;
                facts.source = Source::Unusable(SourceError::IsTarget {
                    name: "source".into(),
                });
            }
            Held::Secret(secret) => {
                self.effects.reads += 1;
                let fingerprint = self.print(secret);
                facts.source = Source::Read {
                    fingerprint,
                    versions: self.source_versions(),
                };
                facts.peer = self.peer(&facts);
            }
        }
        facts
    }

    fn without_source(&self) -> Facts {
        let targets = targets::targets(&self.spec, &self.object.namespace, &self.object.name);
        let wanted = |name: &str| targets.iter().any(|target| target.name == name);
        let surplus = self.status.targets.iter();
        let surplus = surplus.filter(|old| old.hash.is_some() && !wanted(&old.name));
        Facts {
            now: self.now,
            object: self.object.clone(),
            spec: self.spec.clone(),
            status: self.status.clone(),
            plan: self.plan(),
            source: Source::Unchanged,
            form: self.form,
            surplus: surplus.cloned().collect(),
            targets: targets
                .iter()
                .map(|target| TargetFacts {
                    target: target.clone(),
                    state: self.state(&target.name),
                    older_claim: self
                        .claims
                        .contains(target.name.as_str())
                        .then(|| "elder".to_owned()),
                    barrier: None,
                })
                .collect(),
            peer: Peer::Silent,
            watched_since: None,
            site_wait: self.site_wait(),
            renewal_wait: self.site_wait(),
            proxy: None,
            api_key: ApiKey::Unmoved,
            renewal: None,
            texts: Vec::new(),
            batches: None,
            progress: Progress::default(),
        }
    }

    fn site_wait(&self) -> Option<SiteWait> {
        let until = self.rate_limited_until.filter(|until| *until > self.now)?;
        let cause = WaitCause::RateLimited;
        Some(SiteWait { until, cause })
    }

    fn state(&self, name: &str) -> TargetState {
        self.secrets
            .get(name)
            .map_or(TargetState::Absent, |standing| TargetState::Present {
                uid: standing.uid.clone(),
                resource_version: standing.version.to_string(),
            })
    }

    /// One reconcile, which nothing cuts.
    pub(super) fn pass(&mut self) -> Passed {
        self.try_pass().expect("nothing cuts it")
    }

    /// One reconcile. What waits for the record of the first round follows in a second.
    pub(super) fn try_pass(&mut self) -> Result<Passed, Cut> {
        let mut facts = self.observe();
        let recorded = facts.status.clone();
        let mut steps = Vec::new();
        let mut polite = false;
        while let Some(step) = decide(&facts) {
            assert!(
                steps.len() < 32,
                "a step changes nothing: {steps:?}\n{facts:#?}"
            );
            assert!(
                !polite,
                "something comes after what nothing depends on: {step:?}"
            );
            polite = step == Step::Permissions && facts.progress.pending_account.is_none();
            if !polite {
                steps.push(step.clone());
            }
            let answer = self.act(step, &facts)?;
            facts = facts.apply(answer);
        }
        self.batches = facts.batches_to_remember();
        let conclusion = conclude(&facts, &recorded);
        if self.status != conclusion.status && !facts.object.deleting {
            self.write_status(conclusion.status.clone())?;
        }
        if restart_waits(&facts) {
            let mut rest = self.try_pass()?;
            steps.append(&mut rest.steps);
            return Ok(Passed { steps, ..rest });
        }
        Ok(Passed {
            steps,
            facts,
            conclusion,
        })
    }

    pub(super) fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.status
            .conditions
            .iter()
            .find(|condition| condition.kind == kind)
    }

    /// `True Validated`; `absent` without the condition.
    pub(super) fn status_of(&self, kind: ConditionType) -> String {
        self.condition(kind).map_or("absent".into(), |condition| {
            format!("{:?} {:?}", condition.status, condition.reason)
        })
    }
}
