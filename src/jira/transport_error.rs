//! What a call that got no answer says.

use std::error::Error;

use rustls::AlertDescription;

use crate::core::probe::{Outage, Verdict};
use crate::jira::causes::find;
use crate::jira::connect::ConnectError;

/// Why a call got no answer, or not all of it. Nothing of the client's own text is kept: it repeats
/// the URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CallError {
    /// It was not sent: there was no connection.
    NoConnection(ConnectError),
    /// It was not sent: its address or a header is none.
    NotSendable,
    /// No answer in time.
    Timeout,
    /// A server that wants a client certificate says so when TLS 1.3 is already up; it has not
    /// processed the request.
    ClientCertificate,
    /// The connection broke.
    Lost,
}

impl CallError {
    /// Reads the error of a client.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        if let Some(error) = find::<ConnectError>(error) {
            return CallError::NoConnection(*error);
        }
        match find::<rustls::Error>(error) {
            Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) => {
                CallError::ClientCertificate
            }
            _ => CallError::Lost,
        }
    }
}

/// The verdict of a call without an answer. It says nothing about the credential.
pub(super) fn verdict(error: CallError) -> Verdict {
    let no_connection = match error {
        CallError::NoConnection(error) => error,
        CallError::NotSendable => return Verdict::NoVerdict(Outage::Internal),
        CallError::Timeout => return Verdict::NoVerdict(Outage::Timeout),
        CallError::ClientCertificate => return Verdict::NoVerdict(Outage::Tls),
        CallError::Lost => return Verdict::NoVerdict(Outage::ConnectionLost),
    };
    Verdict::NoVerdict(match no_connection {
        ConnectError::NotAllowed(forbidden) => return Verdict::NotAllowed(forbidden),
        ConnectError::Unresolved => Outage::Dns,
        ConnectError::Unreachable => Outage::Connect,
        ConnectError::Tls => Outage::Tls,
        ConnectError::Certificate => Outage::Certificate,
        ConnectError::Proxy(fault) => Outage::Proxy(fault),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::core::probe::{Forbidden, ProxyFault};

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Box<dyn Error + Send + Sync>);

    #[test]
    fn causes_are_found_inside_io_errors_too() {
        let cause = ConnectError::NotAllowed(Forbidden::Loopback);
        let nested = Outer(io::Error::other(Outer(io::Error::other(cause).into())).into());
        assert_eq!(find::<ConnectError>(&nested), Some(&cause));
        assert_eq!(find::<rustls::Error>(&nested), None);
        assert_eq!(CallError::of(&nested), CallError::NoConnection(cause));
    }

    #[test]
    fn what_the_proxy_did_not_let_through_was_not_sent() {
        for fault in [
            ProxyFault::Silent,
            ProxyFault::Closed,
            ProxyFault::Strange,
            ProxyFault::Failed(502),
        ] {
            let error = CallError::NoConnection(ConnectError::Proxy(fault));
            let Verdict::NoVerdict(outage) = verdict(error) else {
                panic!("{fault:?}");
            };
            assert_eq!(outage, Outage::Proxy(fault));
            assert!(!outage.may_have_arrived());
        }
    }
}
