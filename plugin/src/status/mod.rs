//! `status`: the state of credentials, when they end, and who reads them.

pub mod clocks;
pub mod detail;
pub mod list;
pub mod published;
pub mod readers;
pub mod report;

use clap::Args;
use jira_credential_operator::clock::Clock;
use serde::Serialize;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Style};
use crate::select::Selection;
use crate::status::report::Report;

/// `status [NAME...]`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    selection: Selection,
    /// Output format.
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

/// What `-o json` and `-o yaml` print, for one credential too.
#[derive(Serialize)]
struct Items<'a> {
    items: &'a [Report],
}

impl StatusArgs {
    /// Prints it. Its exit code does not depend on what it shows; that is what `check` is for.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn run(&self, cluster: &Cluster) -> Result<Exit, Failure> {
        let now = Clock::system().now();
        let objects = self.selection.read(cluster).await?;
        let mut reports: Vec<Report> = objects.iter().map(Report::of).collect();
        let is_one = self.selection.names.len() == 1;
        if is_one && self.output != Some(Format::Wide) {
            for (object, report) in objects.iter().zip(&mut reports) {
                report.readers = Some(readers::of(cluster, object).await?);
            }
        }
        let style = Style::of_stdout();
        let text = match (self.output, reports.as_slice()) {
            (Some(Format::Json), all) => output::json(&Items { items: all })?,
            (Some(Format::Yaml), all) => output::yaml(&Items { items: all })?,
            (None, [one]) if is_one => detail::text(one, now, style),
            (None, []) => {
                output::progress(&self.nothing(cluster));
                String::new()
            }
            (format, all) => {
                let columns = list::Columns {
                    namespace: self.selection.all_namespaces,
                    wide: format == Some(Format::Wide),
                };
                list::text(all, columns, now, style)
            }
        };
        output::print(&text)?;
        Ok(Exit::Done)
    }

    fn nothing(&self, cluster: &Cluster) -> String {
        if self.selection.all_namespaces {
            "There is no JiraCredential in any namespace.".to_owned()
        } else {
            format!(
                "There is no JiraCredential in the namespace {}.",
                cluster.namespace
            )
        }
    }
}
