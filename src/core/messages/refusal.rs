//! The messages for a refusal: why Jira refuses the credential, and the remedy.

use crate::api::{Method, MethodName, Permission};
use crate::core::facts::Facts;
use crate::core::messages::hint::with_hint;
use crate::core::messages::{host, source_names, still};
use crate::core::probe::{Cause, Refusal};

/// What is missing, in words.
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
            "{account} lacks permissions at {host} that spec.validation.requiredPermissions names: {}. Give it these permissions, or take them out of the spec.",
            list(&status.missing)
        ));
    }
    if !status.unknown.is_empty() {
        text.push(format!(
            "Jira at {host} knows no permissions {}: correct spec.validation.requiredPermissions.",
            list(&status.unknown)
        ));
    }
    text.push("The credential itself is accepted and is asked about again every few hours.".into());
    text.join(" ")
}

/// Why Jira refuses, and the remedy.
pub fn refused(facts: &Facts, cause: Cause) -> String {
    let host = host(facts);
    let what = match cause {
        Cause::AccountChanged => {
            let pinned = facts.pinned_account().unwrap_or_default();
            format!(
                "The credential works at {host} but belongs to another account than {pinned}, to which this JiraCredential is pinned. If the change is meant, set spec.validation.accountId to the new account."
            )
        }
        Cause::PermissionMissing => missing_permissions(facts, &host),
        Cause::PermissionsUnreadable => format!(
            "The token works at {host} but lacks the scope to tell what its account may do, read:jira-work, which spec.validation.requiredPermissions needs. {}",
            scope_remedy(facts)
        ),
        Cause::Jira(refusal) => with_hint(facts, refusal, refusal_text(facts, refusal, &host)),
    };
    format!("{what} {}", still(facts))
}

fn refusal_text(facts: &Facts, refusal: Refusal, host: &str) -> String {
    let source = source_names(facts);
    match refusal {
        Refusal::Rejected => rejected(facts, host, &source),
        Refusal::CaptchaRequired => format!(
            "Jira at {host} wants a CAPTCHA solved and does not look at the password until then. Log in as this user in a browser, then set the annotation jira-operator.dev/renew to a new value."
        ),
        Refusal::BasicAuthDisabled => format!(
            "Basic authentication is switched off at {host}. Use auth.personalAccessToken, or have an administrator allow it (System, Authentication methods)."
        ),
        Refusal::PasswordNotAllowed => {
            format!("Jira at {host} accepts no passwords. Store an API token in {source}.")
        }
        Refusal::IpBlocked => format!(
            "Jira at {host} does not accept calls from this cluster's address. Have it added to the site's IP allow-list; the credential itself may be fine."
        ),
        Refusal::InsufficientScope => format!(
            "The token works at {host} but lacks the scope to read its own user, read:jira-user. {}",
            scope_remedy(facts)
        ),
        Refusal::WrongHost => format!(
            "Jira at {host} does not serve this kind of credential. Check spec.site and the method."
        ),
        Refusal::IsDataCenter => format!(
            "Jira at {host} is a Data Center, and the spec means Atlassian's cloud. {}",
            match facts.spec.auth.method() {
                Some(Method::ApiToken(_)) =>
                    "API tokens do not exist there: set spec.hosting to DataCenter and use auth.personalAccessToken.",
                _ => "Set spec.hosting to DataCenter, or correct spec.site.",
            }
        ),
        Refusal::IsCloud => format!(
            "Jira at {host} is a site of Atlassian's cloud, and the spec means a Data Center. Set spec.hosting to Cloud and use auth.apiToken or an OAuth 2.0 method, or correct spec.site."
        ),
        Refusal::AccountInactive => format!(
            "The account of the credential is deactivated at {host}. Have it activated, or store the credential of another account in {source}."
        ),
        Refusal::Forbidden => format!(
            "Jira at {host} forbids the credential to read its own user. Check the account's access to Jira."
        ),
        Refusal::SignatureRejected => format!(
            "Jira at {host} does not accept the signature. Either the private key in {source} does not belong to the public key of the application link, or a proxy in front of Jira changes scheme, host or path, so that Jira is not asked at the address that spec.site names."
        ),
        Refusal::ConsumerUnknown => format!(
            "Jira at {host} knows no application link with this consumer key. Correct consumerKey in spec.auth.oauth1, or have an administrator of Jira set up the incoming side of the application link with it."
        ),
        Refusal::NoSite => format!(
            "The token works but covers no site at all. {}",
            other_site(facts, host)
        ),
        Refusal::AnotherSite => format!(
            "The token works but covers other sites than {host}. {} If the site is wrong, correct spec.site.",
            other_site(facts, host)
        ),
        Refusal::AnotherProduct => format!(
            "The token covers {host} with scopes of another product than Jira only. {}",
            remedy(
                facts,
                "Consent again with scopes of Jira, such as read:jira-work and read:jira-user",
                "Create another OAuth 2.0 credential of the service account with scopes of Jira, such as read:jira-work and read:jira-user",
                "Create one with scopes of Jira",
            )
        ),
        Refusal::CloudIdOfAnotherSite => format!(
            "cloudId in spec.auth is the id of another site than {host}. Correct it, or leave it out: the site is asked for it."
        ),
    }
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
            "Jira at {host} refuses the access token although it was just given. Check that the service account is active and has access to Jira on the site."
        ),
        Ok(MethodName::OAuth1) => format!(
            "Jira at {host} refuses the OAuth 1.0a access token: it has expired, was revoked, or belongs to another application link. Authorise again and store the new token in {source}."
        ),
        Ok(MethodName::Session) => format!(
            "Jira at {host} refuses the session although it was just begun. Check that the account is active and has access to Jira."
        ),
        Ok(MethodName::Basic) | Err(_) => format!(
            "Jira at {host} refuses the user name and password. Nothing is tried again, because every refusal counts towards a CAPTCHA. Correct {source}, or set the annotation jira-operator.dev/renew to a new value to try the same again."
        ),
    }
}

/// Why a first refusal is not yet believed.
pub fn confirming(facts: &Facts) -> String {
    if facts.replaces_the_refused() {
        return format!(
            "Jira at {} refused the token before its end; it is renewed and asked about again. {}",
            host(facts),
            still(facts)
        );
    }
    format!(
        "Jira at {} refused the credential that it had accepted before; a second probe follows within a minute or so. {}",
        host(facts),
        still(facts)
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
        "The token lacks the {noun} {}. {} {} If they are not needed, take them out of spec.auth.",
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
        "Add it to the app and consent again",
        "Create another OAuth 2.0 credential of the service account with it",
        "Create one with this scope",
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
        ", and the one before it ended with the renewal"
    } else {
        " before the one before it ended"
    };
    format!(
        "{} could not be asked about the renewed token{when}; the renewed one is published, as it comes from the same source. It is validated as soon as Jira answers.",
        host(facts)
    )
}

/// A refusal of which nothing but the reason is recorded.
pub fn refused_before(facts: &Facts) -> String {
    format!(
        "Jira at {} refused the credential. {}",
        host(facts),
        still(facts)
    )
}
