//! What other operators, other credentials and the site mean for one credential: who serves it, conflicts, shared
//! grants, limits.

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::api::{
    Account, ConditionStatus, ConditionType, JiraCredential, Method, MethodName, Target,
};
use crate::cluster::{creation_time, inputs, key_of, key_of_target};
use crate::controller::Operator;
use crate::controller::shard::Served;
use crate::core::facts::restart::leaves_pods;
use crate::core::facts::{Facts, GrantUser, targets};
use crate::core::probe::SiteWait;
use crate::core::spec::{Plan, Site, grant_name, place};
use crate::jira::{Caller, Holder, Jira, Urgency};

impl Operator {
    /// Whether a credential is served by another operator, or by none: by its labels here, and as the watch has
    /// shown them last.
    pub(super) fn is_elsewhere(&self, object: &JiraCredential) -> bool {
        let Some(shard) = self.membership.shard() else {
            return false;
        };
        let labels = object.metadata.labels.as_ref();
        let is_watched = self
            .membership
            .served(&key_of(object), self.clock.elapsed());
        // What the watch keeps has its labels, and so has what is read.
        !shard.selector().matches(labels) || is_watched == Served::Elsewhere
    }

    /// Why a credential has to wait at the place where it is used, and why a renewal that is due has
    /// to.
    pub(super) fn site_waits(&self, plan: &Plan, object: &JiraCredential) -> [Option<SiteWait>; 2] {
        let recorded = object
            .status
            .as_ref()
            .and_then(|status| status.site.clone());
        let gateway = plan.renewal.as_ref().and_then(|plan| plan.gateway.as_ref());
        let gateway = gateway.or(plan.gateway_fallback.as_ref());
        // What is recorded for another site says nothing of this one.
        let recorded = recorded.filter(|site| {
            plan.renewal.is_some() || site.address.as_ref() == Some(&plan.site.base)
        });
        let site = match (gateway, recorded) {
            (Some(_), Some(recorded)) => Site {
                base: recorded.api_url,
                ..plan.site.clone()
            },
            _ => plan.site.clone(),
        };
        let status = object.status.as_ref();
        let account = status.and_then(|status| status.account.as_ref());
        let uid = object.uid().unwrap_or_default();
        let namespace = object.namespace().unwrap_or_default();
        let jira = self.jira.on_behalf_of(caller(namespace, account, &uid));
        [Urgency::Routine, Urgency::Renewal].map(|urgency| jira.site_wait(&site, urgency))
    }

    /// Calls Jira for this credential.
    pub(super) fn jira_for(&self, facts: &Facts) -> Jira {
        let (object, account) = (&facts.object, facts.status.account.as_ref());
        let caller = caller(object.namespace.clone(), account, &object.uid);
        let print = facts.fingerprint();
        self.jira.on_behalf_of(caller).with_holder(Holder {
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            fingerprint: print.map_or_else(String::new, |print| print.as_str().to_owned()),
        })
    }

    /// An older credential that holds the same seed by another client or another method.
    pub(super) fn rival(&self, object: &JiraCredential) -> Option<String> {
        let method = object.spec.auth.method()?;
        let grant = grant_name(&place(&method)?);
        let store = self.store.get()?;
        let age = |object: &JiraCredential| (creation_time(object), object.uid());
        let users = self
            .index
            .users(&object.namespace().unwrap_or_default(), &grant);
        users
            .iter()
            .filter(|user| *user != &key_of(object))
            .find_map(|user| {
                let other = store.get(&ObjectRef::new(&user.name).within(&user.namespace))?;
                let other = other.0.as_ref().ok()?;
                let theirs = other.spec.auth.method()?;
                let same_seed = place(&theirs).is_some_and(|place| grant_name(&place) == grant);
                let rival = same_seed && client(other) != client(object);
                (rival && age(other) < age(object)).then(|| other.name_any())
            })
    }

