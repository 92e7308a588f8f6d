//! The effects of a reconcile, one a step: the one place where Jira and the cluster meet.

mod cleanup;
mod error;
mod expiry_lookup;
mod grant;
mod merge;
mod passwords;
mod renewal;
mod restart;

use std::sync::Arc;
use std::time::Duration;

use crate::api::{Attempt, JiraCredential, MethodName, TargetVersion};
use crate::cluster::{
    ClusterError, Key, Known, Material, Publication, Published, key_of, key_of_target, target_mark,
};
use crate::controller::Operator;
use crate::controller::act::grant::asked_token;
use crate::controller::password_guard::{Password, Settled};
use crate::controller::shared_verdicts::SameCall;
use crate::core::apply::Answer;
use crate::core::decide::{Publish, Step};
use crate::core::facts::targets::merges;
use crate::core::facts::{Barrier, Facts, TargetFacts};
use crate::core::fingerprint::Fingerprint;
use crate::core::probe::{Cause, Judgement, Outage, Verdict};
use crate::core::spec::{Plan, RenewalPlan, Site};
use crate::jira::{Credential, Question, Signer};
use secrecy::SecretString;

use crate::render::{Contents, Parts, Validated, target_contents};
pub(super) use error::ActError;
pub(super) use grant::{chain_token, of_chain};
pub(super) use merge::report_removed;

/// How long an answer is waited for that nothing depends on: a status is waiting to be written.
const PATIENCE: Duration = Duration::from_secs(3);

impl Operator {
    /// Performs one step.
    pub(super) async fn act(
        &self,
        step: Step,
        facts: &Facts,
        material: &mut Option<Material>,
        current: &mut JiraCredential,
    ) -> Result<Answer, ActError> {
        // What a leader has decided is not for a process that has lost the leadership since. The step after
        // an announcement is: it sends nothing then, and records that nothing was sent.
        if !self.config.leadership.leads() && !is_announced(&step, facts) {
            return Err(ClusterError::NotLeading.into());
        }
        // Nor is it for the operator of another shard.
        if self.is_elsewhere(current) && !is_announced(&step, facts) {
            return Err(ActError::Stale);
        }
        match step {
            Step::RecordAttempt(attempt) => self.record_attempt(attempt, facts, current).await,
            Step::Validate => Ok(self.validate(facts, material.as_ref()).await),
            Step::Publish(publish) => {
                self.publish(&publish, facts, material.as_ref(), current)
                    .await
            }
            Step::Restart(restart) => self.restart(restart, facts).await,
            Step::DeleteTarget(old) => self.delete_target(&old, facts, current).await,
            Step::ResolveCloudId => Ok(self.resolve_cloud_id(facts).await),
            Step::LookUp => Ok(self.look_up(facts, material.as_ref()).await),
            Step::Permissions => Ok(self.permissions(facts, material.as_ref()).await),
            Step::ImportToken => self.import_token(facts, read(material)?).await,
            Step::CheckDuplicate => self.check_duplicate(facts, read(material)?, current).await,
            Step::Intend(spend) => self.intend(spend, facts, read(material)?).await,
            Step::Renew(spend) => self.renew(&spend, facts, read(material)?, current).await,
            Step::Promote => self.promote(facts, read(material)?, current).await,
            Step::Cleanup(cleanup_task) => {
                self.clean_up(cleanup_task, facts, read(material)?).await
            }
            Step::ListSites => Ok(self.list_sites(facts, read(material)?).await),
            Step::ValidateCandidate => Ok(Answer::CandidateValidated(
                self.ask_renewed(facts, read(material)?).await,
            )),
        }
    }

    async fn record_attempt(
        &self,
        attempt: Attempt,
        facts: &Facts,
        current: &mut JiraCredential,
    ) -> Result<Answer, ActError> {
        let password = Password::new(&facts.object.namespace, &attempt.fingerprint);
        let (uid, asked) = (&facts.object.uid, facts.password_is_asked_for());
        self.hear_of_other_shards().await?;
        if let Err(peer) = self.passwords.claim(&password, uid, asked) {
            return Ok(Answer::AttemptNotOurs(peer));
        }
        let status = facts.with_attempt(attempt.clone());
        // Waited for even if the lease is lost meanwhile: an attempt that stands is answered or taken back.
        let cluster = self.cluster.for_results();
        match cluster.write_status(current, &status).await {
            Ok(written) => {
                self.written.remember(&written);
                *current = written;
                Ok(Answer::AttemptRecorded(attempt))
            }
            Err(error) => {
                self.passwords.unclaim(&password, uid);
                Err(error.into())
            }
        }
    }

