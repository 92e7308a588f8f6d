//! What the tests of personal access tokens and sessions share: an instance, and requests of any
//! method.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of this"
)]

use atlassian_sim::{Call, Config, DataCenter, Sim};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, COOKIE};
use serde_json::{Value, json};

use super::{Answer, client};

pub(crate) const USER: &str = "robot";
pub(crate) const TOKENS: &str = "/rest/pat/latest/tokens";
pub(crate) const SESSION: &str = "/rest/auth/1/session";

pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) dc: DataCenter,
    pub(crate) client: reqwest::Client,
}

/// An instance below a context path, whose time stands still.
pub(crate) fn world() -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    sim.clock().freeze();
    let dc = sim.data_center("jira").context_path("/jira").user(USER);
    let client = client(&sim, &[dc.host()]);
    World { sim, dc, client }
}

impl World {
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        with: &str,
    ) -> reqwest::RequestBuilder {
        let request = self
            .client
            .request(method, format!("{}{path}", self.dc.url()));
        match with.split_once('=') {
            Some(("JSESSIONID", _)) => request.header(COOKIE, with),
            _ if with.is_empty() => request,
            _ => request.header(AUTHORIZATION, with),
        }
    }

    pub(crate) async fn try_send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer {
            status,
            headers,
            text: response.text().await?,
        })
    }

    /// A request with an `Authorization` header, or a cookie if it looks like one.
    pub(crate) async fn send(&self, method: Method, path: &str, with: &str) -> Answer {
        self.try_send(self.request(method, path, with))
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, with: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path, with).json(body);
        self.try_send(request).await.unwrap()
    }

    pub(crate) async fn mint(&self, with: &str, name: &str, days: i64) -> Answer {
        let body = json!({ "name": name, "expirationDuration": days });
        self.post(TOKENS, with, &body).await
    }

    pub(crate) async fn myself(&self, with: &str) -> u16 {
        self.send(Method::GET, "/rest/api/2/myself", with)
            .await
            .status
    }

    pub(crate) async fn log_in(&self, password: &str) -> Answer {
        let body = json!({ "username": USER, "password": password });
        self.post(SESSION, "", &body).await
    }

    /// A login that must succeed: the cookie, as a header carries it.
    pub(crate) async fn cookie(&self, password: &str) -> String {
        let answer = self.log_in(password).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        let value = body.pointer("/session/value").unwrap().as_str().unwrap();
        format!("JSESSIONID={value}")
    }

    pub(crate) fn last_call(&self) -> Call {
        self.sim.calls().pop().unwrap()
    }
}

/// An error of the resource of personal access tokens: its status and its exception's short name.
pub(crate) fn problem(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert!(body.get("error").unwrap().is_string());
    let exception = body.get("exception").unwrap().as_str().unwrap();
    let name = exception.rsplit('.').next().unwrap();
    (answer.status, name.to_owned())
}
