//! The name of the grant that a spec uses.

use aws_lc_rs::digest;
use data_encoding::BASE32_NOPAD;

use crate::api::{GRANT_PREFIX, Method, RotationPolicy, SecretKeyRef};

/// Enough of a SHA-256 digest that no two places share a name; five bits each.
const NAME_DIGITS: usize = 26;

/// The place of a seed: for a token its Secret and key, for client credentials those of the first
/// client secret, for a session those of the password.
pub fn place(method: &Method<'_>) -> Option<SecretKeyRef> {
    match method {
        Method::OAuth2(oauth2) => Some(oauth2.refresh_token_secret_ref.clone()),
        Method::ClientCredentials(client) => client.client_secret_refs.first().cloned(),
        Method::PersonalAccessToken(token) => match token.rotation {
            RotationPolicy::Automatic => Some(token.token_secret_ref.clone()),
            RotationPolicy::Manual => None,
        },
        Method::Session(session) => Some(SecretKeyRef {
            name: session.secret_ref.name.clone(),
            key: "password".to_owned(),
        }),
        Method::ApiToken(_) | Method::Basic(_) | Method::OAuth1(_) => None,
    }
}

/// The name of the grant of a place: the same for every credential that names it.
pub fn grant_name(place: &SecretKeyRef) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(place.name.as_bytes());
    context.update(&[0]);
    context.update(place.key.as_bytes());
    let mut digits = BASE32_NOPAD.encode(context.finish().as_ref());
    digits.truncate(NAME_DIGITS);
    digits.make_ascii_lowercase();
    format!("{GRANT_PREFIX}{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_place_never_changes() {
        let place = SecretKeyRef {
            name: "jira-oauth".into(),
            key: "refresh-token".into(),
        };
        assert_eq!(grant_name(&place), "jco-grant-seuyj72evqodpgq7rxzxvvsink");
    }

    #[test]
    fn every_place_has_a_name_of_its_own_that_a_secret_can_have() {
        let name = |name: &str, key: &str| {
            grant_name(&SecretKeyRef {
                name: name.into(),
                key: key.into(),
            })
        };
        assert_eq!(name("a", "b").len(), "jco-grant-".len() + 26);
        assert_ne!(name("a", "bc"), name("ab", "c"));
    }
}
