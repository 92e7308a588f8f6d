//! The values of Secrets that are read as text: tokens, client secrets, user names, passwords.

use crate::api::{JiraCredentialSpec, Method, SecretKeyRef};

/// The keys that hold the user name and the password of a login.
pub const LOGIN_KEYS: [&str; 2] = ["username", "password"];

/// Every value that a spec reads as text. One line end behind such a value is no part of it. Private
/// keys and certificates are not among them.
pub fn text_values(spec: &JiraCredentialSpec) -> Vec<SecretKeyRef> {
    let in_secret = |name: &str, keys: &[&str]| -> Vec<SecretKeyRef> {
        let reference = |key: &&str| SecretKeyRef {
            name: name.to_owned(),
            key: (*key).to_owned(),
        };
        keys.iter().map(reference).collect()
    };
    let lookup = spec.expiry_lookup.as_ref();
    let mut values: Vec<SecretKeyRef> = match spec.auth.method() {
        Some(Method::ApiToken(token)) => {
            let email = token.email_secret_ref.iter();
            email.chain([&token.token_secret_ref]).cloned().collect()
        }
        Some(Method::PersonalAccessToken(token)) => vec![token.token_secret_ref.clone()],
        Some(Method::OAuth2(oauth2)) => {
            let clients = oauth2.client_secret_refs.iter();
            let all = clients.chain([&oauth2.refresh_token_secret_ref]);
            all.cloned().collect()
        }
        Some(Method::ClientCredentials(client)) => client.client_secret_refs.clone(),
        Some(Method::Basic(basic)) => in_secret(&basic.secret_ref.name, &LOGIN_KEYS),
        Some(Method::Session(session)) => in_secret(&session.secret_ref.name, &LOGIN_KEYS),
        Some(Method::OAuth1(oauth1)) => {
            in_secret(&oauth1.secret_ref.name, &["token", "tokenSecret"])
        }
        None => Vec::new(),
    };
    values.extend(lookup.map(|lookup| lookup.api_key_secret_ref.clone()));
    values
}
