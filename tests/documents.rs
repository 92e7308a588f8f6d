//! The documents speak of what there is.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use jira_credential_operator::api::MethodName;
use jira_credential_operator::core::spec::{FILTERS, variables};

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

/// What a method is called in a manifest.
fn member(method: MethodName) -> &'static str {
    match method {
        MethodName::ApiToken => "`apiToken`",
        MethodName::OAuth2 => "`oauth2`",
        MethodName::ClientCredentials => "`clientCredentials`",
        MethodName::PersonalAccessToken => "`personalAccessToken`",
        MethodName::Basic => "`basic`",
        MethodName::Session => "`session`",
        MethodName::OAuth1 => "`oauth1`",
    }
}

#[test]
fn the_reference_and_the_definition_list_the_variables_and_filters_of_templates() {
    let methods = MethodName::ALL;
    let mut known: BTreeMap<&str, (bool, Vec<&str>)> = BTreeMap::new();
    for method in methods {
        for variable in variables(method) {
            let (_, fits) = known
                .entry(variable.name)
                .or_insert((variable.may_be_empty, Vec::new()));
            fits.push(member(method));
        }
    }
    let expected: BTreeSet<String> = known
        .into_iter()
        .map(|(name, (may_be_empty, fits))| {
            let empty = if may_be_empty { "yes" } else { "no" };
            let fits = if fits.len() == methods.len() {
                "all".to_owned()
            } else {
                fits.join(", ")
            };
            format!("| `{name}` | {empty} | {fits} |")
        })
        .collect();
    let rows = |head: &str| {
        let (_, table) = REFERENCE.split_once(head).unwrap();
        let lines = table.lines().skip(2);
        let rows = lines.take_while(|line| line.starts_with('|'));
        rows.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(rows("| variable | empty when absent | methods |"), expected);
    let filters: BTreeSet<String> = rows("| filter | makes |")
        .iter()
        .map(|row| row.split('`').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(filters, FILTERS.map(str::to_owned).into());
    let told = include_str!("../crds/jiracredentials.yaml")
        .lines()
        .skip_while(|line| !line.contains("Variables, those of the preset Standard"))
        .take(3)
        .collect::<Vec<_>>()
        .join(" ");
    let words: BTreeSet<&str> = told.split([' ', ',', ';', '.', ':']).collect();
    let variables = methods.into_iter().flat_map(variables);
    for name in variables.map(|variable| variable.name).chain(FILTERS) {
        assert!(words.contains(name), "kubectl explain lacks {name}");
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
    for invariant in 1..=11 {
        let prefix = format!("{invariant:02}-");
        assert!(
            found.iter().any(|name| name.starts_with(&prefix)),
            "none for {invariant}"
        );
    }
    assert_eq!(listed, found);
}

/// A change that a mutant does not follow leaves its invariant without a test that was seen to fail.
#[test]
fn every_mutant_applies() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let patches = std::fs::read_dir(root.join("dev/mutants")).unwrap();
    let patches: Vec<_> = patches.map(|entry| entry.unwrap().path()).collect();
    assert!(patches.len() > 50, "{}", patches.len());
    for patch in patches {
        let output = std::process::Command::new("git")
            .args(["apply", "--check", "--whitespace=nowarn"])
            .arg(&patch)
            .current_dir(root)
            .output()
            .expect("git");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", patch.display());
    }
}

#[test]
fn every_link_leads_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        root.to_owned(),
        root.join("docs"),
        root.join("docs/methods"),
        root.join("docs/consumers"),
        root.join("docs/site"),
    ];
    let files = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"));
    let mut links = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for link in targets.filter(|link| !link.starts_with("https://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = file.parent().unwrap().join(path);
            let target = if path.is_empty() {
                file.clone()
            } else {
                target
            };
            assert!(target.exists(), "{}: {link}", file.display());
            let headings = || std::fs::read_to_string(&target).unwrap();
            assert!(
                anchor.is_empty() || headings().lines().any(|line| is_heading(line, anchor)),
                "{}: {link}",
                file.display()
            );
            links += 1;
        }
    }
    assert!(links > 10);
}

/// mdBook leaves out a page that its summary does not name.
#[test]
fn the_site_has_every_page() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let summary = std::fs::read_to_string(root.join("docs/site/summary.md")).unwrap();
    let mut pages = 0;
    for folder in ["", "methods/", "consumers/"] {
        for entry in std::fs::read_dir(root.join("docs").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "md") {
                let name = path.file_name().unwrap().to_str().unwrap();
                let link = format!("(../{folder}{name})");
                assert!(summary.contains(&link), "{folder}{name}");
                pages += 1;
            }
        }
    }
    assert!(pages > 20);
}

/// Whether a line is the heading that an anchor names.
fn is_heading(line: &str, anchor: &str) -> bool {
    let words = line.trim_start_matches('#');
    let kept = words.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    words.len() < line.len() && kept.collect::<String>() == anchor
}

#[test]
fn every_claim_about_security_names_a_test() {
    let text = include_str!("../SECURITY.md");
    let (_, table) = text.split_once("## Claims and their tests").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains(".rs`"))
        .map(|line| line.split('`').collect())
        .collect();
    assert!(rows.len() > 20, "{}", rows.len());
    for row in rows {
        let (path, name) = (row.get(1).unwrap(), row.get(3).unwrap());
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let source = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(source.contains(&format!("fn {name}(")), "{path}: {name}");
    }
}

/// `.ci/run` says at its end what was skipped.
#[test]
fn whatever_a_log_of_tests_says_was_skipped_is_counted() {
    let log = "running 3 tests
test a ... ok
skipped: Helm cannot be built without its Go modules
test b ... skipped: this machine has no ::1
ok
test c ... ignored, measures something; cargo xtask kill runs it
test d ... ignored, too slow
test curl with `apiToken`                   ... ignored
skipped: curl with `apiToken`: curl: not found
skipped: Helm cannot be built without its Go modules
";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), log).unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    let told = std::process::Command::new(format!("{root}/.ci/skips"))
        .arg(file.path())
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let mut lines: Vec<&str> = told.lines().collect();
    lines.sort_unstable();
    let wanted = [
        "Helm cannot be built without its Go modules (2 times)",
        "curl with `apiToken`: curl: not found",
        "this machine has no ::1",
        "too slow",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn a_run_of_everything_says_what_it_skipped_and_fails_when_nothing_may_be() {
    let root = env!("CARGO_MANIFEST_DIR");
    let verdict = |skipped: &[&str], required: &str| {
        let told = std::process::Command::new(format!("{root}/.ci/verdict"))
            .args(skipped)
            .env("JCO_REQUIRE_ALL", required)
            .output()
            .unwrap();
        let text = String::from_utf8(told.stdout).unwrap();
        (told.status.success(), text)
    };
    for required in ["", "0", "1"] {
        assert_eq!(
            verdict(&[], required),
            (true, "=== all fine\n".to_owned()),
            "{required}"
        );
        let (is_well, text) = verdict(&["advisories", "image: arm64: no linker"], required);
        assert_eq!(is_well, required != "1", "{text}");
        assert!(text.contains("skipped: advisories\n"), "{text}");
        assert!(
            text.contains("skipped: image: arm64: no linker\n"),
            "{text}"
        );
        assert!(!text.contains("fine"), "{text}");
    }
}
