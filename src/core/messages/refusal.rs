//! The messages for a refusal: why Jira refuses the credential, and the remedy.

use crate::api::{Method, MethodName, Permission};
use crate::core::facts::Facts;
use crate::core::messages::hint::with_hint;
use crate::core::messages::outage::DENIED_PASSWORD;
use crate::core::messages::scopes::{listed, needed_scopes, permission_scope};
use crate::core::messages::{host, source_names, still, still_confirming, still_refused};
use crate::core::probe::{Cause, Refusal};

/// What is missing, as a message.
fn missing_permissions(facts: &Facts, host: &str) -> String {
    let status = facts.status.permissions.clone().unwrap_or_default();
    let list = |keys: &[Permission]| {
        let keys: Vec<&str> = keys.iter().map(|key| key.0.as_str()).collect();
        keys.join(", ")
    };
    let account = facts.pinned_account().map_or_else(
        || "The account".to_owned(),
        |account| format!("The account {account}"),
    );
    let mut text = Vec::new();
    if !status.missing.is_empty() {
        text.push(format!(
            "{account} lacks permissions at {host} that spec.validation.requiredPermissions names: {}. Give it these permissions, or remove them from the spec.",
            list(&status.missing)
        ));
    }
    if !status.unknown.is_empty() {
        text.push(format!(
            "Jira at {host} does not know the permissions {}: correct spec.validation.requiredPermissions.",
            list(&status.unknown)
        ));
    }
    text.push(
        "Jira accepts the credential itself; the operator checks it again every few hours.".into(),
    );
    text.join(" ")
}

/// Why Jira refuses, and the remedy.
pub fn refused(facts: &Facts, cause: Cause) -> String {
    let host = host(facts);
    let what = match cause {
        Cause::AccountChanged => {
            let pinned = facts.pinned_account().unwrap_or_default();
            format!(
                "The credential works at {host} but belongs to another account than {pinned}, to which this JiraCredential is pinned. If the change is intended, set spec.validation.accountId to the new account."
            )
        }
        Cause::PermissionMissing => missing_permissions(facts, &host),
        Cause::PermissionsUnreadable => format!(
            "The token works at {host} but lacks the scope {}, needed to read the permissions of its account, which spec.validation.requiredPermissions needs. {}",
            permission_scope(facts),
            scope_remedy(facts)
        ),
        Cause::Jira(refusal) => with_hint(facts, refusal, refusal_text(facts, refusal, &host)),
    };
    let meanwhile = match cause {
        Cause::Jira(_) => still_refused(facts),
        // Jira accepts the credential itself.
        Cause::AccountChanged | Cause::PermissionMissing | Cause::PermissionsUnreadable => {
            still(facts)
        }
    };
    format!("{what} {meanwhile}")
}

