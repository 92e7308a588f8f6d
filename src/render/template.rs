//! Renders the templates of a target.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, escape_formatter};

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
    let engine = Engine::new();
    let values = Value::from_pairs(values(validated));
    for (key, text) in template_data(target) {
        let value = engine
            .render(text, &values)
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
    Engine::new()
        .render(text, &values)
        .map_err(|error| said(&error))
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

/// What renders templates, one after the other.
struct Engine {
    environment: Environment<'static>,
    /// The bytes of the value so far.
    written: Arc<AtomicUsize>,
}

impl Engine {
    fn new() -> Self {
        let written = Arc::new(AtomicUsize::new(0));
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        filters::add(&mut environment);
        let counted = Arc::clone(&written);
        // The engine names the line of what is refused here, and none of what the output refuses.
        environment.set_formatter(move |output, state, value| {
            let length = value.as_str().map_or(0, str::len);
            if counted.load(Relaxed).saturating_add(length) > LONGEST_VALUE {
                return Err(ErrorKind::WriteFailure.into());
            }
            escape_formatter(output, state, value)
        });
        Self {
            environment,
            written,
        }
    }

    fn render(&self, text: &str, values: &Value) -> Result<String, Error> {
        let template = self.environment.template_from_str(text)?;
        self.written.store(0, Relaxed);
        let mut output = Bounded {
            bytes: Vec::new(),
            written: &self.written,
        };
        template.render_captured_to(values.clone(), &mut output)?;
        String::from_utf8(output.bytes).map_err(|_| ErrorKind::WriteFailure.into())
    }
}

/// What went wrong, without the engine's own words: they may quote a value.
fn said(error: &Error) -> String {
    match error.kind() {
        // The engine names no line of the text outside of braces.
        ErrorKind::WriteFailure if error.line().is_none() => format!(
            "makes a value of more than {} KiB. Make it shorter. The limit is passed in text outside of braces, so no line can be named.",
            LONGEST_VALUE / 1024
        ),
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
struct Bounded<'a> {
    bytes: Vec<u8>,
    written: &'a AtomicUsize,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.bytes.len().saturating_add(bytes.len());
        if length > LONGEST_VALUE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        self.written.store(length, Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
