//! One run of a scenario, its state, and the end of the operator in it.

use std::sync::Mutex;

use atlassian_sim::{DataCenter, Fault, Rule, Token, basic};
use chrono::TimeDelta;
use control_plane::faults::{Mark, Requests, Side, Verb};
use futures::FutureExt;
use futures::future::BoxFuture;
use jira_credential_operator::api::JiraCredential;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::scenario::Scenario;
use super::{Cut, Effect};
use crate::support::{PATIENCE, Running, World, is_of_validation};

/// The one credential of every scenario.
pub(super) const BOT: &str = "bot";

/// The user whose password is sent.
pub(super) const ROBOT: &str = "robot";

/// More than what lies between two looks of the operator while it confirms a refusal.
pub(super) const A_MINUTE: TimeDelta = TimeDelta::seconds(61);

/// One run of a scenario, in a world of its own.
pub(super) struct Case {
    scenario: Scenario,
    pub(super) world: World,
    token: Token,
    /// What differs between two runs, and what stands for it.
    words: Mutex<Vec<(String, &'static str)>>,
}

impl Case {
    /// Prepares the world, and an operator that has come to rest in it.
    pub(super) async fn begin(scenario: Scenario) -> (Self, Running) {
        let world = World::new().await;
        let token = match scenario {
            Scenario::TwoTargets => world.data_center().pat(ROBOT),
            _ => world.cloud().api_token("bot@acme.example"),
        };
        let case = Self {
            scenario,
            token,
            words: Mutex::new(vec![
                (world.namespace.clone(), "NAMESPACE"),
                (world.sim.port().to_string(), "PORT"),
            ]),
            world,
        };
        case.note_token(&case.token, ["TOKEN", "BASIC TOKEN"]);
        let operator = case.world.operator().await;
        if scenario.begins_ready() {
            case.make().await;
            case.world.wait_ready(BOT).await;
            operator.quiet().await;
        }
        (case, operator)
    }

    pub(super) fn jira(&self) -> DataCenter {
        self.world.data_center()
    }

    pub(super) fn note(&self, text: &str, word: &'static str) {
        self.words.lock().unwrap().push((text.to_owned(), word));
    }