fn refusal_text(facts: &Facts, refusal: Refusal, host: &str) -> String {
    let source = source_names(facts);
    match refusal {
        Refusal::Rejected => rejected(facts, host, &source),
        Refusal::CaptchaRequired => format!(
            "Jira at {host} requires a CAPTCHA and ignores the password until it is solved. Log in as this user in a browser, then set the annotation jira-operator.dev/renew to a new value."
        ),
        Refusal::BasicAuthDisabled => format!(
            "Basic authentication is disabled at {host}. Use auth.personalAccessToken, or have an administrator allow it (System, Authentication methods)."
        ),
        Refusal::PasswordNotAllowed if facts.is_password() => format!(
            "{host} answers as Jira Cloud does, which does not accept passwords. Use auth.apiToken with an API token in {source}, or correct spec.site."
        ),
        Refusal::PasswordNotAllowed => {
            format!("Jira at {host} does not accept passwords. Store an API token in {source}.")
        }
        Refusal::IpBlocked => format!(
            "Jira at {host} does not accept calls from this cluster's address. Add the address to the site's IP allow-list; the credential itself may be fine."
        ),
        Refusal::InsufficientScope => format!(
            "The token works at {host} but lacks a scope: to read its own user it needs {}. {}",
            listed(&needed_scopes(facts)),
            scope_remedy(facts)
        ),
        Refusal::NoConsent => no_consent(facts, host),
        Refusal::WrongHost => format!(
            "Jira at {host} does not serve this kind of credential. Check spec.site and the method."
        ),
        Refusal::IsDataCenter => format!(
            "Jira at {host} is a Data Center, but the spec expects Jira Cloud. {}",
            match facts.spec.auth.method() {
                Some(Method::ApiToken(_)) =>
                    "API tokens do not exist there: set spec.hosting to DataCenter and use auth.personalAccessToken.",
                _ => "Set spec.hosting to DataCenter, or correct spec.site.",
            }
        ),
        Refusal::IsCloud => format!(
            "{host} looks like Jira Cloud: it answers as Atlassian's cloud does, but the spec expects a Data Center. Set spec.hosting to Cloud and use auth.apiToken or an OAuth 2.0 method, or correct spec.site."
        ),
        Refusal::AccountInactive => format!(
            "The account of the credential is deactivated at {host}. Reactivate it, or store the credential of another account in {source}."
        ),
        Refusal::Forbidden if facts.is_password() => format!(
            "Jira at {host} answered with the status 403 and does not say why. {DENIED_PASSWORD} Otherwise check the account's access to Jira. Then set the annotation jira-operator.dev/renew to a new value; the operator does not retry before that, because each failed login counts towards a CAPTCHA."
        ),
        Refusal::Forbidden => format!(
            "Jira at {host} does not let the credential read its own user. Check the account's access to Jira."
        ),
        Refusal::SignatureRejected => format!(
            "Jira at {host} does not accept the signature. Either the private key in {source} does not belong to the public key of the application link, or a proxy in front of Jira changes scheme, host or path, so that the request does not reach Jira at the address in spec.site."
        ),
        Refusal::ConsumerUnknown => format!(
            "Jira at {host} has no application link with this consumer key. Correct consumerKey in spec.auth.oauth1, or have an administrator of Jira set up the incoming side of the application link with it."
        ),
        Refusal::NoSite => format!(
            "The token works but grants access to no site. {}",
            other_site(facts, host)
        ),
        Refusal::AnotherSite => format!(
            "The token works but grants access to other sites, not {host}. {} If the site is wrong, correct spec.site.",
            other_site(facts, host)
        ),
        Refusal::AnotherProduct => format!(
            "The token grants access to {host}, but only with scopes of another product. {}",
            remedy(
                facts,
                "Consent again with scopes of Jira, such as read:jira-work and read:jira-user",
                "Create another OAuth 2.0 credential of the service account with scopes of Jira, such as read:jira-work and read:jira-user",
                "Create one with scopes of Jira",
            )
        ),
        Refusal::CloudIdOfAnotherSite => format!(
            "cloudId in spec.auth is not the id of {host}. Correct it, or remove it: the operator then asks the site for it."
        ),
    }
}

/// The token is good for another site, or for another product on this one.
fn no_consent(facts: &Facts, host: &str) -> String {
    let scopes = listed(&needed_scopes(facts));
    let remedy = remedy(
        facts,
        "Consent again, choose this site and include what is missing",
        "Give the service account access to Jira on this site, or create another OAuth 2.0 credential of it with what is missing",
        "Create a token that has it, too, for an account with access to this site,",
    );
    format!(
        "Atlassian's gateway accepts the token but not for Jira at {host}: either the token does not cover this site, or it lacks scopes of Jira; the operator needs {scopes}. {remedy}"
    )
}

