//! Renders the templates of a target.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::{Contents, LONGEST_VALUE, Validated, filters, standard};
use crate::api::Target;
use crate::core::spec::{template_data, unwritten, variables};

/// What one template may use up. The engine takes one for each step and for each 64 bytes that it reads,
/// makes or writes.
const FUEL: u64 = 16 * 1024;

/// Adds the keys of the template of a target.
///
/// # Errors
/// With what is wrong, for a person. Names the template and never a value.
pub(super) fn add(
    validated: &Validated<'_>,
    target: &Target,
    contents: &mut Contents,
) -> Result<(), String> {
    if template_data(target).next().is_none() {
        return Ok(());
    }
    let environment = environment();
    let values = Value::from_pairs(values(validated));
    for (key, text) in template_data(target) {
        let value = render(&environment, text, &values)
            .map_err(|error| unwritten(target, key, error.line(), &said(&error)))?;
        contents.set(key.to_owned(), value);
    }
    Ok(())
}

/// Renders a template of the administrator.
///
/// # Errors
/// With what is wrong, beginning with a verb. Names no value.
pub fn render_text(text: &str, values: &BTreeMap<&'static str, String>) -> Result<String, String> {
    let values = Value::from_pairs(values.iter().map(|(name, value)| (*name, value.as_str())));
    render(&environment(), text, &values).map_err(|error| said(&error))
}

/// The variables and their values.
fn values(validated: &Validated<'_>) -> BTreeMap<&'static str, String> {
    let mut standard = Contents::default();
    standard::standard(validated, &mut standard);
    let (namespace, name) = validated.name.split_once('/').unwrap_or_default();
    let value = |known: &str| match known {
        "name" => name.to_owned(),
        "namespace" => namespace.to_owned(),
        _ => standard.data.get(known).cloned().unwrap_or_default(),
    };
    let known = variables(validated.method).into_iter();
    known
        .map(|variable| (variable.name, value(variable.name)))
        .collect()
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    filters::add(&mut environment);
    environment
}

fn render(environment: &Environment<'_>, text: &str, values: &Value) -> Result<String, Error> {
    let template = environment.template_from_str(text)?;
    let mut output = Bounded(Vec::new());
    template.render_captured_to(values.clone(), &mut output)?;
    String::from_utf8(output.0).map_err(|_| ErrorKind::WriteFailure.into())
}

/// What went wrong, without the engine's own words: they may quote a value.
fn said(error: &Error) -> String {
    match error.kind() {
        ErrorKind::WriteFailure => format!(
            "makes a value of more than {} KiB. Make it shorter.",
            LONGEST_VALUE / 1024
        ),
        ErrorKind::OutOfFuel => {
            "takes more steps or memory than a template may. Make it simpler.".to_owned()
        }
        kind => format!("cannot be rendered: {kind}. Correct the template."),
    }
}

/// Takes as much as a value may have.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_VALUE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
