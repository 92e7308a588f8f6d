//! What the whole operator knows about renewals: plans, rivals, the end of the process.

use chrono::TimeDelta;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::api::{
    ConditionStatus, ConditionType, Hosting, JiraCredential, Method, MethodName, RotationPolicy,
    Scope,
};
use crate::cluster::{creation_time, grant_name, key_of, place};
use crate::controller::Operator;
use crate::core::spec::{Client, Periods, Plan, RenewalKind, RenewalPlan, Site, Stated};

/// How long the end of the process waits for what was received and is not stored. The Deployment
/// grants 120 seconds.
const LONGEST_END: TimeDelta = TimeDelta::seconds(110);

/// How long a grant outlives its last user and its seed where the spec does not say it.
const RETENTION: TimeDelta = TimeDelta::hours(24);

impl Operator {
    /// What follows from a spec for the renewal.
    pub(super) fn renewal_plan(
        &self,
        method: &Method<'_>,
        site: &Site,
        periods: &Periods,
    ) -> Option<RenewalPlan> {
        let (renew_before, max_age) = (periods.renew_before, periods.max_age);
        let (endpoint, gateway) = match site.hosting {
            Hosting::Cloud => (
                format!("{}/oauth/token", self.config.auth_url.trim_end_matches('/')),
                Some(self.config.api_url.trim_end_matches('/').to_owned()),
            ),
            Hosting::DataCenter => (format!("{}/rest/oauth2/latest/token", site.base), None),
        };
        let plan = |kind, client_id: &str, scopes: &[Scope]| RenewalPlan {
            grant: String::new(),
            kind,
            client: Client {
                endpoint,
                id: client_id.to_owned(),
            },
            gateway,
            redirect_uri: None,
            cloud_id: None,
            scopes: scopes.iter().map(|scope| scope.0.clone()).collect(),
            renew_before,
            retention: RETENTION,
            stated: Stated::default(),
        };
        let plan = match method {
            Method::OAuth2(oauth2) => RenewalPlan {
                cloud_id: oauth2.cloud_id.clone(),
                redirect_uri: oauth2.redirect_uri.clone(),
                retention: oauth2.grant_retention.parse().unwrap_or(RETENTION),
                ..plan(RenewalKind::Refresh, &oauth2.client_id, &oauth2.scopes)
            },
            Method::ClientCredentials(client) => RenewalPlan {
                cloud_id: client.cloud_id.clone(),
                ..plan(
                    RenewalKind::ClientCredentials,
                    &client.client_id,
                    &client.scopes,
                )
            },
            Method::PersonalAccessToken(token) => match token.rotation {
                RotationPolicy::Automatic => RenewalPlan {
                    client: Client {
                        endpoint: format!("{}/rest/pat/latest/tokens", site.base),
                        id: String::new(),
                    },
                    stated: Stated {
                        begin: token.issued_at,
                        end: token.expires_at,
                        max_age,
                    },
                    ..plan(RenewalKind::Successor, "", &[])
                },
                RotationPolicy::Manual => return None,
            },
            Method::Session(_) => RenewalPlan {
                client: Client {
                    endpoint: format!("{}/rest/auth/1/session", site.base),
                    id: String::new(),
                },
                ..plan(RenewalKind::Login, "", &[])
            },
            Method::ApiToken(_) | Method::Basic(_) | Method::OAuth1(_) => return None,
        };
        Some(RenewalPlan {
            grant: grant_name(&place(method)?),
            ..plan
        })
    }

    /// Until when the place where a credential is used asked everybody to wait.
    pub(super) fn rate_limited_until(
        &self,
        plan: &Plan,
        object: &JiraCredential,
    ) -> Option<chrono::DateTime<chrono::Utc>> {
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
        self.jira.rate_limited_until(&site)
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

    /// What the other credentials with the same grant have published, by its fingerprint. Those
    /// that are suspended do not count: it is unknown when they follow.
    pub(super) fn others(&self, object: &JiraCredential) -> Vec<Option<String>> {
        let method = object.spec.auth.method();
        let kept = matches!(
            method,
            Some(Method::PersonalAccessToken(_) | Method::Session(_))
        );
        let Some((place, store)) = method
            .as_ref()
            .filter(|_| kept)
            .and_then(place)
            .zip(self.store.get())
        else {
            return Vec::new();
        };
        let grant = grant_name(&place);
        let users = self
            .index
            .users(&object.namespace().unwrap_or_default(), &grant);
        let others = users.iter().filter(|user| *user != &key_of(object));
        others
            .filter_map(|user| store.get(&ObjectRef::new(&user.name).within(&user.namespace)))
            .filter_map(|other| {
                let Ok(other) = other.0.as_ref() else {
                    // No one knows what it shows.
                    return Some(None);
                };
                let follows = !other.spec.suspend
                    && other.metadata.deletion_timestamp.is_none()
                    && client(other) == client(object);
                follows.then(|| published_print(other))
            })
            .collect()
    }

    /// Runs the reconciles to their end. After the signal to stop, what was received is stored
    /// before the process ends, if that can be done in the time that it has.
    pub(super) async fn until_all_is_stored(&self, passes: impl Future<Output = ()>) {
        let stored = async {
            passes.await;
            self.renewals.tasks.close();
            self.renewals.tasks.wait().await;
        };
        let end = async {
            self.stopping.cancelled().await;
            let longest = self
                .config
                .time_scale
                .of(LONGEST_END)
                .to_std()
                .unwrap_or_default();
            tokio::time::sleep(longest).await;
        };
        tokio::select! {
            () = stored => {}
            () = end => {
                let attempts = self.renewals.unfinished().join(" ");
                tracing::error!(
                    attempts,
                    "RENEWAL NOT STORED: the process ends before the API server accepted it"
                );
            }
        }
    }

    /// The attempts whose outcome is not stored: none, unless the process had to end before.
    pub fn unfinished_renewals(&self) -> Vec<String> {
        self.renewals.unfinished()
    }
}

/// Who a credential is for whichever process gives its tokens. Whoever makes tokens or sessions at
/// one site has no use for those of another.
fn client(object: &JiraCredential) -> Option<(MethodName, String)> {
    let method = object.spec.auth.method()?;
    let id = match &method {
        Method::OAuth2(oauth2) => oauth2.client_id.clone(),
        Method::ClientCredentials(client) => client.client_id.clone(),
        Method::PersonalAccessToken(_) | Method::Session(_) => {
            object.spec.site.trim_end_matches('/').to_owned()
        }
        Method::ApiToken(_) | Method::Basic(_) | Method::OAuth1(_) => String::new(),
    };
    Some((method.name(), id))
}

/// What a credential has published and validated.
fn published_print(object: &JiraCredential) -> Option<String> {
    let status = object.status.as_ref()?;
    let published = status.condition(ConditionType::Published)?;
    let complete = published.status == ConditionStatus::True;
    status.validated_fingerprint.clone().filter(|_| complete)
}
