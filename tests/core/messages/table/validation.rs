//! The messages of a validation: refusals and outages.

use super::{Sample, Section, samples};
use crate::simulator::at;
use jira_credential_operator::api::{
    Attempt, AttemptOutcome, Hosting, PermissionStatus, Reason, TargetVersion,
};
use jira_credential_operator::core::facts::TargetState;
use jira_credential_operator::core::messages::{meanwhile, outage, refusal, still};
use jira_credential_operator::core::probe::{
    Cause, Forbidden, Judgement, Outage, ProxyFault, Refusal, WaitCause, outage_reason,
};
use jira_credential_operator::core::spec::SourceError;
use serde_json::json;

/// What can refuse a credential of this method.
pub(super) fn refusals(sample: &Sample) -> Vec<Refusal> {
    let cloud = sample.facts.plan.as_ref().unwrap().site.hosting == Hosting::Cloud;
    let mut all = vec![Refusal::Rejected, Refusal::Forbidden, Refusal::WrongHost];
    all.push(if cloud {
        Refusal::IsDataCenter
    } else {
        Refusal::IsCloud
    });
    all.extend([Refusal::AccountInactive, Refusal::IpBlocked]);
    match sample.method {
        "basic" => all.extend([
            Refusal::CaptchaRequired,
            Refusal::BasicAuthDisabled,
            Refusal::PasswordNotAllowed,
        ]),
        "oauth1" => all.extend([Refusal::SignatureRejected, Refusal::ConsumerUnknown]),
        "oauth2 (Cloud)" | "clientCredentials (Cloud)" => all.extend([
            Refusal::InsufficientScope,
            Refusal::NoConsent,
            Refusal::NoSite,
            Refusal::AnotherSite,
            Refusal::AnotherProduct,
            Refusal::CloudIdOfAnotherSite,
        ]),
        "apiToken" => all.extend([Refusal::InsufficientScope, Refusal::NoConsent]),
        method if method.contains("(Data Center)") => all.push(Refusal::InsufficientScope),
        _ => {}
    }
    all
}

pub(super) fn valid_false() -> Section {
    let mut section = Section::default();
    for sample in samples() {
        let mut facts = sample.facts.clone();
        for refusal in refusals(&sample) {
            let cause = Cause::Jira(refusal);
            section.add(
                cause.reason(),
                sample.method,
                refusal::refused(&facts, cause),
            );
        }
        facts.spec.validation.account_id = Some("5b10".into());
        let spec = json!({"requiredPermissions": ["BROWSE_PROJECTS"], "accountId": "5b10"});
        facts.spec.validation = serde_json::from_value(spec).unwrap();
        let missing: PermissionStatus = serde_json::from_value(json!({
            "checkedTime": at(0), "required": ["BROWSE_PROJECTS"], "missing": ["BROWSE_PROJECTS"],
        }))
        .unwrap();
        facts.status.permissions = Some(missing);
        for cause in [Cause::AccountChanged, Cause::PermissionMissing] {
            section.add(
                cause.reason(),
                sample.method,
                refusal::refused(&facts, cause),
            );
        }
        if sample.method.starts_with("oauth2") || sample.method == "apiToken" {
            let cause = Cause::PermissionsUnreadable;
            section.add(
                cause.reason(),
                sample.method,
                refusal::refused(&facts, cause),
            );
        }
        if sample.method.contains("(Cloud)") {
            let text = refusal::missing_scopes(&sample.facts, &["write:jira-work"]);
            section.add(Reason::InsufficientScope, sample.method, text);
        }
    }
    section
}

pub(super) fn outages() -> Vec<Outage> {
    vec![
        Outage::Dns,
        Outage::Connect,
        Outage::Tls,
        Outage::Certificate,
        Outage::Timeout,
        Outage::ConnectionLost,
        Outage::TooLarge,
        Outage::Redirect,
        Outage::SingleSignOn,
        Outage::Moved,
        Outage::ContextPath,
        Outage::NotJson,
        Outage::BrokenJson,
        Outage::Anonymous,
        Outage::NotAUser,
        Outage::NotFound,
        Outage::NoCloudSite,
        Outage::CrossSiteCheck,
        Outage::PermissionsUntold,
        Outage::RateLimited { retry_after: None },
        Outage::Unavailable { retry_after: None },
        Outage::ServerError(502),
        Outage::Unexpected(418),
        Outage::BadCaBundle,
        Outage::Internal,
        Outage::TooLate,
        Outage::Paused {
            retry_after: None,
            cause: WaitCause::Unresponsive,
        },
        Outage::Paused {
            retry_after: None,
            cause: WaitCause::Proxy,
        },
        Outage::Proxy(ProxyFault::Unresolved),
        Outage::Proxy(ProxyFault::Unreachable),
        Outage::Proxy(ProxyFault::Tls),
        Outage::Proxy(ProxyFault::Certificate),
        Outage::Proxy(ProxyFault::NoCredentials),
        Outage::Proxy(ProxyFault::Unauthorized { sent: true }),
        Outage::Proxy(ProxyFault::Unauthorized { sent: false }),
        Outage::Proxy(ProxyFault::Refused(403)),
        Outage::Proxy(ProxyFault::Failed(502)),
        Outage::Proxy(ProxyFault::Silent),
        Outage::Proxy(ProxyFault::Closed),
        Outage::Proxy(ProxyFault::Strange),
    ]
}

