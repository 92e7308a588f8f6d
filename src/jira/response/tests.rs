use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

mod causes;
mod names;
mod signed;

const CLOUD_USER: &str = r#"{"self":"https://acme.atlassian.net/rest/api/3/user?accountId=557058:0f5e","accountId":"557058:0f5e","accountType":"atlassian","displayName":"Bot","active":true,"timeZone":"Etc/UTC"}"#;
const DC_USER: &str = r#"{"self":"https://jira.example.com/rest/api/2/user?username=bot","key":"JIRAUSER10107","name":"bot","displayName":"Bot","active":true,"deleted":false}"#;
const LOGIN_PAGE: &str = "<!DOCTYPE html><html><title>Log in</title><form method=post></form>";
const JSON: (&str, &str) = ("content-type", "application/json;charset=UTF-8");
const HTML: (&str, &str) = ("content-type", "text/html;charset=UTF-8");
const TEXT: (&str, &str) = ("content-type", "text/plain");
const EDGE: (&str, &str) = ("server", "AtlassianEdge");
const TOMCAT: (&str, &str) = ("x-arequestid", "611x4711x1");
const FAILED: (&str, &str) = ("x-seraph-loginreason", "AUTHENTICATED_FAILED");
const DENIED: (&str, &str) = ("x-seraph-loginreason", "AUTHENTICATION_DENIED");
const CHALLENGE: (&str, &str) = (
    "x-authentication-denied-reason",
    "CAPTCHA_CHALLENGE; login-url=https://jira.example.com/login.jsp",
);

type Headers = [(&'static str, &'static str)];

fn now() -> DateTime<Utc> {
    // Thu, 05 Nov 2026 12:00:00 GMT
    DateTime::from_timestamp(1_793_880_000, 0).unwrap()
}

