//! The new token: from the terminal without echo, or from a pipe.

use std::io::{IsTerminal, Read};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::failure::Failure;
use crate::prompt;

/// The longest input that is read: no token is longer.
const LONGEST: u64 = 4096;

/// Reads the token.
///
/// # Errors
/// When there is none, or it cannot be a token.
pub async fn read() -> Result<SecretString, Failure> {
    let text = if std::io::stdin().is_terminal() {
        prompt::hidden("New token (it is not shown): ").await?
    } else {
        prompt::piped(all).await.flatten()
    };
    // The error of the input may repeat what was read.
    let text = text.ok_or_else(|| {
        Failure::error("the token could not be read; is it text? Nothing was stored")
    })?;
    clean(&text).map_err(Failure::error)
}

/// The whole of standard input, as far as it can be a token.
fn all() -> Option<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let mut input = std::io::stdin().lock().take(LONGEST + 1);
    input.read_to_string(&mut text).ok().map(|_| text)
}

/// The token in an input.
fn clean(text: &str) -> Result<SecretString, String> {
    if text.len() as u64 > LONGEST {
        return Err("this is no token: it has more than 4096 bytes. Nothing was stored".to_owned());
    }
    // Copied from a page, blanks and a line end come with it.
    let token = text.trim();
    if token.is_empty() {
        return Err("no token was given. Nothing was stored".to_owned());
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "this is no token: it has blanks or other characters that tokens never have. Copy it again; nothing was stored".to_owned(),
        );
    }
    Ok(SecretString::from(token))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn only_one_word_is_a_token() {
        for (text, token) in [
            ("abc123=", Some("abc123=")),
            ("  abc\r\n", Some("abc")),
            ("", None),
            (" \n", None),
            ("two words", None),
            ("first\nsecond", None),
            ("pässword", None),
        ] {
            let read = clean(text);
            let read = read.as_ref().ok().map(ExposeSecret::expose_secret);
            assert_eq!(read, token, "{text:?}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_and_not_cut() {
        assert!(clean(&"a".repeat(4_096)).is_ok());
        assert!(clean(&"a".repeat(4_097)).is_err());
    }

    #[test]
    fn a_failure_does_not_repeat_it() {
        let told = clean("secret words").map(|_| ()).unwrap_err();
        assert!(!told.contains("secret"), "{told}");
    }
}