pub(super) fn valid_unknown() -> Section {
    let mut section = Section::default();
    for sample in samples() {
        let mut facts = sample.facts.clone();
        facts.proxy = Some("proxy.acme.example:3128".into());
        let facts = &facts;
        let signed = [
            Outage::ClockSkew,
            Outage::NonceUsed,
            Outage::OAuthForm,
            Outage::NotSigned,
        ];
        let signed = signed.iter().filter(|_| sample.method == "oauth1");
        for outage in outages().iter().chain(signed) {
            let text = outage::outage(facts, *outage);
            section.add(outage_reason(*outage), sample.method, text);
        }
        let mut with_path = facts.clone();
        with_path.plan.as_mut().unwrap().site.base.push_str("/jira");
        let text = outage::outage(&with_path, Outage::NotFound);
        section.add(Reason::SiteUnavailable, sample.method, text);
        for forbidden in [
            Forbidden::Loopback,
            Forbidden::LinkLocal,
            Forbidden::Private,
            Forbidden::Reserved,
        ] {
            let text = outage::not_allowed(facts, forbidden);
            section.add(Reason::HostNotAllowed, sample.method, text);
        }
        section.add(
            Reason::NotValidated,
            sample.method,
            outage::not_asked(facts),
        );
        for cause in [
            WaitCause::RateLimited,
            WaitCause::Unresponsive,
            WaitCause::Proxy,
        ] {
            let (reason, why) = outage::paused_by(facts, cause);
            let text = format!("{why} {}", still(facts));
            section.add(reason, sample.method, text);
        }
        section.add(Reason::NotValidated, sample.method, outage::queued(facts));
        section.add(
            Reason::Confirming,
            sample.method,
            refusal::confirming(facts),
        );
        let mut early = facts.clone();
        early.status.attempt = early.fingerprint().map(|print| Attempt {
            failures: 1,
            last_failure_time: at(0),
            next_attempt_time: None,
            fingerprint: print.as_str().to_owned(),
            outcome: AttemptOutcome::Unconfirmed,
            reason: Some(Reason::Confirming),
        });
        let text = refusal::confirming(&early);
        section.add(Reason::Confirming, sample.method, text);
        if sample.method == "basic" {
            let text = outage::outage(facts, Outage::Unexpected(403));
            section.add(Reason::SiteUnavailable, sample.method, text);
            section.add(
                Reason::NotValidated,
                sample.method,
                outage::interrupted(facts),
            );
        }
        if sample.method.starts_with("oauth2") {
            let text = refusal::unvalidated(facts);
            section.add(Reason::PublishedUnvalidated, sample.method, text);
        }
    }
    section
}

pub(super) fn beside_ready() -> Section {
    let mut section = Section::default();
    for sample in samples() {
        let mut facts = sample.facts.clone();
        // A credential that is ready has been published.
        for target in &mut facts.targets {
            target.state = TargetState::Written(TargetVersion {
                namespace: None,
                name: target.target.name.clone(),
                uid: "uid".into(),
                resource_version: "1".into(),
                hash: Some("hash".into()),
                held_by: None,
                merge: None,
            });
        }
        for outage in [Outage::Timeout, Outage::Dns] {
            facts.progress.judgement = Some(Judgement::NoVerdict(outage));
            let reason = outage_reason(outage);
            let text = meanwhile::validation(&facts, reason);
            section.add(reason, sample.method, text);
        }
        facts.progress.judgement = Some(Judgement::NotAllowed(Forbidden::Private));
        let text = meanwhile::validation(&facts, Reason::HostNotAllowed);
        section.add(Reason::HostNotAllowed, sample.method, text);
        facts.progress.judgement = None;
        let text = meanwhile::validation(&facts, Reason::SiteUnavailable);
        section.add(Reason::SiteUnavailable, sample.method, text);
        if facts.renews() {
            for reason in [Reason::SiteUnavailable, Reason::RateLimited] {
                let text = meanwhile::renewal(&facts, reason);
                section.add(reason, sample.method, text);
            }
            for outage in outages() {
                facts.progress.renewal_outage = Some(outage);
                let text = meanwhile::renewal(&facts, Reason::SiteUnavailable);
                section.add(Reason::SiteUnavailable, sample.method, text);
            }
            if let Some(renewal) = &mut facts.renewal {
                renewal.missing = Some(SourceError::Missing {
                    kind: "Secret",
                    name: "client".into(),
                });
            }
            let missing = facts
                .renewal
                .as_ref()
                .and_then(|renewal| renewal.missing.as_ref());
            if let Some(missing) = missing {
                section.add(
                    Reason::SourceMissing,
                    sample.method,
                    meanwhile::missing(missing),
                );
            }
        }
    }
    section.add(
        Reason::Validated,
        "apiToken",
        meanwhile::READY_WITHOUT_ANSWER.to_owned(),
    );
    section.add(
        Reason::SiteUnavailable,
        "apiToken",
        format!("(added) {}", meanwhile::PENDING),
    );
    section.add(
        Reason::Rejected,
        "basic",
        format!("(added) {}", meanwhile::UNSENT),
    );
    section
}
