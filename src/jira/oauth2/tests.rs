use std::time::Duration;

use chrono::DateTime;
use http::{HeaderMap, HeaderValue};
use secrecy::ExposeSecret;

use super::*;
use crate::api::Hosting;

fn read_as(
    hosting: Hosting,
    status: u16,
    headers: &HeaderMap,
    body: &str,
    sent: Sent,
) -> TokenAnswer {
    let answer = Answer {
        hosting,
        status,
        headers,
        body: body.as_bytes(),
        complete: true,
        now: DateTime::UNIX_EPOCH,
    };
    read(&answer, &sent)
}

fn answer(status: u16, body: &str, sent: Sent) -> String {
    let read = read_as(Hosting::Cloud, status, &HeaderMap::new(), body, sent);
    format!("{} {}", read.word(), read.may_have_spent())
}

#[test]
fn an_error_is_read_by_its_code_and_by_nothing_else() {
    let error = |code: &str| format!(r#"{{"error":"{code}","error_description":"invalid_grant"}}"#);
    for (status, body, refresh, client) in [
        (
            403,
            error("invalid_grant"),
            "dead false",
            "client_rejected false",
        ),
        (
            400,
            error("invalid_grant"),
            "dead false",
            "client_rejected false",
        ),
        (
            403,
            error("unauthorized_client"),
            "dead false",
            "client_rejected false",
        ),
        (
            401,
            error("access_denied"),
            "client_rejected false",
            "client_rejected false",
        ),
        (
            400,
            error("invalid_client"),
            "client_rejected false",
            "client_rejected false",
        ),
        (
            400,
            error("invalid_request"),
            "not_taken false",
            "not_taken false",
        ),
        (
            400,
            error("invalid_scope"),
            "scope_refused false",
            "scope_refused false",
        ),
        (
            429,
            error("invalid_grant"),
            "no_verdict false",
            "no_verdict false",
        ),
        (
            500,
            error("invalid_grant"),
            "no_verdict true",
            "no_verdict true",
        ),
        (503, String::new(), "no_verdict true", "no_verdict true"),
        (
            403,
            "<html>invalid_grant</html>".into(),
            "no_verdict true",
            "no_verdict true",
        ),
        (401, "{}".into(), "no_verdict true", "no_verdict true"),
        (302, String::new(), "no_verdict true", "no_verdict true"),
        (
            200,
            "<html></html>".into(),
            "no_verdict true",
            "no_verdict true",
        ),
        (
            200,
            error("invalid_grant"),
            "no_verdict true",
            "no_verdict true",
        ),
        (
            200,
            r#"{"access_token":""}"#.into(),
            "no_verdict true",
            "no_verdict true",
        ),
    ] {
        assert_eq!(
            answer(status, &body, Sent::RefreshToken),
            refresh,
            "{status} {body}"
        );
        assert_eq!(
            answer(status, &body, Sent::Client),
            client,
            "{status} {body}"
        );
    }
}

#[test]
fn a_data_center_may_mean_the_redirect_url_and_the_client() {
    let error = |code: &str| format!(r#"{{"error":"{code}"}}"#);
    for (code, half, whole, client) in [
        ("invalid_grant", "not_taken", "dead", "client_rejected"),
        (
            "unauthorized_client",
            "client_rejected",
            "client_rejected",
            "client_rejected",
        ),
        (
            "invalid_client",
            "client_rejected",
            "client_rejected",
            "client_rejected",
        ),
        (
            "invalid scope",
            "scope_refused",
            "scope_refused",
            "scope_refused",
        ),
        (
            "unsupported_grant_type",
            "not_taken",
            "not_taken",
            "not_taken",
        ),
    ] {
        for (sent, expected) in [
            (Sent::Half, half),
            (Sent::RefreshTokenAndUrl, whole),
            (Sent::Client, client),
        ] {
            let answer = answer(400, &error(code), sent);
            assert_eq!(answer, format!("{expected} false"), "{code} {sent:?}");
        }
    }
}

#[test]
fn each_endpoint_gets_the_body_that_it_reads() {
    let (secret, token) = (SecretString::from("s/c=r&t"), SecretString::from("r+1"));
    let scopes = ["READ".to_owned(), "WRITE".to_owned()];
    let own = Provider::DataCenter {
        ca_pem: None,
        redirect_uri: Some("https://app.example/back?x=1"),
        scopes: &scopes,
    };
    let body = |provider, refresh_token| {
        let request = TokenRequest {
            endpoint: "https://jira.example/rest/oauth2/latest/token",
            provider,
            client_id: "client",
            client_secret: &secret,
            refresh_token,
            attempt: "attempt",
            limit: Duration::from_secs(3),
            until: None,
        };
        let (kind, body) = request.body();
        (kind.to_owned(), String::from_utf8(body).unwrap())
    };
    for (provider, refresh, kind, expected) in [
        (
            Provider::Atlassian,
            Some(&token),
            "application/json",
            r#"{"client_id":"client","client_secret":"s/c=r&t","grant_type":"refresh_token","refresh_token":"r+1"}"#,
        ),
        (
            Provider::Atlassian,
            None,
            "application/json",
            r#"{"client_id":"client","client_secret":"s/c=r&t","grant_type":"client_credentials"}"#,
        ),
        (
            own,
            Some(&token),
            "application/x-www-form-urlencoded",
            "grant_type=refresh_token&client_id=client&client_secret=s%2Fc%3Dr%26t&refresh_token=r%2B1&redirect_uri=https%3A%2F%2Fapp.example%2Fback%3Fx%3D1",
        ),
        (
            own,
            None,
            "application/x-www-form-urlencoded",
            "grant_type=client_credentials&client_id=client&client_secret=s%2Fc%3Dr%26t&scope=READ+WRITE",
        ),
    ] {
        let sent = body(provider, refresh);
        assert_eq!(sent, (kind.to_owned(), expected.to_owned()));
    }
}

#[test]
fn a_refused_code_is_no_wrong_client() {
    for (error, read) in [
        ("invalid_grant", "dead false"),
        ("unauthorized_client", "client_rejected false"),
        ("access_denied", "client_rejected false"),
        ("invalid_client", "client_rejected false"),
    ] {
        let body = format!(r#"{{"error":"{error}"}}"#);
        assert_eq!(answer(403, &body, Sent::Code), read, "{error}");
    }
}

#[test]
fn tokens_are_taken_as_they_are_told() {
    let read = |body: &str| {
        let headers = HeaderMap::new();
        match read_as(Hosting::Cloud, 200, &headers, body, Sent::RefreshToken) {
            TokenAnswer::Granted(granted) => granted,
            other => panic!("{other:?}"),
        }
    };
    let all = read(
        r#"{"access_token":"a","refresh_token":"r","expires_in":3600,"scope":"x offline_access","token_type":"Bearer"}"#,
    );
    assert_eq!(all.expires_in, 3600);
    assert_eq!(all.scopes.unwrap(), ["x", "offline_access"]);
    assert_eq!(all.refresh.unwrap().expose_secret(), "r");
    // The literal null, the empty text and nothing at all keep the old one.
    for body in [
        r#"{"access_token":"a","refresh_token":null}"#,
        r#"{"access_token":"a","refresh_token":""}"#,
        r#"{"access_token":"a"}"#,
    ] {
        let granted = read(body);
        assert!(granted.refresh.is_none(), "{body}");
        assert_eq!((granted.expires_in, granted.scopes), (3600, None), "{body}");
    }
}

#[test]
fn a_refresh_token_is_not_lost_for_what_stands_beside_it() {
    let long = "r".repeat(2 * LONGEST_TOKEN);
    for (rest, life) in [
        (r#""expires_in":"1800""#, 1800),
        (r#""expires_in":1800.0"#, 1800),
        (r#""expires_in":{}"#, 3600),
        (r#""scope":["x","y"]"#, 3600),
    ] {
        let body = format!(r#"{{"access_token":"a","refresh_token":"{long}",{rest}}}"#);
        let headers = HeaderMap::new();
        let read = read_as(Hosting::Cloud, 200, &headers, &body, Sent::RefreshToken);
        let TokenAnswer::Granted(granted) = read else {
            panic!("{rest}: {read:?}");
        };
        assert_eq!(granted.expires_in, life, "{rest}");
        assert_eq!(granted.refresh.unwrap().expose_secret(), long, "{rest}");
        assert_eq!(granted.scopes, None, "{rest}");
    }
}

#[test]
fn debug_output_shows_no_token() {
    let granted = Granted {
        access: SecretString::from("canary"),
        refresh: Some(SecretString::from("canary")),
        expires_in: 1,
        scopes: None,
    };
    assert!(!format!("{:?}", TokenAnswer::Granted(granted)).contains("canary"));
}

#[tokio::test]
async fn what_another_process_may_have_taken_over_is_not_sent() {
    let clock = crate::clock::Clock::standing_at(DateTime::UNIX_EPOCH);
    let config = crate::jira::JiraConfig {
        names: vec![("auth.example".into(), std::net::Ipv4Addr::LOCALHOST.into())],
        ..Default::default()
    };
    let jira = Jira::new(config, clock.clone()).unwrap();
    let secret = SecretString::from("secret");
    let request = TokenRequest {
        endpoint: "https://auth.example/oauth/token",
        provider: Provider::Atlassian,
        client_id: "client",
        client_secret: &secret,
        refresh_token: Some(&secret),
        attempt: "attempt",
        limit: Duration::from_secs(3),
        until: Some(clock.now() + chrono::TimeDelta::seconds(60)),
    };
    // No call leaves this machine: the address is checked and refused.
    let asked = jira.tokens(&request).await;
    assert!(matches!(asked, TokenAnswer::NotAllowed(_)), "{asked:?}");
    clock.advance(chrono::TimeDelta::seconds(61));
    let late = jira.tokens(&request).await;
    assert!(
        matches!(late, TokenAnswer::NoVerdict(Outage::TooLate)),
        "{late:?}"
    );
    assert!(!late.may_have_spent());
}

/// The headers of a node of Data Center are those of the provider that was asked, not of another
/// hosting.
#[test]
fn a_data_center_s_own_endpoint_is_read_as_one() {
    let headers: HeaderMap = [("x-anodeid", "node1"), ("content-type", "application/json")]
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .collect();
    for (status, body, expected) in [
        (404, "{}", Outage::NotFound),
        (302, "", Outage::Redirect),
        (200, "{", Outage::BrokenJson),
        (200, "{}", Outage::NotJson),
        (401, "{}", Outage::Unexpected(401)),
    ] {
        let sent = Sent::RefreshTokenAndUrl;
        let read = read_as(Hosting::DataCenter, status, &headers, body, sent);
        let TokenAnswer::NoVerdict(outage) = read else {
            panic!("{status}: {read:?}");
        };
        assert_eq!(outage, expected, "{status}");
    }
}
