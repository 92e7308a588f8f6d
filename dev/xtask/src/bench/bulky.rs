//! What annotations cost that a user fills to the limit: the memory of an operator that starts with
//! many such objects, beside one that starts with as many plain ones.

use std::path::Path;

use super::Options;
use super::load::Load;
use super::process::Memory;
use super::run::Bench;
use crate::failure::Outcome;
use crate::ui::Ui;

/// Objects of each kind.
const SIZE: usize = 2_000;

/// The length of their annotation; the API server allows 256 KiB for all of an object.
const BULK: usize = 250_000;

/// Measures, and prints a table.
pub(super) async fn measure(ui: &Ui, binary: &Path, options: &Options) -> Outcome {
    let mut lines = vec![format!(
        "{:<46} {:>12} {:>12}",
        format!("{SIZE} suspended objects with an annotation of"),
        "resident",
        "peak"
    )];
    let mut resident = Vec::new();
    for length in [10, BULK] {
        ui.heading(&format!("{length} bytes"));
        let memory = round(ui, binary, options, length).await?;
        lines.push(format!(
            "{:<46} {:>9} kB {:>9} kB",
            format!("{length} bytes"),
            memory.resident,
            memory.peak
        ));
        resident.push(memory.resident);
    }
    if let [plain, bulky] = resident[..] {
        let more = bulky.saturating_sub(plain);
        lines.push(format!(
            "{:<46} {more:>9} kB (wanted: under 10000 kB)",
            "more"
        ));
    }
    ui.line(&format!("\n{}", lines.join("\n")));
    Ok(())
}

async fn round(ui: &Ui, binary: &Path, options: &Options, length: usize) -> Outcome<Memory> {
    let mut bench = Bench::start(ui, binary, options).await?;
    let load = Load::new(bench.plane.client()?, "bulky", SIZE).await?;
    let begin = bench.begin("create")?;
    let site = bench.jira.data_center.url();
    load.create_suspended(&site, length).await?;
    bench.end("create", begin).await?;
    let begin = bench.begin("restart")?;
    bench.restart().await?;
    let phase = bench.end("restart", begin).await?;
    bench.stop().await?;
    Ok(phase.memory)
}
