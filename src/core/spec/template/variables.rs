//! The variables of templates: the keys of the preset `Standard`, and two names.

use crate::api::MethodName;
use crate::api::MethodName::{
    ApiToken, Basic, ClientCredentials, OAuth1, OAuth2, PersonalAccessToken, Session,
};

/// A variable that templates can use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Whether a credential may lack it: it is empty then.
    pub may_be_empty: bool,
    methods: &'static [MethodName],
}

impl Variable {
    /// A variable that belongs to no method.
    pub(super) const fn named(name: &'static str) -> Self {
        sometimes(name, &[])
    }
}

const ALL: &[MethodName] = &MethodName::ALL;

/// Every variable, in the order of the reference.
const VARIABLES: [Variable; 20] = [
    always("name", ALL),
    always("namespace", ALL),
    always("url", ALL),
    always("site", ALL),
    always("hosting", ALL),
    sometimes("cloudId", &[ApiToken, OAuth2, ClientCredentials]),
    always("scheme", ALL),
    always(
        "authorization",
        &[
            ApiToken,
            OAuth2,
            ClientCredentials,
            PersonalAccessToken,
            Basic,
        ],
    ),
    always("cookie", &[Session]),
    sometimes("JSESSIONID", &[Session]),
    always(
        "token",
        &[
            ApiToken,
            OAuth2,
            ClientCredentials,
            PersonalAccessToken,
            OAuth1,
        ],
    ),
    always("password", &[Basic]),
    always("username", &[ApiToken, Basic]),
    always("email", &[ApiToken]),
    always("accountId", ALL),
    sometimes("expiresAt", ALL),
    always("consumerKey", &[OAuth1]),
    always("privateKey", &[OAuth1]),
    always("signatureMethod", &[OAuth1]),
    sometimes("tokenSecret", &[OAuth1]),
];

const fn always(name: &'static str, methods: &'static [MethodName]) -> Variable {
    Variable {
        name,
        may_be_empty: false,
        methods,
    }
}

const fn sometimes(name: &'static str, methods: &'static [MethodName]) -> Variable {
    Variable {
        name,
        may_be_empty: true,
        methods,
    }
}

/// The variables that templates have with a method.
pub fn variables(method: MethodName) -> Vec<Variable> {
    let all = VARIABLES.into_iter();
    all.filter(|variable| variable.methods.contains(&method))
        .collect()
}
