//! The reader of credentials that renew themselves.
//!
//! The grant is read whenever anything may have to be done, and always from the API server. The refresh token
//! in the user's Secret is read when it may be new, client secrets when a renewal is next.

mod inputs;

use secrecy::SecretString;

use crate::api::{AttemptOutcome, Method, Reason, SecretKeyRef, SourceVersion};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::grant_secret::{Found, Stored, grant_mark};
use crate::cluster::observe::fingerprints::token_print;
use crate::cluster::observe::types::{Observed, PasswordPrints, RenewalContext};
use crate::cluster::secret_index::{Known, VersionIndex};
use crate::cluster::source::{self, Material, Tokens};
use crate::core::decide::{Move, needs_source, renewal};
use crate::core::facts::attempt::refuses_login;
use crate::core::facts::{Facts, GrantState, Held, Peer, Process, Renewal, SeedState, Source};
use crate::core::fingerprint::{Fingerprint, FingerprintKey};
use crate::core::grant::Intent;
use crate::core::spec::SourceError;
use crate::core::spec::place;

/// One reading.
struct Reading<'a> {
    cluster: &'a Cluster,
    index: &'a VersionIndex,
    key: &'a FingerprintKey,
    around: &'a RenewalContext<'a>,
    /// What others know of a password.
    peer: &'a (dyn Fn(&PasswordPrints) -> Peer + Sync),
    facts: Facts,
    tokens: Tokens,
    ca_pem: Option<Vec<u8>>,
    /// What was read in this reconcile.
    read: Vec<SourceVersion>,
}

/// Gathers the facts of a credential that renews itself.
pub(in crate::cluster) async fn observe_grant(
    cluster: &Cluster,
    index: &VersionIndex,
    key: &FingerprintKey,
    mut facts: Facts,
    around: &RenewalContext<'_>,
    peer: &(dyn Fn(&PasswordPrints) -> Peer + Sync),
) -> Result<Observed, ClusterError> {
    let Some(plan) = facts.renewal_plan() else {
        return Ok(Observed {
            facts,
            material: None,
        });
    };
    let grant_name = plan.grant.clone();
    facts.renewal = Some(Renewal {
        grant: GrantState::NotRead,
        seed: SeedState::NotRead,
        rival: around.rival.clone(),
        others: around.others.clone(),
        login: Peer::Silent,
        clients_changed: false,
        missing: None,
        clients_read: false,
        process: Process {
            stopping: around.stopping,
            ..Process::default()
        },
        time_scale: around.time_scale,
    });
    let mut reading = Reading {
        cluster,
        index,
        key,
        around,
        peer,
        facts,
        tokens: Tokens::default(),
        ca_pem: None,
        read: Vec::new(),
    };
    reading.look_for_inputs();
    let names = reading.names();
    let changed = names.iter().any(|name| reading.has_changed(name));
    let released = is_released(&reading.facts, peer);
    if !changed && !released && !needs_source(&reading.facts) {
        return Ok(Observed {
            facts: reading.facts,
            material: None,
        });
    }
    let gathered = match reading.gather(&grant_name).await {
        Err(ClusterError::Forbidden(right)) => Some(SourceError::NotReadable(right)),
        other => other?,
    };
    if let Some(problem) = gathered {
        reading.facts.source = Source::Unusable(problem);
        return Ok(Observed {
            facts: reading.facts,
            material: None,
        });
    }
    reading.learn_unread().await?;
    Ok(reading.finish())
}

