//! The body of an answer, up to a limit.

use crate::net::call::Response;
use crate::net::error::CallError;

/// Longest answer that is read. A user is a few kilobytes.
const LONGEST_BODY: usize = 64 * 1024;

/// The beginning of a body.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// Whether that is all of it.
    pub(crate) complete: bool,
}

/// Reads the body of an answer of the usual length.
pub(crate) async fn read_body(response: &mut Response) -> Result<Body, CallError> {
    read_body_up_to(response, LONGEST_BODY).await
}

/// Reads a body up to a limit; what lies beyond is never asked for.
pub(crate) async fn read_body_up_to(
    response: &mut Response,
    longest: usize,
) -> Result<Body, CallError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = longest - bytes.len();
        if chunk.len() > room {
            bytes.extend(chunk.iter().take(room));
            return Ok(Body {
                bytes,
                complete: false,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body {
        bytes,
        complete: true,
    })
}
