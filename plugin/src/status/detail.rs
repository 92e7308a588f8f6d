//! One credential, with everything that is known of it.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::output::{self, Style};
use crate::status::list;
use crate::status::readers::{Access, Readers};
use crate::status::report::{Report, word};
use crate::table::{Cell, table};
use crate::words;

/// The text.
pub fn text(report: &Report, now: DateTime<Utc>, style: Style) -> String {
    let ready = list::ready(report);
    let ready = style.paint(&ready.text, ready.paint);
    let ready = match report.reason {
        Some(_) => format!("{ready} ({})", report.reason_word()),
        None => ready,
    };
    let account = report.account.as_ref().map(|account| {
        let (name, id) = (account.known_as(), &account.id);
        if name == *id {
            name
        } else {
            format!("{name}, {id}")
        }
    });
    let relative = |time: Option<DateTime<Utc>>| time.map(|time| words::relative(time, now));
    let mut fields = vec![
        ("Name", Some(report.name.clone())),
        ("Namespace", Some(report.namespace.clone())),
        ("Ready", Some(ready)),
        ("Method", report.method.as_ref().map(word)),
        ("Account", account),
        ("Site", Some(report.site.clone())),
        ("Secrets", Some(report.secrets.join(", "))),
        ("Validated", relative(report.last_validated_time)),
    ];
    let owner = report.owner.as_ref();
    let owner = owner.map(|owner| [&owner.team, &owner.contact].into_iter().flatten());
    let owner: Vec<&str> = owner.into_iter().flatten().map(String::as_str).collect();
    if !owner.is_empty() {
        fields.push(("Owner", Some(owner.join(", "))));
    }
    if report.next_renewal_time.is_some() {
        fields.push(("Renewal", relative(report.next_renewal_time)));
    }
    let fields: Vec<(&str, String)> = fields
        .into_iter()
        .map(|(name, value)| {
            let value = value.unwrap_or_else(|| "<none>".to_owned());
            // Ready has its colour already, and only words of this program.
            let value = if name == "Ready" {
                value
            } else {
                output::plain(&value)
            };
            (name, value)
        })
        .collect();
    let mut text = output::fields(&fields);
    text.push_str(&clocks(report, now, style));
    text.push_str(&conditions(report, now, style));
    if let Some(readers) = &report.readers {
        text.push_str(&self::readers(readers, style));
    }
    if let Some(step) = &report.next_step {
        let _ = writeln!(text, "\nNext step: {}", output::plain(step));
    }
    text
}

fn clocks(report: &Report, now: DateTime<Utc>, style: Style) -> String {
    if report.clocks.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<Cell>> = report
        .clocks
        .iter()
        .map(|ends| {
            let renewed = if ends.renewed {
                "by the operator"
            } else {
                "by a person"
            };
            let when = ends.ends_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let left = Cell {
                paint: ends.paint(now),
                ..Cell::from(ends.words(now))
            };
            vec![
                Cell::from(ends.kind.word()),
                left,
                Cell::from(ends.bar(now).unwrap_or_default()),
                Cell::from(when),
                Cell::from(renewed),
            ]
        })
        .collect();
    format!(
        "\n{}",
        table(&["CLOCK", "ENDS", "LEFT", "TIME", "RENEWED"], &rows, style)
    )
}

fn conditions(report: &Report, now: DateTime<Utc>, style: Style) -> String {
    if report.conditions.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<Cell>> = report
        .conditions
        .iter()
        .map(|condition| {
            vec![
                Cell::from(word(&condition.kind)),
                Cell::from(word(&condition.status)),
                Cell::from(word(&condition.reason)),
                Cell::from(words::relative(condition.last_transition_time, now)),
            ]
        })
        .collect();
    format!(
        "\n{}",
        table(&["CONDITION", "STATUS", "REASON", "CHANGED"], &rows, style)
    )
}

fn readers(readers: &Readers, style: Style) -> String {
    match readers {
        Readers::Unknown { cause } => format!("\nWorkloads: {}\n", output::plain(cause)),
        Readers::Known { workloads } if workloads.is_empty() => {
            "\nWorkloads: no pod of this namespace reads the Secrets.\n".to_owned()
        }
        Readers::Known { workloads } => {
            let rows: Vec<Vec<Cell>> = workloads
                .iter()
                .map(|workload| {
                    vec![
                        Cell::from(format!("{}/{}", workload.kind, workload.name)),
                        Cell::from(workload.pods.to_string()),
                        Cell::from(workload.secret.as_str()),
                        Cell::from(way(workload.how)),
                        Cell::from(if workload.how.follows() {
                            "by itself"
                        } else {
                            "after a restart"
                        }),
                    ]
                })
                .collect();
            let headers = [
                "WORKLOAD",
                "PODS",
                "SECRET",
                "READS IT FROM",
                "GETS A NEW VALUE",
            ];
            format!("\n{}", table(&headers, &rows, style))
        }
    }
}

/// How tables name a way to read a Secret.
fn way(how: Access) -> &'static str {
    match how {
        Access::Env => "environment variable",
        Access::EnvFrom => "environment (envFrom)",
        Access::File => "file",
        Access::SubPath => "file (subPath)",
        Access::ImagePull => "image pull",
    }
}
