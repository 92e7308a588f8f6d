//! How a credential authenticates: one member of `spec.auth` per method.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use chrono::{DateTime, Utc};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    BasicAuth, ClientCredentials, Date, MethodName, OAuth1, OAuth2, PersonalAccessToken,
    SecretKeyRef, SessionAuth, rules,
};

/// A way to authenticate: exactly one member.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_method())]
pub struct Auth {
    /// API token of a user of Jira Cloud: Basic with e-mail and token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_token: Option<ApiToken>,
    /// OAuth 2.0 with a refresh token (3LO on Jira Cloud, an application link on Data Center 8.22
    /// and later): Bearer.
    #[serde(default, rename = "oauth2", skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<Box<OAuth2>>,
    /// OAuth 2.0 client credentials of a service account (Jira Cloud, Data Center 11): Bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<Box<ClientCredentials>>,
    /// Personal access token of Jira Data Center 8.14 and later: Bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal_access_token: Option<PersonalAccessToken>,
    /// User name and password on Jira Data Center: Basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
    /// User name and password on Jira Data Center, for which the operator gets a session cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionAuth>,
    /// OAuth 1.0a with an application link of Jira Data Center: signed requests.
    #[serde(default, rename = "oauth1", skip_serializing_if = "Option::is_none")]
    pub oauth1: Option<Box<OAuth1>>,
}

/// The one member of [`Auth`] that is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method<'a> {
    /// Atlassian Cloud API token.
    ApiToken(&'a ApiToken),
    /// OAuth 2.0 with a refresh token.
    OAuth2(&'a OAuth2),
    /// OAuth 2.0 client credentials.
    ClientCredentials(&'a ClientCredentials),
    /// Data Center personal access token.
    PersonalAccessToken(&'a PersonalAccessToken),
    /// Data Center user name and password.
    Basic(&'a BasicAuth),
    /// Data Center cookie session.
    Session(&'a SessionAuth),
    /// Data Center OAuth 1.0a.
    OAuth1(&'a OAuth1),
}

impl Auth {
    /// The one member that is set; `None` when there is none, or more than one.
    pub fn method(&self) -> Option<Method<'_>> {
        let members = [
            self.api_token.as_ref().map(Method::ApiToken),
            self.oauth2.as_deref().map(Method::OAuth2),
            self.client_credentials
                .as_deref()
                .map(Method::ClientCredentials),
            self.personal_access_token
                .as_ref()
                .map(Method::PersonalAccessToken),
            self.basic.as_ref().map(Method::Basic),
            self.session.as_ref().map(Method::Session),
            self.oauth1.as_deref().map(Method::OAuth1),
        ];
        let mut set = members.into_iter().flatten();
        let only = set.next();
        only.filter(|_| set.next().is_none())
    }
}

impl Method<'_> {
    /// The name of the method, as status shows it.
    pub fn name(&self) -> MethodName {
        match self {
            Method::ApiToken(_) => MethodName::ApiToken,
            Method::OAuth2(_) => MethodName::OAuth2,
            Method::ClientCredentials(_) => MethodName::ClientCredentials,
            Method::PersonalAccessToken(_) => MethodName::PersonalAccessToken,
            Method::Basic(_) => MethodName::Basic,
            Method::Session(_) => MethodName::Session,
            Method::OAuth1(_) => MethodName::OAuth1,
        }
    }

    /// When the credential was issued, where the user says so.
    pub fn issued_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Method::ApiToken(token) => token.issued_at.map(Date::begin),
            Method::PersonalAccessToken(token) => token.issued_at.map(Date::begin),
            Method::Basic(basic) => basic.issued_at.map(Date::begin),
            Method::OAuth1(oauth1) => oauth1.issued_at.map(Date::begin),
            Method::OAuth2(_) | Method::ClientCredentials(_) | Method::Session(_) => None,
        }
    }

    /// When the credential expires, where the user says so.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Method::ApiToken(token) => token.expires_at.map(Date::end),
            Method::PersonalAccessToken(token) => token.expires_at.map(Date::end),
            Method::OAuth2(_)
            | Method::ClientCredentials(_)
            | Method::Basic(_)
            | Method::Session(_)
            | Method::OAuth1(_) => None,
        }
    }
}

/// An Atlassian Cloud API token.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_email())]
pub struct ApiToken {
    /// E-mail address of the account that owns the token; this or `emailSecretRef`.
    #[schemars(length(max = 254))]
    #[x_kube(validation = rules::email())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Key of a Secret that holds the e-mail address, in place of `email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_secret_ref: Option<SecretKeyRef>,
    /// Key of the Secret that holds the token.
    pub token_secret_ref: SecretKeyRef,
    /// When the token was created: a day, or a time; `rotation.maxAge` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Date>,
    /// When the token expires: a time, or a day such as `2027-03-01`, at whose end in UTC it does.
    /// Atlassian shows it when the token is created and nowhere later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Date>,
}
