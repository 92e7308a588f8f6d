//! What is read from standard input: the client secret, and the callback that a person pastes.

use std::io::{BufRead, IsTerminal, Read};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::prompt;

/// The longest line that is read.
const LONGEST: u64 = 16 * 1024;

/// Asks for the client secret: without echo on a terminal, else the first line of a pipe.
///
/// # Errors
/// When there is none, or it cannot be one.
pub async fn ask() -> Result<SecretString, Failure> {
    let text = if std::io::stdin().is_terminal() {
        prompt::hidden("Client secret of the app or application link (it is not shown): ").await?
    } else {
        prompt::piped(line).await.flatten()
    };
    // The error of the input may repeat what was read.
    let text = text.ok_or_else(|| {
        Failure::error("the client secret could not be read; is it text? Nothing was stored")
    })?;
    clean(&text).map_err(Failure::error)
}

/// A line of standard input; empty at its end.
fn line() -> Option<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let mut input = std::io::stdin().lock().take(LONGEST);
    input.read_line(&mut text).ok().map(|_| text)
}

/// The client secret in an input.
fn clean(text: &str) -> Result<SecretString, &'static str> {
    let secret = text.trim();
    if secret.is_empty() {
        return Err(
            "no client secret was given: type it, pipe it, or give --client-secret-from. Nothing was stored",
        );
    }
    if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "this is not a client secret: it has blanks or other characters that they never have. Copy it again; nothing was stored",
        );
    }
    Ok(SecretString::from(secret))
}

/// Lines of standard input, until its end.
pub fn lines() -> mpsc::Receiver<Zeroizing<String>> {
    let (send, receive) = mpsc::channel(1);
    // A thread of the runtime would keep the process from ending while it reads.
    std::thread::spawn(move || {
        while let Some(text) = line().filter(|text| !text.is_empty()) {
            if send.blocking_send(text).is_err() {
                break;
            }
        }
    });
    receive
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn only_one_word_is_a_client_secret() {
        for (text, secret) in [
            ("abc123=\n", Some("abc123=")),
            ("", None),
            ("\n", None),
            ("two words", None),
            ("pässword", None),
        ] {
            let read = clean(text);
            let read = read.as_ref().ok().map(ExposeSecret::expose_secret);
            assert_eq!(read, secret, "{text:?}");
        }
    }
}
