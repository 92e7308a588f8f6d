//! Archives of the kubectl plugin, and the manifest by which Krew installs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::failure::{Outcome, While as _, fail};
use crate::hash::sha256;
use crate::{cargo, root};

const PROGRAM: &str = "kubectl-jira_credential";
const MANIFEST: &str = "jira-credential.yaml";

/// The targets of Rust, and what Krew calls their platforms.
const TARGETS: [(&str, &str); 5] = [
    ("x86_64-unknown-linux-gnu", "linux-amd64"),
    ("aarch64-unknown-linux-gnu", "linux-arm64"),
    ("x86_64-apple-darwin", "darwin-amd64"),
    ("aarch64-apple-darwin", "darwin-arm64"),
    ("x86_64-pc-windows-gnu", "windows-amd64"),
];

/// What to build, and where it will be published.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Build the program for this target and put it into an archive with the licence; may be given
    /// several times.
    #[arg(long, value_name = "TRIPLE", value_parser = TARGETS.map(|(triple, _)| triple))]
    target: Vec<String>,
    /// Folder of the archives and the manifest.
    #[arg(long, default_value = "target/krew", value_name = "FOLDER")]
    out: PathBuf,
    /// Address of the folder from which the archives of this version will be downloaded.
    #[arg(long, value_name = "URL")]
    uri: String,
    /// Address of the page about the plugin.
    #[arg(long, value_name = "URL")]
    homepage: Option<String>,
}

/// Builds the archives that are asked for, and writes the manifest for all that are in the folder.
pub(crate) async fn run(options: &Options) -> Outcome<ExitCode> {
    // Archives of an earlier version are not taken into the manifest of this one.
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    let out = root().join(&options.out).join(version);
    fs::create_dir_all(&out).while_(out.display())?;
    for (triple, platform) in TARGETS {
        if options.target.iter().any(|wanted| wanted == triple) {
            let arguments = ["--release", "--locked", "-p", PROGRAM, "--target", triple];
            let program = cargo::build(PROGRAM, &arguments, true).await?;
            pack(&program, &out.join(archive(platform)))?;
        }
    }
    let template = root().join("plugin/krew.yaml");
    let template = fs::read_to_string(&template).while_(template.display())?;
    let filled = fill(&template, options, &out)?;
    let file = out.join(MANIFEST);
    let text = serde_saphyr::to_string(&filled).while_(MANIFEST)?;
    fs::write(&file, text).while_(file.display())?;
    println!("{} written", file.display());
    Ok(ExitCode::SUCCESS)
}

fn archive(platform: &str) -> String {
    format!("{PROGRAM}-{platform}.tar.gz")
}

/// The program and the licence, side by side.
fn pack(program: &Path, archive: &Path) -> Outcome {
    let (Some(folder), Some(name)) = (program.parent(), program.file_name()) else {
        return fail(format!("{} is no file", program.display()));
    };
    let packed = Command::new("tar")
        .arg("-czf")
        .arg(archive)
        .arg("-C")
        .arg(folder)
        .arg(name)
        .arg("-C")
        .arg(root())
        .arg("LICENSE")
        .status()
        .while_("tar")?;
    if !packed.success() {
        return fail(format!("tar made no {}", archive.display()));
    }
    println!("{} written", archive.display());
    Ok(())
}

