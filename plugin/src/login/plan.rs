//! What a login is for: the spec of a new credential, or that of one which exists.

use std::collections::BTreeSet;

use jira_credential_operator::api::{Account, Hosting, JiraCredential, Method, OAuth2};
use jira_credential_operator::core::spec::Site;

use crate::failure::{Exit, Failure};
use crate::login::args::{LoginArgs, MethodArg};
use crate::login::consent::OFFLINE;
use crate::rotate::validate::check_host;

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
    /// Its site, or any site of Atlassian's as long as it is to be chosen.
    pub site: Site,
    /// Whether the site is chosen after the consent.
    pub chooses_site: bool,
    account: Option<String>,
}

impl Plan {
    /// Compares the command line with the credential: one that exists, or a new one of the flags.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn of(args: &LoginArgs, object: JiraCredential, exists: bool) -> Result<Self, Failure> {
        let site = Site::of(&object.spec).map_err(|error| usage(error.to_string()))?;
        if exists {
            agrees(args, &object, &site)?;
        }
        let is_address = args.account.as_ref().is_some_and(|hint| hint.contains('@'));
        if is_address && site.hosting == Hosting::DataCenter {
            return Err(usage(
                "--account: on Data Center give the user name, not an e-mail address, which is not compared; if the user name is an e-mail address, give the user key",
            ));
        }
        Ok(Self {
            chooses_site: !exists && args.site.is_none(),
            exists,
            site,
            object,
            account: args.account.clone(),
        })
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
        let is_cloud = self.site.hosting == Hosting::Cloud;
        let hint = self.account.as_deref();
        if !is_other && hint.is_none_or(|hint| may_be(account, hint, is_cloud)) {
            return Ok(());
        }
        let place = if is_cloud { "at Atlassian" } else { "of Jira" };
        Err(Failure::new(
            Exit::NotReady,
            format!(
                "{} ({}) consented, but {} must. Nothing was stored; log out {place}, log in as that account, and run login again",
                account.known_as(),
                account.id,
                self.who()
            ),
        ))
    }
}

/// Whether an account is the one that a person named, as far as Jira tells.
fn may_be(account: &Account, hint: &str, is_cloud: bool) -> bool {
    let user = account.user_name.as_deref();
    let is_user = user.is_some_and(|user| user.eq_ignore_ascii_case(hint));
    // Cloud tells the e-mail address only where the profile shows it.
    let is_untold = is_cloud && hint.contains('@') && user.is_none_or(|user| !user.contains('@'));
    hint == account.id || is_user || is_untold
}

fn usage(text: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, text)
}

/// Whether no flag belongs to the other method.
///
/// # Errors
/// When one does.
pub fn fits_method(args: &LoginArgs, is_oauth1: bool) -> Result<(), Failure> {
    let (method, foreign) = if is_oauth1 {
        let foreign = [
            ("--client-id", args.client_id.is_some()),
            ("--scopes", !args.scopes.is_empty()),
            ("--client-secret-from", args.client_secret_from.is_some()),
        ];
        ("oauth1", foreign.to_vec())
    } else {
        let foreign = [("--consumer-key", args.consumer_key.is_some())];
        ("oauth2", foreign.to_vec())
    };
    match foreign.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(usage(format!(
            "{flag} does not belong to the method {method}: leave it out, or give another --method"
        ))),
        None => Ok(()),
    }
}

/// Whether the command line says nothing else than the credential that exists.
fn agrees(args: &LoginArgs, object: &JiraCredential, site: &Site) -> Result<(), Failure> {
    let is_oauth1 = match object.spec.auth.method() {
        Some(Method::OAuth2(_)) => false,
        Some(Method::OAuth1(_)) => true,
        _ => {
            return Err(Failure::error(
                "login is for credentials with spec.auth.oauth2 or spec.auth.oauth1; for another method see docs/methods",
            ));
        }
    };
    let of_spec = differs_from_spec(args, object, site, is_oauth1);
    if let Some(what) = of_spec.or_else(|| differs_from_auth(args, object, site)) {
        return Err(usage(format!(
            "{what} of the JiraCredential {}, which exists: leave it out to consent again, or change the spec",
            args.name
        )));
    }
    fits_method(args, is_oauth1)?;
    is_meant(args, object, site)
}

