//! Why a call got no answer.

use std::error::Error;

use rustls::AlertDescription;

use crate::net::causes::find;
use crate::net::connect::ConnectError;

/// Why a call got no answer, or not all of it. Nothing of the client's own text is kept: it repeats
/// the URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CallError {
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
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::core::probe::Forbidden;

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
}
