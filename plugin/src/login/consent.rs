//! What a browser is sent to, and what it must bring back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_lc_rs::{constant_time, rand};
use data_encoding::HEXLOWER;
use secrecy::SecretString;
use url::{Host, Url, form_urlencoded};

use crate::failure::Failure;

/// The scope that asks Cloud for a refresh token. No access token lists it.
pub const OFFLINE: &str = "offline_access";

/// The callback URL of the app.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// The URL as it is registered, character by character.
    pub text: String,
    url: Url,
}

impl Redirect {
    /// Reads a callback URL.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| "write the callback URL as it is registered")?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if !is_web || url.query().is_some() || url.fragment().is_some() {
            return Err("write an http or https URL without ? and #".to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            url,
        })
    }

    /// Whether it is an address of https.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The path of the callback.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// The loopback addresses and the port that the browser calls; none when it calls another
    /// machine, or wants TLS.
    pub fn loopback(&self) -> Option<(Vec<IpAddr>, u16)> {
        let (v4, v6) = (
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        );
        let addresses = match self.url.host()? {
            Host::Domain("localhost") => vec![v4, v6],
            Host::Ipv4(address) if address.is_loopback() => vec![address.into()],
            Host::Ipv6(address) if address.is_loopback() => vec![v6],
            _ => return None,
        };
        let port = self.url.port_or_known_default()?;
        (self.url.scheme() == "http").then_some((addresses, port))
    }

    /// An address on the same host and port.
    pub fn sibling(&self, path: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(path);
        url.into()
    }
}

/// 256 random bits.
///
/// # Errors
/// When the system gives no random numbers.
pub fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes)
        .map_err(|_| Failure::error("the system gives no random numbers; nothing was stored"))?;
    Ok(bytes)
}

/// 256 random bits in hexadecimal digits, by which an answer is known to belong to this login.
///
/// # Errors
/// When the system gives no random numbers.
pub fn state() -> Result<String, Failure> {
    Ok(HEXLOWER.encode(&random()?))
}

/// The query of an authorize page.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    // A plus stands for a blank in forms alone; a plus itself is %2B here.
    query.replace('+', "%20")
}

/// How a consent ended.
#[derive(Debug)]
pub enum Outcome {
    /// With a code, or the verifier of OAuth 1.0a.
    Code(SecretString),
    /// The person declined.
    Declined,
    /// The authorize page reports an error; this is its code.
    Failed(String),
}

/// What an address that a browser asks for means.
#[derive(Debug)]
pub enum Judged {
    /// It is not the callback.
    Elsewhere,
    /// It is the callback of another login, or of nobody.
    Foreign,
    /// It has the state of this login, but no answer.
    Malformed,
    /// The answer.
    Answer(Outcome),
}

/// What the answer of this login must have.
pub struct Expected {
    redirect: Redirect,
    state: String,
    names: Names,
}

/// The names of the parameters of a callback.
struct Names {
    state: &'static str,
    code: &'static str,
}

/// RFC 6749.
const OAUTH2: Names = Names {
    state: "state",
    code: "code",
};

/// RFC 5849: the request token takes the place of a state.
const OAUTH1: Names = Names {
    state: "oauth_token",
    code: "oauth_verifier",
};

/// What Jira sends in place of a verifier when the person has declined (observed).
const DENIED: &str = "denied";

impl Expected {
    /// Expects a state at a callback URL.
    pub fn new(redirect: Redirect, state: String) -> Self {
        Self {
            redirect,
            state,
            names: OAUTH2,
        }
    }

    /// Expects a request token and a verifier at a callback URL.
    pub fn verifier(redirect: Redirect, request_token: String) -> Self {
        Self {
            redirect,
            state: request_token,
            names: OAUTH1,
        }
    }

    /// Judges the target of a request: a path, and maybe a query.
    pub fn judge(&self, target: &str) -> Judged {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path != self.redirect.path() {
            return Judged::Elsewhere;
        }
        let state = only(query, self.names.state).unwrap_or_default();
        let is_ours =
            constant_time::verify_slices_are_equal(state.as_bytes(), self.state.as_bytes());
        if is_ours.is_err() {
            return Judged::Foreign;
        }
        let is_declined = |code: &str| self.names.code == OAUTH1.code && code == DENIED;
        match (only(query, "error"), only(query, self.names.code)) {
            (Some(error), _) if error == "access_denied" => Judged::Answer(Outcome::Declined),
            (Some(error), _) => Judged::Answer(Outcome::Failed(word(&error))),
            (None, Some(code)) if is_declined(&code) => Judged::Answer(Outcome::Declined),
            (None, Some(code)) if !code.is_empty() => Judged::Answer(Outcome::Code(code.into())),
            _ => Judged::Malformed,
        }
    }