/// What the command line says otherwise than the spec beside `spec.auth`.
fn differs_from_spec(
    args: &LoginArgs,
    object: &JiraCredential,
    site: &Site,
    is_oauth1: bool,
) -> Option<&'static str> {
    let method = if is_oauth1 {
        MethodArg::OAuth1
    } else {
        MethodArg::OAuth2
    };
    let spec = &object.spec;
    let written = args.site.as_deref().map(|site| site.trim_end_matches('/'));
    let tls = spec.tls.as_ref();
    let in_secret = tls.and_then(|tls| tls.ca_secret_ref.as_ref());
    let in_map = tls.and_then(|tls| tls.ca_config_map_ref.as_ref());
    let differs = [
        (
            written.is_some_and(|site| site != spec.site.trim_end_matches('/')),
            "--site is not spec.site",
        ),
        (
            args.method.is_some_and(|given| given != method),
            "--method is not that",
        ),
        (
            args.hosting
                .is_some_and(|given| Hosting::from(given) != site.hosting),
            "--hosting is not that",
        ),
        (
            args.ca_secret.is_some() && args.ca_secret.as_ref() != in_secret,
            "--ca-secret is not spec.tls.caSecretRef",
        ),
        (
            args.ca_config_map.is_some() && args.ca_config_map.as_ref() != in_map,
            "--ca-config-map is not spec.tls.caConfigMapRef",
        ),
    ];
    let found = differs.into_iter().find(|(differs, _)| *differs);
    found.map(|(_, what)| what)
}

/// What the command line says otherwise than `spec.auth`.
fn differs_from_auth(
    args: &LoginArgs,
    object: &JiraCredential,
    site: &Site,
) -> Option<&'static str> {
    let differs = match object.spec.auth.method() {
        Some(Method::OAuth2(method)) => {
            let given = args.redirect_uri.as_ref().map(|redirect| &redirect.text);
            let from = args.client_secret_from.as_ref();
            let id = args.client_id.as_ref();
            vec![
                (
                    differs_in_scopes(args, method),
                    "--scopes are not the scopes",
                ),
                (
                    id.is_some_and(|id| *id != method.client_id),
                    "--client-id is not the clientId",
                ),
                (
                    from.is_some_and(|from| !method.client_secret_refs.contains(from)),
                    "--client-secret-from is not one of clientSecretRefs",
                ),
                (
                    site.hosting == Hosting::DataCenter
                        && given.is_some()
                        && given != method.redirect_uri.as_ref(),
                    "--redirect-uri is not the redirectUri",
                ),
            ]
        }
        Some(Method::OAuth1(method)) => {
            let key = args.consumer_key.as_ref();
            vec![(
                key.is_some_and(|key| *key != method.consumer_key),
                "--consumer-key is not the consumerKey",
            )]
        }
        _ => Vec::new(),
    };
    let found = differs.into_iter().find(|(differs, _)| *differs);
    found.map(|(_, what)| what)
}

/// Whether the command line names scopes, and others than the spec; `offline_access` is added in any case.
fn differs_in_scopes(args: &LoginArgs, method: &OAuth2) -> bool {
    let said = method.scopes.iter().map(|scope| scope.0.as_str());
    let said: BTreeSet<&str> = said.filter(|scope| *scope != OFFLINE).collect();
    let given = args.scopes.iter().map(String::as_str);
    let given: BTreeSet<&str> = given.filter(|scope| *scope != OFFLINE).collect();
    !said.is_empty() && !given.is_empty() && said != given
}

/// Whether the site of a spec is one that the person means: a host that somebody else wrote there gets
/// neither code nor client secret before the person or the operator's administrator has named it.
fn is_meant(args: &LoginArgs, object: &JiraCredential, site: &Site) -> Result<(), Failure> {
    // On Cloud, both go to addresses of the command line.
    if site.hosting == Hosting::Cloud || args.site.is_some() {
        return Ok(());
    }
    check_host(object, site).map_err(|_| {
        usage(format!(
            "the operator has not called {} for this spec yet: give --site {} if that is the Jira where you want to log in. Nothing was stored",
            site.host, object.spec.site
        ))
    })
}