impl Reading<'_> {
    fn namespace(&self) -> &str {
        &self.facts.object.namespace
    }

    /// The Secrets that the credential depends on, the grant among them.
    fn names(&self) -> Vec<String> {
        let names = source::names(&self.facts.spec).into_iter();
        let grant = self.facts.renewal_plan().map(|plan| plan.grant.clone());
        names.map(str::to_owned).chain(grant).collect()
    }

    /// What the watch knows of a Secret, in the form in which it is recorded. A version with the same
    /// contents counts as the one that is recorded.
    fn shown(&self, name: &str) -> Option<SourceVersion> {
        let mut sources = self.facts.status.sources.iter();
        let recorded = sources.find(|source| source.name == name);
        if let Some(recorded) =
            recorded.filter(|version| self.index.is_same(self.namespace(), version))
        {
            return Some(recorded.clone());
        }
        let (uid, resource_version) = match self.index.look(self.namespace(), name) {
            Known::Unknown => return None,
            Known::Absent => (String::new(), String::new()),
            Known::Present {
                uid,
                resource_version,
            } => (uid, resource_version),
        };
        Some(SourceVersion {
            name: name.to_owned(),
            uid,
            resource_version,
        })
    }

    fn is_recorded(&self, name: &str) -> bool {
        let mut sources = self.facts.status.sources.iter();
        sources.any(|source| source.name == name)
    }

    fn has_changed(&self, name: &str) -> bool {
        let recorded = self
            .facts
            .status
            .sources
            .iter()
            .find(|source| source.name == name);
        recorded.is_none() || recorded != self.shown(name).as_ref()
    }

    /// Reads what is needed. Returns what is wrong with a source that cannot be done without.
    async fn gather(&mut self, grant_name: &str) -> Result<Option<SourceError>, ClusterError> {
        let method = self.facts.spec.auth.method();
        let seed = match method {
            Some(Method::OAuth2(_) | Method::PersonalAccessToken(_) | Method::Session(_)) => {
                method.as_ref().and_then(place)
            }
            _ => None,
        };
        let is_login = matches!(method, Some(Method::Session(_)));
        let clients: Vec<SecretKeyRef> = match method {
            Some(Method::OAuth2(oauth2)) => oauth2.client_secret_refs.clone(),
            Some(Method::ClientCredentials(client)) => client.client_secret_refs.clone(),
            _ => Vec::new(),
        };
        let found = self.cluster.grant(self.namespace(), grant_name).await?;
        let ours = self.is_ours(&found, grant_name);
        if let Some(seed) = &seed
            // Passwords are kept nowhere else.
            && (is_login
                || !ours
                || self.has_changed(&seed.name)
                || self.facts.spec_changed()
                || self.explains_refusal())
            && let Some(problem) = self.read_seed(seed).await?
        {
            // A refresh token that was spent may go.
            let gone = problem.reason() == Reason::SourceMissing;
            let works = ours && matches!(&found, Found::Grant(stored) if works(stored));
            let spared = gone && (ours || self.was_consumed(grant_name)) || works;
            if is_login || !spared {
                return Ok(Some(problem));
            }
            // What a person mistyped must not end what works.
            if let Some(renewal) = &mut self.facts.renewal
                && !gone
            {
                renewal.seed = SeedState::Unusable(problem.reason());
            }
        }
        self.set_grant(grant_name, found, ours);
        let read =
            source::read_authorities(self.cluster, self.index, self.namespace(), &self.facts.spec);
        let authorities = read.await?;
        self.read.extend(authorities.version);
        match authorities.ca_pem {
            Ok(ca_pem) => self.ca_pem = ca_pem,
            Err(problem) => return Ok(Some(problem)),
        }
        self.read_clients(&clients).await
    }

    /// Whether the format of the stored value may explain a refusal that is reported again.
    fn explains_refusal(&self) -> bool {
        let attempt = self.facts.status.attempt.as_ref();
        let refused = attempt.is_some_and(|attempt| attempt.outcome == AttemptOutcome::Refused);
        refused && self.facts.makes_successors()
    }

    /// Whether what was found under the name of the grant is the operator's.
    fn is_ours(&self, found: &Found, grant_name: &str) -> bool {
        let known = self.facts.status.grant.as_ref();
        let is_known = |stored: &Stored| {
            let uid = stored.metadata.uid.as_ref();
            known.is_some_and(|known| !known.uid.is_empty() && Some(&known.uid) == uid)
        };
        let mark = grant_mark(self.key, self.namespace(), grant_name);
        match found {
            Found::Grant(stored) => is_known(stored) || stored.is_marked(&mark),
            Found::Nothing | Found::Other | Found::Later => false,
        }
    }

    fn was_consumed(&self, grant_name: &str) -> bool {
        let known = self.facts.status.grant.as_ref();
        known.is_some_and(|known| known.consumed && known.name == grant_name)
    }

    /// A grant is ours if we have recorded its uid, if it bears our mark, or if it knows the seed:
    /// no other process could have written that into it.
    fn set_grant(&mut self, name: &str, found: Found, ours: bool) {
        let seed = self.facts.renewal.as_ref().map(|renewal| &renewal.seed);
        let knows_seed = |stored: &Stored| match seed {
            Some(SeedState::Read { digest, .. }) => stored.grant.seed(digest).is_some(),
            Some(SeedState::NotRead | SeedState::Missing | SeedState::Unusable(_)) | None => false,
        };
        let state = match found {
            Found::Nothing => {
                self.read.push(SourceVersion {
                    name: name.to_owned(),
                    uid: String::new(),
                    resource_version: String::new(),
                });
                GrantState::Absent
            }
            Found::Grant(mut stored) if ours || knows_seed(&stored) => {
                let unsent = |intent: &mut Intent| (self.around.unsent)(name, intent);
                stored.grant.intent.take_if(unsent);
                let held = self.held(&stored);
                self.read.push(stored.version());
                self.tokens.stored = Some(*stored);
                GrantState::Read(Box::new(held))
            }
            Found::Later => GrantState::Later,
            Found::Other | Found::Grant(_) => GrantState::Foreign,
        };
        let intent = match &state {
            GrantState::Read(held) => held.grant.intent.clone(),
            GrantState::NotRead | GrantState::Absent | GrantState::Foreign | GrantState::Later => {
                None
            }
        };
        let process = (self.around.process)(name, intent.as_ref());
        if let Some(renewal) = &mut self.facts.renewal {
            renewal.grant = state;
            renewal.process = process;
        }
    }

    fn held(&self, stored: &Stored) -> Held {
        stored.held(&|token| token_print(self.key, &self.facts, token))
    }

    /// Whether the next moves lead to the token endpoint.
    fn renews_next(&self) -> bool {
        match renewal::next(&self.facts) {
            Some(Move::ImportToken | Move::CheckDuplicate | Move::Intend(_) | Move::Renew(_)) => {
                true
            }
            Some(Move::Promote | Move::At(_) | Move::Idle | Move::Blocked(_)) | None => false,
        }
    }

    /// The watch shows a Secret that is named for the first time only when it changes: what was not
    /// read is looked at once, so that later reconciles can tell whether it has changed.
    async fn learn_unread(&mut self) -> Result<(), ClusterError> {
        for name in self.names() {
            let read = self.read.iter().any(|version| version.name == name);
            if read || self.shown(&name).is_some() {
                continue;
            }
            let found = self
                .cluster
                .secret_metadata(self.namespace(), &name)
                .await?;
            let metadata = found.map(|found| found.metadata).unwrap_or_default();
            self.read.push(SourceVersion {
                name,
                uid: metadata.uid.unwrap_or_default(),
                resource_version: metadata.resource_version.unwrap_or_default(),
            });
        }
        Ok(())
    }

    fn finish(mut self) -> Observed {
        self.index.learn_versions(self.namespace(), &self.read);
        let mut versions = Vec::new();
        for name in self.names() {
            let read = self.read.iter().find(|version| version.name == name);
            versions.extend(read.cloned().or_else(|| self.shown(&name)));
        }
        versions.sort_by(|a, b| a.name.cmp(&b.name));
        versions.dedup();
        let print = self.facts.chain_print().cloned();
        self.facts.source = Source::Read {
            fingerprint: print.unwrap_or_else(|| Fingerprint::recorded("")),
            versions,
        };
        Observed {
            facts: self.facts,
            material: Some(Material {
                user: None,
                secret: SecretString::default(),
                signing: None,
                ca_pem: self.ca_pem,
                tokens: Some(self.tokens),
                api_key: None,
            }),
        }
    }
}

