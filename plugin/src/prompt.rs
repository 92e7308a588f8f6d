//! What a person types without echo.

use secrecy::zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// A line of the terminal, without echo; none when it cannot be read as text. The terminal is as before
/// at the end.
///
/// # Errors
/// When the person pressed Ctrl-C. While it is read, that is a character and no signal.
pub fn hidden(prompt: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    match rpassword::prompt_password(prompt) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(Failure::new(
            Exit::Interrupted,
            "interrupted. Nothing was stored",
        )),
        // The error may repeat what was read.
        Err(_) => Ok(None),
    }
}
