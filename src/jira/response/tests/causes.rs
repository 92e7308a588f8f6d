//! Answers whose cause differs from others of the same status.

use super::*;

const SCOPES: &str = r#"{"code":403,"message":"Forbidden; the token lacks the required scopes"}"#;
const UNINSTALLED: &str = r#"{"errorMessages":["The app is not installed on this instance."]}"#;
const BLOCKED: &str = r#"{"errorMessages":["The IP address has been rejected because it is not on the allowed list."]}"#;

#[test]
#[rustfmt::skip]
fn a_gateway_that_names_scopes_or_consent_is_believed() {
    let scope = || refused(Refusal::InsufficientScope);
    let consent = || refused(Refusal::NoConsent);
    let none_given = r#"{"code":403,"message":"The user has not consented to this app on this site"}"#;
    let scope_error = r#"{"errorMessages":["OAuth scope read:jira-user is missing"],"errors":{}}"#;
    let other = r#"{"message":"The microscope is broken"}"#;
    let bearer = ("www-authenticate", "Bearer error=\"insufficient_scope\", scope=\"READ\"");
    check(&[
        (Cloud, 403, &[JSON, EDGE], SCOPES, scope()),
        (Cloud, 401, &[JSON, EDGE], SCOPES, scope()),
        (Cloud, 403, &[JSON], scope_error, scope()),
        (Cloud, 403, &[JSON, EDGE, bearer], "{}", scope()),
        (DataCenter, 403, &[JSON, TOMCAT, bearer], "{}", scope()),
        (Cloud, 403, &[JSON, EDGE], UNINSTALLED, consent()),
        (Cloud, 401, &[JSON, EDGE], UNINSTALLED, consent()),
        (Cloud, 403, &[JSON, EDGE], none_given, consent()),
        (Cloud, 403, &[JSON, EDGE], other, refused(Refusal::Forbidden)),
        // Texts of a Data Center, a firewall and a proxy are not the gateway's.
        (DataCenter, 403, &[JSON], SCOPES, refused(Refusal::Forbidden)),
        (DataCenter, 403, &[JSON], UNINSTALLED, refused(Refusal::Forbidden)),
        (Cloud, 403, &[HTML], "<html>Out of scope", none(Outage::Unexpected(403))),
        (DataCenter, 403, &[TEXT, bearer], "", none(Outage::Unexpected(403))),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_user_beside_a_failed_or_missing_login_is_no_acceptance() {
    let nobody = ("x-ausername", "anonymous");
    let good = ("x-seraph-loginreason", "OK");
    let both = ("x-seraph-loginreason", "AUTHENTICATED_FAILED, AUTHENTICATION_DENIED");
    check(&[
        (DataCenter, 200, &[JSON, DENIED], DC_USER, refused(Refusal::CaptchaRequired)),
        (DataCenter, 200, &[JSON, both], DC_USER, refused(Refusal::CaptchaRequired)),
        (DataCenter, 200, &[JSON, FAILED, nobody], DC_USER, refused(Refusal::Rejected)),
        (DataCenter, 200, &[JSON, nobody], DC_USER, none(Outage::Anonymous)),
        (DataCenter, 200, &[JSON, TOMCAT, ("x-ausername", "Anonymous")], DC_USER, none(Outage::Anonymous)),
        (Cloud, 200, &[JSON, EDGE, nobody], CLOUD_USER, none(Outage::Anonymous)),
        (DataCenter, 200, &[JSON, good, nobody], DC_USER, accepted("JIRAUSER10107", None)),
        (DataCenter, 200, &[JSON, ("x-ausername", "bot")], DC_USER, accepted("JIRAUSER10107", None)),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_allow_list_of_addresses_is_read_with_every_status_it_may_have() {
    check(&[
        (Cloud, 400, &[JSON, EDGE], BLOCKED, refused(Refusal::IpBlocked)),
        (Cloud, 401, &[JSON, EDGE], BLOCKED, refused(Refusal::IpBlocked)),
        (Cloud, 403, &[JSON, EDGE], BLOCKED, refused(Refusal::IpBlocked)),
        (DataCenter, 400, &[JSON], BLOCKED, refused(Refusal::IpBlocked)),
        (Cloud, 400, &[JSON, EDGE], "{}", none(Outage::Unexpected(400))),
        (Cloud, 500, &[JSON, EDGE], BLOCKED, none(Outage::ServerError(500))),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_page_of_jira_is_known_without_its_headers() {
    let page = "<html><h1>Interdit (403)</h1><a href=\"/jira/secure/MyJiraHome.jspa\">Accueil";
    check(&[
        (DataCenter, 403, &[HTML], page, refused(Refusal::Forbidden)),
        (DataCenter, 403, &[HTML], "<html>Forbidden", none(Outage::Unexpected(403))),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_site_that_is_gone_is_told_from_a_wrong_path() {
    let missing = ("atl-missing-tcs", "true");
    let removed = r#"{"errorMessage":"Site temporarily unavailable"}"#;
    let trace = ("atl-traceid", "8b0f");
    check(&[
        (Cloud, 404, &[HTML, EDGE, missing], "<html>", none(Outage::NoCloudSite)),
        (Cloud, 404, &[JSON, EDGE], removed, none(Outage::NoCloudSite)),
        (Cloud, 404, &[JSON, trace], removed, none(Outage::NoCloudSite)),
        (DataCenter, 404, &[HTML, missing], "<html>", none(Outage::NoCloudSite)),
        (Cloud, 404, &[HTML, EDGE], "<html>", none(Outage::NotFound)),
        (Cloud, 404, &[JSON], removed, none(Outage::NotFound)),
        (DataCenter, 404, &[JSON], removed, none(Outage::NotFound)),
    ]);
}

/// A Cloud site under a name of its own: Atlassian's edge is seen through a proxy that adds headers.
#[test]
#[rustfmt::skip]
fn what_the_edge_answers_is_never_taken_for_a_data_center() {
    let headers = [
        ("x-ausername", "anonymous"),
        ("x-anodeid", "node1"),
        ("x-asessionid", "s1"),
    ];
    for name in headers {
        for edge in [EDGE, ("atl-traceid", "8b0f"), ("atl-request-id", "8b0f"), ("x-aaccountid", "5b10")] {
            for status in [200, 302, 401, 403, 404] {
                for body in ["{}", DC_USER] {
                    let verdict = read_as(Cloud, status, &[JSON, edge, name], body.as_bytes());
                    assert_ne!(verdict, refused(Refusal::IsDataCenter), "{status} {edge:?} {name:?}");
                }
                let verdict = read_as(DataCenter, status, &[JSON, edge], b"{}");
                assert_eq!(verdict, refused(Refusal::IsCloud), "{status} {edge:?}");
            }
        }
    }
}

#[test]
#[rustfmt::skip]
fn json_that_was_cut_off_is_no_web_page() {
    let half = &DC_USER[..DC_USER.len() / 2];
    check(&[
        (DataCenter, 200, &[JSON], half, none(Outage::BrokenJson)),
        (Cloud, 200, &[JSON, EDGE], "", none(Outage::BrokenJson)),
        (DataCenter, 200, &[JSON], "{\"key\": ][", none(Outage::BrokenJson)),
        (DataCenter, 200, &[JSON], LOGIN_PAGE, none(Outage::NotJson)),
        (DataCenter, 200, &[TEXT], half, none(Outage::NotJson)),
        (DataCenter, 200, &[HTML], LOGIN_PAGE, none(Outage::NotJson)),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_check_against_forgery_is_no_refusal() {
    check(&[
        (DataCenter, 403, &[HTML, TOMCAT], "XSRF check failed", none(Outage::CrossSiteCheck)),
        (DataCenter, 404, &[TEXT], "XSRF check failed", none(Outage::CrossSiteCheck)),
        (DataCenter, 403, &[JSON], "Additional XSRF checks failed.", none(Outage::CrossSiteCheck)),
        (DataCenter, 500, &[HTML], "XSRF check failed", none(Outage::ServerError(500))),
    ]);
}