    async fn validate(&self, facts: &Facts, material: Option<&Material>) -> Answer {
        // decide never asks for a validation of what was not read.
        let unread = Answer::Validated(Verdict::NoVerdict(Outage::Internal));
        let (Ok(plan), Some(material)) = (&facts.plan, material) else {
            return unread;
        };
        let (Some(site), Some(credential)) = (facts.probe_site(), sent(facts, material)) else {
            return unread;
        };
        let ca_pem = material.ca_pem.as_deref();
        let jira = self.jira_for(facts);
        let call = jira.whoami(&site, ca_pem, &credential);
        let verdict = match shared_by(facts, &site, ca_pem) {
            Some(same) => {
                let user = &facts.object.uid;
                self.verdicts.verdict(same, user, &self.clock, call).await
            }
            None => call.await,
        };
        if plan.method == MethodName::Basic {
            self.settle(facts, &verdict);
        }
        Answer::Validated(verdict)
    }

    async fn permissions(&self, facts: &Facts, material: Option<&Material>) -> Answer {
        let unread = Answer::Permitted(Err(Verdict::NoVerdict(Outage::Internal)));
        let Some(material) = material else {
            return unread;
        };
        let (Some(site), Some(credential)) = (facts.probe_site(), sent(facts, material)) else {
            return unread;
        };
        let keys = facts.permissions_to_ask();
        let question = Question {
            keys: &keys,
            patience: facts.progress.pending_account.is_none().then_some(PATIENCE),
        };
        let ca_pem = material.ca_pem.as_deref();
        let jira = self.jira_for(facts);
        let answer = jira.permissions(&site, ca_pem, &credential, &question);
        Answer::Permitted(answer.await)
    }

    /// Lets the other credentials with the same password know.
    fn settle(&self, facts: &Facts, verdict: &Verdict) {
        let Some(print) = facts.fingerprint() else {
            return;
        };
        let settled = match facts.judge(verdict) {
            Judgement::Refused(cause @ Cause::Jira(_)) => Settled::Refused(cause.reason()),
            Judgement::NoVerdict(outage) if outage.may_have_arrived() && !facts.is_validated() => {
                Settled::Interrupted
            }
            Judgement::Accepted(_) => Settled::Accepted,
            Judgement::NoVerdict(outage) if !outage.may_have_arrived() => {
                return self.unclaim(facts, &print);
            }
            Judgement::NotAllowed(_) => {
                return self.unclaim(facts, &print);
            }
            Judgement::Refused(_) | Judgement::Unconfirmed(_) | Judgement::NoVerdict(_) => {
                Settled::Free
            }
        };
        self.settle_password(facts, &print, settled);
    }

    async fn publish(
        &self,
        publish: &Publish,
        facts: &Facts,
        material: Option<&Material>,
        current: &JiraCredential,
    ) -> Result<Answer, ActError> {
        let (Ok(plan), Some(material), Some(target)) =
            (&facts.plan, material, facts.targets.get(publish.index))
        else {
            return Ok(Answer::TargetRefused(
                publish.index,
                "nothing to write".into(),
            ));
        };
        if let Some(barrier) = self.barrier_now(publish, &target.target).await? {
            return Ok(Answer::TargetBarred(publish.index, barrier));
        }
        let contents = match render(plan, facts, material, publish, target) {
            Ok(contents) => contents,
            Err(text) => return Ok(Answer::TargetNotRendered(publish.index, text)),
        };
        let elsewhere = target.target.namespace.as_deref();
        let mark = self.target_mark(facts, elsewhere, &target.target.name);
        let publication = Publication {
            owner: current,
            target: &target.target,
            mark: mark.as_str(),
            contents: &contents,
            digest: &publish.digest,
            allowed_keys: &self.config.allowed_metadata_keys,
        };
        if merges(&target.target) {
            return self.merge(publish, facts, &publication).await;
        }
        Ok(
            match self
                .cluster
                .publish(&publication, publish.holds.as_deref())
                .await
            {
                Ok(Published::Written(version)) => {
                    self.learn(&facts.object.namespace, &version);
                    if elsewhere.is_some() {
                        let secret = key_of_target(current, &target.target);
                        self.wrote_elsewhere(key_of(current), secret, version.uid.clone());
                    }
                    Answer::TargetWritten(publish.index, version)
                }
                Ok(Published::Held(holder, version)) => {
                    self.learn(&facts.object.namespace, &version);
                    Answer::TargetOwnedByOther(publish.index, holder, version)
                }
                Ok(Published::NoNamespace) => Answer::TargetBarred(publish.index, Barrier::Missing),
                Err(error) if error.is_refusal() => {
                    Answer::TargetRefused(publish.index, error.to_string())
                }
                Err(error) => return Err(error.into()),
            },
        )
    }

