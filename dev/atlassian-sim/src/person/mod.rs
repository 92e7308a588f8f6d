//! Consent pages, and a person who answers them.
//!
//! Three personalities show such a page: the auth host of Atlassian (OAuth 2.0), a Data Center
//! instance as an OAuth 2.0 provider, and its application links (OAuth 1.0a). The page takes the
//! place of the login as well: its form asks which account consents. It is plain HTML, so a
//! browser can fill it in; a [`Person`] does the same without one.

mod form;
mod helper;
mod page;

use serde::Serialize;

pub(crate) use form::{Answer, Parameters, redirected};
pub(crate) use page::{Choice, ConsentPage, error_page, page, verifier_page};

pub use helper::{Landing, Person};

/// How many consent pages were shown and what came of them, on all hosts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsentCounts {
    /// Pages with a form that were answered to a GET.
    pub pages: u64,
    /// Authorization codes (OAuth 2.0) and verifiers (OAuth 1.0a) issued.
    pub codes: u64,
    /// Consents declined.
    pub declined: u64,
}
