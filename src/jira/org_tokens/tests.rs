use super::*;

fn first() -> Url {
    Url::parse("https://api.atlassian.com/admin/api-access/v1/orgs/o-1/api-tokens?q=a%40b.example")
        .unwrap()
}

#[test]
fn a_link_leads_to_the_same_list_or_nowhere() {
    let list = "https://api.atlassian.com/admin/api-access/v1/orgs/o-1/api-tokens";
    for (link, expected) in [
        (format!("{list}?cursor=abc"), Some("cursor=abc")),
        (
            "/admin/api-access/v1/orgs/o-1/api-tokens?cursor=abc".to_owned(),
            Some("cursor=abc"),
        ),
        ("?cursor=abc".to_owned(), Some("cursor=abc")),
        ("abc=".to_owned(), Some("q=a%40b.example&cursor=abc%3D")),
        ("a b".to_owned(), None),
        ("a".repeat(5000), None),
        (list.replace("api.atlassian.com", "evil.example"), None),
        (list.replace("https://", "http://"), None),
        (list.replace(".com/", ".com:8443/"), None),
        (list.replace("https://", "https://user@"), None),
        (list.replace("o-1", "o-2"), None),
        (
            "/admin/api-access/v1/orgs/o-1/api-tokens/../x".to_owned(),
            None,
        ),
        (
            "//evil.example/admin/api-access/v1/orgs/o-1/api-tokens".to_owned(),
            None,
        ),
    ] {
        let next = follow(&first(), &link);
        let query = next.as_ref().and_then(Url::query);
        assert_eq!(query, expected, "{link}");
        if let Some(next) = next {
            assert!(next.as_str().starts_with(list), "{next}");
        }
    }
}

#[test]
fn an_entry_is_read_leniently_and_its_label_exactly() {
    let entry = |text: &str| serde_json::from_str::<Entry>(text).unwrap();
    let full = r#"{"id":"1","label":"ci bot","status":"BLOCKED","createdAt":"2026-11-01T08:00:00.123Z",
        "expiresAt":"2027-11-01T08:00:00.999+00:00","lastActiveAt":"2026-11-20T08:00:00+0000",
        "user":{"id":"me","orgId":"o","name":"Bot","email":"bot@acme.example"},"scopes":[]}"#;
    let listed_full = listed(entry(full), "ci bot").unwrap();
    let at = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
    assert_eq!(listed_full.owner_id.as_deref(), Some("me"));
    assert_eq!(listed_full.created_at, at("2026-11-01T08:00:00Z"));
    assert_eq!(
        listed_full.found,
        Found {
            expires_at: at("2027-11-01T08:00:00Z"),
            last_active: at("2026-11-20T08:00:00Z"),
            blocked: true,
        }
    );
    for label in ["ci", "CI bot", "ci bot "] {
        assert_eq!(listed(entry(full), label), None, "{label}");
    }
    let sparse = r#"{"label":"ci bot","createdAt":"2026-11-01T08:00:00Z","expiresAt":null,"lastActiveAt":"soon"}"#;
    let sparse = listed(entry(sparse), "ci bot").unwrap();
    assert_eq!((sparse.owner_id, sparse.owner_email), (None, None));
    let expected = Found {
        expires_at: None,
        // Never used: since it was made.
        last_active: at("2026-11-01T08:00:00Z"),
        blocked: false,
    };
    assert_eq!(sparse.found, expected);
}