/// Whether Jira has accepted elsewhere a password that stands refused or in doubt in the status.
fn is_released(facts: &Facts, peer: &(dyn Fn(&PasswordPrints) -> Peer + Sync)) -> bool {
    let Some(grant) = facts.status.grant.as_ref().filter(|_| logs_in(facts)) else {
        return false;
    };
    let blocked = grant.seed.as_ref().filter(|_| {
        let by = grant.blocked_by;
        by.is_some_and(|reason| refuses_login(reason) || reason == Reason::NotValidated)
    });
    let beside = grant.candidate.as_ref().map(|beside| &beside.fingerprint);
    blocked.into_iter().chain(beside).any(|print| {
        let here = Fingerprint::recorded(print);
        let everywhere = None;
        peer(&PasswordPrints { here, everywhere }) == Peer::Accepted
    })
}

fn logs_in(facts: &Facts) -> bool {
    matches!(facts.spec.auth.method(), Some(Method::Session(_)))
}

/// The place of the seed of a spec.
pub(in crate::cluster) fn place_of(spec: &crate::api::JiraCredentialSpec) -> Option<SecretKeyRef> {
    spec.auth.method().as_ref().and_then(place)
}

/// Whether the chain in use is not dead.
fn works(stored: &Stored) -> bool {
    let live = stored.grant.live.as_ref();
    live.is_some_and(|chain| chain.dead.is_none())
}