    async fn delete_target(
        &self,
        old: &TargetVersion,
        facts: &Facts,
        current: &JiraCredential,
    ) -> Result<Answer, ActError> {
        if old.merge.is_some() {
            return self.remove_keys(old, facts).await;
        }
        let unserved = old.namespace.as_ref().filter(|at| !self.watches(at));
        if let Some(namespace) = unserved {
            return Ok(self.leave_target(namespace, old, facts));
        }
        let mark = self.target_mark(facts, old.namespace.as_deref(), &old.name);
        self.cluster.retract(current, old, mark.as_str()).await?;
        if let Some(namespace) = &old.namespace {
            let secret = Key::new(namespace, &old.name);
            self.index.elsewhere().gone(&secret);
        }
        Ok(Answer::TargetDeleted(old.path()))
    }

    fn target_mark(&self, facts: &Facts, elsewhere: Option<&str>, target: &str) -> Fingerprint {
        let owner = Key::new(&facts.object.namespace, &facts.object.name);
        target_mark(&self.key, &owner, elsewhere, target)
    }

    pub(super) fn learn(&self, namespace: &str, version: &TargetVersion) {
        let known = Known::Present {
            uid: version.uid.clone(),
            resource_version: version.resource_version.clone(),
        };
        let namespace = version.namespace.as_deref().unwrap_or(namespace);
        self.index.learn_from_write(namespace, &version.name, known);
    }
}

/// Whether it stands on the cluster that this step is about to send a password or a token.
fn is_announced(step: &Step, facts: &Facts) -> bool {
    match step {
        Step::Validate => facts.is_password(),
        Step::Renew(_) => facts.renewal_plan().is_some_and(RenewalPlan::is_announced),
        _ => false,
    }
}

/// What credentials have in common that get the same answer of Jira. Passwords have rules of their own,
/// and who asks for a validation gets one.
fn shared_by(facts: &Facts, site: &Site, ca_pem: Option<&[u8]>) -> Option<SameCall> {
    if facts.is_password() || facts.renews() || facts.renew_requested() {
        return None;
    }
    Some(SameCall {
        site: site.clone(),
        method: facts.plan.as_ref().ok()?.method,
        fingerprint: facts.fingerprint()?.as_str().to_owned(),
        ca_pem: ca_pem.map(<[u8]>::to_vec),
    })
}

/// The secret values: every step that needs them is decided after they were read.
fn read(material: &mut Option<Material>) -> Result<&mut Material, ActError> {
    material.as_mut().ok_or(ActError::Stale)
}

/// The credential that stands to be validated, as it is sent.
pub(super) fn sent(facts: &Facts, material: &Material) -> Option<Credential> {
    if facts.renews() {
        let token = asked_token(facts, material)?;
        return Some(of_chain(facts.plan.as_ref().ok()?.method, token));
    }
    let secret = material.secret.clone();
    Some(match facts.plan.as_ref().ok()?.method {
        MethodName::ApiToken | MethodName::Basic => Credential::Basic {
            user: material.user.clone().unwrap_or_default(),
            secret,
        },
        MethodName::PersonalAccessToken | MethodName::OAuth2 | MethodName::ClientCredentials => {
            Credential::Bearer(secret)
        }
        MethodName::Session => Credential::Cookie(secret),
        MethodName::OAuth1 => {
            let signing = material.signing.as_ref()?;
            Credential::Signed(Signer {
                consumer_key: signing.consumer_key.clone(),
                token: secret,
                key: Arc::clone(&signing.key),
            })
        }
    })
}

/// What was published and replaced last, and has not ended yet.
fn previous_token<'a>(facts: &Facts, material: &'a Material) -> Option<&'a SecretString> {
    let grant = &material.tokens.as_ref()?.stored.as_ref()?.grant;
    if facts.is_kept() {
        return grant.previous().map(|old| &old.token.0);
    }
    let chain = grant.chain(&facts.chain()?.origin)?;
    chain.previous.as_ref().map(|old| &old.token.0)
}

/// What a target is to hold.
fn render(
    plan: &Plan,
    facts: &Facts,
    material: &Material,
    publish: &Publish,
    target: &TargetFacts,
) -> Result<Contents, String> {
    let token = chain_token(facts, material);
    let name = format!("{}/{}", facts.object.namespace, facts.object.name);
    let validated = Validated {
        name: &name,
        hosting: plan.site.hosting,
        method: plan.method,
        url: &facts.api_base().unwrap_or_default(),
        site: &plan.site.base,
        cloud_id: facts.cloud_id(),
        user: material.user.as_deref(),
        secret: token.as_ref().unwrap_or(&material.secret),
        previous: facts
            .previous()
            .filter(|_| target.target.keep_previous)
            .and_then(|_| previous_token(facts, material)),
        signing: material.signing.as_ref().map(|signing| Parts {
            consumer_key: &signing.consumer_key,
            private_key: &signing.private_key,
            token_secret: signing.token_secret.as_ref(),
        }),
        account: &publish.account.id,
        expires_at: facts.wanted().and_then(|wanted| wanted.expires_at),
    };
    target_contents(&validated, &target.target)
}
