//! The preset `Netrc`.

use url::Url;

use super::{Contents, Validated};

/// The file `.netrc`, with one line for the host of the API.
pub(super) fn netrc(validated: &Validated<'_>, contents: &mut Contents) {
    let url = Url::parse(validated.url).ok();
    let host = url.as_ref().and_then(|url| url.host_str());
    let (Some(host), Some((user, secret))) = (host, validated.login()) else {
        return;
    };
    let (user, secret) = (word(user), word(secret));
    // Without a line end: every reader takes the end of the file for one.
    contents.set(
        ".netrc",
        format!("machine {host} login {user} password {secret}"),
    );
}

/// A value as curl and Python's netrc read it: plain, or in quotes with `"` and `\` escaped. Readers
/// that know no quotes are served as long as the value needs none.
fn word(value: &str) -> String {
    let plain = |character: char| {
        !character.is_whitespace() && !character.is_control() && !matches!(character, '"' | '\\')
    };
    // A number sign at the front begins a comment.
    if !value.is_empty() && !value.starts_with('#') && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut word = String::with_capacity(value.len() + 2);
    word.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            word.push('\\');
        }
        word.push(character);
    }
    word.push('"');
    word
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_value_is_quoted_when_it_must_be() {
        for (value, written) in [
            ("plain", "plain"),
            ("bot@acme.example", "bot@acme.example"),
            ("a#b", "a#b"),
            ("#a", "\"#a\""),
            ("a b", "\"a b\""),
            ("a\"b", "\"a\\\"b\""),
            ("a\\b", "\"a\\\\b\""),
            ("", "\"\""),
        ] {
            assert_eq!(word(value), written, "{value}");
        }
    }
}
