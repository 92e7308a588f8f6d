//! What a person types without echo, and what is piped in.

use secrecy::zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// A line of the terminal, without echo; none when it cannot be read as text. The modes of
/// the terminal are restored at the end, even when a signal ends the program.
///
/// # Errors
/// When the person pressed Ctrl-C. While the line is read, that is a character and no signal.
pub async fn hidden(prompt: &'static str) -> Result<Option<Zeroizing<String>>, Failure> {
    // Before the prompt: a person who sees it may type at once.
    let _hushed = terminal::hush();
    // Lets a signal that arrived earlier end the program now.
    tokio::task::yield_now().await;
    let read = piped(move || rpassword::prompt_password(prompt)).await;
    match read {
        Some(Ok(text)) => Ok(Some(Zeroizing::new(text))),
        Some(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => Err(Failure::new(
            Exit::Interrupted,
            "interrupted. Nothing was stored",
        )),
        // The error may repeat what was read.
        _ => Ok(None),
    }
}

/// Reads in a thread of its own: an interrupt ends the program meanwhile. A thread of the runtime would
/// keep the process from ending while it reads.
pub async fn piped<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (send, receive) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || send.send(read()));
    receive.await.ok()
}

/// The modes of the terminal. rpassword sets them only after the prompt, and cannot set them back when a
/// signal ends the program.
#[cfg(unix)]
mod terminal {
    use std::fs::File;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// The terminal and its earlier modes, which are restored when this is dropped.
    pub(super) struct Hushed(File, Termios);

    /// Takes the echo and the keys that send signals from the terminal of this process, if it has one.
    pub(super) fn hush() -> Option<Hushed> {
        let terminal = File::open("/dev/tty").ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut modes = before.clone();
        modes.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON;
        modes.local_modes -= LocalModes::ISIG;
        tcsetattr(&terminal, OptionalActions::Now, &modes).ok()?;
        Some(Hushed(terminal, before))
    }

    impl Drop for Hushed {
        fn drop(&mut self) {
            let _ = tcsetattr(&self.0, OptionalActions::Now, &self.1);
        }
    }
}

/// On Windows rpassword alone sets the modes of the console.
#[cfg(not(unix))]
mod terminal {
    /// Nothing is changed.
    pub(super) fn hush() -> Option<()> {
        None
    }
}
