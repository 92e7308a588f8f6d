//! The body of a token request: JSON, or a form.

use std::collections::HashMap;

use serde::Deserialize;

/// The fields of a token request. An empty value counts as a missing one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    pub(super) grant_type: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) refresh_token: String,
    pub(super) code: String,
    /// With a code; on Data Center with a refresh token as well.
    pub(super) redirect_uri: String,
    /// Looked at on Data Center only.
    pub(super) code_verifier: String,
    pub(super) scope: String,
}

impl Form {
    /// `None` for a body that cannot be read; a body that does not claim to be a form is JSON.
    pub(super) fn parse(content_type: &str, body: &[u8]) -> Option<Self> {
        if !content_type.starts_with("application/x-www-form-urlencoded") {
            return serde_json::from_slice(body).ok();
        }
        let mut fields: HashMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
        let mut take = |name: &str| fields.remove(name).unwrap_or_default();
        Some(Self {
            grant_type: take("grant_type"),
            client_id: take("client_id"),
            client_secret: take("client_secret"),
            refresh_token: take("refresh_token"),
            code: take("code"),
            redirect_uri: take("redirect_uri"),
            code_verifier: take("code_verifier"),
            scope: take("scope"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_go_by_their_content_type() {
        let json = br#"{"grant_type":"refresh_token","refresh_token":"a+b","extra":[1]}"#;
        let form = b"grant_type=refresh_token&refresh_token=a%2Bb&scope=x+y";
        let urlencoded = "application/x-www-form-urlencoded; charset=utf-8";
        let cases: [(&str, &[u8], Option<&str>); 7] = [
            ("application/json", json, Some("a+b")),
            ("", json, Some("a+b")),
            (urlencoded, form, Some("a+b")),
            ("application/json", form, None),
            (urlencoded, json, Some("")),
            ("application/json", b"{\"refresh_token\":5}", None),
            ("application/json", b"nope", None),
        ];
        for (content_type, body, token) in cases {
            let parsed = Form::parse(content_type, body);
            assert_eq!(
                parsed.map(|form| form.refresh_token).as_deref(),
                token,
                "{content_type} {body:?}"
            );
        }
    }
}
