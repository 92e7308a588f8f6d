//! What the tests share: a simulated Jira and a way to call it.

use std::time::Duration;

use atlassian_sim::{Config, DataCenter, Sim, Token};
use chrono::{DateTime, Utc};
use jira_credential_operator::api::{Account, Hosting};
use jira_credential_operator::clock::Clock;
use jira_credential_operator::core::probe::Verdict;
use jira_credential_operator::core::spec::Site;
use jira_credential_operator::jira::{AddressPolicy, Credential, Jira, JiraConfig, Timeouts};

const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

pub(crate) fn simulator() -> Sim {
    Sim::start_blocking(Config::default()).unwrap()
}

pub(crate) fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_793_880_000, 0).unwrap()
}

/// Loopback is allowed, and waits are short.
pub(crate) fn config() -> JiraConfig {
    JiraConfig {
        addresses: AddressPolicy::parse(LOOPBACK).unwrap(),
        timeouts: Timeouts {
            resolve: Duration::from_millis(300),
            connect: Duration::from_secs(5),
            read: Duration::from_millis(400),
            total: Duration::from_millis(1200),
            ..Timeouts::default()
        },
        ..JiraConfig::default()
    }
}

pub(crate) fn jira(config: JiraConfig) -> Jira {
    Jira::new(config, Clock::standing_at(noon())).unwrap()
}

pub(crate) fn site(hosting: Hosting, url: &str, host: &str) -> Site {
    Site {
        hosting,
        base: url.to_owned(),
        host: host.to_owned(),
    }
}

pub(crate) fn basic(user: &str, secret: &str) -> Credential {
    Credential::Basic {
        user: user.to_owned(),
        secret: secret.to_owned().into(),
    }
}

/// A Data Center behind the simulator's own authority, and a good token of `bot`.
pub(crate) struct Server {
    pub(crate) sim: Sim,
    pub(crate) dc: DataCenter,
    pub(crate) token: Token,
}

impl Server {
    pub(crate) fn start() -> Self {
        let sim = simulator();
        let dc = sim.data_center("jira");
        let token = dc.pat("bot");
        Self { sim, dc, token }
    }

    pub(crate) fn site(&self) -> Site {
        site(Hosting::DataCenter, &self.dc.url(), self.dc.host())
    }

    pub(crate) fn bearer(&self) -> Credential {
        Credential::Bearer(self.token.secret().to_owned().into())
    }

    pub(crate) async fn ask(&self, jira: &Jira) -> Verdict {
        jira.whoami(
            &self.site(),
            Some(self.sim.ca_pem().as_bytes()),
            &self.bearer(),
        )
        .await
    }

    pub(crate) fn bot(&self) -> Verdict {
        Verdict::Accepted(Account {
            id: self.dc.user_key("bot"),
            kind: None,
            display_name: Some("Bot".to_owned()),
            user_name: Some("bot".to_owned()),
        })
    }
}
