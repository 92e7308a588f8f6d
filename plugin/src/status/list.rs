//! Many credentials, one line each.

use chrono::{DateTime, Utc};
use jira_credential_operator::api::{Account, ConditionStatus};

use crate::output::{Paint, Style};
use crate::status::report::{Report, word};
use crate::table::{Cell, table};
use crate::words;

/// Which columns there are.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// A column for the namespace.
    pub namespace: bool,
    /// More columns.
    pub wide: bool,
}

/// The table.
pub fn text(reports: &[Report], columns: Columns, now: DateTime<Utc>, style: Style) -> String {
    let mut headers = vec![
        "NAME",
        "READY",
        "REASON",
        "METHOD",
        "ACCOUNT",
        "ENDS",
        "VALIDATED",
    ];
    if columns.namespace {
        headers.insert(0, "NAMESPACE");
    }
    if columns.wide {
        headers.extend(["SITE", "SECRETS", "NEXT STEP"]);
    }
    let rows: Vec<Vec<Cell>> = reports
        .iter()
        .map(|report| row(report, columns, now))
        .collect();
    table(&headers, &rows, style)
}

fn row(report: &Report, columns: Columns, now: DateTime<Utc>) -> Vec<Cell> {
    // The end that somebody has to act on; one that the operator moves is no news.
    let soonest = report.clocks.iter().find(|ends| !ends.renewed);
    let soonest = soonest.or_else(|| report.clocks.first());
    let ends = soonest.map_or_else(Cell::default, |ends| {
        let cell = Cell::from(format!("{} {}", ends.kind.word(), ends.words(now)));
        Cell {
            paint: ends.paint(now),
            ..cell
        }
    });
    let account = report.account.as_ref().map(Account::known_as);
    let validated = report
        .last_validated_time
        .map(|time| words::relative(time, now));
    let mut cells = vec![
        Cell::from(report.name.as_str()),
        ready(report),
        Cell::from(report.reason_word()),
        Cell::from(report.method.as_ref().map(word).unwrap_or_default()),
        Cell::from(account.unwrap_or_default()),
        ends,
        Cell::from(validated.unwrap_or_default()),
    ];
    if columns.namespace {
        cells.insert(0, Cell::from(report.namespace.as_str()));
    }
    if columns.wide {
        cells.push(Cell::from(report.site.as_str()));
        cells.push(Cell::from(report.secrets.join(",")));
        cells.push(Cell::from(report.next_step.clone().unwrap_or_default()));
    }
    cells
}

/// The status of `Ready` in its colour.
pub fn ready(report: &Report) -> Cell {
    Cell::from(word(&report.ready)).painted(match report.ready {
        ConditionStatus::True => Paint::Good,
        ConditionStatus::Unknown => Paint::Soon,
        ConditionStatus::False => Paint::Bad,
    })
}
