//! What a person types without echo, and what is piped in.

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

/// What is read from a pipe, in a thread of its own: an interrupt ends the program meanwhile. A thread of
/// the runtime would keep the process from ending while it reads.
pub async fn piped<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (send, receive) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || send.send(read()));
    receive.await.ok()
}