    /// The older credential that names the same target: of two that hold nothing it takes precedence. Empty where it
    /// is in another namespace, whose names are not for the readers of this one.
    pub(super) fn older_claim(&self, object: &JiraCredential, target: &Target) -> Option<String> {
        let store = self.store.get()?;
        let age = |object: &JiraCredential| (creation_time(object), object.uid());
        let secret = key_of_target(object, target);
        let me = key_of(object);
        let users = self.index.users(&secret.namespace, &secret.name);
        let rivals = users.iter().filter(|user| **user != me).filter_map(|user| {
            let rival = store.get(&ObjectRef::new(&user.name).within(&user.namespace))?;
            let rival = rival.0.as_ref().ok()?;
            let names = targets::targets(&rival.spec, &user.namespace, &user.name);
            let claims = names
                .iter()
                .any(|other| !targets::merges(other) && key_of_target(rival, other) == secret);
            // Where nothing checks who may publish into other namespaces, a claim from another counts for nothing.
            let counts =
                user.namespace == secret.namespace || self.publishes_elsewhere() != Some(false);
            // What a credential reads is no target of one in another namespace.
            let reads = target.namespace.is_some() && inputs(rival).contains(&secret);
            let name = if user.namespace == me.namespace {
                rival.name_any()
            } else {
                String::new()
            };
            (reads || claims && counts && age(rival) < age(object)).then(|| (age(rival), name))
        });
        rivals.min().map(|(_, name)| name)
    }

    /// The other credentials with the same grant. Those that are suspended do not count: it is unknown when they
    /// follow. An object that cannot be read may be one of them, and what it has published is unknown.
    pub(super) fn others(&self, object: &JiraCredential) -> Vec<GrantUser> {
        let method = object.spec.auth.method();
        let renews = matches!(
            method,
            Some(
                Method::PersonalAccessToken(_)
                    | Method::Session(_)
                    | Method::OAuth2(_)
                    | Method::ClientCredentials(_)
            )
        );
        let Some((place, store)) = method
            .as_ref()
            .filter(|_| renews)
            .and_then(place)
            .zip(self.store.get())
        else {
            return Vec::new();
        };
        let grant = grant_name(&place);
        let namespace = object.namespace().unwrap_or_default();
        let users = self.index.users(&namespace, &grant);
        let others = users.iter().filter(|user| *user != &key_of(object));
        let unreadable = self.unreadable.is_in(&namespace);
        let unreadable = unreadable.then(GrantUser::default);
        others
            .filter_map(|user| store.get(&ObjectRef::new(&user.name).within(&user.namespace)))
            .filter_map(|other| {
                let Ok(other) = other.0.as_ref() else {
                    // No one knows what it shows.
                    return Some(GrantUser::default());
                };
                let follows = !other.spec.suspend
                    && other.metadata.deletion_timestamp.is_none()
                    && client(other) == client(object);
                let mut targets = other.spec.targets.iter();
                follows.then(|| GrantUser {
                    holds: held_print(other),
                    shows: shown_print(other),
                    keeps_previous: targets.any(|target| target.keep_previous),
                })
            })
            .chain(unreadable)
            .collect()
    }
}

/// Who has to wait when Jira limits the calls of a credential: its account, once that is known.
fn caller(namespace: String, account: Option<&Account>, uid: &str) -> Caller {
    Caller {
        namespace,
        account: account.map_or_else(|| uid.to_owned(), |account| account.id.clone()),
        credential: uid.to_owned(),
    }
}

/// The client that a credential uses. Tokens and sessions of one site are useless at another.
fn client(object: &JiraCredential) -> Option<(MethodName, String)> {
    let method = object.spec.auth.method()?;
    let id = match &method {
        Method::OAuth2(oauth2) => oauth2.client_id.clone(),
        Method::ClientCredentials(client) => client.client_id.clone(),
        // Two spellings of one address are one site.
        Method::PersonalAccessToken(_) | Method::Session(_) => {
            let written = object.spec.site.trim_end_matches('/');
            Site::of(&object.spec).map_or_else(|_| written.to_owned(), |site| site.base)
        }
        Method::ApiToken(_) | Method::Basic(_) | Method::OAuth1(_) => String::new(),
    };
    Some((method.name(), id))
}

/// What a credential has published and validated.
fn held_print(object: &JiraCredential) -> Option<String> {
    let status = object.status.as_ref()?;
    let published = status.condition(ConditionType::Published)?;
    let is_held = published.status == ConditionStatus::True;
    status.validated_fingerprint.clone().filter(|_| is_held)
}

/// The same, if no pod of its workloads is known to use an older one.
fn shown_print(object: &JiraCredential) -> Option<String> {
    let print = held_print(object)?;
    let restarts = object.status.as_ref()?.restart.as_ref();
    let restarts = restarts.filter(|_| !object.spec.restart.is_empty());
    let follows = restarts.is_none_or(|restarts| {
        let mut failed = restarts.failed.iter();
        restarts.fingerprint == print
            && restarts.pending_targets.is_empty()
            && !failed.any(|failed| leaves_pods(failed.reason))
    });
    follows.then_some(print)
}
