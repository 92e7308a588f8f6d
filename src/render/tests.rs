use super::*;
use crate::api::Target;
use crate::core::spec::preset_fault;

fn rendered(validated: &Validated<'_>) -> Contents {
    contents(validated, &[Preset::Standard])
}

#[test]
fn every_method_has_its_keys() {
    for (method, user, keys) in [
        (
            MethodName::ApiToken,
            Some("bot@acme.example"),
            "accountId authorization email expiresAt hosting scheme site token url username",
        ),
        (
            MethodName::Basic,
            Some("bot"),
            "accountId authorization expiresAt hosting password scheme site url username",
        ),
        (
            MethodName::PersonalAccessToken,
            None,
            "accountId authorization expiresAt hosting scheme site token url",
        ),
        (
            MethodName::OAuth2,
            None,
            "accountId authorization cloudId expiresAt hosting scheme site token url",
        ),
    ] {
        let secret = SecretString::from("canary");
        let contents = rendered(&Validated {
            name: "team-a/bot",
            hosting: Hosting::DataCenter,
            method,
            url: "https://jira.example",
            site: "https://jira.example",
            cloud_id: (method == MethodName::OAuth2).then_some("id"),
            user,
            secret: &secret,
            previous: None,
            signing: None,
            account: "account",
            expires_at: Some(DateTime::UNIX_EPOCH),
        });
        let found: Vec<&str> = contents.iter().map(|(key, _)| key).collect();
        assert_eq!(found.join(" "), keys, "{method:?}");
        assert!(contents.iter().all(|(_, value)| !value.ends_with('\n')));
        assert!(!format!("{contents:?}").contains("canary"));
    }
}

#[test]
fn the_header_is_whole() {
    let secret = SecretString::from("secret");
    let mut validated = Validated {
        name: "team-a/bot",
        hosting: Hosting::DataCenter,
        method: MethodName::Basic,
        url: "https://jira.example",
        site: "https://jira.example",
        cloud_id: None,
        user: Some("user"),
        secret: &secret,
        previous: None,
        signing: None,
        account: "account",
        expires_at: None,
    };
    let header = |contents: Contents| {
        contents
            .iter()
            .find(|(key, _)| *key == "authorization")
            .map(|(_, value)| value.to_owned())
    };
    assert_eq!(
        header(rendered(&validated)).as_deref(),
        Some("Basic dXNlcjpzZWNyZXQ=")
    );
    validated.method = MethodName::PersonalAccessToken;
    assert_eq!(
        header(rendered(&validated)).as_deref(),
        Some("Bearer secret")
    );
}

#[test]
fn who_signs_gets_the_parts_and_no_header() {
    let (token, key) = (
        SecretString::from("canary-t"),
        SecretString::from("canary-k"),
    );
    let token_secret = SecretString::from("canary-s");
    let rendered = |token_secret| {
        self::rendered(&Validated {
            name: "team-a/bot",
            hosting: Hosting::DataCenter,
            method: MethodName::OAuth1,
            url: "https://jira.example/jira",
            site: "https://jira.example/jira",
            cloud_id: None,
            user: None,
            secret: &token,
            previous: None,
            signing: Some(Parts {
                consumer_key: "ci",
                private_key: &key,
                token_secret,
            }),
            account: "JIRAUSER1",
            expires_at: None,
        })
    };
    let expected = [
        ("accountId", "JIRAUSER1"),
        ("consumerKey", "ci"),
        ("hosting", "DataCenter"),
        ("privateKey", "canary-k"),
        ("scheme", "OAuth"),
        ("signatureMethod", "RSA-SHA1"),
        ("site", "https://jira.example/jira"),
        ("token", "canary-t"),
        ("tokenSecret", "canary-s"),
        ("url", "https://jira.example/jira"),
    ];
    let contents = rendered(Some(&token_secret));
    assert!(contents.iter().eq(expected));
    assert!(!format!("{contents:?}").contains("canary"));
    let contents = rendered(None);
    let keys: Vec<&str> = contents.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), expected.len() - 1);
    assert!(!keys.contains(&"tokenSecret"));
}

