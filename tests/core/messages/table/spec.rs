//! The messages about the spec and the source.

use super::{Section, add_concluded};
use crate::simulator::World;
use jira_credential_operator::api::{ConditionType, Reason};
use jira_credential_operator::core::facts::{Peer, Source};
use jira_credential_operator::core::spec::{
    InvalidValue, MissingRight, Site, SourceError, SpecError,
};

pub(super) fn ready() -> Section {
    let mut section = Section::default();
    let facts = World::token().pass().facts;
    for kind in [ConditionType::Ready, ConditionType::Valid] {
        add_concluded(&mut section, kind, "apiToken", &facts);
    }
    let mut suspended = facts.clone();
    suspended.spec.suspend = true;
    add_concluded(&mut section, ConditionType::Ready, "apiToken", &suspended);
    let mut elsewhere = World::password().pass().facts;
    elsewhere.status.attempt = None;
    elsewhere.peer = Peer::Refused(Reason::Rejected);
    add_concluded(&mut section, ConditionType::Ready, "basic", &elsewhere);
    for error in spec_errors() {
        let mut facts = facts.clone();
        facts.plan = Err(error);
        add_concluded(&mut section, ConditionType::Ready, "apiToken", &facts);
    }
    for error in source_errors() {
        let mut facts = facts.clone();
        facts.source = Source::Unusable(error);
        add_concluded(&mut section, ConditionType::Ready, "apiToken", &facts);
    }
    section
}

fn spec_errors() -> Vec<SpecError> {
    let mut all = vec![
        SpecError::HostNotAllowed("spec.site: the administrator has not allowed this host".into()),
        SpecError::NoMethod,
        SpecError::NotAPeriod("spec.validation.interval"),
        SpecError::IntervalTooShort,
        SpecError::WarnBeforeTooLong {
            warn_before: "14d".into(),
            max_age: "7d".into(),
        },
        SpecError::WarnBeforeTooLong {
            warn_before: "30d".into(),
            max_age: "7d".into(),
        },
        SpecError::SameTarget("bot".into()),
        SpecError::KeyNotAllowed {
            target: "bot".into(),
            field: "template.labels",
            key: "example.com/role".into(),
            allowed: "app.kubernetes.io/".into(),
        },
    ];
    let sites = [
        "no url",
        "http://acme.atlassian.net",
        "https://me@acme.atlassian.net",
        "https://10.0.0.1",
        "https://acme.atlassian.net:8443",
    ];
    for site in sites {
        let mut spec = World::token().spec;
        spec.site = site.into();
        all.extend(Site::of(&spec).err().map(SpecError::from));
    }
    all
}

fn source_errors() -> Vec<SourceError> {
    let (kind, name) = ("Secret", || "source".to_owned());
    let key = || "token".to_owned();
    let mut all = vec![
        SourceError::Missing { kind, name: name() },
        SourceError::KeyMissing {
            kind,
            name: name(),
            key: key(),
        },
        SourceError::IsTarget { name: name() },
        SourceError::NotReadable(MissingRight {
            account: Some("jira-credential-operator/jira-credential-operator".into()),
            verb: "get".into(),
            resource: "secrets".into(),
            namespace: Some("team".into()),
        }),
        SourceError::ForbiddenType {
            name: name(),
            kind: "kubernetes.io/service-account-token".into(),
        },
    ];
    let flaws = [
        InvalidValue::Empty,
        InvalidValue::NotUtf8,
        InvalidValue::SeveralLineEnds,
        InvalidValue::ByteOrderMark,
        InvalidValue::Quotes,
        InvalidValue::Blank,
        InvalidValue::ControlCharacter,
        InvalidValue::NotAscii,
        InvalidValue::TooLong,
        InvalidValue::Colon,
        InvalidValue::NotPem,
        InvalidValue::TooManyCertificates,
        InvalidValue::NotPrivateKey,
        InvalidValue::EncryptedKey,
        InvalidValue::OpenSshKey,
        InvalidValue::NotRsaKey,
        InvalidValue::KeySize,
    ];
    all.extend(flaws.map(|flaw| SourceError::Malformed {
        kind,
        name: name(),
        key: key(),
        flaw,
    }));
    all
}
