//! `cargo xtask site`: the documents as a web site, by mdBook.

mod links;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use control_plane::go_build::cache_directory;
use tokio::process::Command;

use crate::failure::{Outcome, While as _, fail};
use crate::ui::Ui;
use crate::{cargo, root};

/// The release of mdBook whose output was looked at.
const MDBOOK: &str = "0.5.4";

/// What the pages link to, and what is in the book itself. Everything stays where it is in the repository, so
/// that links between documents hold.
const PARTS: [&str; 8] = [
    "README.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "docs",
    "deploy",
    "overlays",
];

/// Where it goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder of the site; what is in it is replaced.
    #[arg(long, default_value = "target/site", value_name = "FOLDER")]
    out: PathBuf,
}

/// Builds it, and fails if a link leads nowhere.
pub(crate) async fn run(options: &Options) -> Outcome<ExitCode> {
    let ui = Ui::new();
    let mdbook = match mdbook(&ui).await {
        Ok(mdbook) => mdbook,
        Err(failure) => {
            ui.line(&format!(
                "skipped: mdBook {MDBOOK} could not be installed: {failure}"
            ));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let book = tempfile::tempdir()?;
    stage(book.path())?;
    let out = std::path::absolute(root().join(&options.out))?;
    let built = Command::new(mdbook)
        .arg("build")
        .arg(book.path())
        .arg("--dest-dir")
        .arg(&out)
        .output()
        .await
        .while_("running mdBook")?;
    let said = String::from_utf8_lossy(&built.stderr);
    // It goes on after most of what it finds, such as a chapter without a file.
    if !built.status.success() || said.contains("WARN") || said.contains("ERROR") {
        return fail(format!("mdBook is not content:\n{said}"));
    }
    let checked = links::check(&out)?;
    ui.line(&format!(
        "{} pages, {} links between them: {}",
        checked.pages,
        checked.links,
        out.join("index.html").display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The program, installed into the user's cache if it is not there.
async fn mdbook(ui: &Ui) -> Outcome<PathBuf> {
    let folder = cache_directory("site")?.join(format!("mdbook-{MDBOOK}"));
    let program = folder.join("bin/mdbook");
    if !program.is_file() {
        ui.line(&format!(
            "Installing mdBook {MDBOOK} once, for about 3 minutes on 2 cores"
        ));
        let installed = cargo::cargo()
            .args([
                "install",
                "mdbook",
                "--locked",
                "--quiet",
                "--version",
                MDBOOK,
            ])
            .args(["--no-default-features", "--features", "search", "--root"])
            .arg(&folder)
            .status()
            .await?;
        if !installed.success() {
            return fail("cargo install failed");
        }
    }
    Ok(program)
}

/// Copies what belongs to the site to where mdBook looks for it.
fn stage(book: &Path) -> Outcome {
    let (root, source) = (root(), book.join("src"));
    for part in PARTS {
        copy(&root.join(part), &source.join(part))?;
    }
    for file in ["book.toml", "style.css"] {
        fs::copy(root.join("docs/site").join(file), book.join(file))?;
    }
    let summary = fs::read_to_string(root.join("docs/site/summary.md"))?;
    // It is written as the other documents are: with links from where it is.
    let summary = summary
        .replace("](../../", "](")
        .replace("](../", "](docs/");
    fs::write(source.join("SUMMARY.md"), summary)?;
    Ok(fs::remove_dir_all(source.join("docs/site"))?)
}

fn copy(from: &Path, to: &Path) -> Outcome {
    if !from.is_dir() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(from, to).while_(from.display())?;
        return Ok(());
    }
    for entry in fs::read_dir(from).while_(from.display())? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
