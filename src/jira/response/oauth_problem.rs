//! What Jira finds wrong with a signed request of OAuth 1.0a.
//!
//! It says so in one word, `oauth_problem`, in the body (a form) and in the challenge
//! (`WWW-Authenticate: OAuth realm="…", oauth_problem="…"`). The words are those of the extension
//! "Problem Reporting"; four of them, and what to do, stand in Atlassian's troubleshooting guide
//! for OAuth. Everything else in the answer is left unread: beside `signature_invalid` Jira repeats
//! what it has verified, and with it the token.

use crate::core::probe::{Outage, Refusal, Verdict};

const NAME: &str = "oauth_problem=";

/// What the challenges (in lower case) and the body of an answer say of the signed request, if they do.
pub(super) fn read(challenges: impl Iterator<Item = String>, body: &[u8]) -> Option<Verdict> {
    let challenges = challenges.filter(|text| text.starts_with("oauth"));
    let body = String::from_utf8_lossy(body).to_ascii_lowercase();
    let mut texts = challenges.chain([body]);
    texts.find_map(|text| word(&text).map(meaning))
}

/// The word behind the name, quoted or not.
fn word(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(NAME)?;
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
    let word = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
    (!word.is_empty()).then_some(word)
}

fn meaning(word: &str) -> Verdict {
    let refused = Verdict::Refused;
    let silent = Verdict::NoVerdict;
    match word {
        "token_rejected" | "token_expired" | "token_revoked" | "token_used" | "user_refused" => {
            refused(Refusal::Rejected)
        }
        "signature_invalid" | "signature_method_rejected" => refused(Refusal::SignatureRejected),
        "consumer_key_unknown" | "consumer_key_rejected" | "consumer_key_refused" => {
            refused(Refusal::ConsumerUnknown)
        }
        "permission_denied" | "permission_unknown" => refused(Refusal::Forbidden),
        "timestamp_refused" => silent(Outage::ClockSkew),
        "nonce_used" => silent(Outage::NonceUsed),
        // parameter_absent, parameter_rejected, version_rejected, and what is not known.
        _ => silent(Outage::OAuthForm),
    }
}
