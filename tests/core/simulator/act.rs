//! What a step does to the model.

use crate::simulator::{Cut, Held, ME, REJECTED, Sent, Standing, Told, World};
use jira_credential_operator::api::{Attempt, JiraCredentialStatus, Reason, TargetVersion};
use jira_credential_operator::core::apply::Answer;
use jira_credential_operator::core::decide::{Publish, Restart, Step};
use jira_credential_operator::core::facts::{Facts, Holder, Peer, Restarted, Source};
use jira_credential_operator::core::probe::{Cause, Judgement};

impl World {
    pub(super) fn act(&mut self, step: Step, facts: &Facts) -> Result<Answer, Cut> {
        match step {
            Step::RecordAttempt(attempt) => self.record_attempt(attempt, facts),
            Step::Validate => self.validate(facts),
            Step::ResolveCloudId => {
                self.effects.questions.push("id");
                Ok(Answer::CloudIdResolved(
                    self.cloud_id.clone().map(str::to_owned),
                ))
            }
            Step::Permissions => Ok(self.ask_permissions(facts)),
            Step::Publish(publish) => self.publish(&publish, facts),
            Step::Restart(restart) => self.restart_workload(restart, facts),
            Step::DeleteTarget(old) => {
                let ours =
                    |standing: &Standing| standing.uid == old.uid && standing.holder.is_none();
                if self.secrets.get(&old.name).is_some_and(ours) {
                    self.secrets.remove(&old.name);
                    self.target_written()?;
                }
                Ok(Answer::TargetDeleted(old.name))
            }
            other => panic!("a step of the renewal protocol: {other:?}"),
        }
    }

    fn record_attempt(&mut self, attempt: Attempt, facts: &Facts) -> Result<Answer, Cut> {
        let asked = facts.password_is_asked_for();
        match self.passwords.get(&attempt.fingerprint) {
            Some(Sent {
                what: Peer::Accepted,
                ..
            }) => {}
            Some(sent) if sent.uid != ME && (sent.what == Peer::InFlight || !asked) => {
                return Ok(Answer::AttemptNotOurs(sent.what));
            }
            Some(Sent {
                what: what @ Peer::Refused(_),
                ..
            }) if !asked => {
                return Ok(Answer::AttemptNotOurs(*what));
            }
            Some(_) | None => {}
        }
        let sent = Sent {
            uid: ME,
            what: Peer::InFlight,
        };
        self.passwords.insert(attempt.fingerprint.clone(), sent);
        self.write_status(facts.with_attempt(attempt.clone()))?;
        Ok(Answer::AttemptRecorded(attempt))
    }

    fn validate(&mut self, facts: &Facts) -> Result<Answer, Cut> {
        let (Held::Secret(secret), Source::Read { fingerprint, .. }) =
            (&self.source, &facts.source)
        else {
            panic!("a validation of what was not read: {facts:?}")
        };
        let print = fingerprint.as_str().to_owned();
        let at_gateway = facts
            .probe_base()
            .is_some_and(|base| base.contains("/ex/jira/"));
        let says = if at_gateway {
            self.effects.questions.push("gateway");
            &self.at_gateway
        } else {
            self.effects.calls.push(print.clone());
            &self.jira
        };
        let known = says.get(secret).cloned().unwrap_or(REJECTED);
        let verdict = self.outage.clone().unwrap_or(known);
        self.effect()?;
        let judgement = facts.judge(&verdict);
        let told = match &judgement {
            Judgement::Accepted(account) => Some(Told::Accepted(account.id.clone())),
            Judgement::Refused(_) | Judgement::Unconfirmed(_) => Some(Told::Refused),
            Judgement::NoVerdict(_) | Judgement::NotAllowed(_) => None,
        };
        if let Some(told) = told {
            self.told.0.insert(print.clone(), told);
        }
        if facts.is_password() {
            let what = match judgement {
                Judgement::Refused(cause @ Cause::Jira(_)) => Some(Peer::Refused(cause.reason())),
                Judgement::NoVerdict(outage)
                    if outage.may_have_arrived() && !facts.is_validated() =>
                {
                    Some(Peer::Interrupted)
                }
                _ => None,
            };
            self.passwords.remove(&print);
            if let Some(what) = what {
                self.passwords.insert(print, Sent { uid: ME, what });
            }
        }
        Ok(Answer::Validated(verdict))
    }

