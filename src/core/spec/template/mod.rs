//! Templates of targets: which variables they have, and what they may hold.
//!
//! The engine is minijinja. Its fuel bounds the steps and bytes of a rendering, but not the depth of its
//! parser, and not the comparison of nested lists. So a template is checked before it is compiled: its
//! tokens are counted, and what has no use here (arithmetic, calls, assignments, nested lists) is refused.
//! What is left takes time and memory in proportion to its length.

mod check;
#[cfg(test)]
mod tests;
mod variables;

use crate::api::{MethodName, Target};

pub use variables::{Variable, variables};

/// The filters that templates have, in the order of messages.
pub const FILTERS: [&str; 4] = ["b64encode", "shquote", "tojson", "urlencode"];

/// The template of a target, its text by the keys of the Secret.
pub fn template_data(target: &Target) -> impl Iterator<Item = (&str, &str)> {
    let template = target.template.iter();
    let data = template.flat_map(|template| &template.data);
    data.map(|(key, text)| (key.as_str(), text.as_str()))
}

/// Why the templates of a target cannot be rendered with any credential of a method, and what to do; none
/// when they can.
pub fn template_fault(target: &Target, method: MethodName) -> Option<String> {
    let known = variables(method);
    template_data(target).find_map(|(key, text)| {
        let fault = check::check(text, &known).err()?;
        Some(unwritten(target, key, fault.line, &fault.what))
    })
}

/// What is wrong with a template of the administrator that may use these variables: the line, and what it
/// does, beginning with a verb; none when it can be rendered.
pub fn text_fault(text: &str, names: &[&'static str]) -> Option<(Option<usize>, String)> {
    let known: Vec<Variable> = names.iter().map(|name| Variable::named(name)).collect();
    let fault = check::check(text, &known).err()?;
    Some((fault.line, fault.what))
}

/// The line of the first expression that is written without the filter `tojson`, in a template that has no
/// fault: what a stranger has chosen would not stay a text there. Literals stand for themselves.
pub fn without_tojson(text: &str) -> Option<usize> {
    check::without_tojson(text)
}

/// Says that a target is not written because of one of its templates. `what` begins with a verb.
pub fn unwritten(target: &Target, key: &str, line: Option<usize>, what: &str) -> String {
    let line = line.map_or_else(String::new, |line| format!("line {line} of "));
    let name = target.path();
    format!("The Secret {name} is not written: {line}template.data[{key}] {what}")
}
