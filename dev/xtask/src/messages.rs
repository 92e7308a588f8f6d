//! The table of all messages.

use std::process::ExitCode;

use crate::cargo::cargo;
use crate::failure::{Outcome, While as _};

/// Writes `docs/messages.md`: every message of every reason, as the code says it.
pub(crate) async fn run() -> Outcome<ExitCode> {
    let status = cargo()
        .args(["test", "--quiet", "--test", "core"])
        .arg("messages::table::the_document_holds_every_message")
        .env("JCO_WRITE_MESSAGES", "1")
        .status()
        .await
        .while_("running cargo")?;
    if !status.success() {
        return Ok(ExitCode::FAILURE);
    }
    println!("docs/messages.md is up to date");
    Ok(ExitCode::SUCCESS)
}
