//! The parameters of an authorize request, the answer of the form, and the way back to the client.

use std::collections::HashMap;

use crate::request::Incoming;

/// The parameters of a query. RFC 6749, section 3.1: a parameter without a value counts as
/// omitted, and none may be there more than once.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    values: HashMap<String, String>,
    twice: Option<String>,
}

impl Parameters {
    pub(crate) fn parse(query: &str) -> Self {
        let mut found = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            if value.is_empty() {
                continue;
            }
            if found.values.insert(name.clone(), value).is_some() {
                found.twice = Some(name);
            }
        }
        found
    }

    /// The value of a parameter; empty if it is missing.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// A parameter that was sent more than once.
    pub(crate) fn twice(&self) -> Option<&str> {
        self.twice.as_deref()
    }
}

/// What a person sends with the form of a consent page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// In lower case; empty if none was chosen.
    pub(crate) account: String,
    /// The hosts chosen, each once.
    pub(crate) sites: Vec<String>,
    pub(crate) accepted: bool,
}

impl Answer {
    /// `None` unless the body is a form with a decision.
    pub(crate) fn parse(call: &Incoming) -> Option<Self> {
        if !is_form(&call.content_type) {
            return None;
        }
        let (mut account, mut sites, mut accepted) = (String::new(), Vec::new(), None);
        for (name, value) in form_urlencoded::parse(&call.body) {
            match name.as_ref() {
                "account" => account = value.to_lowercase(),
                "site" if !sites.iter().any(|site| *site == value) => {
                    sites.push(value.into_owned());
                }
                "decision" => accepted = decision(&value),
                _ => (),
            }
        }
        Some(Self {
            account,
            sites,
            accepted: accepted?,
        })
    }
}

fn decision(value: &str) -> Option<bool> {
    match value {
        "accept" => Some(true),
        "decline" => Some(false),
        _ => None,
    }
}

fn is_form(content_type: &str) -> bool {
    content_type.starts_with("application/x-www-form-urlencoded")
}

/// A callback with more parameters in its query. Empty values are left out.
pub(crate) fn redirected(callback: &str, parameters: &[(&str, &str)]) -> String {
    let pairs = parameters.iter().filter(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let joint = if callback.contains('?') { '&' } else { '?' };
    format!("{callback}{joint}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_their_repetition_is_noticed() {
        let found = Parameters::parse("a=1+2&b=%26&c=&c=3");
        assert_eq!(
            (found.get("a"), found.get("b"), found.get("c")),
            ("1 2", "&", "3")
        );
        assert_eq!((found.get("d"), found.twice()), ("", None));
        assert_eq!(Parameters::parse("a=1&a=1").twice(), Some("a"));
    }

    #[test]
    fn the_way_back_keeps_the_query_of_the_callback() {
        for (callback, expected) in [
            ("http://a/cb", "http://a/cb?code=x%26y"),
            ("http://a/cb?k=v", "http://a/cb?k=v&code=x%26y"),
        ] {
            let there = redirected(callback, &[("code", "x&y"), ("state", "")]);
            assert_eq!(there, expected);
        }
    }
}