    /// Judges an address that a person copied from the browser.
    pub fn judge_pasted(&self, text: &str) -> Judged {
        let Ok(url) = Url::parse(text.trim()) else {
            return Judged::Elsewhere;
        };
        if url.origin() != self.redirect.url.origin() {
            return Judged::Elsewhere;
        }
        match url.query() {
            Some(query) => self.judge(&format!("{}?{query}", url.path())),
            None => self.judge(url.path()),
        }
    }
}

/// The value of a parameter, if it is there once.
fn only(query: &str, name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(known, _)| known == name);
    let value = values.next()?.1.into_owned();
    values.next().is_none().then_some(value)
}

/// An error code, as far as it can be shown.
fn word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if (1..=64).contains(&text.len()) && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        "unknown_error".to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use secrecy::ExposeSecret;

    use super::*;

    fn redirect(text: &str) -> Redirect {
        Redirect::parse(text).unwrap()
    }

    #[test]
    fn each_state_is_another_one_of_256_bits() {
        let (one, other) = (state().unwrap(), state().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }

    #[test]
    fn only_loopback_without_tls_is_listened_on() {
        for (text, wanted) in [
            ("http://localhost:8765/callback", Some((2, 8765))),
            ("http://127.0.0.1:1/callback", Some((1, 1))),
            ("http://[::1]:9/", Some((1, 9))),
            ("http://localhost/callback", Some((2, 80))),
            ("https://localhost:8765/callback", None),
            ("http://192.0.2.1:8765/callback", None),
            ("http://localhost.example.com:8765/callback", None),
        ] {
            let read = redirect(text).loopback();
            assert_eq!(read.map(|(all, port)| (all.len(), port)), wanted, "{text}");
        }
        for text in [
            "localhost:8765/callback",
            "http://localhost/?a=b",
            "x",
            "file:///x",
        ] {
            assert!(Redirect::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_counts_only_with_its_state_on_its_path() {
        let expected = Expected::new(redirect("http://localhost:8765/callback"), "ab12".into());
        for (target, wanted) in [
            ("/callback?state=ab12&code=c%2F1", "code c/1"),
            ("/callback?code=c&state=ab12", "code c"),
            ("/callback?error=access_denied&state=ab12", "declined"),
            (
                "/callback?error=server_error&state=ab12",
                "failed server_error",
            ),
            ("/callback?error=%3Cb%3E&state=ab12", "failed unknown_error"),
            ("/callback?error=access_denied", "foreign"),
            ("/callback?state=ab1&code=c", "foreign"),
            ("/callback?state=&code=c", "foreign"),
            ("/callback?state=ab12&state=ab12&code=c", "foreign"),
            ("/callback", "foreign"),
            ("/callback?state=ab12", "malformed"),
            ("/callback?state=ab12&code=", "malformed"),
            ("/callback?state=ab12&code=c&code=d", "malformed"),
            ("/callback/?state=ab12&code=c", "elsewhere"),
            ("/favicon.ico", "elsewhere"),
        ] {
            assert_eq!(told(&expected.judge(target)), wanted, "{target}");
        }
        for (pasted, wanted) in [
            (
                " http://localhost:8765/callback?state=ab12&code=c\n",
                "code c",
            ),
            (
                "http://localhost:8766/callback?state=ab12&code=c",
                "elsewhere",
            ),
            (
                "https://localhost:8765/callback?state=ab12&code=c",
                "elsewhere",
            ),
            ("http://localhost:8765/callback", "foreign"),
            ("code", "elsewhere"),
        ] {
            assert_eq!(told(&expected.judge_pasted(pasted)), wanted, "{pasted}");
        }
    }

    #[test]
    fn a_verifier_counts_only_with_its_request_token() {
        let redirect = redirect("http://localhost:8765/callback");
        let expected = Expected::verifier(redirect, "ab12".into());
        for (query, wanted) in [
            ("oauth_token=ab12&oauth_verifier=v1", "code v1"),
            ("oauth_token=ab12&oauth_verifier=denied", "declined"),
            ("oauth_token=ab1&oauth_verifier=v1", "foreign"),
            ("state=ab12&code=c", "foreign"),
            ("oauth_token=ab12", "malformed"),
            ("oauth_token=ab12&oauth_verifier=", "malformed"),
        ] {
            let judged = expected.judge(&format!("/callback?{query}"));
            assert_eq!(told(&judged), wanted, "{query}");
        }
    }

    fn told(judged: &Judged) -> String {
        match judged {
            Judged::Elsewhere => "elsewhere".into(),
            Judged::Foreign => "foreign".into(),
            Judged::Malformed => "malformed".into(),
            Judged::Answer(Outcome::Code(code)) => {
                assert!(format!("{code:?}").contains("REDACTED"));
                format!("code {}", code.expose_secret())
            }
            Judged::Answer(Outcome::Declined) => "declined".into(),
            Judged::Answer(Outcome::Failed(error)) => format!("failed {error}"),
        }
    }
}