    /// Only right after the credential was accepted: before, an anonymous answer could be taken for
    /// one about the account.
    fn ask_permissions(&mut self, facts: &Facts) -> Answer {
        let accepted = matches!(facts.progress.judgement, Some(Judgement::Accepted(_)));
        assert!(
            accepted || facts.progress.pending_account.is_some(),
            "asked before an acceptance: {facts:#?}"
        );
        self.effects.questions.push("permissions");
        Answer::Permitted(self.permissions.clone())
    }

    fn publish(&mut self, publish: &Publish, facts: &Facts) -> Result<Answer, Cut> {
        let Source::Read { fingerprint, .. } = &facts.source else {
            panic!("something is published that was not read: {facts:?}")
        };
        let print = fingerprint.as_str().to_owned();
        let told = self.told.0.get(&print);
        let expected = Told::Accepted(facts.pinned_account().unwrap_or_default().to_owned());
        assert_eq!(
            told,
            Some(&expected),
            "refused or unvalidated, yet published: {facts:#?}"
        );
        let refused = matches!(self.peer(facts), Peer::Refused(_));
        assert!(!refused, "refused for another, yet published: {facts:#?}");
        let name = facts.targets[publish.index].target.name.clone();
        let older = facts.targets[publish.index].older_claim.is_some();
        if self.refuses.contains(name.as_str()) {
            self.effects.refused_writes += 1;
            self.effect()?;
            return Ok(Answer::TargetRefused(publish.index, "quota".into()));
        }
        self.versions += 1;
        let versions = self.versions;
        let version = |standing: &Standing, hash| TargetVersion {
            namespace: None,
            name: name.clone(),
            uid: standing.uid.clone(),
            resource_version: standing.version.to_string(),
            hash,
            held_by: held_by(standing.holder.as_ref()),
            merge: None,
        };
        let standing = self.secrets.entry(name.clone()).or_insert_with(|| {
            assert!(!older, "an older credential names it: {facts:#?}");
            let uid = format!("uid-{versions}");
            Standing {
                uid,
                version: 0,
                holder: None,
                contents: None,
            }
        });
        if let Some(holder) = standing.holder.clone() {
            let seen = version(standing, None);
            return Ok(Answer::TargetOwnedByOther(publish.index, holder, seen));
        }
        standing.version = versions;
        standing.contents = Some((print, publish.digest.clone()));
        let written = version(standing, Some(publish.digest.clone()));
        self.target_written()?;
        Ok(Answer::TargetWritten(publish.index, written))
    }

    fn restart_workload(&mut self, restart: Restart, facts: &Facts) -> Result<Answer, Cut> {
        let name = restart.workload.to_string();
        let reason = self.stuck.get(name.as_str()).copied();
        self.effects.restart_requests += 1;
        assert!(!facts.awaits_record(), "not recorded yet: {facts:#?}");
        if self.silent.contains(name.as_str()) {
            self.effect()?;
            return Ok(Answer::RestartUnanswered(restart.workload));
        }
        let restarted = match (reason, self.workloads.get_mut(&name)) {
            (Some(reason), _) => Restarted::Failed(reason),
            (None, None) => Restarted::Failed(Reason::WorkloadMissing),
            (None, Some(annotation)) => {
                if !restart.only_look && *annotation != restart.revision {
                    annotation.clone_from(&restart.revision);
                    self.effects.rolled.push(name);
                }
                Restarted::Done
            }
        };
        self.effect()?;
        Ok(Answer::Restarted(restart.workload, restarted))
    }

    pub(super) fn write_status(&mut self, status: JiraCredentialStatus) -> Result<(), Cut> {
        self.status = status;
        self.effects.status_writes += 1;
        self.told.1 = self.told.0.clone();
        self.effect()
    }

    fn target_written(&mut self) -> Result<(), Cut> {
        self.effects.target_writes += 1;
        self.effect()
    }

    fn effect(&mut self) -> Result<(), Cut> {
        match self.cut_after.as_mut() {
            Some(0) => Err(Cut),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// What the status records of who holds a target.
pub(crate) fn held_by(holder: Option<&Holder>) -> Option<String> {
    match holder {
        Some(Holder::Credential(name)) => Some(name.clone()),
        Some(Holder::Elsewhere | Holder::Stranger) | None => None,
    }
}
