//! What a call that got no answer says.

use std::error::Error;
use std::io;

use rustls::AlertDescription;

use crate::core::probe::{Outage, Verdict};
use crate::jira::dns::NotAllowedError;

/// Reads the error of a client. Nothing of its text is kept: it repeats the URL.
pub(super) fn verdict(error: &reqwest::Error) -> Verdict {
    if let Some(NotAllowedError(forbidden)) = find(error) {
        return Verdict::NotAllowed(*forbidden);
    }
    Verdict::NoVerdict(outage(error))
}

fn outage(error: &reqwest::Error) -> Outage {
    let tls = find::<rustls::Error>(error);
    match tls {
        Some(rustls::Error::InvalidCertificate(_)) => return Outage::Certificate,
        // A server that wants a client certificate says so when TLS 1.3 is already up; it has
        // not processed the request.
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            return Outage::Tls;
        }
        _ => {}
    }
    if error.is_dns() {
        Outage::Dns
    } else if error.is_connect() {
        if tls.is_some() {
            Outage::Tls
        } else {
            Outage::Connect
        }
    } else if error.is_timeout() {
        Outage::Timeout
    } else {
        Outage::ConnectionLost
    }
}

/// The first error of a type among an error and its causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // The cause of an io::Error is the cause of what it wraps, so that this would be skipped.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::probe::Forbidden;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Box<dyn Error + Send + Sync>);

    #[test]
    fn causes_are_found_inside_io_errors_too() {
        let cause = NotAllowedError(Forbidden::Loopback);
        let nested = Outer(io::Error::other(Outer(io::Error::other(cause).into())).into());
        assert_eq!(find::<NotAllowedError>(&nested), Some(&cause));
        assert_eq!(find::<rustls::Error>(&nested), None);
    }
}
