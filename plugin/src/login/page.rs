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
    /// The status, what happened, and what to do.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Received => (
                "200 OK",
                "Consent received",
                "The terminal stores it and shows the result. You can close this window and go back to the terminal.",
            ),
            Self::Declined => (
                "200 OK",
                "Consent declined",
                "Nothing was stored. To consent after all, run the login command again.",
            ),
            Self::Failed => (
                "200 OK",
                "Atlassian reported an error",
                "Nothing was stored. The terminal names the error and what to do.",
            ),
            Self::Foreign => (
                "400 Bad Request",
                "This answer does not belong to the login that is waiting",
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
                "You can close this window. The terminal shows the result.",
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

    /// The whole response.
    pub fn response(self) -> String {
        let (status, title, text) = self.words();
        let body = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
             <style>body {{ font: 18px/1.5 sans-serif; max-width: 36em; margin: 15vh auto; padding: 0 1em }}</style>\n\
             </head>\n<body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body>\n</html>\n"
        );
        format!(
            "HTTP/1.1 {status}\r\n{HEADERS}Content-Type: text/html; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// Headers of every response.
const HEADERS: &str = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
     Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
     Cache-Control: no-store\r\nConnection: close\r\n";

/// The response that sends a browser on.
pub fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\n{HEADERS}Location: {to}\r\nContent-Length: 0\r\n\r\n")
}
