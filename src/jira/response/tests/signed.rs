//! Answers to signed requests of OAuth 1.0a.

use super::*;

/// The words of OAuth 1.0a: in the challenge, in the body, in both; with 400 or 401.
#[test]
fn problems_of_signed_requests_mean_what_they_say() {
    let refused_as = [
        ("token_rejected", Refusal::Rejected),
        ("token_expired", Refusal::Rejected),
        ("token_revoked", Refusal::Rejected),
        ("token_used", Refusal::Rejected),
        ("user_refused", Refusal::Rejected),
        ("signature_invalid", Refusal::SignatureRejected),
        ("signature_method_rejected", Refusal::SignatureRejected),
        ("consumer_key_unknown", Refusal::ConsumerUnknown),
        ("consumer_key_rejected", Refusal::ConsumerUnknown),
        ("consumer_key_refused", Refusal::ConsumerUnknown),
        ("permission_denied", Refusal::Forbidden),
        ("permission_unknown", Refusal::Forbidden),
    ];
    let silent = [
        ("timestamp_refused", Outage::ClockSkew),
        ("nonce_used", Outage::NonceUsed),
        ("parameter_absent", Outage::OAuthForm),
        ("parameter_rejected", Outage::OAuthForm),
        ("version_rejected", Outage::OAuthForm),
        ("never_heard_of", Outage::OAuthForm),
    ];
    let rows = refused_as.map(|(word, refusal)| (word, refused(refusal)));
    let rows = rows
        .into_iter()
        .chain(silent.map(|(word, outage)| (word, none(outage))));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let realm = "https%3A%2F%2Fjira.example.com%2Fjira";
    for (word, expected) in rows {
        let quoted = format!("OAuth realm=\"{realm}\", oauth_problem=\"{word}\", oauth_x=\"y\"");
        let bare = format!("oauth oauth_problem={word}");
        let body = format!("oauth_problem={word}&oauth_problem_advice=Try%20harder");
        let plain = format!("OAuth realm=\"{realm}\"");
        for status in [400, 401, 403] {
            for (challenge, body) in [
                (Some(&quoted), ""),
                (Some(&bare), "<html>"),
                (Some(&plain), body.as_str()),
                (None, body.as_str()),
                (Some(&quoted), body.as_str()),
            ] {
                let challenge = challenge.map(|text| ("www-authenticate", text.as_str()));
                let headers: Vec<_> = challenge.into_iter().chain([form]).collect();
                let verdict = read_as(DataCenter, status, &headers, body.as_bytes());
                assert_eq!(verdict, expected, "{status} {headers:?} {body}");
            }
        }
    }
}

#[test]
#[rustfmt::skip]
fn what_is_no_problem_of_a_signed_request_is_read_as_before() {
    let realm = ("www-authenticate", "OAuth realm=\"https%3A%2F%2Fjira.example.com\"");
    let proxy = ("www-authenticate", "Basic realm=\"oauth_problem=token_rejected\"");
    let empty = ("www-authenticate", "OAuth realm=\"x\", oauth_problem=\"\"");
    let text = "oauth_problem=timestamp_refused";
    check(&[
        (DataCenter, 401, &[realm], "", refused(Refusal::Rejected)),
        (DataCenter, 401, &[empty], "", refused(Refusal::Rejected)),
        (DataCenter, 401, &[proxy], "", none(Outage::Unexpected(401))),
        (DataCenter, 503, &[], text, none(Outage::ServerError(503))),
        (DataCenter, 404, &[], text, none(Outage::NotFound)),
        (DataCenter, 400, &[JSON], "{}", none(Outage::Unexpected(400))),
    ]);
}
