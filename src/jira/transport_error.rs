//! What a call that got no answer says.

use crate::core::probe::{Outage, Verdict};
use crate::net::{CallError, ConnectError};

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
    use super::*;
    use crate::core::probe::ProxyFault;

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
