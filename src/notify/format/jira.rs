//! Issues and comments of Jira, in the markup that version 2 of its interface takes on Cloud and Data Center.
//!
//! What others have chosen stands in a block in which nothing is markup: no mention, no link, no macro. The
//! summary of an issue is plain text.

use crate::notify::message::Message;

/// The longest summary that Jira takes.
const LONGEST_SUMMARY: usize = 255;

/// Lines of a block are not wrapped by Jira.
const WIDTH: usize = 100;

/// The beginning and the end of the block.
const BLOCK: &str = "{noformat}";

/// The summary of an issue: one line.
pub(in crate::notify) fn summary(message: &Message) -> String {
    let title: String = message
        .title()
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if title.chars().count() <= LONGEST_SUMMARY {
        return title;
    }
    let mut short: String = title.chars().take(LONGEST_SUMMARY - 1).collect();
    short.push('\u{2026}');
    short
}

/// The description of an issue.
pub(in crate::notify) fn description(message: &Message, label: &str) -> String {
    format!(
        "{}\n\nThe operator of Jira credentials comments here while this lasts, and closes the issue when it is over. It finds the issue by its label {label}.",
        comment(message)
    )
}

/// A comment.
pub(in crate::notify) fn comment(message: &Message) -> String {
    let mut lines = vec![message.title()];
    if let Some(body) = message.body() {
        lines.push(String::new());
        lines.push(body.to_owned());
    }
    lines.push(String::new());
    let facts = message.facts().into_iter();
    lines.extend(facts.map(|(name, value)| format!("{name}: {value}")));
    let text: Vec<String> = lines.iter().map(|line| plain(line)).collect();
    let block = format!("{BLOCK}\n{}\n{BLOCK}", text.join("\n"));
    match &message.link {
        Some(link) => format!("{block}\nRunbook: {link}"),
        None => block,
    }
}

/// A line that cannot end the block, wrapped between words.
fn plain(line: &str) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    for word in line.split(|letter: char| letter.is_control() || letter == ' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            wrapped.push('\n');
            column = 0;
        } else if column > 0 {
            wrapped.push(' ');
            column += 1;
        }
        // An invisible character keeps a brace from what would make it a macro.
        wrapped.push_str(&word.replace('{', "{\u{200b}"));
        column += length;
    }
    wrapped
}
