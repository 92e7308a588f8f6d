//! Step 2 of OAuth 1.0a: the page where a user lets a consumer in.

use chrono::{DateTime, Utc};
use http::{Method, header};

use super::dance::{Consent, OUT_OF_BAND, RequestToken, pending, settle};
use crate::calls::Verdict;
use crate::oauth::users;
use crate::person::{Answer, ConsentPage, Parameters, error_page, page, redirected, verifier_page};
use crate::reply::Reply;
use crate::request::Incoming;
use crate::world::World;

/// What the callback carries in place of a verifier when the user has denied (seen in Jira's
/// answers to others).
const DENIED: &str = "denied";

/// A request for the page, or the answer of its form.
pub(crate) fn authorize(world: &mut World, call: &Incoming, now: DateTime<Utc>) -> Reply {
    let sent = Parameters::parse(&call.query);
    let value = sent.get("oauth_token");
    let token = match pending(world, &call.host, value, now) {
        Ok(token) => token,
        Err((code, text)) => return error_page(code, text),
    };
    match call.method {
        Method::GET => {
            world.consents.pages += 1;
            consent_page(world, call, &token, None)
        }
        Method::POST => answered(world, call, value, &token),
        _ => error_page("invalid_request", "Only GET and POST are answered here.")
            .set(header::ALLOW, "GET, POST"),
    }
}

fn consent_page(
    world: &World,
    call: &Incoming,
    token: &RequestToken,
    wrong: Option<&str>,
) -> Reply {
    ConsentPage {
        client: &token.consumer,
        asks: vec!["read and write with your permissions".to_owned()],
        accounts: users(world.instance(&call.host)),
        sites: Vec::new(),
        buttons: ["Allow", "Deny"],
        query: &call.query,
        wrong,
    }
    .reply()
}

fn answered(world: &mut World, call: &Incoming, value: &str, token: &RequestToken) -> Reply {
    let Some(answer) = Answer::parse(call) else {
        let wrong = Some("Press one of the two buttons.");
        return consent_page(world, call, token, wrong);
    };
    if !answer.accepted {
        world.consents.declined += 1;
        settle(world, &call.host, value, Consent::Denied);
        let text = "<p>Access was denied.</p>\n";
        return back(token, value, DENIED)
            .unwrap_or_else(|| page(200, "Access denied", text))
            .verdict(Verdict::Anonymous);
    }
    let users = users(world.instance(&call.host));
    if !users.iter().any(|user| user.value == answer.account) {
        return consent_page(world, call, token, Some("Choose an account."));
    }
    let verifier = world.rng.opaque(6);
    world.consents.codes += 1;
    let allowed = Consent::Allowed {
        user: answer.account,
        verifier: verifier.clone(),
    };
    settle(world, &call.host, value, allowed);
    back(token, value, &verifier)
        .unwrap_or_else(|| verifier_page(&token.consumer, &verifier))
        .verdict(Verdict::Accepted)
}

/// The way back to the consumer, if it can be called back.
fn back(token: &RequestToken, value: &str, verifier: &str) -> Option<Reply> {
    if token.callback == OUT_OF_BAND {
        return None;
    }
    let parameters = [("oauth_token", value), ("oauth_verifier", verifier)];
    let there = redirected(&token.callback, &parameters);
    Some(Reply::redirect(302, &there))
}
