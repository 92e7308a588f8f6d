//! The flags of `jira-credential-operator run`.

use clap::{Arg, ArgAction, CommandFactory as _};
use jira_credential_operator::cli::Cli;

use super::{head, row};
use crate::failure::{Outcome, fail};

/// Where the documents explain a flag at length.
const SECTIONS: [(&str, &str); 7] = [
    (
        "watch-namespaces",
        "[rights](operations.md#which-rights-it-needs)",
    ),
    (
        "shard-selector",
        "[several operators](operations.md#several-operators)",
    ),
    (
        "watch-secrets",
        "[without lists of Secrets](operations.md#without-lists-of-secrets)",
    ),
    ("https-proxy", "[proxy](operations.md#proxy)"),
    ("notify-config", "[notifications](notifications.md)"),
    ("notify-hosts", "[notifications](notifications.md)"),
    ("admission-policy", "[SECURITY.md](../SECURITY.md)"),
];

/// The table of all flags that are no secret of the tests.
pub(super) fn table() -> Outcome<String> {
    let mut all = Cli::command();
    all.build();
    let Some(run) = all.find_subcommand("run") else {
        return fail("the program has no subcommand run");
    };
    let mut table = head(["flag", "variable", "default", "meaning"]);
    for flag in run.get_arguments().filter(|flag| !flag.is_hide_set()) {
        // What only prints help has no variable.
        if let (Some(name), Some(variable)) = (flag.get_long(), flag.get_env()) {
            let variable = format!("`{}`", variable.display());
            let cells = [
                &format!("`--{name}`"),
                &variable,
                &default(flag),
                &meaning(flag, name),
            ];
            table.push_str(&row(cells.map(String::as_str)));
        }
    }
    Ok(table)
}

fn default(flag: &Arg) -> String {
    let values = flag.get_default_values().iter();
    let values: Vec<String> = values.map(|value| value.display().to_string()).collect();
    match flag.get_action() {
        ArgAction::SetTrue => "`false`".to_owned(),
        _ if values.is_empty() => "none".to_owned(),
        _ => format!("`{}`", values.join(",").to_lowercase()),
    }
}

fn meaning(flag: &Arg, name: &str) -> String {
    let text = flag.get_long_help().or(flag.get_help());
    let text = text.map(ToString::to_string).unwrap_or_default();
    // A help of one paragraph loses its full stop.
    let text = format!("{}.", text.trim_end().trim_end_matches('.'));
    match SECTIONS.iter().find(|(flag, _)| *flag == name) {
        Some((_, link)) => format!("{text} More: {link}."),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_has_its_variable_default_and_meaning() {
        let table = table().unwrap();
        assert!(table.lines().count() > 27, "{table}");
        assert!(!table.contains("test-pace"));
        for row in table.lines().skip(2) {
            let cells: Vec<&str> = row.split(" | ").collect();
            let [flag, variable, default, meaning] = cells.as_slice() else {
                panic!("{row}");
            };
            let name = flag.trim_matches(['|', ' ', '`']).trim_start_matches("--");
            let wanted = format!("`JCO_{}`", name.to_uppercase().replace('-', "_"));
            assert_eq!(*variable, wanted);
            assert!(!default.is_empty() && meaning.len() > 12, "{row}");
        }
    }

    #[test]
    fn each_section_belongs_to_a_flag() {
        let table = table().unwrap();
        for (flag, link) in SECTIONS {
            let begin = format!("| `--{flag}` ");
            let row = table.lines().find(|row| row.starts_with(&begin));
            assert!(row.is_some_and(|row| row.contains(link)), "{flag}");
        }
    }
}
