//! A person without a browser.

use http::{Method, Request, Uri, header};

use crate::cloud_site::CloudSite;
use crate::reply::Reply;
use crate::service;
use crate::sim::Sim;

use super::page::{escape, shown_verifier, unescape};

/// A person who is sent to an authorize URL. Nothing is sent over the network: the page is asked
/// for, and its form answered, inside the simulator. The call log shows both requests; faults
/// spare them.
#[derive(Debug, Clone)]
pub struct Person {
    sim: Sim,
    account: String,
    sites: Vec<String>,
}

/// Where a person ends up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landing {
    /// The browser is sent to this callback URL, which nobody has asked for yet.
    Callback(String),
    /// The person sees a page.
    Page {
        /// The status of the page.
        status: u16,
        /// The HTML.
        html: String,
    },
}

impl Landing {
    /// The callback URL.
    pub fn callback(&self) -> Option<&str> {
        match self {
            Self::Callback(url) => Some(url),
            Self::Page { .. } => None,
        }
    }

    /// A parameter of the callback URL, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.callback()?.split_once('?')?;
        form_urlencoded::parse(query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The verifier of OAuth 1.0a that the page shows to a person without a callback (`oob`).
    pub fn verifier(&self) -> Option<String> {
        match self {
            Self::Callback(_) => self.parameter("oauth_verifier"),
            Self::Page { html, .. } => shown_verifier(html).map(unescape),
        }
    }
}

impl From<Reply> for Landing {
    fn from(reply: Reply) -> Self {
        let location = reply.headers.get(header::LOCATION);
        match location.and_then(|value| value.to_str().ok()) {
            Some(location) => Self::Callback(location.to_owned()),
            None => Self::Page {
                status: reply.status.as_u16(),
                html: String::from_utf8_lossy(&reply.body).into_owned(),
            },
        }
    }
}

impl Sim {
    /// A person with an account that exists: an e-mail on Cloud, a user name on Data Center.
    pub fn person(&self, account: &str) -> Person {
        Person {
            sim: self.clone(),
            account: account.to_lowercase(),
            sites: Vec::new(),
        }
    }

    /// How many consent pages were shown, and what came of them.
    pub fn consent_counts(&self) -> super::ConsentCounts {
        self.shared.world().consents
    }
}

impl Person {
    /// The sites to choose, in this order; a consent on Cloud needs at least one.
    #[must_use]
    pub fn at(mut self, sites: &[&CloudSite]) -> Self {
        self.sites = sites.iter().map(|site| site.host().to_owned()).collect();
        self
    }

    /// Opens an authorize URL and accepts. A page in place of the form is returned as it is, and
    /// so is a form that does not offer the account or a site.
    pub fn accept(&self, authorize_url: &str) -> Landing {
        self.answer(authorize_url, "accept")
    }

    /// Opens an authorize URL and declines.
    pub fn decline(&self, authorize_url: &str) -> Landing {
        self.answer(authorize_url, "decline")
    }

    /// Opens an authorize URL and answers nothing.
    pub fn open(&self, authorize_url: &str) -> Landing {
        match authorize_url.parse() {
            Ok(url) => self.ask(&Method::GET, &url, String::new()),
            Err(_) => Landing::Page {
                status: 0,
                html: format!("not a URL: {}", escape(authorize_url)),
            },
        }
    }

    fn answer(&self, authorize_url: &str, decision: &str) -> Landing {
        let shown = self.open(authorize_url);
        let Some(target) = self.form_target(&shown, authorize_url) else {
            return shown;
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("account", &self.account);
        for site in &self.sites {
            form.append_pair("site", site);
        }
        form.append_pair("decision", decision);
        self.ask(&Method::POST, &target, form.finish())
    }

    /// Where the form on a page goes, if the page offers what this person chooses.
    fn form_target(&self, shown: &Landing, authorize_url: &str) -> Option<Uri> {
        let Landing::Page { html, .. } = shown else {
            return None;
        };
        let (_, rest) = html.split_once("<form method=\"post\" action=\"")?;
        let (action, form) = rest.split_once('"')?;
        let offers = |value: &String| form.contains(&format!("value=\"{}\"", escape(value)));
        if !offers(&self.account) || !self.sites.iter().all(offers) {
            return None;
        }
        let base = authorize_url.split('?').next().unwrap_or_default();
        format!("{base}{}", unescape(action)).parse().ok()
    }

    fn ask(&self, method: &Method, url: &Uri, body: String) -> Landing {
        let authority = url.authority().map_or("", http::uri::Authority::as_str);
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        match request {
            Ok(request) => service::answer_inside(&self.sim.shared, request).into(),
            Err(error) => Landing::Page {
                status: 0,
                html: escape(&error.to_string()),
            },
        }
    }
}
