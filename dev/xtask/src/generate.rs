//! Files that are generated from the code.

use std::fs;
use std::process::ExitCode;

use crate::failure::{Failure, Outcome, While as _};
use crate::root;

/// What to do with the files.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail when a file is not what would be written.
    #[arg(long)]
    check: bool,
}

type Generator = fn() -> Outcome<String>;

/// The files, and what writes them.
const FILES: [(&str, Generator); 1] = [("crds/jiracredentials.yaml", crd)];

fn crd() -> Outcome<String> {
    jira_credential_operator::crd::yaml().map_err(Failure::from)
}

/// Writes the files, or compares them.
pub(crate) fn run(options: &Options) -> Outcome<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for (path, generate) in FILES {
        let file = root().join(path);
        let wanted = generate()?;
        let found = match fs::read_to_string(&file) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).while_(path),
        };
        if found == wanted {
            println!("{path} is up to date");
        } else if options.check {
            println!("{path} is not up to date: run `cargo xtask generate`");
            code = ExitCode::FAILURE;
        } else {
            fs::write(&file, wanted).while_(path)?;
            println!("{path} written");
        }
    }
    Ok(code)
}
