//! The keyed fingerprints of secret values, which stand in for them among the facts.

use secrecy::{ExposeSecret, SecretString};

use crate::api::SecretKeyRef;
use crate::cluster::observe::types::PasswordPrints;
use crate::cluster::source::{Material, ReadValue};
use crate::core::facts::{Facts, TextValue};
use crate::core::fingerprint::{Fingerprint, FingerprintKey};

/// The fingerprints of a user name and password: the same for every method that sends them.
pub(in crate::cluster) fn password_prints(
    key: &FingerprintKey,
    facts: &Facts,
    user: &str,
    password: &SecretString,
) -> PasswordPrints {
    let site = facts
        .plan
        .as_ref()
        .map_or("", |plan| plan.site.base.as_str());
    let parts = [
        b"Basic".as_slice(),
        site.as_bytes(),
        user.as_bytes(),
        password.expose_secret().as_bytes(),
    ];
    PasswordPrints {
        here: key.fingerprint_in(&facts.object.namespace, &parts),
        everywhere: Some(key.fingerprint(&parts)),
    }
}

/// The keyed fingerprint of a static credential, with everything that goes along with it.
pub(in crate::cluster) fn fingerprint(
    key: &FingerprintKey,
    facts: &Facts,
    material: &Material,
) -> Fingerprint {
    let (site, method) = match &facts.plan {
        Ok(plan) => (plan.site.base.as_str(), format!("{:?}", plan.method)),
        Err(_) => ("", String::new()),
    };
    let mut parts = vec![
        method.as_bytes(),
        site.as_bytes(),
        material.user.as_deref().unwrap_or_default().as_bytes(),
        material.secret.expose_secret().as_bytes(),
    ];
    if let Some(signing) = &material.signing {
        let token_secret = signing.token_secret.as_ref();
        parts.extend([
            signing.consumer_key.as_bytes(),
            signing.private_key.expose_secret().as_bytes(),
            token_secret.map_or(&[], |secret| secret.expose_secret().as_bytes()),
        ]);
    }
    key.fingerprint_in(&facts.object.namespace, &parts)
}

/// What is known of the line ends of values that were read. The fingerprints are comparable with no
/// other fingerprint, and with those of no other key of a Secret.
pub(in crate::cluster) fn line_ends(
    key: &FingerprintKey,
    namespace: &str,
    values: Vec<ReadValue>,
) -> Vec<TextValue> {
    let known = |value: ReadValue| {
        let SecretKeyRef { name, key: place } = value.reference;
        let line_end = value.trimmed.map(|trimmed| {
            let parts = [
                b"line end".as_slice(),
                name.as_bytes(),
                place.as_bytes(),
                trimmed.expose_secret(),
            ];
            key.fingerprint_in(namespace, &parts)
        });
        TextValue {
            secret: name,
            key: place,
            line_end,
        }
    };
    values.into_iter().map(known).collect()
}

/// The keyed fingerprint of an access token on a site.
pub fn token_print(key: &FingerprintKey, facts: &Facts, token: &SecretString) -> Fingerprint {
    let site = facts
        .plan
        .as_ref()
        .map_or("", |plan| plan.site.base.as_str());
    let method = facts
        .plan
        .as_ref()
        .map(|plan| format!("{:?}", plan.method))
        .unwrap_or_default();
    let parts = [
        method.as_bytes(),
        site.as_bytes(),
        b"",
        token.expose_secret().as_bytes(),
    ];
    key.fingerprint_in(&facts.object.namespace, &parts)
}
