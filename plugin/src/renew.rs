//! `renew`: has the operator validate or renew a credential now, and shows the outcome.

use std::sync::Mutex;

use chrono::SecondsFormat;
use clap::{ArgAction, Args};
use jira_credential_operator::api::{
    Attempt, AttemptOutcome, ConditionStatus, ConditionType, JiraCredential, JiraCredentialStatus,
    RENEW_ANNOTATION,
};
use jira_credential_operator::clock::Clock;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::output::{self, Style};
use crate::rotate::store::MANAGER;
use crate::status::list;
use crate::status::report::Report;
use crate::wait::{self, WaitArgs};

/// `renew NAME`.
#[derive(Args, Clone, Debug)]
pub struct RenewArgs {
    /// Name of the credential.
    name: String,
    /// Wait for the outcome.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    wait: bool,
    #[command(flatten)]
    limit: WaitArgs,
}

impl RenewArgs {
    /// Sets the annotation and waits until it is handled.
    ///
    /// # Errors
    /// When a request fails, the credential is suspended, or the time runs out.
    pub async fn run(&self, cluster: &Cluster) -> Result<Exit, Failure> {
        let api: Api<JiraCredential> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let what = format!(
            "read the JiraCredential {}/{}",
            cluster.namespace, self.name
        );
        let object = cluster.ask(&what, api.get(&self.name)).await?;
        if object.spec.suspend {
            return Err(Failure::new(
                Exit::NotReady,
                format!(
                    "{} is suspended, and nothing is renewed; set spec.suspend to false first",
                    self.name
                ),
            ));
        }
        let value = new_value();
        let patch = Patch::Merge(json!({"metadata": {"annotations": {RENEW_ANNOTATION: value}}}));
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let what = format!(
            "annotate the JiraCredential {}/{}",
            cluster.namespace, self.name
        );
        cluster
            .ask(&what, api.patch(&self.name, &params, &patch))
            .await?;
        if !self.wait {
            output::print(&format!("{}: asked for a renewal\n", self.name))?;
            return Ok(Exit::Done);
        }
        let object = self.outcome(cluster, &value).await?;
        show(&object)
    }

    async fn outcome(&self, cluster: &Cluster, value: &str) -> Result<JiraCredential, Failure> {
        let told: Mutex<Option<String>> = Mutex::default();
        let seen = |object: &JiraCredential| {
            if let Some(line) = open(object, value) {
                wait::tell_once(&told, line);
            }
            is_handled(object, value)
        };
        let ended = wait::until(cluster, &self.name, self.limit.timeout, seen).await;
        ended.map_err(|failure| match failure.exit {
            Exit::TimedOut => Failure::new(
                Exit::TimedOut,
                format!("{} The request stays open.", failure.message),
            ),
            _ => failure,
        })
    }
}

/// A value that the annotation has not had. The clock has seconds; the process makes it unique among
/// those of one machine.
fn new_value() -> String {
    let now = Clock::system().now();
    let second = now.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{second}-{}", std::process::id())
}

/// Whether a request is recorded that was not sent, or has no answer yet.
fn is_open(status: &JiraCredentialStatus) -> bool {
    let started = |attempt: &Attempt| attempt.outcome == AttemptOutcome::Started;
    status.pending_renew.is_some() || status.attempt.as_ref().is_some_and(started)
}

/// Whether the operator is done with a request, or with a later one that took its place.
fn is_handled(object: &JiraCredential, value: &str) -> bool {
    let status = object.status.as_ref();
    let Some(handled) = status.and_then(|status| status.last_handled_renew.as_deref()) else {
        return false;
    };
    // That of a password is recorded before it is sent, and stays open until it was.
    if status.is_some_and(is_open) {
        return false;
    }
    let asked = object.annotations().get(RENEW_ANNOTATION);
    handled == value || asked.is_some_and(|asked| asked != value && asked == handled)
}

/// Why a request is still open, once it was tried.
fn open(object: &JiraCredential, value: &str) -> Option<String> {
    let status = object.status.as_ref()?;
    let pending = status.pending_renew.as_deref() == Some(value);
    let valid = status.condition(ConditionType::Valid);
    let cause = valid.or_else(|| status.condition(ConditionType::Ready));
    pending.then(|| {
        format!(
            "no answer yet: {}",
            cause.map_or("", |cause| &cause.message)
        )
    })
}

/// Prints how a request ended. What Jira refused needs a person.
///
/// # Errors
/// When it cannot be printed.
pub fn show(object: &JiraCredential) -> Result<Exit, Failure> {
    let report = Report::of(object);
    let style = Style::of_stdout();
    let ready = list::ready(&report);
    let status = object.status.as_ref();
    let valid = status.and_then(|status| status.condition(ConditionType::Valid));
    let valid = valid.map(|valid| (valid.status, valid.message.clone()));
    let message = match &valid {
        Some((_, message)) if report.ready == ConditionStatus::True => message.clone(),
        _ => report.message.clone().unwrap_or_default(),
    };
    let message = output::plain(&message);
    output::print(&format!(
        "{}: Ready {} ({}): {message}\n",
        object.name_any(),
        style.paint(&ready.text, ready.paint),
        report.reason_word()
    ))?;
    // A refusal that is not confirmed yet leaves the published credential ready.
    let is_valid = valid.is_some_and(|(status, _)| status == ConditionStatus::True);
    let is_ready = report.ready == ConditionStatus::True;
    Ok(if is_ready && is_valid {
        Exit::Done
    } else {
        Exit::NotReady
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn a_request_is_handled_by_itself_or_by_a_later_one() {
        for (asked, handled, expected) in [
            ("mine", None, false),
            ("mine", Some("old"), false),
            ("mine", Some("mine"), true),
            ("later", Some("old"), false),
            ("later", Some("later"), true),
        ] {
            let object: JiraCredential = serde_json::from_value(json!({
                "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
                "metadata": {"name": "bot", "annotations": {RENEW_ANNOTATION: asked}},
                "spec": {"site": "https://acme.atlassian.net", "auth": {}},
                "status": {"lastHandledRenew": handled},
            }))
            .unwrap();
            assert_eq!(is_handled(&object, "mine"), expected, "{asked} {handled:?}");
        }
    }
}