fn read_as(hosting: Hosting, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Verdict {
    let headers = headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect();
    let answer = Answer {
        hosting,
        status,
        headers: &headers,
        body,
        complete: true,
        now: now(),
    };
    read(&answer)
}

fn check(rows: &[(Hosting, u16, &Headers, &str, Verdict)]) {
    for (hosting, status, headers, body, expected) in rows {
        // What accounts are called is tested apart.
        let verdict = match read_as(*hosting, *status, headers, body.as_bytes()) {
            Verdict::Accepted(account) => Verdict::Accepted(account.without_names()),
            other => other,
        };
        assert_eq!(
            &verdict, expected,
            "{hosting:?} {status} {headers:?} {body}"
        );
    }
}

fn accepted(id: &str, kind: Option<&str>) -> Verdict {
    Verdict::Accepted(Account {
        id: id.to_owned(),
        kind: kind.map(str::to_owned),
        display_name: None,
        user_name: None,
    })
}

fn refused(refusal: Refusal) -> Verdict {
    Verdict::Refused(refusal)
}

fn none(outage: Outage) -> Verdict {
    Verdict::NoVerdict(outage)
}

use Hosting::{Cloud, DataCenter};

#[test]
#[rustfmt::skip]
fn users_are_accepted() {
    let app = r#"{"accountId":"5b10:a1","accountType":"app","active":true}"#;
    let new_kind = r#"{"accountId":"5b10:a1","accountType":"<b>","active":true}"#;
    let old_key = r#"{"key":"jörg von a","name":"jörg von a","active":true}"#;
    check(&[
        (Cloud, 200, &[JSON], CLOUD_USER, accepted("557058:0f5e", Some("atlassian"))),
        (Cloud, 200, &[JSON, EDGE], app, accepted("5b10:a1", Some("app"))),
        (Cloud, 200, &[JSON, EDGE], new_kind, accepted("5b10:a1", None)),
        (
            Cloud,
            200,
            &[("content-type", "Application/JSON")],
            app,
            accepted("5b10:a1", Some("app")),
        ),
        (DataCenter, 200, &[JSON], DC_USER, accepted("JIRAUSER10107", None)),
        (DataCenter, 200, &[JSON, ("retry-after", "0")], DC_USER, accepted("JIRAUSER10107", None)),
        (
            DataCenter,
            200,
            &[JSON, TOMCAT, ("x-seraph-loginreason", "OK"), ("x-ausername", "bot")],
            DC_USER,
            accepted("JIRAUSER10107", None),
        ),
        (
            DataCenter,
            200,
            &[JSON, ("x-seraph-loginreason", "AUTHENTICATED_FAILED, OK")],
            DC_USER,
            accepted("JIRAUSER10107", None),
        ),
        (DataCenter, 200, &[JSON], old_key, accepted("jörg von a", None)),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_200_without_a_validated_user_accepts_nothing() {
    let inactive = r#"{"accountId":"5b10:a1","active":false}"#;
    let deleted = r#"{"key":"JIRAUSER1","active":true,"deleted":true}"#;
    check(&[
        (Cloud, 200, &[HTML], LOGIN_PAGE, none(Outage::NotJson)),
        (DataCenter, 200, &[HTML], LOGIN_PAGE, none(Outage::NotJson)),
        (DataCenter, 200, &[HTML], DC_USER, none(Outage::NotJson)),
        (DataCenter, 200, &[], DC_USER, none(Outage::NotJson)),
        (DataCenter, 200, &[JSON], LOGIN_PAGE, none(Outage::NotJson)),
        (DataCenter, 200, &[JSON], "", none(Outage::BrokenJson)),
        (DataCenter, 200, &[("content-type", "text/json")], DC_USER, none(Outage::NotJson)),
        (Cloud, 200, &[JSON], "{}", none(Outage::NotAUser)),
        (Cloud, 200, &[JSON], "[]", none(Outage::NotAUser)),
        (Cloud, 200, &[JSON], "null", none(Outage::NotAUser)),
        (Cloud, 200, &[JSON], r#"{"accountId":7}"#, none(Outage::NotAUser)),
        (Cloud, 200, &[JSON], r#"{"accountId":""}"#, none(Outage::NotAUser)),
        (Cloud, 200, &[JSON], r#"{"accountId":"a\nb"}"#, none(Outage::NotAUser)),
        (Cloud, 200, &[JSON], r#"{"accountId":" a"}"#, none(Outage::NotAUser)),
        (Cloud, 200, &[JSON], "{\"accountId\":\"a\u{202e}b\"}", none(Outage::NotAUser)),
        (Cloud, 200, &[JSON], inactive, refused(Refusal::AccountInactive)),
        (DataCenter, 200, &[JSON], deleted, refused(Refusal::AccountInactive)),
        // A proxy logged in by itself.
        (DataCenter, 200, &[JSON, FAILED], DC_USER, refused(Refusal::Rejected)),
        (Cloud, 204, &[], "", none(Outage::Unexpected(204))),
        (Cloud, 203, &[JSON], CLOUD_USER, none(Outage::Unexpected(203))),
    ]);
    let long = format!(r#"{{"accountId":"{}"}}"#, "a".repeat(129));
    assert_eq!(read_as(Cloud, 200, &[JSON], long.as_bytes()), none(Outage::NotAUser));
}

#[test]
#[rustfmt::skip]
fn data_center_passed_off_as_cloud_is_told_and_the_other_way_round() {
    let is_dc = || refused(Refusal::IsDataCenter);
    let is_cloud = || refused(Refusal::IsCloud);
    let node = ("x-anodeid", "node1");
    let nobody = ("x-ausername", "anonymous");
    let trace = ("atl-traceid", "8b0f");
    let no_uri = r#"{"message":"null for uri: /rest/api/3/myself","status-code":404}"#;
    let connect = r#"{"error":"Failed to parse Connect Session Auth Token"}"#;
    let half = r#"{"accountId":"5b10:a1","key":"JIRAUSER10107","active":true}"#;
    check(&[
        (Cloud, 200, &[JSON], DC_USER, is_dc()),
        (Cloud, 200, &[JSON, node], DC_USER, is_dc()),
        // Data Center 9 sends a call in version 3 to its login page, 10 does not know it.
        (Cloud, 302, &[nobody, ("location", "/login.jsp")], "", is_dc()),
        (Cloud, 404, &[JSON, node, nobody], no_uri, is_dc()),
        (Cloud, 401, &[JSON, nobody], "{}", is_dc()),
        (Cloud, 403, &[HTML, node], "", is_dc()),
        (DataCenter, 200, &[JSON], CLOUD_USER, is_cloud()),
        (DataCenter, 200, &[JSON, EDGE], CLOUD_USER, is_cloud()),
        (DataCenter, 401, &[JSON, EDGE], "{}", is_cloud()),
        (DataCenter, 403, &[JSON, EDGE], connect, is_cloud()),
        (DataCenter, 404, &[JSON, trace], "{}", is_cloud()),
        (DataCenter, 401, &[TEXT, ("x-aaccountid", "5b10%3Aa1")], "", is_cloud()),
        // What says nothing of Jira says nothing of its hosting.
        (Cloud, 503, &[HTML, node], "", none(Outage::ServerError(503))),
        (Cloud, 429, &[JSON, node], "", none(Outage::RateLimited { retry_after: None })),
        (DataCenter, 503, &[HTML, EDGE], "", none(Outage::ServerError(503))),
        (DataCenter, 404, &[HTML, EDGE, ("atl-missing-tcs", "true")], "", none(Outage::NoCloudSite)),
        // Who tells both is believed in what was asked for.
        (Cloud, 200, &[JSON], half, accepted("5b10:a1", None)),
        (DataCenter, 200, &[JSON], half, accepted("JIRAUSER10107", None)),
        (Cloud, 401, &[JSON, EDGE, nobody], "{}", refused(Refusal::Rejected)),
        (Cloud, 200, &[JSON], r#"{"key":""}"#, none(Outage::NotAUser)),
        (Cloud, 200, &[HTML], DC_USER, none(Outage::NotJson)),
    ]);
}

#[test]
fn an_answer_that_was_not_read_to_its_end_accepts_nothing() {
    let headers = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    let headers = headers.into_iter().collect();
    let answer = |status| Answer {
        hosting: Cloud,
        status,
        headers: &headers,
        body: CLOUD_USER.as_bytes(),
        complete: false,
        now: now(),
    };
    assert_eq!(read(&answer(200)), none(Outage::TooLarge));
    assert_eq!(read(&answer(401)), refused(Refusal::Rejected));
}

#[test]
#[rustfmt::skip]
fn rejections_of_jira_are_told_from_those_of_a_proxy() {
    let cloud_401 =
        r#"{"message":"Client must be authenticated to access this resource.","status-code":401}"#;
    let text_401 = "Client must be authenticated to access this resource.";
    let seraph = "<html><body>Basic Authentication Failure - Reason : AUTHENTICATED_FAILED";
    let rejected = || refused(Refusal::Rejected);
    let proxy = || none(Outage::Unexpected(401));
    check(&[
        (Cloud, 401, &[JSON, EDGE], cloud_401, rejected()),
        (Cloud, 401, &[TEXT, EDGE], text_401, rejected()),
        (Cloud, 401, &[TEXT], text_401, rejected()),
        (Cloud, 401, &[JSON], cloud_401, rejected()),
        (Cloud, 401, &[], "", rejected()),
        (DataCenter, 401, &[HTML, FAILED], "<html>Unauthorized (401)", rejected()),
        (DataCenter, 401, &[HTML, TOMCAT], "<html>Unauthorized (401)", rejected()),
        (DataCenter, 401, &[HTML], seraph, rejected()),
        (
            DataCenter,
            401,
            &[JSON, ("www-authenticate", "OAuth realm=\"https%3A%2F%2Fjira.example.com\"")],
            "{}",
            rejected(),
        ),
        (DataCenter, 401, &[TEXT, ("www-authenticate", "JIRA REST POST")], "", rejected()),
        (DataCenter, 403, &[HTML, FAILED], "<html>Forbidden (403)", rejected()),
        (DataCenter, 401, &[HTML], "<html><h1>401 Authorization Required</h1>nginx", proxy()),
        (DataCenter, 401, &[TEXT, ("www-authenticate", "Negotiate")], "", proxy()),
        (DataCenter, 401, &[JSON, ("www-authenticate", "Basic realm=\"gate\"")], "{}", proxy()),
        (
            DataCenter,
            401,
            &[TEXT, ("www-authenticate", "Bearer realm=\"x\"")],
            "Jwt is missing",
            proxy(),
        ),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_captcha_wins_over_everything_that_says_wrong_password() {
    let captcha = || refused(Refusal::CaptchaRequired);
    let denied = "<html>Basic Authentication Failure - Reason : AUTHENTICATION_DENIED";
    let json = r#"{"errorMessages":["Login denied: solve the CAPTCHA at the login page first."]}"#;
    check(&[
        (DataCenter, 401, &[HTML, DENIED, CHALLENGE], "", captcha()),
        (DataCenter, 403, &[HTML, DENIED, CHALLENGE], "", captcha()),
        // Reported for Data Center 8.20.
        (DataCenter, 403, &[HTML, FAILED, CHALLENGE], "", captcha()),
        (DataCenter, 401, &[JSON, FAILED, CHALLENGE], "{}", captcha()),
        (DataCenter, 403, &[HTML, FAILED], "CAPTCHA_CHALLENGE", captcha()),
        (DataCenter, 403, &[HTML, DENIED], "", captcha()),
        (DataCenter, 403, &[HTML], denied, captcha()),
        (DataCenter, 403, &[JSON], json, captcha()),
        // The captcha of a firewall is not Jira's.
        (
            Cloud,
            403,
            &[HTML, ("server", "cloudflare")],
            "<html>Complete the CAPTCHA to continue",
            none(Outage::Unexpected(403)),
        ),
    ]);
}

#[test]
#[rustfmt::skip]
fn refusals_that_say_why() {
    // Recorded on Data Center 11.3: no header of Jira's own.
    let basic_off = r#"{"message":"Basic Authentication has been disabled on this instance."}"#;
    let password = r#"{"message":"Basic auth with password is not allowed on this instance"}"#;
    let address = r#"{"errorMessages":["The IP address has been rejected because it is not on the allowed list. Contact your site admin."]}"#;
    let scope = r#"{"code":401,"message":"Unauthorized; scope does not match"}"#;
    let connect = r#"{"error":"Failed to parse Connect Session Auth Token"}"#;
    let permission = r#"{"errorMessages":["You do not have permission"],"errors":{}}"#;
    check(&[
        (DataCenter, 403, &[JSON], basic_off, refused(Refusal::BasicAuthDisabled)),
        (DataCenter, 401, &[JSON], basic_off, refused(Refusal::BasicAuthDisabled)),
        (Cloud, 403, &[JSON, EDGE], password, refused(Refusal::PasswordNotAllowed)),
        (Cloud, 401, &[JSON, EDGE], password, refused(Refusal::PasswordNotAllowed)),
        (Cloud, 403, &[JSON, EDGE], address, refused(Refusal::IpBlocked)),
        (Cloud, 401, &[JSON, EDGE], scope, refused(Refusal::InsufficientScope)),
        (Cloud, 403, &[JSON, EDGE], scope, refused(Refusal::InsufficientScope)),
        (Cloud, 403, &[JSON, EDGE], connect, refused(Refusal::WrongHost)),
        (Cloud, 403, &[JSON], permission, refused(Refusal::Forbidden)),
        (DataCenter, 403, &[HTML, TOMCAT], "<html>Forbidden", refused(Refusal::Forbidden)),
        (DataCenter, 403, &[HTML], "<html>Blocked by policy", none(Outage::Unexpected(403))),
        (DataCenter, 403, &[TEXT], "RBAC: access denied", none(Outage::Unexpected(403))),
        (DataCenter, 403, &[], "", none(Outage::Unexpected(403))),
    ]);
}

#[test]
#[rustfmt::skip]
fn outages_are_no_verdicts() {
    let gone: &Headers = &[HTML, EDGE, ("atl-missing-tcs", "true")];
    let suspended = r#"{"errorMessage":"Site temporarily unavailable"}"#;
    check(&[
        (Cloud, 404, gone, "<html><h1>Page unavailable</h1>", none(Outage::NoCloudSite)),
        (Cloud, 404, &[JSON, EDGE], suspended, none(Outage::NoCloudSite)),
        (DataCenter, 404, &[HTML], "<html>nginx", none(Outage::NotFound)),
        (DataCenter, 302, &[("location", "/login.jsp")], "", none(Outage::Redirect)),
        (Cloud, 301, &[("location", "https://elsewhere.example/")], "", none(Outage::Redirect)),
        (Cloud, 307, &[], "", none(Outage::Redirect)),
        (Cloud, 500, &[HTML], "", none(Outage::ServerError(500))),
        (Cloud, 502, &[HTML], "", none(Outage::ServerError(502))),
        (Cloud, 503, &[JSON, EDGE], suspended, none(Outage::ServerError(503))),
        (Cloud, 504, &[HTML], "", none(Outage::ServerError(504))),
        (Cloud, 400, &[JSON], "{}", none(Outage::Unexpected(400))),
        (Cloud, 405, &[JSON], "{}", none(Outage::Unexpected(405))),
        (Cloud, 407, &[HTML], "", none(Outage::Unexpected(407))),
        (Cloud, 410, &[JSON], "{}", none(Outage::Unexpected(410))),
        (Cloud, 999, &[], "", none(Outage::Unexpected(999))),
    ]);
}

#[test]
fn waits_are_read_in_seconds_and_as_dates() {
    for (value, seconds) in [
        ("7", Some(7)),
        (" 7 ", Some(7)),
        ("0", None),
        ("3600", Some(900)),
        ("86400", Some(900)),
        ("18446744073709551615", Some(900)),
        ("18446744073709551616", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Thu, 05 Nov 2026 12:02:00 GMT", Some(120)),
        ("Thu, 05 Nov 2026 12:00:00 GMT", None),
        ("Thu, 05 Nov 2026 11:00:00 GMT", None),
        ("Fri, 05 Nov 2027 12:00:00 GMT", Some(900)),
    ] {
        let retry_after = seconds.map(Duration::from_secs);
        let headers = [HTML, ("retry-after", value)];
        let limited = read_as(DataCenter, 429, &headers, b"Rate limit exceeded.");
        assert_eq!(
            limited,
            none(Outage::RateLimited { retry_after }),
            "{value:?}"
        );
        let unavailable = read_as(Cloud, 503, &headers, b"");
        assert_eq!(
            unavailable,
            none(Outage::Unavailable { retry_after }),
            "{value:?}"
        );
    }
    let silent = read_as(DataCenter, 429, &[JSON], b"{}");
    assert_eq!(silent, none(Outage::RateLimited { retry_after: None }));
}

fn any_headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        Just("content-type".to_owned()),
        Just("retry-after".to_owned()),
        Just("server".to_owned()),
        Just("www-authenticate".to_owned()),
        Just("x-seraph-loginreason".to_owned()),
        Just("x-authentication-denied-reason".to_owned()),
        "[a-z-]{1,20}",
    ];
    let value = prop_oneof![
        Just(b"application/json".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec((name, value), 0..6)
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        Just(CLOUD_USER.as_bytes().to_vec()),
        Just(DC_USER.as_bytes().to_vec()),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_nothing_panics_and_only_json_users_are_accepted(
        cloud in any::<bool>(),
        status in prop_oneof![Just(200u16), 100..600u16, any::<u16>()],
        named in any_headers(),
        body in any_body(),
        complete in any::<bool>(),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in &named {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(HeaderName::try_from(name.as_str()).unwrap(), value);
            }
        }
        let hosting = if cloud { Cloud } else { DataCenter };
        let answer =
            Answer { hosting, status, headers: &headers, body: &body, complete, now: now() };
        if let Verdict::Accepted(account) = read(&answer) {
            prop_assert_eq!(status, 200);
            prop_assert!(complete && is_json(&headers));
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let id = if cloud { &value["accountId"] } else { &value["key"] };
            prop_assert_eq!(id.as_str(), Some(account.id.as_str()));
        }
    }
}

#[test]
fn what_controls_or_turns_a_text_is_not_plain() {
    for c in ['a', 'é', '–', 'あ', ' '] {
        assert!(is_plain(c), "{c:?}");
    }
    for c in [
        '\u{1b}', '\n', '\u{9b}', '\u{61c}', '\u{200f}', '\u{202e}', '\u{2066}',
    ] {
        assert!(!is_plain(c), "{c:?}");
    }
}
