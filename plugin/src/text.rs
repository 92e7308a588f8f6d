//! Texts of others, made safe to print.

use jira_credential_operator::jira::response::is_plain;

/// A text without what controls a terminal or turns the direction of writing around: each such character
/// becomes a blank. What the cluster says may hold anything.
pub fn plain(text: &str) -> String {
    text.replace(|c: char| !is_plain(c), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_has_no_control_character() {
        for (text, shown) in [
            ("Größe – 1", "Größe – 1"),
            ("a\u{1b}[31m\nb\u{9b}c", "a [31m b c"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{61c}", "a b c d "),
        ] {
            assert_eq!(plain(text), shown, "{text:?}");
        }
    }
}
