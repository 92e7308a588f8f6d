//! Which keys of a target another credential changes.

use std::collections::BTreeSet;

use chrono::DateTime;
use secrecy::SecretString;

use super::{Contents, Parts, Validated, contents, target_contents};
use crate::api::{MethodName, Target};
use crate::core::spec::{presets, template_data};

/// The keys of a target whose values are others after one credential has replaced another. `before` and `now` say where
/// the two are used, how, and by which account, and by which user if that is certain; what authenticates is not looked at
/// and counts as another.
pub fn renewed_keys(
    before: &Validated<'_>,
    now: &Validated<'_>,
    target: &Target,
) -> BTreeSet<String> {
    let stand_ins = [false, true].map(|has_all| {
        let [before, now] =
            [(before, '1'), (now, '2')].map(|(known, sign)| filled(known, sign, has_all, target));
        different(&before, &now)
    });
    stand_ins.into_iter().flatten().collect()
}

fn different(before: &Contents, now: &Contents) -> Vec<String> {
    let keys = before.data.keys().chain(now.data.keys());
    keys.filter(|key| before.data.get(*key) != now.data.get(*key))
        .map(ToString::to_string)
        .collect()
}

/// As long as most credentials, so that a part of it is a part of those.
const LENGTH: usize = 200;

/// What a target would hold if everything that authenticates consisted of this sign, in the form of the method, with
/// or without what a credential may lack.
fn filled(known: &Validated<'_>, sign: char, has_all: bool, target: &Target) -> Contents {
    let sign = sign.to_string().repeat(LENGTH);
    let has_user = matches!(known.method, MethodName::ApiToken | MethodName::Basic);
    let secret = match known.method {
        MethodName::Session => format!("JSESSIONID={sign}"),
        _ => sign.clone(),
    };
    let secret = SecretString::from(secret);
    // Years apart, so that a part of the time differs, too.
    let expires_at = sign.bytes().next().and_then(|sign| {
        DateTime::from_timestamp(i64::from(sign) * 100_000_000, 0).filter(|_| has_all)
    });
    let validated = Validated {
        user: known.user.or(Some(sign.as_str()).filter(|_| has_user)),
        secret: &secret,
        previous: Some(&secret).filter(|_| target.keep_previous),
        signing: (known.method == MethodName::OAuth1).then_some(Parts {
            consumer_key: &sign,
            private_key: &secret,
            token_secret: Some(&secret).filter(|_| has_all),
        }),
        expires_at,
        ..*known
    };
    target_contents(&validated, target).unwrap_or_else(|_| {
        // A template may suit the credential and not this: then each of its keys counts as another.
        let mut contents = contents(&validated, presets(target));
        for (key, _) in template_data(target) {
            contents.set(key.to_owned(), sign.as_str());
        }
        contents
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::{Hosting, Preset, TargetTemplate};

    fn validated(method: MethodName, secret: &SecretString) -> Validated<'_> {
        Validated {
            name: "team-a/bot",
            hosting: Hosting::Cloud,
            method,
            url: "https://gateway.example/x",
            site: "https://jira.example",
            cloud_id: None,
            user: None,
            secret,
            previous: None,
            signing: None,
            account: "account",
            expires_at: None,
        }
    }

    fn target(presets: &[Preset], data: &[(&str, &str)]) -> Target {
        let data = data.iter();
        let data: BTreeMap<_, _> = data
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect();
        Target {
            name: "bot".to_owned(),
            presets: presets.to_vec(),
            template: Some(TargetTemplate {
                data,
                ..TargetTemplate::default()
            }),
            ..Target::default()
        }
    }

    fn keys(before: &Validated<'_>, now: &Validated<'_>, target: &Target) -> String {
        let keys = renewed_keys(before, now, target).into_iter();
        keys.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_holds_the_credential_is_renewed_and_what_names_the_site_is_not() {
        use MethodName::{ApiToken, Basic, OAuth1, OAuth2, PersonalAccessToken, Session};
        let nothing = SecretString::default();
        for (method, presets, expected) in [
            (
                OAuth2,
                &[Preset::Standard][..],
                "authorization expiresAt token",
            ),
            (
                Basic,
                &[Preset::Standard],
                "authorization expiresAt password username",
            ),
            (Session, &[Preset::Standard], "JSESSIONID cookie expiresAt"),
            (
                OAuth1,
                &[Preset::Standard],
                "consumerKey expiresAt privateKey token tokenSecret",
            ),
            (
                PersonalAccessToken,
                &[Preset::Env],
                "JIRA_API_TOKEN JIRA_PERSONAL_TOKEN",
            ),
            (PersonalAccessToken, &[Preset::Alertmanager], "credentials"),
            (
                Basic,
                &[Preset::McpAtlassian],
                "JIRA_API_TOKEN JIRA_USERNAME",
            ),
            (PersonalAccessToken, &[Preset::JiraCli], "JIRA_API_TOKEN"),
            (
                ApiToken,
                &[Preset::Netrc, Preset::Jenkins],
                ".netrc password username",
            ),
        ] {
            let known = validated(method, &nothing);
            assert_eq!(
                keys(&known, &known, &target(presets, &[])),
                expected,
                "{method:?}"
            );
        }
    }

    #[test]
    fn a_key_of_a_template_is_renewed_with_what_it_uses() {
        let nothing = SecretString::default();
        let known = validated(MethodName::OAuth2, &nothing);
        let data = [
            ("address", "{{ url }}/rest/{{ accountId }}"),
            ("header", "X: {{ authorization | b64encode }}"),
            (
                "until",
                "{% if hosting == 'Cloud' %}{{ expiresAt }}{% endif %}",
            ),
            ("never", "{% if hosting != 'Cloud' %}{{ token }}{% endif %}"),
        ];
        let kept = Target {
            keep_previous: true,
            ..target(&[], &data)
        };
        assert_eq!(keys(&known, &known, &target(&[], &data)), "header until");
        // What suits the credential and not its stand-in, what is a part, and what it may lack.
        for text in [
            "{{ token[500] }}",
            "{{ token[1:] }}{{ token[:1] }}",
            "{{ expiresAt[:4] }}",
            "{% if expiresAt %}fixed{% else %}{{ token }}{% endif %}",
        ] {
            let target = target(&[], &[("part", text)]);
            assert_eq!(keys(&known, &known, &target), "part", "{text}");
        }
        assert_eq!(
            keys(&known, &known, &kept),
            "header previous.authorization previous.token until"
        );
    }

    #[test]
    fn another_site_account_or_method_is_no_secret_and_is_seen() {
        let nothing = SecretString::default();
        let now = Validated {
            user: Some("bot@acme.example"),
            ..validated(MethodName::ApiToken, &nothing)
        };
        let target = target(&[Preset::Standard], &[]);
        let always = "authorization expiresAt token";
        assert_eq!(keys(&now, &now, &target), always);
        let before = Validated {
            account: "another",
            ..now
        };
        assert_eq!(keys(&before, &now, &target), format!("accountId {always}"));
        let before = Validated {
            url: "https://old.example",
            site: "https://old.example",
            ..now
        };
        assert_eq!(
            keys(&before, &now, &target),
            "authorization expiresAt site token url"
        );
        let before = validated(MethodName::OAuth2, &nothing);
        assert_eq!(
            keys(&before, &now, &target),
            "authorization email expiresAt scheme token username"
        );
    }
}