    pub(super) fn note_token(&self, token: &Token, [plain, encoded]: [&'static str; 2]) {
        self.note(&token.basic(), encoded);
        self.note(token.secret(), plain);
    }

    pub(super) async fn password(&self, password: &str, [plain, encoded]: [&'static str; 2]) {
        self.note(&basic(ROBOT, password), encoded);
        self.note(password, plain);
        let data = [("username", ROBOT), ("password", password)];
        self.world.secret("bot-source", &data).await;
    }

    pub(super) async fn token(&self, token: &Token) {
        let data = [("token", token.secret())];
        self.world.secret("bot-source", &data).await;
    }

    /// Makes the source and the credential.
    pub(super) async fn make(&self) {
        let mut spec = self.world.api_token_spec(BOT);
        if self.scenario.is_password() {
            let right = self.jira().new_password(ROBOT);
            let password = match self.scenario {
                Scenario::WrongPassword => "not the password".to_owned(),
                _ => right,
            };
            self.password(&password, ["PASSWORD", "BASIC PASSWORD"])
                .await;
            spec = json!({
                "site": self.jira().url(),
                "auth": {"basic": {"secretRef": {"name": "bot-source"}}},
            });
        } else {
            self.token(&self.token).await;
        }
        match self.scenario {
            Scenario::TwoTargets => {
                let reference = json!({"name": "bot-source", "key": "token"});
                spec = json!({
                    "site": self.jira().url(),
                    "auth": {"personalAccessToken": {"tokenSecretRef": reference}},
                    "targets": [{"name": "one"}, {"name": "two", "template": {
                        "labels": {"app.kubernetes.io/part-of": "shop"},
                        "annotations": {"jenkins.io/credentials-description": "Jira"},
                    }}],
                });
            }
            Scenario::TargetRelabelled => {
                let labels = json!({"app.kubernetes.io/part-of": "before", "app.kubernetes.io/component": "x"});
                spec["targets"] = json!([{"name": BOT, "template": {"labels": labels}}]);
            }
            _ => {}
        }
        self.world.create(BOT, spec).await;
    }

    /// What people or Jira do, and the operator has to react to.
    pub(super) async fn act(&self) {
        match self.scenario {
            Scenario::ApiToken
            | Scenario::Password
            | Scenario::WrongPassword
            | Scenario::TwoTargets => self.make().await,
            Scenario::NewToken => {
                let fresh = self.world.cloud().api_token("bot@acme.example");
                self.note_token(&fresh, ["NEW-TOKEN", "BASIC NEW-TOKEN"]);
                self.token(&fresh).await;
            }
            Scenario::NewPassword => {
                let fresh = self.jira().new_password(ROBOT);
                self.password(&fresh, ["NEW-PASSWORD", "BASIC NEW-PASSWORD"])
                    .await;
            }
            Scenario::ValidationDue | Scenario::PasswordValidationDue => {
                self.world.advance(TimeDelta::hours(2));
            }
            Scenario::RevokedToken => {
                self.world.sim.revoke(&self.token);
                self.world.advance(TimeDelta::hours(2));
            }
            Scenario::TargetEdited => {
                let edit = json!({"stringData": {"token": "vandalised", "more": "x"}, "metadata": {
                    "labels": {"jira-operator.dev/credential": null},
                }});
                let (secrets, edit) = (self.world.secrets(), Patch::Merge(edit));
                let params = PatchParams::default();
                secrets.patch(BOT, &params, &edit).await.unwrap();
            }
            Scenario::TargetDeleted => {
                let secrets = self.world.secrets();
                secrets.delete(BOT, &DeleteParams::default()).await.unwrap();
            }
            Scenario::TargetRenamed => self.retarget(json!({"name": "fresh"})).await,
            Scenario::TargetRelabelled => {
                let labels = json!({"app.kubernetes.io/part-of": "after"});
                self.retarget(json!({"name": BOT, "template": {"labels": labels}}))
                    .await;
            }
            Scenario::TargetOfAnotherType => {
                self.retarget(json!({"name": BOT, "template": {"type": "example.dev/jira"}}))
                    .await;
            }
        }
    }

    pub(super) async fn retarget(&self, target: Value) {
        self.world.change(BOT, json!({"targets": [target]})).await;
    }

    /// Lets the operator work, and time pass when it waits, until the state is as wanted.
    pub(super) async fn drive(
        &self,
        operator: &Running,
        wanted: impl Fn(&Value) -> bool,
        what: &str,
    ) {
        let mut state = Value::Null;
        for _ in 0..8 {
            operator.quiet().await;
            state = self.state().await;
            if wanted(&state) {
                return;
            }
            self.world.advance(match self.scenario {
                // A password is not sent again in a hurry.
                Scenario::PasswordValidationDue => TimeDelta::minutes(10),
                _ => A_MINUTE,
            });
            operator.look_again(1).await;
        }
        panic!(
            "{:?}: {what} is not reached, but {state:#}\nrequests: {:#?}",
            self.scenario,
            operator.requests_since(operator.start)
        );
    }

    pub(super) async fn is_over(&self, operator: &Running) {
        self.drive(operator, |state| self.scenario.is_over(state), "the end")
            .await;
    }

    /// Another reconcile does nothing at all.
    pub(super) async fn assert_at_rest(&self, operator: &Running) {
        let (mark, calls) = (operator.mark(), self.world.calls());
        operator.look_again(1).await;
        let requests = operator.requests_since(mark);
        assert_eq!(requests, Vec::<String>::new(), "{:?}", self.scenario);
        assert_eq!(self.world.calls(), calls, "{:?}", self.scenario);
    }

    /// Arranges the end of the operator.
    pub(super) fn arrange(
        &self,
        operator: &Running,
        Cut(effect, side): Cut,
    ) -> BoxFuture<'static, ()> {
        match (effect, side) {
            (Effect::Write(n), side) => {
                let mut stop = operator.faults.stop_at(writes(), n, side);
                async move { stop.reached().await }.boxed()
            }
            (Effect::Call(n), side) => {
                let fault = match side {
                    Side::Before => Fault::HangBefore,
                    Side::After => Fault::HangAfter,
                };
                let skip = u64::try_from(n - 1).unwrap();
                let rule = self.world.sim.fault(Rule::new(fault).skip(skip).once());
                async move { rule.reached(1).await }.boxed()
            }
        }
    }

    /// Ends the operator, and waits until Jira, too, has noticed.
    pub(super) async fn crash(&self, operator: Running, calls: usize, Cut(effect, _): Cut) {
        operator.crash();
        if let Effect::Call(n) = effect {
            let logged = self.world.sim.wait_for_calls(calls + n, is_of_validation);
            tokio::time::timeout(PATIENCE, logged).await.unwrap();
        }
    }

    /// Everything in the namespace, without what differs between two runs that end alike.
    pub(super) async fn state(&self) -> Value {
        let credential = self.world.credentials().get_opt(BOT).await.unwrap();
        let secrets = self.world.secrets();
        let secrets = secrets.list(&ListParams::default()).await.unwrap();
        let uid = credential.as_ref().and_then(ResourceExt::uid);
        let secrets = secrets.items.into_iter().map(|secret| {
            let data = secret.data.iter().flatten().map(|(key, value)| {
                let text = String::from_utf8(value.0.clone()).unwrap();
                (key.clone(), Value::from(text))
            });
            let owners = secret.owner_references().iter().map(|owner| {
                json!({"kind": owner.kind, "name": owner.name, "controller": owner.controller,
                    "isCredential": Some(&owner.uid) == uid.as_ref()})
            });
            let state = json!({
                "data": data.collect::<Map<_, _>>(),
                "type": secret.type_,
                "labels": secret.labels(),
                "annotations": secret.annotations(),
                "owners": owners.collect::<Vec<_>>(),
            });
            (secret.name_any(), state)
        });
        let secrets: Map<String, Value> = secrets.collect();
        let account = credential
            .as_ref()
            .and_then(|object| object.status.as_ref()?.account.clone());
        let validations = self.validations(credential.as_ref());
        let state = json!({
            "credential": credential.map(|object| json!({
                "generation": object.metadata.generation,
                "validations": validations,
                "status": status(&object),
            })),
            "secrets": secrets,
        });
        let mut text = state.to_string();
        let mut words = self.words.lock().unwrap().clone();
        words.extend(account.map(|account| (account.id, "ACCOUNT")));
        words.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        for (from, to) in words {
            text = text.replace(&from, to);
        }
        let mut state = serde_json::from_str(&text).unwrap();
        number(&mut state, &mut Vec::new());
        state
    }

    /// 2 when the credential was validated again after the clock had moved, else 1.
    pub(super) fn validations(&self, object: Option<&JiraCredential>) -> u8 {
        let validated = object
            .and_then(|object| object.status.as_ref()?.last_validated_time)
            .unwrap_or_default();
        let recent = self.world.clock.now() - validated < TimeDelta::hours(1);
        let counted = [Scenario::ValidationDue, Scenario::PasswordValidationDue];
        1 + u8::from(recent && counted.contains(&self.scenario))
    }
}

/// Fingerprints, marks and the digests that contain them differ between namespaces: the order in which
/// they appear stands for them.
fn number(state: &mut Value, seen: &mut Vec<String>) {
    match state {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "hash" || is_print(text) => {
                        let known = seen.iter().position(|other| other == text);
                        let number = known.unwrap_or_else(|| {
                            seen.push(text.clone());
                            seen.len() - 1
                        });
                        *text = format!("PRINT {number}");
                    }
                    other => number(other, seen),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| number(item, seen)),
        _ => {}
    }
}

fn is_print(text: &str) -> bool {
    let digits = |part: &str, length| {
        part.len() == length && part.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    let parts = text.strip_prefix('k').and_then(|rest| rest.split_once(':'));
    parts.is_some_and(|(key, print)| digits(key, 4) && digits(print, 12))
}

pub(super) fn writes() -> Requests {
    [Verb::Update, Verb::Patch, Verb::Delete]
        .into_iter()
        .fold(Requests::verb(Verb::Create), Requests::or_verb)
}

pub(super) fn writes_since(operator: &Running, mark: Mark) -> Vec<String> {
    let requests = operator.faults.since(mark);
    requests
        .iter()
        .filter(|request| request.verb.is_write())
        .map(|request| {
            let rehearsal = if request.dry_run { ", dry run" } else { "" };
            format!("{} {}{rehearsal}", request.verb, request.target())
        })
        .collect()
}

/// The status without times, versions, and what a person asked for on the way.
pub(super) fn status(object: &JiraCredential) -> Value {
    let Some(status) = &object.status else {
        return Value::Null;
    };
    let mut value = json!(status);
    let fields = value.as_object_mut().unwrap();
    for passing in [
        "lastValidatedTime",
        "firstSeenTime",
        "rotatedTime",
        "lastHandledRenew",
    ] {
        fields.remove(passing);
    }
    if let Some(permissions) = fields.get_mut("permissions") {
        permissions["checkedTime"].take();
    }
    fields.insert(
        "validatedFingerprint".into(),
        status.validated_fingerprint.is_some().into(),
    );
    let sources = status.sources.iter().map(|source| source.name.clone());
    fields.insert("sources".into(), sources.collect());
    let targets = status.targets.iter().map(|target| {
        let written = target.hash.is_some();
        json!({"name": target.name, "written": written})
    });
    fields.insert("targets".into(), targets.collect());
    let attempt = status.attempt.as_ref().map(|attempt| {
        json!({"outcome": attempt.outcome, "reason": attempt.reason, "failures": attempt.failures,
            "again": attempt.next_attempt_time.is_some()})
    });
    fields.insert("attempt".into(), attempt.into());
    for condition in fields["conditions"].as_array_mut().unwrap() {
        condition
            .as_object_mut()
            .unwrap()
            .remove("lastTransitionTime");
    }
    value
}
