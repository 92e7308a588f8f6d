//! A request as the personalities see it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, header};
use hyper::body::Bytes;

/// The `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authorization {
    /// No header.
    None,
    /// `Basic` with a user and a secret.
    Basic { user: String, secret: String },
    /// `Bearer`, exactly one space, and a token.
    Bearer { token: String },
    /// `OAuth` with the parameters of a signed request, decoded, `realm` among them.
    Signed { parameters: Vec<(String, String)> },
    /// Anything else, malformed `Basic` and `Bearer` included.
    Other,
}

impl Authorization {
    /// Jira wants the scheme spelled exactly so, with exactly one space (measured by others).
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Self::None;
        };
        let Ok(value) = value.to_str() else {
            return Self::Other;
        };
        if let Some(encoded) = value.strip_prefix("Basic ") {
            let Ok(decoded) = STANDARD.decode(encoded) else {
                return Self::Other;
            };
            let Ok(text) = String::from_utf8(decoded) else {
                return Self::Other;
            };
            return match text.split_once(':') {
                Some((user, secret)) => Self::Basic {
                    user: user.to_owned(),
                    secret: secret.to_owned(),
                },
                None => Self::Other,
            };
        }
        if let Some(list) = value.strip_prefix("OAuth ") {
            return parameters(list).map_or(Self::Other, |parameters| Self::Signed { parameters });
        }
        match value.strip_prefix("Bearer ") {
            Some(token) if !token.is_empty() && !token.contains(' ') => Self::Bearer {
                token: token.to_owned(),
            },
            _ => Self::Other,
        }
    }

    /// The scheme's name for the call log.
    pub(crate) fn scheme(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Basic { .. } => Some("basic"),
            Self::Bearer { .. } => Some("bearer"),
            Self::Signed { .. } => Some("oauth"),
            Self::Other => Some("other"),
        }
    }
}

/// `name="value"` pairs, separated by commas (RFC 5849, section 3.5.1).
fn parameters(list: &str) -> Option<Vec<(String, String)>> {
    list.split(',')
        .map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            let value = value.strip_prefix('"')?.strip_suffix('"')?;
            Some((unescaped(name)?, unescaped(value)?))
        })
        .collect()
}

/// Undoes percent-encoding; a plus sign is a plus sign.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// A request: its target split up, and its credentials decoded.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The host without its port, in lower case; what virtual hosting goes by.
    pub(crate) host: String,
    /// The host as sent, port included; what links in answers carry.
    pub(crate) authority: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// What follows the question mark; empty without one.
    pub(crate) query: String,
    pub(crate) wants_json: bool,
    pub(crate) authorization: Authorization,
    /// The cookie `JSESSIONID`.
    pub(crate) session: Option<String>,
    pub(crate) content_type: String,
    /// What the client calls this attempt (`x-request-id`).
    pub(crate) request_id: Option<String>,
    /// Read only where a personality looks at it.
    pub(crate) body: Bytes,
}

impl Incoming {
    pub(crate) fn new(parts: &Parts) -> Self {
        let authority = parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
            .unwrap_or_default()
            .to_owned();
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let accept = text(header::ACCEPT);
        let cookies = text(header::COOKIE).unwrap_or_default();
        let session = cookies
            .split(';')
            .find_map(|cookie| cookie.trim().strip_prefix("JSESSIONID="));
        Self {
            host: host_of(&authority),
            authority,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            wants_json: accept.is_some_and(|accept| accept.contains("application/json")),
            authorization: Authorization::parse(&parts.headers),
            session: session.map(str::to_owned),
            content_type: text(header::CONTENT_TYPE)
                .unwrap_or_default()
                .to_ascii_lowercase(),
            request_id: text(HeaderName::from_static("x-request-id")).map(str::to_owned),
            body: Bytes::new(),
        }
    }

    /// Whether the session's cookie is the credential: an `Authorization` header wins over it.
    pub(crate) fn uses_cookie(&self) -> bool {
        self.session.is_some() && self.authorization == Authorization::None
    }

    /// The scheme's name for the call log.
    pub(crate) fn scheme(&self) -> Option<&'static str> {
        if self.uses_cookie() {
            return Some("cookie");
        }
        self.authorization.scheme()
    }
}

/// The host of `host[:port]`, in lower case.
pub(crate) fn host_of(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Authorization {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        Authorization::parse(&headers)
    }

    #[test]
    fn authorization_headers() {
        assert_eq!(
            parse(&format!(
                "Basic {}",
                STANDARD.encode("ann@a.example:se:cret")
            )),
            Authorization::Basic {
                user: "ann@a.example".into(),
                secret: "se:cret".into()
            }
        );
        assert_eq!(
            parse("Bearer abc"),
            Authorization::Bearer {
                token: "abc".into()
            }
        );
        let signed = [("realm", "x, y"), ("oauth_token", "a+b/c=")];
        let signed = signed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            parse("OAuth realm=\"x%2C%20y\",oauth_token=\"a+b%2Fc%3D\""),
            Authorization::Signed {
                parameters: signed.to_vec()
            }
        );
        for other in [
            "OAuth a=\"%4\"",
            "Bearer  abc",
            "bearer abc",
            "Bearer ",
            "Basic !",
            "OAuth x",
            "basic YTpi",
        ] {
            assert_eq!(parse(other), Authorization::Other, "{other}");
        }
        assert_eq!(Authorization::parse(&HeaderMap::new()), Authorization::None);
    }

    #[test]
    fn hosts_lose_port_case_and_final_dot() {
        assert_eq!(host_of("ACME.cloud.localhost:8443"), "acme.cloud.localhost");
        assert_eq!(host_of("acme.example."), "acme.example");
    }
}
