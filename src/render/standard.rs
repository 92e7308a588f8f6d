//! The preset `Standard`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Contents, Validated};
use crate::api::MethodName;

/// Everything that a client can need to call Jira, one thing a key.
/// Values end without a newline, because clients put them into headers as they are.
pub(super) fn standard(validated: &Validated<'_>, contents: &mut Contents) {
    let secret = validated.secret.expose_secret();
    let user = validated.user.unwrap_or_default();
    let (scheme, parameters) = match validated.method {
        MethodName::ApiToken | MethodName::Basic => {
            ("Basic", Some(STANDARD.encode(format!("{user}:{secret}"))))
        }
        MethodName::PersonalAccessToken | MethodName::OAuth2 | MethodName::ClientCredentials => {
            ("Bearer", Some(secret.to_owned()))
        }
        // The header is another one, and has a key of its own.
        MethodName::Session => ("Cookie", None),
        // Each request has a signature of its own: there is no header that could be stored.
        MethodName::OAuth1 => ("OAuth", None),
    };
    contents.set("url", validated.url);
    contents.set("site", validated.site);
    contents.set("hosting", validated.hosting_name());
    contents.set("scheme", scheme);
    contents.set("accountId", validated.account);
    if let Some(parameters) = parameters {
        contents.set("authorization", format!("{scheme} {parameters}"));
    }
    by_method(validated, contents);
    if let Some(id) = validated.cloud_id {
        contents.set("cloudId", id);
    }
    if let Some(end) = validated.expires_at {
        contents.set("expiresAt", end.to_rfc3339_opts(SecondsFormat::Secs, true));
    }
}

/// The credential in the parts that clients of the method take.
fn by_method(validated: &Validated<'_>, contents: &mut Contents) {
    let secret = validated.secret.expose_secret();
    let user = validated.user.unwrap_or_default();
    match validated.method {
        MethodName::ApiToken => {
            contents.set("email", user);
            contents.set("username", user);
            contents.set("token", secret);
        }
        MethodName::Basic => {
            contents.set("username", user);
            contents.set("password", secret);
        }
        MethodName::PersonalAccessToken | MethodName::OAuth2 | MethodName::ClientCredentials => {
            contents.set("token", secret);
        }
        MethodName::Session => {
            contents.set("cookie", secret);
            if let Some(id) = session_id(secret) {
                contents.set("JSESSIONID", id);
            }
        }
        MethodName::OAuth1 => {
            contents.set("token", secret);
            contents.set("signatureMethod", "RSA-SHA1");
        }
    }
    if let Some(parts) = validated.signing {
        contents.set("consumerKey", parts.consumer_key);
        contents.set("privateKey", parts.private_key.expose_secret());
        if let Some(secret) = parts.token_secret {
            contents.set("tokenSecret", secret.expose_secret());
        }
    }
}

/// What was replaced and still works.
pub(super) fn previous(method: MethodName, secret: &SecretString, contents: &mut Contents) {
    let secret = secret.expose_secret();
    match method {
        MethodName::Session => contents.set("previous.cookie", secret),
        MethodName::PersonalAccessToken | MethodName::OAuth2 | MethodName::ClientCredentials => {
            contents.set("previous.token", secret);
            contents.set("previous.authorization", format!("Bearer {secret}"));
        }
        // Nothing of these methods is kept after it was replaced.
        MethodName::ApiToken | MethodName::Basic | MethodName::OAuth1 => {}
    }
}

/// The id of the session among its cookies.
fn session_id(cookies: &str) -> Option<&str> {
    cookies
        .split("; ")
        .find_map(|cookie| cookie.strip_prefix("JSESSIONID="))
}
