//! The pages that the browser shows after the callback. They are fixed texts: nothing of a request
//! is in them, and they load nothing.

/// A page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Page {
    /// The consent arrived.
    Received,
    /// The person declined.
    Declined,
    /// The authorize page reported an error.
    Failed,
    /// The answer belongs to another login.
    Foreign,
    /// The answer has no code.
    Malformed,
    /// The login has its answer already.
    Used,
    /// There is no such page.
    NotFound,
    /// Another method than GET.
    NotAllowed,
}

impl Page {
    /// Every page.
    pub const ALL: [Self; 8] = [
        Self::Received,
        Self::Declined,
        Self::Failed,
        Self::Foreign,
        Self::Malformed,
        Self::Used,
        Self::NotFound,
        Self::NotAllowed,
    ];

    /// The status, what happened, and what to do.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Received => (
                "200 OK",
                "Consent received",
                "Close this window and go back to the terminal: it checks the consent and shows the result.",
            ),
            Self::Declined => (
                "200 OK",
                "Consent declined",
                "No consent was stored. To consent after all, run the login command again.",
            ),
            Self::Failed => (
                "200 OK",
                "Jira or Atlassian reported an error",
                "No consent was stored. The terminal names the error and what to do.",
            ),
            Self::Foreign => (
                "400 Bad Request",
                "This answer belongs to another login",
                "It was not accepted, and the login still waits. Open the address that the terminal shows, and consent there.",
            ),
            Self::Malformed => (
                "400 Bad Request",
                "This answer is incomplete",
                "It was not accepted, and the login still waits. Open the address that the terminal shows, and consent again.",
            ),
            Self::Used => (
                "409 Conflict",
                "This login has its answer already",
                "Close this window. The terminal shows the result.",
            ),
            Self::NotFound => (
                "404 Not Found",
                "There is nothing here",
                "Open the address that the terminal shows.",
            ),
            Self::NotAllowed => (
                "405 Method Not Allowed",
                "There is nothing here",
                "Open the address that the terminal shows.",
            ),
        }
    }

    /// How it stands with the login.
    fn mood(self) -> Mood {
        match self {
            Self::Received | Self::Used => Mood::Done,
            Self::Declined | Self::Failed => Mood::Over,
            Self::Foreign | Self::Malformed | Self::NotFound | Self::NotAllowed => Mood::Waiting,
        }
    }

    /// The whole response.
    pub fn response(self) -> String {
        let (status, title, text) = self.words();
        let (class, mark) = self.mood().look();
        let body = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
             <body>\n<main class=\"{class}\">\n<div class=\"mark\" aria-hidden=\"true\">{mark}</div>\n\
             <h1>{title}</h1>\n<p>{text}</p>\n\
             <footer>kubectl jira-credential login</footer>\n</main>\n</body>\n</html>\n"
        );
        format!(
            "HTTP/1.1 {status}\r\n{HEADERS}Content-Type: text/html; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// How it stands with the login.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Done,
    Over,
    Waiting,
}

impl Mood {
    /// The class of the page, and its mark; fonts of every system have these.
    fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::Done => ("done", "\u{2713}"),
            Self::Over => ("over", "\u{d7}"),
            Self::Waiting => ("waiting", "!"),
        }
    }
}

/// Colours have a contrast of at least 4.5 to 1 to what is behind them, in both schemes.
const STYLE: &str = "\
:root { --back: #f4f5f7; --card: #ffffff; --text: #1d2430; --faint: #5b6472; --line: #d8dce3 }
.done { --tone: #1b7f4b } .over { --tone: #b3261e } .waiting { --tone: #8a5300 }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171c; --card: #1f242b; --text: #e6e9ee; --faint: #a2abb8; --line: #363d47 }
  .done { --tone: #5fd39a } .over { --tone: #ff8f85 } .waiting { --tone: #f2b65a }
}
* { box-sizing: border-box }
body { margin: 0; padding: 1rem; min-height: 100vh; display: grid; place-items: center;
  background: var(--back); color: var(--text); font: 1.0625rem/1.55 system-ui, sans-serif }
main { width: 100%; max-width: 34rem; padding: 2rem; background: var(--card);
  border: 1px solid var(--line); border-top: 4px solid var(--tone); border-radius: 8px }
.mark { width: 2.5rem; height: 2.5rem; border: 2px solid var(--tone); border-radius: 50%;
  color: var(--tone); font-size: 1.375rem; font-weight: 700; line-height: 2.25rem; text-align: center }
h1 { margin: 1rem 0 .5rem; font-size: 1.5rem; line-height: 1.25 }
p { margin: 0 }
footer { margin-top: 1.75rem; color: var(--faint); font: .875rem ui-monospace, monospace }
@media (max-width: 24rem) { main { padding: 1.25rem } }
";

/// Headers of every response.
const HEADERS: &str = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
     Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
     Cache-Control: no-store\r\nConnection: close\r\n";

/// The response that sends a browser on.
pub fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\n{HEADERS}Location: {to}\r\nContent-Length: 0\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_and_its_style_stays_within_its_policy() {
        for page in Page::ALL {
            let response = page.response();
            let (head, body) = response.split_once("\r\n\r\n").unwrap_or_default();
            let length = format!("Content-Length: {}", body.len());
            assert!(head.ends_with(&length), "{head}");
            for loads in ["url(", "@import", "src=", "href=", "<script", " style="] {
                assert!(!body.contains(loads), "{page:?} has {loads}");
            }
            assert!(page.words().2.ends_with('.'), "{page:?}");
        }
    }
}
