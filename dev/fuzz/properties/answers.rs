//! Whatever a site or a token endpoint answers: only a whole answer with status 200 and a user in it accepts
//! a credential, only one with tokens grants them, and what is kept or shown of it is short and printable.
//!
//! An input is a status, the words `cloud` and `whole` where they apply, headers in lines, an empty line, and
//! the body.

use chrono::DateTime;
use http::{HeaderMap, HeaderName, HeaderValue};
use jira_credential_operator::api::Hosting;
use jira_credential_operator::core::probe::{Outage, Verdict};
use jira_credential_operator::jira::oauth2::{self, Sent};
use jira_credential_operator::jira::response::{self, Answer};
use jira_credential_operator::jira::{
    IssueError, LoginAnswer, MintAnswer, TokenAnswer, gateway, issues, org_tokens, pat,
    permissions, session,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{MARK, check_said, first_line};

/// The longest wait that an answer can cause, in seconds.
const LONGEST_WAIT: u64 = 900;

/// Panics when it does not hold.
pub fn hold(input: &[u8]) {
    let (first, mut rest) = first_line(input);
    let first = String::from_utf8_lossy(first);
    let mut words = first.split(' ');
    let status = words
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(200);
    let words: Vec<&str> = words.collect();
    let mut headers = HeaderMap::new();
    loop {
        let (line, behind) = first_line(rest);
        rest = behind;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            break;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let answer = Answer {
        hosting: if words.contains(&"cloud") {
            Hosting::Cloud
        } else {
            Hosting::DataCenter
        },
        status,
        headers: &headers,
        body: rest,
        complete: words.contains(&"whole"),
        now: DateTime::UNIX_EPOCH,
    };
    user(&answer);
    tokens(&answer);
    cookie(&answer);
    own_tokens(&answer);
    permissions(&answer);
    site(&answer);
    page(&answer);
    issues(&answer);
}

/// What becomes part of an address is an id.
fn is_id(id: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=64).contains(&id.len()) && id.bytes().all(known)
}

fn site(answer: &Answer<'_>) {
    let is_whole = answer.status == 200 && answer.complete;
    if let Some(id) = gateway::read_tenant(answer) {
        assert!(is_whole && is_id(&id), "{id:?}");
    }
    let token = SecretString::from(MARK);
    if let Some(resources) = gateway::read_resources(answer, &token) {
        assert!(is_whole && resources.len() <= 200, "{}", resources.len());
        for resource in resources {
            assert!(is_id(&resource.id) && resource.id != MARK, "{resource:?}");
        }
    }
}

fn page(answer: &Answer<'_>) {
    const LIST: &str = "https://api.example/admin/api-tokens";
    let Ok(page) = org_tokens::read_page(answer, MARK) else {
        return;
    };
    assert!(answer.status == 200 && answer.complete);
    let first = Url::parse(LIST).expect("an address");
    let next = page.next.and_then(|link| org_tokens::follow(&first, &link));
    if let Some(next) = next {
        // The key goes nowhere else.
        assert_eq!((next.origin(), next.path()), (first.origin(), first.path()));
        assert!(
            next.username().is_empty() && next.password().is_none(),
            "{next}"
        );
    }
    for entry in page.entries {
        // Its owner does not belong in a log.
        let shown = format!("{entry:?}");
        for said in [entry.owner_id, entry.owner_email].into_iter().flatten() {
            assert!(!said.contains(MARK) || !shown.contains(&said), "{shown}");
        }
    }
}

/// What becomes part of a path is a key.
fn check_key(key: &str) {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    assert!(
        (1..=100).contains(&key.len()) && key.bytes().all(is_inner),
        "{key:?}"
    );
}

fn issues(answer: &Answer<'_>) {
    match issues::denied(answer) {
        None => assert!((200..300).contains(&answer.status)),
        Some(IssueError::Denied { status, fields }) => {
            assert!(status == answer.status && matches!(status, 400 | 403 | 404 | 409 | 413));
            assert!(fields.len() <= 10, "{fields:?}");
            let is_name = |name: &String| name.len() <= 64 && !name.contains(char::is_whitespace);
            assert!(fields.iter().all(is_name), "{fields:?}");
        }
        Some(IssueError::Other(verdict)) => {
            check_verdict(&verdict, answer);
            assert!(!matches!(verdict, Verdict::Accepted(_)) || answer.status != 200);
        }
    }
    let found = issues::read_search(answer);
    let one = issues::read_issue(answer);
    let transitions = issues::read_transitions(answer);
    let made = issues::read_created(answer);
    let is_read = found.is_ok() || one.is_ok() || transitions.is_ok() || made.is_ok();
    assert!(answer.complete || !is_read);
    let keys = found.into_iter().flatten().chain(one);
    for key in keys.map(|issue| issue.key).chain(made) {
        check_key(&key);
    }
}

fn permissions(answer: &Answer<'_>) {
    const KEYS: [&str; 2] = ["BROWSE_PROJECTS", "CREATE_ISSUES"];
    let read = permissions::read(answer, &KEYS);
    if let Ok(known) = read {
        assert!(known.held.is_empty() || (answer.status == 200 && answer.complete));
        let all = [known.held, known.missing, known.unknown].concat();
        assert!(
            all.iter().all(|key| KEYS.contains(&key.as_str())),
            "{all:?}"
        );
        assert_eq!(all.len(), KEYS.len(), "{all:?}");
    } else if let Err(verdict) = read {
        check_verdict(&verdict, answer);
        assert!(!matches!(verdict, Verdict::Accepted(_)));
    }
}

fn user(answer: &Answer<'_>) {
    let verdict = response::read(answer);
    check_verdict(&verdict, answer);
    if let Verdict::Accepted(account) = verdict {
        assert!(answer.status == 200 && answer.complete);
        let parts = [
            Some(&account.id),
            account.kind.as_ref(),
            account.display_name.as_ref(),
            account.user_name.as_ref(),
        ];
        for part in parts.into_iter().flatten() {
            // What the schema of the status takes.
            assert!(part.chars().count() <= 255, "{part:?}");
            assert!(!part.chars().any(char::is_control), "{part:?}");
        }
        assert!(!account.id.is_empty());
    }
}

fn tokens(answer: &Answer<'_>) {
    for sent in [
        Sent::Client,
        Sent::RefreshToken,
        Sent::RefreshTokenAndUrl,
        Sent::Code,
        Sent::Half,
    ] {
        let read = oauth2::read(answer, &sent);
        let shown = format!("{read:?}");
        match read {
            TokenAnswer::Granted(granted) => {
                assert!(answer.status == 200 && answer.complete);
                assert!(!granted.access.expose_secret().is_empty());
                check_said(&shown, granted.access.expose_secret());
                if let Some(refresh) = &granted.refresh {
                    assert!(!refresh.expose_secret().is_empty());
                    check_said(&shown, refresh.expose_secret());
                }
                assert!(granted.expires_in >= 0, "{}", granted.expires_in);
                DateTime::UNIX_EPOCH
                    .checked_add_signed(
                        chrono::TimeDelta::try_seconds(granted.expires_in).expect("a duration"),
                    )
                    .expect("a time");
            }
            TokenAnswer::Dead => {
                assert!((400..500).contains(&answer.status) && answer.status != 429);
            }
            _ => {}
        }
    }
}

fn cookie(answer: &Answer<'_>) {
    let read = session::read(answer);
    if let LoginAnswer::Begun(cookie) = read {
        assert!(answer.status == 200 && answer.complete);
        let cookie = cookie.expose_secret();
        assert!(
            !cookie.is_empty() && HeaderValue::from_str(cookie).is_ok(),
            "{cookie:?}"
        );
    }
}

fn own_tokens(answer: &Answer<'_>) {
    let _ = pat::read_list(answer);
    let read = pat::read_made(answer, 90);
    if let MintAnswer::Made(made) = read {
        assert!(answer.complete && matches!(answer.status, 200 | 201));
        assert!(!made.token.expose_secret().is_empty() && !made.id.is_empty());
    }
}

fn check_verdict(verdict: &Verdict, answer: &Answer<'_>) {
    match verdict {
        Verdict::NoVerdict(
            Outage::RateLimited { retry_after } | Outage::Unavailable { retry_after },
        ) => {
            let waits = retry_after.map_or(0, |wait| wait.as_secs());
            assert!(waits <= LONGEST_WAIT, "{waits}");
        }
        Verdict::Refused(_) => assert!(!matches!(answer.status, 429 | 500..=599)),
        _ => {}
    }
}