fn with<'a>(method: MethodName, user: Option<&'a str>, secret: &'a SecretString) -> Validated<'a> {
    let gateway = matches!(method, MethodName::OAuth2);
    Validated {
        name: "team-a/bot",
        hosting: if gateway {
            Hosting::Cloud
        } else {
            Hosting::DataCenter
        },
        method,
        url: if gateway {
            "https://gateway.example/ex/jira/id"
        } else {
            "https://jira.example:8443/jira"
        },
        site: if gateway {
            "https://acme.example"
        } else {
            "https://jira.example:8443/jira"
        },
        cloud_id: gateway.then_some("id"),
        user,
        secret,
        previous: None,
        signing: None,
        account: "account",
        expires_at: None,
    }
}

fn lines(contents: &Contents) -> String {
    let pairs = contents.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join("\n")
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn every_preset_has_the_keys_of_its_consumer() {
    let secret = SecretString::from("s3cret word");
    let basic = with(MethodName::Basic, Some("bot"), &secret);
    let pat = with(MethodName::PersonalAccessToken, None, &secret);
    let oauth2 = with(MethodName::OAuth2, None, &secret);
    let session = with(MethodName::Session, None, &secret);
    for (preset, validated, expected) in [
        (
            Preset::Env,
            &basic,
            "JIRA_API_TOKEN=s3cret word\n\
             JIRA_AUTH_TYPE=basic\n\
             JIRA_BASE_URL=https://jira.example:8443/jira\n\
             JIRA_LOGIN=bot\n\
             JIRA_SERVER=https://jira.example:8443/jira\n\
             JIRA_URL=https://jira.example:8443/jira\n\
             JIRA_USERNAME=bot",
        ),
        (
            Preset::Env,
            &oauth2,
            "JIRA_API_TOKEN=s3cret word\n\
             JIRA_AUTH_TYPE=bearer\n\
             JIRA_BASE_URL=https://gateway.example/ex/jira/id\n\
             JIRA_PERSONAL_TOKEN=s3cret word\n\
             JIRA_SERVER=https://gateway.example/ex/jira/id\n\
             JIRA_URL=https://gateway.example/ex/jira/id",
        ),
        (
            Preset::BasicAuth,
            &basic,
            "password=s3cret word\nusername=bot",
        ),
        (
            Preset::Netrc,
            &basic,
            ".netrc=machine jira.example login bot password \"s3cret word\"",
        ),
        (
            Preset::JiraCli,
            &basic,
            ".config.yml={\"auth_type\":\"basic\",\"browse_server\":\"https://jira.example:8443/jira\",\"installation\":\"Local\",\"login\":\"bot\",\"server\":\"https://jira.example:8443/jira\"}\n\
             JIRA_API_TOKEN=s3cret word\n\
             JIRA_AUTH_TYPE=basic",
        ),
        (
            Preset::JiraCli,
            &oauth2,
            ".config.yml={\"auth_type\":\"bearer\",\"browse_server\":\"https://acme.example\",\"installation\":\"Cloud\",\"server\":\"https://gateway.example/ex/jira/id\"}\n\
             JIRA_API_TOKEN=s3cret word\n\
             JIRA_AUTH_TYPE=bearer",
        ),
        (
            Preset::Alertmanager,
            &basic,
            "api_type=datacenter\n\
             api_url=https://jira.example:8443/jira/rest/api/2\n\
             password=s3cret word\n\
             username=bot",
        ),
        (
            Preset::Alertmanager,
            &oauth2,
            "api_type=cloud\n\
             api_url=https://gateway.example/ex/jira/id/rest/api/2\n\
             credentials=s3cret word",
        ),
        (
            Preset::Alertmanager,
            &session,
            "api_type=datacenter\n\
             api_url=https://jira.example:8443/jira/rest/api/2\n\
             cookie=s3cret word",
        ),
        (
            Preset::McpAtlassian,
            &basic,
            "JIRA_API_TOKEN=s3cret word\n\
             JIRA_URL=https://jira.example:8443/jira\n\
             JIRA_USERNAME=bot",
        ),
        (
            Preset::McpAtlassian,
            &pat,
            "JIRA_PERSONAL_TOKEN=s3cret word\nJIRA_URL=https://jira.example:8443/jira",
        ),
        (
            Preset::McpAtlassian,
            &oauth2,
            "ATLASSIAN_OAUTH_ACCESS_TOKEN=s3cret word\n\
             ATLASSIAN_OAUTH_CLOUD_ID=id\n\
             JIRA_URL=https://acme.example",
        ),
        (
            Preset::Jenkins,
            &basic,
            "password=s3cret word\nusername=bot",
        ),
        (Preset::Jenkins, &pat, "text=s3cret word"),
    ] {
        let contents = contents(validated, &[preset]);
        assert_eq!(
            lines(&contents),
            expected,
            "{preset} {:?}",
            validated.method
        );
        assert!(contents.iter().all(|(_, value)| !value.ends_with('\n')));
    }
}

#[test]
fn presets_that_fit_agree_on_the_keys_that_they_share() {
    let secret = SecretString::from("canary");
    for (method, user) in [
        (MethodName::ApiToken, Some("bot@acme.example")),
        (MethodName::Basic, Some("bot")),
        (MethodName::PersonalAccessToken, None),
        (MethodName::OAuth2, None),
        (MethodName::ClientCredentials, None),
        (MethodName::Session, None),
        (MethodName::OAuth1, None),
    ] {
        let validated = with(method, user, &secret);
        let target = |presets: &[Preset]| Target {
            name: "bot".to_owned(),
            presets: presets.to_vec(),
            ..Target::default()
        };
        for pair in Preset::ALL
            .iter()
            .flat_map(|one| Preset::ALL.map(|other| [*one, other]))
        {
            if preset_fault(&target(&pair), method, validated.hosting, None).is_some() {
                continue;
            }
            let both = contents(&validated, &pair);
            for preset in pair {
                let alone = contents(&validated, &[preset]);
                for (key, value) in alone.iter() {
                    let merged = both.iter().find(|(found, _)| *found == key);
                    assert_eq!(merged, Some((key, value)), "{method:?} {pair:?}");
                }
            }
        }
    }
}

#[test]
fn jenkins_and_basic_auth_say_what_the_secret_is() {
    let secret = SecretString::from("canary");
    let basic = with(MethodName::Basic, Some("bot"), &secret);
    let pat = with(MethodName::PersonalAccessToken, None, &secret);
    for (validated, kind) in [(&basic, "usernamePassword"), (&pat, "secretText")] {
        let contents = contents(validated, &[Preset::Jenkins]);
        let labels: Vec<_> = contents.labels().collect();
        assert_eq!(labels, [("jenkins.io/credentials-type", kind)]);
        let annotations: Vec<_> = contents.annotations().collect();
        assert_eq!(
            annotations,
            [(
                "jenkins.io/credentials-description",
                "JiraCredential team-a/bot"
            )]
        );
        assert_eq!(contents.kind(), None);
    }
    let contents = contents(&basic, &[Preset::Standard, Preset::BasicAuth]);
    assert_eq!(contents.kind(), Some("kubernetes.io/basic-auth"));
}

#[test]
fn a_password_that_mcp_atlassian_would_send_wrongly_is_not_published_for_it() {
    for (user, secret, presets, fits) in [
        (Some("bot"), "c d", &[Preset::McpAtlassian][..], true),
        (Some("bot"), "cé", &[Preset::McpAtlassian], false),
        (
            Some("bét"),
            "cd",
            &[Preset::McpAtlassian, Preset::Env],
            false,
        ),
        (Some("bot"), "cé", &[Preset::Env], true),
        (None, "cé", &[Preset::McpAtlassian], true),
    ] {
        let secret = SecretString::from(secret);
        let validated = with(MethodName::Basic, user, &secret);
        let target = Target {
            presets: presets.to_vec(),
            ..Target::default()
        };
        let contents = target_contents(&validated, &target);
        assert_eq!(contents.is_ok(), fits, "{presets:?} {contents:?}");
        let said = contents.err().unwrap_or_default();
        assert!(
            fits || said.contains("beyond ASCII") && !said.contains('é'),
            "{said}"
        );
    }
}
