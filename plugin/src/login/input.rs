//! Lines that a person types or pastes, one reader for all of a command.

use secrecy::zeroize::Zeroizing;
use tokio::sync::mpsc;

use crate::login::secret;

/// Standard input after the client secret. It is read from the first line on that is wanted.
#[derive(Default)]
pub struct Input {
    lines: Option<mpsc::Receiver<Zeroizing<String>>>,
}

impl Input {
    /// The next line; none at the end. A line that nobody waits for any more is kept for the next who
    /// does.
    pub async fn line(&mut self) -> Option<Zeroizing<String>> {
        self.lines.get_or_insert_with(secret::lines).recv().await
    }
}
