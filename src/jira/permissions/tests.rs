use chrono::DateTime;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const JSON: (&str, &str) = ("content-type", "application/json;charset=UTF-8");
const KEYS: [&str; 3] = ["ADMINISTER", "BROWSE_PROJECTS", "SYSTEM_ADMIN"];

fn read_as(
    hosting: Hosting,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Permissions, Verdict> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    let answer = Answer {
        hosting,
        status,
        headers: &map,
        body: body.as_bytes(),
        complete: true,
        now: DateTime::from_timestamp(1_793_880_000, 0).unwrap(),
    };
    read(&answer, &KEYS)
}

fn permissions(held: &[&str], missing: &[&str], unknown: &[&str]) -> Permissions {
    let own = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    Permissions {
        held: own(held),
        missing: own(missing),
        unknown: own(unknown),
    }
}

const ALL: &str = r#"{"permissions":{
    "BROWSE_PROJECTS":{"id":"10","key":"BROWSE_PROJECTS","type":"PROJECT","havePermission":true},
    "ADMINISTER":{"id":"0","key":"ADMINISTER","type":"GLOBAL","havePermission":false},
    "SYSTEM_ADMIN":{"id":"44","key":"SYSTEM_ADMIN","type":"GLOBAL","havePermission":false},
    "CREATE_ISSUES":{"id":"11","key":"CREATE_ISSUES","type":"PROJECT","havePermission":true}}}"#;

#[test]
fn what_is_held_is_told_apart_from_what_is_not_and_what_is_unknown() {
    for hosting in [Hosting::Cloud, Hosting::DataCenter] {
        assert_eq!(
            read_as(hosting, 200, &[JSON], ALL),
            Ok(permissions(
                &["BROWSE_PROJECTS"],
                &["ADMINISTER", "SYSTEM_ADMIN"],
                &[]
            ))
        );
    }
    let fewer = r#"{"permissions":{"ADMINISTER":{"havePermission":true},"BROWSE_PROJECTS":{}}}"#;
    assert_eq!(
        read_as(Hosting::DataCenter, 200, &[JSON], fewer),
        Ok(permissions(
            &["ADMINISTER"],
            &["BROWSE_PROJECTS"],
            &["SYSTEM_ADMIN"]
        ))
    );
}

#[test]
#[rustfmt::skip]
fn what_says_nothing_of_the_account_is_no_answer() {
    use Hosting::{Cloud, DataCenter};
    let untold = || Err(Verdict::Refused(Refusal::Forbidden));
    let silent = |outage| Err(Verdict::NoVerdict(outage));
    let unknown = r#"{"errorMessages":[],"errors":{"BROWSE_PROJECTS":"Unrecognized permission"}}"#;
    let other = r#"{"errorMessages":[],"errors":{"LAUNCH_ROCKETS":"Unrecognized permission"}}"#;
    let scope = r#"{"code":401,"message":"Unauthorized; scope does not match"}"#;
    let html = ("content-type", "text/html");
    let anonymous = ("x-ausername", "anonymous");
    let failed = ("x-seraph-loginreason", "AUTHENTICATED_FAILED");
    for (hosting, status, headers, body, expected) in [
        (Cloud, 400, &[JSON][..], unknown, Ok(permissions(&[], &[], &["BROWSE_PROJECTS"]))),
        (Cloud, 400, &[JSON], other, untold()),
        (Cloud, 400, &[JSON], r#"{"errorMessages":["The 'permissions' query parameter is required."],"errors":{}}"#, untold()),
        (Cloud, 400, &[html], unknown, untold()),
        (Cloud, 401, &[JSON], scope, Err(Verdict::Refused(Refusal::InsufficientScope))),
        (Cloud, 401, &[JSON], "{}", untold()),
        (Cloud, 403, &[JSON], "{}", untold()),
        (Cloud, 404, &[JSON], "{}", untold()),
        (Cloud, 404, &[html], "", untold()),
        (DataCenter, 200, &[JSON, anonymous], ALL, untold()),
        (DataCenter, 200, &[JSON, failed], ALL, untold()),
        (DataCenter, 200, &[JSON], r#"{"permissions":[]}"#, untold()),
        (DataCenter, 200, &[JSON], "{}", untold()),
        (DataCenter, 200, &[html], ALL, silent(Outage::NotJson)),
        (DataCenter, 200, &[JSON], "[1]", silent(Outage::NotJson)),
        (DataCenter, 302, &[("location", "/login.jsp")], "", silent(Outage::Redirect)),
        (DataCenter, 429, &[], "", silent(Outage::RateLimited { retry_after: None })),
        (DataCenter, 502, &[html], "", silent(Outage::ServerError(502))),
    ] {
        assert_eq!(read_as(hosting, status, headers, body), expected, "{status} {headers:?} {body}");
    }
}

#[test]
fn each_hosting_is_asked_in_its_own_version() {
    let site = |hosting, base: &str| Site {
        hosting,
        base: base.to_owned(),
        host: "jira.example.com".to_owned(),
    };
    let url = address(
        &site(Hosting::DataCenter, "https://jira.example.com/jira"),
        &KEYS,
    );
    assert_eq!(
        url.unwrap().as_str(),
        "https://jira.example.com/jira/rest/api/2/mypermissions?permissions=ADMINISTER,BROWSE_PROJECTS,SYSTEM_ADMIN"
    );
    let url = address(
        &site(Hosting::Cloud, "https://api.example.com/ex/jira/1"),
        &["A"],
    );
    assert_eq!(
        url.unwrap().as_str(),
        "https://api.example.com/ex/jira/1/rest/api/3/mypermissions?permissions=A"
    );
    assert!(address(&site(Hosting::Cloud, "https://10.0.0.1"), &KEYS).is_err());
}