/// The manifest, without the platforms that have no archive in the folder.
fn fill(template: &str, options: &Options, folder: &Path) -> Outcome<Value> {
    let mut manifest: Value = serde_saphyr::from_str(template).while_("plugin/krew.yaml")?;
    let Some(spec) = manifest.get_mut("spec").and_then(Value::as_object_mut) else {
        return fail("plugin/krew.yaml has no spec");
    };
    let version = format!("v{}", env!("CARGO_PKG_VERSION"));
    spec.insert("version".to_owned(), version.into());
    if let Some(homepage) = &options.homepage {
        spec.insert("homepage".to_owned(), homepage.as_str().into());
    }
    let Some(Value::Array(platforms)) = spec.get_mut("platforms") else {
        return fail("plugin/krew.yaml has no spec.platforms");
    };
    let mut filled = Vec::new();
    for mut platform in std::mem::take(platforms) {
        let name = platform.get("uri").and_then(Value::as_str);
        let name = name.unwrap_or_default().to_owned();
        let file = folder.join(&name);
        if name.is_empty() || !file.is_file() {
            continue;
        }
        let content = fs::read(&file).while_(file.display())?;
        if let Some(fields) = platform.as_object_mut() {
            let uri = format!("{}/{name}", options.uri.trim_end_matches('/'));
            fields.insert("uri".to_owned(), uri.into());
            fields.insert("sha256".to_owned(), sha256(&content).into());
        }
        filled.push(platform);
    }
    if filled.is_empty() {
        return fail(format!(
            "{} has no archive: give --target",
            folder.display()
        ));
    }
    *platforms = filled;
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a failed test may panic"
    )]

    use super::*;

    fn options() -> Options {
        Options {
            target: Vec::new(),
            out: PathBuf::new(),
            uri: "https://example.com/v0/".to_owned(),
            homepage: Some("https://example.com".to_owned()),
        }
    }

    fn template() -> String {
        fs::read_to_string(root().join("plugin/krew.yaml")).unwrap()
    }

    /// Archives for these platforms, of a program that is none.
    fn archives(platforms: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for platform in platforms {
            let suffix = if platform.starts_with("windows") {
                ".exe"
            } else {
                ""
            };
            let program = folder.path().join(format!("{PROGRAM}{suffix}"));
            fs::write(&program, platform).unwrap();
            pack(&program, &folder.path().join(archive(platform))).unwrap();
        }
        folder
    }

    fn is_plain(text: &str, allowed: &str) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || allowed.contains(c);
        !text.is_empty() && text.chars().all(fits)
    }

    /// The rules of `ValidatePlugin` in Krew's `internal/index/validation`, and what its installer
    /// looks for in the archive.
    fn validate(manifest: &Value, folder: &Path) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!(
            manifest["apiVersion"],
            "krew.googlecontainertools.github.com/v1alpha2"
        );
        assert_eq!(manifest["kind"], "Plugin");
        let name = text(&manifest["metadata"]["name"]);
        assert!(is_plain(&name, "-_"), "{name}");
        // Krew links the program under the name by which kubectl finds it.
        assert_eq!(format!("kubectl-{}", name.replace('-', "_")), PROGRAM);
        assert_eq!(format!("{name}.yaml"), MANIFEST);
        let spec = &manifest["spec"];
        let short = text(&spec["shortDescription"]);
        assert!(!short.is_empty() && !short.contains(['\r', '\n']) && short.len() <= 50);
        let version = text(&spec["version"]);
        let numbers: Vec<_> = version.strip_prefix('v').unwrap().split('.').collect();
        assert_eq!(numbers.len(), 3, "{version}");
        assert!(numbers.iter().all(|number| number.parse::<u32>().is_ok()));
        for platform in spec["platforms"].as_array().unwrap() {
            let labels = platform["selector"]["matchLabels"].as_object().unwrap();
            let keys: Vec<_> = labels.keys().map(String::as_str).collect();
            assert_eq!(keys, ["arch", "os"]);
            let (uri, digest) = (text(&platform["uri"]), text(&platform["sha256"]));
            let file = uri.strip_prefix("https://example.com/v0/").unwrap();
            let expected = format!("{}-{}", text(&labels["os"]), text(&labels["arch"]));
            assert_eq!(file, archive(&expected));
            assert_eq!(digest, sha256(&fs::read(folder.join(file)).unwrap()));
            assert!(digest.len() == 64 && digest.to_lowercase() == digest);
            let listed = Command::new("tar")
                .arg("-tzf")
                .arg(folder.join(file))
                .output();
            let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
            let files: Vec<_> = listed.lines().collect();
            assert_eq!(files, [text(&platform["bin"]).as_str(), "LICENSE"]);
        }
    }

    #[test]
    fn the_manifest_is_one_that_krew_accepts() {
        let all = TARGETS.map(|(_, platform)| platform);
        let folder = archives(&all);
        let manifest = fill(&template(), &options(), folder.path()).unwrap();
        assert_eq!(manifest["spec"]["platforms"].as_array().unwrap().len(), 5);
        assert_eq!(manifest["spec"]["homepage"], "https://example.com");
        validate(&manifest, folder.path());
        let text = serde_saphyr::to_string(&manifest).unwrap();
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, manifest);
    }

    #[test]
    fn a_platform_without_an_archive_is_left_out() {
        let folder = archives(&["darwin-arm64"]);
        let manifest = fill(&template(), &options(), folder.path()).unwrap();
        let platforms = manifest["spec"]["platforms"].as_array().unwrap();
        assert_eq!(platforms.len(), 1);
        assert_eq!(platforms[0]["selector"]["matchLabels"]["arch"], "arm64");
        validate(&manifest, folder.path());
        let none = archives(&[]);
        let failure = fill(&template(), &options(), none.path()).unwrap_err();
        assert!(failure.to_string().contains("give --target"), "{failure}");
    }
}
