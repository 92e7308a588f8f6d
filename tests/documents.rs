//! The documents speak of what there is.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::BTreeSet;

const RUNBOOK: &str = include_str!("../docs/runbook.md");
const REFERENCE: &str = include_str!("../docs/reference.md");

/// The names of the variants of `pub enum Reason`.
fn reasons() -> BTreeSet<&'static str> {
    let source = include_str!("../src/api/condition.rs");
    let (_, body) = source.split_once("pub enum Reason {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    body.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//") && !line.starts_with('#'))
        .filter_map(|line| line.strip_suffix(','))
        .collect()
}

#[test]
fn the_runbook_has_a_section_for_every_reason_and_no_other() {
    let sections: BTreeSet<&str> = RUNBOOK
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert!(sections.len() > 20);
    assert_eq!(sections, reasons());
}

#[test]
fn the_reference_lists_every_reason() {
    let missing: Vec<&str> = reasons()
        .into_iter()
        .filter(|reason| *reason != "Unrecognised" && !REFERENCE.contains(&format!("`{reason}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_reference_lists_every_flag() {
    let source = include_str!("../src/cli.rs");
    let variables: Vec<&str> = source
        .lines()
        // What only tests use is no promise.
        .filter(|line| !line.contains("hide = true"))
        .filter_map(|line| line.split_once("env = \"")?.1.split_once('"'))
        .map(|(variable, _)| variable)
        .collect();
    assert!(variables.len() > 5);
    for variable in variables {
        let flag = variable
            .trim_start_matches("JCO_")
            .to_lowercase()
            .replace('_', "-");
        let row = format!("| `--{flag}` | `{variable}` |");
        assert!(REFERENCE.contains(&row), "docs/reference.md lacks {row}");
    }
}

#[test]
fn contributing_lists_every_mutant_and_no_other() {
    let text = include_str!("../CONTRIBUTING.md");
    let listed: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | `").nth(1))
        .filter_map(|cell| cell.split('`').next())
        .filter(|name| name.as_bytes().first().is_some_and(u8::is_ascii_digit))
        .map(str::to_owned)
        .collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/mutants");
    let found: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".patch").map(str::to_owned)
        })
        .collect();
    for invariant in 3..=10 {
        let prefix = format!("{invariant:02}-");
        assert!(
            found.iter().any(|name| name.starts_with(&prefix)),
            "none for {invariant}"
        );
    }
    assert_eq!(listed, found);
}
