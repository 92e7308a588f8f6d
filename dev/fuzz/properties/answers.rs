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
    LoginAnswer, MintAnswer, TokenAnswer, pat, permissions, session,
};
use secrecy::ExposeSecret;

use super::{check_said, first_line};

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
