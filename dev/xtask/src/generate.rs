//! Files that are generated from the code.

use std::fs;
use std::process::ExitCode;

use crate::failure::{Failure, Outcome, While as _};
use crate::{reference, root};

/// What to do with the files.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail when a file is not what would be written.
    #[arg(long)]
    check: bool,
}

type Generator = fn() -> Outcome<String>;

/// The files, and what writes them.
const FILES: [(&str, Generator); 12] = [
    (reference::DOCUMENT, reference::document),
    ("crds/jiracredentials.yaml", crd),
    ("deploy/chart/files/jiracredentials.yaml", crd),
    ("deploy/chart/files/rbac.yaml", || copy("rbac.yaml")),
    ("deploy/chart/files/namespace-roles.yaml", || {
        copy("../overlays/listed-namespaces/namespace/roles.yaml")
    }),
    ("deploy/chart/files/own-secrets.yaml", || {
        copy("../overlays/listed-namespaces/own-secrets.yaml")
    }),
    ("deploy/chart/files/shard-leases.yaml", || {
        copy("../overlays/shards/leases.yaml")
    }),
    ("deploy/chart/files/user-roles.yaml", || {
        copy("user-roles.yaml")
    }),
    ("deploy/chart/files/admission-policy.yaml", || {
        copy("admission-policy.yaml")
    }),
    ("deploy/chart/files/operator-policy.yaml", || {
        copy("operator-policy.yaml")
    }),
    ("deploy/chart/files/rules.yaml", || {
        copy("monitoring/rules.yaml")
    }),
    ("deploy/chart/files/dashboard.json", || {
        copy("monitoring/dashboard.json")
    }),
];

/// What a chart shares with the manifests of `deploy/`: Helm reads no file outside the chart.
fn copy(path: &str) -> Outcome<String> {
    fs::read_to_string(root().join("deploy").join(path)).while_(path)
}

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
