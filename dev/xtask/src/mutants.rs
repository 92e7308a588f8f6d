//! `cargo xtask mutants`: breaks a copy of the work tree, one patch of `dev/mutants` at a time,
//! and requires the test that the patch names to fail.
//!
//! A patch begins with three lines:
//!
//! ```text
//! # invariant: 6
//! # test: -p jira-credential-operator --lib core::decide::tests::name
//! # says: One sentence about what is broken.
//! ```

mod tree;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::failure::{Outcome, While as _, fail};
use crate::ui::Ui;
use crate::{cargo, root};
use tree::Tree;
use verdict::{Run, Verdict};

/// Longest that a test may take, its compilation included.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Which mutants to try.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Names of patches in dev/mutants, or parts of names; all by default.
    names: Vec<String>,
}

/// One patch.
struct Mutant {
    name: String,
    path: PathBuf,
    invariant: String,
    /// The arguments of `cargo test`.
    test: Vec<String>,
    says: String,
}

/// Tries the mutants and says whether all were noticed.
pub(crate) async fn run(options: &Options) -> Outcome<ExitCode> {
    let ui = Ui::new();
    let mutants = read_all(&options.names)?;
    let target = root().join("target/mutants");
    let tree = Tree::open(&target.join("tree"))?;
    tree.sync()?;
    ui.line(&format!(
        "{} mutants; each is tried on a copy of the work tree.",
        mutants.len()
    ));

    let mut tests: Vec<&[String]> = mutants
        .iter()
        .map(|mutant| mutant.test.as_slice())
        .collect();
    tests.sort_unstable();
    tests.dedup();
    let title = "Every named test passes on the unchanged code";
    ui.step(title, async {
        for test in &tests {
            let run = cargo_test(&tree, &target, test).await?;
            if run.verdict() != Verdict::Passes {
                return fail(format!(
                    "cargo test {}: {} on the unchanged code\n{}",
                    test.join(" "),
                    run.verdict(),
                    run.tail(),
                ));
            }
        }
        Ok(((), format!("{} tests", tests.len())))
    })
    .await?;

    let mut survivors = 0;
    for mutant in &mutants {
        let title = format!("{} (invariant {})", mutant.name, mutant.invariant);
        let ended = ui
            .step(&title, async {
                ui.say(&mutant.says);
                let test = mutant.test.join(" ");
                ui.command(&format!("cargo test {test}"));
                let run = mutant.run(&tree, &target).await?;
                match run.verdict() {
                    Verdict::Fails => Ok(((), "noticed".to_owned())),
                    Verdict::Passes => fail(format!("SURVIVED: the test passes\n{}", run.tail())),
                    other => fail(format!("UNFIT: {other}\n{}", run.tail())),
                }
            })
            .await;
        if let Err(failure) = ended {
            survivors += 1;
            ui.output(&failure.to_string());
        }
    }
    tree.sync()?;
    ui.summary();
    ui.line(&format!(
        "\n{} of {} mutants were noticed.",
        mutants.len() - survivors,
        mutants.len()
    ));
    Ok(if survivors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read_all(names: &[String]) -> Outcome<Vec<Mutant>> {
    let directory = root().join("dev/mutants");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&directory).while_("dev/mutants")? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            paths.push(path);
        }
    }
    paths.sort();
    let all = paths
        .iter()
        .map(|path| Mutant::read(path))
        .collect::<Outcome<Vec<_>>>()?;
    if let Some(unknown) = names
        .iter()
        .find(|name| !all.iter().any(|mutant| mutant.is(name)))
    {
        return fail(format!("there is no {unknown} in dev/mutants"));
    }
    let wanted = |mutant: &Mutant| names.is_empty() || names.iter().any(|name| mutant.is(name));
    let chosen: Vec<Mutant> = all.into_iter().filter(wanted).collect();
    if chosen.is_empty() {
        fail("dev/mutants holds no patch")
    } else {
        Ok(chosen)
    }
}

impl Mutant {
    fn read(path: &Path) -> Outcome<Self> {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(path).while_(path.display())?;
        let header = |field: &str| {
            let lines = text
                .lines()
                .take_while(|line| line.starts_with('#') || line.is_empty());
            let mut values = lines.filter_map(|line| {
                line.trim_start_matches('#')
                    .trim_start()
                    .strip_prefix(field)?
                    .strip_prefix(':')
            });
            match values.next().map(str::trim) {
                Some(value) if !value.is_empty() => Ok(value.to_owned()),
                _ => fail(format!(
                    "{}: the header lacks `# {field}: …`",
                    path.display()
                )),
            }
        };
        Ok(Self {
            invariant: header("invariant")?,
            test: header("test")?
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect(),
            says: header("says")?,
            path: path.to_owned(),
            name,
        })
    }

    fn is(&self, name: &str) -> bool {
        self.name.contains(name.trim_end_matches(".patch"))
    }

    async fn run(&self, tree: &Tree, target: &Path) -> Outcome<Run> {
        tree.sync()?;
        tree.apply(&self.path).await?;
        cargo_test(tree, target, &self.test).await
    }
}

/// Runs exactly the test that is named.
async fn cargo_test(tree: &Tree, target: &Path, test: &[String]) -> Outcome<Run> {
    let mut arguments = test.to_vec();
    if !test.iter().any(|argument| argument == "--") {
        arguments.extend(["--".to_owned(), "--exact".to_owned()]);
    }
    let flags = arguments
        .split(|argument| argument == "--")
        .next()
        .unwrap_or_default();
    // Apart from the run, so that what does not compile is not taken for a test that fails.
    let compiled = cargo_run(tree, target, flags, &["--no-run"]).await?;
    if !compiled.success {
        return Ok(Run {
            compiled: false,
            ..compiled
        });
    }
    cargo_run(tree, target, &arguments, &[]).await
}

async fn cargo_run(
    tree: &Tree,
    target: &Path,
    arguments: &[String],
    more: &[&str],
) -> Outcome<Run> {
    let mut command = cargo::cargo();
    let child = command
        .current_dir(tree.path())
        .arg("test")
        .args(more)
        .args(arguments)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .while_("running cargo")?;
    let group = Group(
        child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw),
    );
    let begun = Instant::now();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let Ok(output) = output else {
        drop(group);
        return fail(format!(
            "it had not ended after {} s",
            begun.elapsed().as_secs()
        ));
    };
    let output = output.while_("running cargo")?;
    Ok(Run {
        compiled: true,
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Ends cargo and what it runs.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error means that all of it has ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
