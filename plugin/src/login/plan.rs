//! What a login is for: the spec of a new credential, or that of one which exists.

use jira_credential_operator::api::{
    Account, Hosting, JiraCredential, Method, OAuth2, SecretKeyRef,
};
use jira_credential_operator::core::spec::Site;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::login::LoginArgs;
use crate::login::consent::{OFFLINE, Redirect};

/// Scopes that are asked for when nothing else is said.
const SCOPES: [&str; 2] = ["read:jira-work", "read:jira-user"];

/// The key of a refresh token.
pub const REFRESH_TOKEN: &str = "refresh-token";

/// The key of a client secret that a person typed.
pub const CLIENT_SECRET: &str = "client-secret";

/// What a login is for.
pub struct Plan {
    /// The credential, as it is or as it is to be.
    pub object: JiraCredential,
    /// Whether it exists.
    pub exists: bool,
    /// Its member `spec.auth.oauth2`.
    pub method: OAuth2,
    /// Its site.
    pub site: Site,
    /// What is asked for, without `offline_access`.
    pub scopes: Vec<String>,
    /// The callback URL.
    pub redirect: Redirect,
    /// Base address of the authorize page and the token endpoint.
    pub auth_url: String,
    account: Option<String>,
}

impl Plan {
    /// Compares the command line with the credential, if there is one.
    ///
    /// # Errors
    /// When they contradict each other, or something is missing.
    pub fn of(args: &LoginArgs, existing: Option<JiraCredential>) -> Result<Self, Failure> {
        let exists = existing.is_some();
        let object = existing.map_or_else(|| new(args), Ok)?;
        let Some(Method::OAuth2(method)) = object.spec.auth.method() else {
            return Err(Failure::error(
                "login is for credentials with spec.auth.oauth2; for another method see docs/methods",
            ));
        };
        let method = method.clone();
        let site = Site::of(&object.spec).map_err(|error| usage(&error.to_string()))?;
        if site.hosting != Hosting::Cloud {
            return Err(Failure::error(
                "login is for Jira Cloud; for Data Center see docs/methods/oauth2.md",
            ));
        }
        if exists {
            agrees(args, &object, &method)?;
        }
        let scopes = match (args.scopes.is_empty(), method.scopes.is_empty()) {
            (false, _) => args.scopes.clone(),
            (true, false) => method.scopes.iter().map(|scope| scope.0.clone()).collect(),
            (true, true) => SCOPES.map(str::to_owned).to_vec(),
        };
        Ok(Self {
            exists,
            method,
            site,
            scopes: without_offline(scopes),
            redirect: args.redirect_uri.clone(),
            auth_url: args.auth_url.trim_end_matches('/').to_owned(),
            account: args.account.clone(),
            object,
        })
    }

    /// Whether the client secret is typed, and stored beside the refresh token.
    pub fn types_secret(&self, args: &LoginArgs) -> bool {
        !self.exists && args.client_secret_from.is_none()
    }

    fn recorded(&self) -> Option<&Account> {
        self.object.status.as_ref()?.account.as_ref()
    }

    /// The id that the spec or the status of the credential names.
    fn wanted_id(&self) -> Option<&str> {
        let said = self.object.spec.validation.account_id.as_deref();
        said.or(self.recorded().map(|account| account.id.as_str()))
    }

    /// Who must consent, as a person knows them.
    pub fn who(&self) -> String {
        let recorded = self.recorded();
        match (self.wanted_id(), recorded, &self.account) {
            (Some(id), Some(account), _) if account.id == id => account.known_as(),
            (_, _, Some(hint)) => hint.clone(),
            (Some(id), _, None) => id.to_owned(),
            (None, _, None) => "the account that pods shall act as".to_owned(),
        }
    }

    /// Whether the right account consented.
    ///
    /// # Errors
    /// When another one did.
    pub fn check_account(&self, account: &Account) -> Result<(), Failure> {
        let is_other = self.wanted_id().is_some_and(|id| id != account.id);
        let hint = self.account.as_deref();
        let contradicts = hint.is_some_and(|hint| match &account.user_name {
            // Cloud tells the e-mail address only where the profile shows it.
            Some(user) if hint.contains('@') && user.contains('@') => {
                !user.eq_ignore_ascii_case(hint)
            }
            _ => !hint.contains('@') && hint != account.id,
        });
        if !is_other && !contradicts {
            return Ok(());
        }
        Err(Failure::new(
            Exit::NotReady,
            format!(
                "{} ({}) consented, but {} must. Nothing was stored; log out at Atlassian, log in as that account, and run login again",
                account.known_as(),
                account.id,
                self.who()
            ),
        ))
    }
}

fn usage(text: &str) -> Failure {
    Failure::new(Exit::Usage, text.to_owned())
}

fn without_offline(scopes: Vec<String>) -> Vec<String> {
    let kept = scopes.into_iter().filter(|scope| scope != OFFLINE);
    kept.collect()
}

/// The credential that is created.
fn new(args: &LoginArgs) -> Result<JiraCredential, Failure> {
    let (Some(site), Some(client_id)) = (&args.site, &args.client_id) else {
        return Err(usage(&format!(
            "there is no JiraCredential {}; to create it, give --site and --client-id",
            args.name
        )));
    };
    let seed = format!("{}-consent", args.name);
    let typed = SecretKeyRef {
        name: seed.clone(),
        key: CLIENT_SECRET.to_owned(),
    };
    let client_secret = args.client_secret_from.clone().unwrap_or(typed);
    let scopes = match args.scopes.as_slice() {
        [] => SCOPES.map(str::to_owned).to_vec(),
        scopes => without_offline(scopes.to_vec()),
    };
    let object = |hosting: Option<Hosting>| -> Result<JiraCredential, Failure> {
        let mut spec = json!({
            "site": site,
            "auth": {"oauth2": {
                "clientId": client_id,
                "clientSecretRefs": [client_secret],
                "refreshTokenSecretRef": {"name": seed, "key": REFRESH_TOKEN},
                "scopes": scopes,
            }},
        });
        if let (Some(hosting), Some(fields)) = (hosting, spec.as_object_mut()) {
            fields.insert("hosting".to_owned(), json!(hosting));
        }
        let object = json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": args.name}, "spec": spec,
        });
        serde_json::from_value(object).map_err(|error| usage(&error.to_string()))
    };
    let plain = object(None)?;
    // A name of the site's own does not say that it is on Cloud.
    match Site::of(&plain.spec) {
        Ok(_) => Ok(plain),
        Err(_) => object(Some(Hosting::Cloud)),
    }
}

/// Whether the command line says nothing else than the credential that exists.
fn agrees(args: &LoginArgs, object: &JiraCredential, method: &OAuth2) -> Result<(), Failure> {
    let differs = |flag: &str, said: &str| {
        usage(&format!(
            "{flag} is not {said} of the JiraCredential {}, which exists: leave it out to consent again, or change the spec",
            args.name
        ))
    };
    let site = args.site.as_deref().map(|site| site.trim_end_matches('/'));
    if site.is_some_and(|site| site != object.spec.site.trim_end_matches('/')) {
        return Err(differs("--site", "spec.site"));
    }
    let client_id = args.client_id.as_ref();
    if client_id.is_some_and(|client_id| *client_id != method.client_id) {
        return Err(differs("--client-id", "the clientId"));
    }
    let from = args.client_secret_from.as_ref();
    if from.is_some_and(|from| !method.client_secret_refs.contains(from)) {
        return Err(differs("--client-secret-from", "one of clientSecretRefs"));
    }
    Ok(())
}
