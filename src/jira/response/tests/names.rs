//! What an account is called.

use super::read_as;
use crate::api::Hosting;
use crate::core::probe::Verdict;

#[test]
fn names_are_taken_as_far_as_they_can_be_shown() {
    let long = "x".repeat(256);
    let table: [(Hosting, &str, &str, [Option<&str>; 2]); 6] = [
        (
            Hosting::Cloud,
            "Anna Muster",
            "anna@acme.example",
            [Some("Anna Muster"), Some("anna@acme.example")],
        ),
        // The profile does not show the address.
        (Hosting::Cloud, "Anna", "", [Some("Anna"), None]),
        (
            Hosting::DataCenter,
            "Anna Muster",
            "anna",
            [Some("Anna Muster"), Some("anna")],
        ),
        (
            Hosting::DataCenter,
            "two\nlines",
            "anna",
            [None, Some("anna")],
        ),
        (
            Hosting::DataCenter,
            "turned \u{202e}around",
            "",
            [None, None],
        ),
        (Hosting::DataCenter, &long, " anna ", [None, Some("anna")]),
    ];
    for (hosting, shown, user, expected) in table {
        let body = serde_json::json!({
            "accountId": "5b10", "accountType": "atlassian", "emailAddress": user,
            "displayName": shown, "active": true, "self": "https://acme.example/",
        });
        let own = serde_json::json!({
            "key": "JIRAUSER1", "name": user, "displayName": shown, "active": true,
            "self": "https://acme.example/",
        });
        let body = match hosting {
            Hosting::Cloud => body.to_string(),
            Hosting::DataCenter => own.to_string(),
        };
        let headers = [("content-type", "application/json;charset=UTF-8")];
        let verdict = read_as(hosting, 200, &headers, body.as_bytes());
        let Verdict::Accepted(account) = verdict else {
            panic!("{verdict:?}");
        };
        let found = [
            account.display_name.as_deref(),
            account.user_name.as_deref(),
        ];
        assert_eq!(found, expected, "{body}");
    }
}