fn rejected(facts: &Facts, host: &str, source: &str) -> String {
    match facts.plan.as_ref().map(|plan| plan.method) {
        Ok(MethodName::ApiToken) => {
            let place = match (facts.gateway(), facts.progress.refused_at_site) {
                (Some(_), Some(_)) if facts.cloud_id().is_some() => {
                    format!(
                        "Both Jira at {host} and Atlassian's gateway, where tokens with scopes work, refuse"
                    )
                }
                (Some(_), None) => {
                    format!(
                        "Atlassian's gateway, where tokens with scopes work, refuses for {host}"
                    )
                }
                _ => format!("Jira at {host} refuses"),
            };
            format!(
                "{place} the e-mail and API token: the token is wrong, expired or revoked, belongs to another e-mail, or to an account without access to this site. Create a token in the Atlassian account settings and store it in {source}."
            )
        }
        Ok(MethodName::PersonalAccessToken) => format!(
            "Jira at {host} refuses the personal access token: it is wrong, expired or revoked. Create one in the Jira profile and store it in {source}."
        ),
        Ok(MethodName::OAuth2) => format!(
            "Jira at {host} refuses the access token although it was just renewed. Check that the account is active and has access to Jira on the site, and that its administrators allow the app; a new refresh token goes into {source}."
        ),
        Ok(MethodName::ClientCredentials) => format!(
            "Jira at {host} refuses the access token although it was just issued. Check that the service account is active and has access to Jira on the site."
        ),
        Ok(MethodName::OAuth1) => format!(
            "Jira at {host} refuses the OAuth 1.0a access token: it has expired, was revoked, or belongs to another application link. Authorise again and store the new token in {source}."
        ),
        Ok(MethodName::Session) => format!(
            "Jira at {host} refuses the session although it has just started. Check that the account is active and has access to Jira."
        ),
        Ok(MethodName::Basic) | Err(_) => format!(
            "Jira at {host} refuses the user name and password. The operator does not retry, because each failed login counts towards a CAPTCHA. Correct {source}, or set the annotation jira-operator.dev/renew to a new value to retry with the same values."
        ),
    }
}

/// Why a first refusal is not yet believed.
pub fn confirming(facts: &Facts) -> String {
    if facts.died_early() {
        return format!(
            "Jira at {} refused the token before it expired; the operator renews it and validates it again. {}",
            host(facts),
            still_confirming(facts)
        );
    }
    format!(
        "Jira at {} refused the credential that it accepted before; the operator validates it again within about a minute. {}",
        host(facts),
        still_confirming(facts)
    )
}

/// Scopes that the spec asks for and the consent has not given.
pub fn missing_scopes(facts: &Facts, missing: &[&str]) -> String {
    let noun = if missing.len() == 1 {
        "scope"
    } else {
        "scopes"
    };
    format!(
        "The token lacks the {noun} {}. {} {} Or remove from spec.auth what is not needed.",
        missing.join(", "),
        still(facts),
        remedy(
            facts,
            "Add what is missing to the app and consent again",
            "Create another OAuth 2.0 credential of the service account with all scopes, since they are fixed at its creation",
            "Create one with all scopes",
        )
    )
}

fn scope_remedy(facts: &Facts) -> String {
    remedy(
        facts,
        "Add what is missing to the app and consent again",
        "Create another OAuth 2.0 credential of the service account with what is missing",
        "Create a token that has all scopes of this one and what is missing,",
    )
}

/// What a person has to do about a token, and where its result is stored.
fn remedy(facts: &Facts, consent: &str, service: &str, other: &str) -> String {
    let source = source_names(facts);
    match facts.spec.auth.method() {
        Some(Method::OAuth2(_)) => {
            format!("{consent}; the new refresh token goes into {source}.")
        }
        Some(Method::ClientCredentials(_)) => {
            format!("{service}; its client id goes into clientId, its client secret into {source}.")
        }
        _ => format!("{other} and store it in {source}."),
    }
}

fn other_site(facts: &Facts, host: &str) -> String {
    if let Some(Method::ClientCredentials(_)) = facts.spec.auth.method() {
        return format!("Give the service account access to Jira on {host}.");
    }
    format!(
        "Consent again and choose {host}; the new refresh token goes into {}.",
        source_names(facts)
    )
}

/// A token was published that could not be validated.
pub fn unvalidated(facts: &Facts) -> String {
    let own = facts.renewal_plan().is_some_and(|plan| !plan.has_leeway());
    let when = if own {
        ", and the renewal invalidated the previous token"
    } else {
        " before the previous token expired"
    };
    format!(
        "{} could not validate the renewed token{when}. The operator published the renewed token, which comes from the same source, and validates it as soon as Jira answers.",
        host(facts)
    )
}

/// A refusal of which nothing but the reason is recorded.
pub fn refused_before(facts: &Facts) -> String {
    format!(
        "Jira at {} refused the credential. Correct it in its Secret, or set the annotation jira-operator.dev/renew to a new value to try it again. {}",
        host(facts),
        still(facts)
    )
}
