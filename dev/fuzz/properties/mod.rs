//! What holds whatever the input is. The fuzz targets look for an input that breaks it; `tests/core` checks
//! it for the inputs that they have found.

pub mod answers;
pub mod sources;
pub mod templates;

/// The input up to the first line end, and what follows.
fn first_line(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[]),
    }
}

/// A word that no message holds: one that has it copied a secret.
const MARK: &str = "corpus";

/// Panics when a text says something that it must not: no control characters, nothing endless, and
/// nothing secret.
fn check_said(said: &str, secret: &str) {
    assert!(
        !said.chars().any(char::is_control),
        "control characters in {said:?}"
    );
    assert!(said.len() < 2048, "{} bytes: {said:?}", said.len());
    let is_telling = secret.contains(MARK) && said.contains(secret);
    assert!(!is_telling, "{said:?} tells {secret:?}");
}
