//! The pages. Everything that comes from outside is escaped.

use crate::calls::Verdict;
use crate::reply::{HTML, Reply};

/// The id of the element that shows a verifier.
const VERIFIER: &str = "verifier";

/// One thing to choose.
#[derive(Debug)]
pub(crate) struct Choice {
    /// What the form sends.
    pub(crate) value: String,
    /// What the person reads.
    pub(crate) label: String,
}

/// A page that asks for consent.
#[derive(Debug)]
pub(crate) struct ConsentPage<'a> {
    /// Who asks.
    pub(crate) client: &'a str,
    /// What it asks for.
    pub(crate) asks: Vec<String>,
    pub(crate) accounts: Vec<Choice>,
    /// The sites to choose from; none where there is no such choice.
    pub(crate) sites: Vec<Choice>,
    /// The words on the buttons: to accept, to decline.
    pub(crate) buttons: [&'a str; 2],
    /// The query of the authorize request; the form sends it again.
    pub(crate) query: &'a str,
    /// What was wrong with the form that was sent before.
    pub(crate) wrong: Option<&'a str>,
}

impl ConsentPage<'_> {
    pub(crate) fn reply(&self) -> Reply {
        let status = if self.wrong.is_some() { 400 } else { 200 };
        page(status, "Grant access", &self.body()).verdict(Verdict::Anonymous)
    }

    fn body(&self) -> String {
        let wrong = self.wrong.map_or_else(String::new, |text| {
            format!("<p role=\"alert\">{}</p>\n", escape(text))
        });
        let asks = list(&self.asks, |ask| format!("<li>{}</li>", escape(ask)));
        let accounts = list(&self.accounts, |choice| {
            let (value, label) = (escape(&choice.value), escape(&choice.label));
            format!("<option value=\"{value}\">{label}</option>")
        });
        let sites = list(&self.sites, |choice| {
            let (value, label) = (escape(&choice.value), escape(&choice.label));
            format!(
                "<label><input type=\"checkbox\" name=\"site\" value=\"{value}\"> {label}</label>"
            )
        });
        let sites = if self.sites.is_empty() {
            sites
        } else {
            format!("<fieldset><legend>Sites</legend>\n{sites}</fieldset>\n")
        };
        let [accept, decline] = self.buttons;
        format!(
            "{wrong}<p><strong>{}</strong> asks for access:</p>\n<ul>\n{asks}</ul>\n\
             <form method=\"post\" action=\"?{}\">\n\
             <p><label for=\"account\">Account</label>\n\
             <select id=\"account\" name=\"account\">\n{accounts}</select></p>\n{sites}\
             <button type=\"submit\" name=\"decision\" value=\"accept\">{accept}</button>\n\
             <button type=\"submit\" name=\"decision\" value=\"decline\">{decline}</button>\n\
             </form>\n",
            escape(self.client),
            escape(self.query),
        )
    }
}

/// A page that says why nothing is asked. It never redirects: the client or its callback may not
/// be who they claim to be.
pub(crate) fn error_page(code: &str, text: &str) -> Reply {
    let body = format!(
        "<p role=\"alert\">{}</p>\n<p><code>{}</code></p>\n",
        escape(text),
        escape(code)
    );
    page(400, "Something went wrong", &body).verdict(Verdict::Malformed)
}

/// The page for a client without a callback: the person carries the verifier over.
pub(crate) fn verifier_page(client: &str, verifier: &str) -> Reply {
    let body = format!(
        "<p>Access was granted. Enter this code in <strong>{}</strong>:</p>\n\
         <p><code id=\"{VERIFIER}\">{}</code></p>\n",
        escape(client),
        escape(verifier)
    );
    page(200, "Access granted", &body).verdict(Verdict::Accepted)
}

/// The verifier that a page shows.
pub(crate) fn shown_verifier(html: &str) -> Option<&str> {
    let opening = format!("<code id=\"{VERIFIER}\">");
    let (_, rest) = html.split_once(&opening)?;
    rest.split_once("</code>").map(|(verifier, _)| verifier)
}

/// A page without a form.
pub(crate) fn page(status: u16, title: &str, body: &str) -> Reply {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    );
    Reply::new(status, HTML, html)
}

fn list<T>(items: &[T], line: impl Fn(&T) -> String) -> String {
    items.iter().map(|item| line(item) + "\n").collect()
}

/// Text for the inside of an element or of a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, letter| {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
        safe
    })
}

/// Undoes [`escape`].
pub(super) fn unescape(text: &str) -> String {
    text.replace("&#39;", "'")
        .replace("&quot;", "\"")
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_escape_what_they_show() {
        let evil = "\"'><script>&amp;</script>";
        let choice = || Choice {
            value: evil.to_owned(),
            label: evil.to_owned(),
        };
        let page = ConsentPage {
            client: evil,
            asks: vec![evil.to_owned()],
            accounts: vec![choice()],
            sites: vec![choice()],
            buttons: ["Accept", "Decline"],
            query: evil,
            wrong: Some(evil),
        };
        for reply in [
            page.reply(),
            error_page(evil, evil),
            verifier_page(evil, evil),
        ] {
            let html = String::from_utf8(reply.body.to_vec()).unwrap();
            assert!(!html.contains("<script"), "{html}");
            assert!(!html.contains("\"'"), "{html}");
            assert!(html.contains(&escape(evil)), "{html}");
        }
        assert_eq!(unescape(&escape(evil)), evil);
    }
}
