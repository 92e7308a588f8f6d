//! The container image, made without a container engine: the static program on an empty base.

pub(crate) mod layout;
mod sbom;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use clap::ValueEnum;
use serde_json::json;
use tokio::process::Command;

use crate::failure::{Outcome, While as _, fail};
use crate::{cargo, root};
use layout::{File, Image, plain};

const PROGRAM: &str = "jira-credential-operator";

/// The image as `deploy/` names it. containerd takes the registry that `docker pull` takes by default.
const NAME: &str = concat!(
    "docker.io/library/jira-credential-operator:",
    env!("CARGO_PKG_VERSION")
);

const OUT: &str = "target/image/jira-credential-operator.tar";

/// What to build.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// An architecture; may be given several times. Left out: that of this machine, and the other if its compiler and
    /// its Rust target are there.
    #[arg(long, value_enum)]
    arch: Vec<Arch>,
    /// The name of the image, with its tag.
    #[arg(long, default_value = NAME)]
    name: String,
    /// Where the archive goes: an OCI image layout.
    #[arg(long, default_value = OUT, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    fn here() -> Outcome<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => fail(format!("there is no image for {other}: give --arch")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The C compiler and linker, as Debian calls it, that makes programs for this architecture elsewhere.
    fn compiler(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu-gcc",
            Self::Arm64 => "aarch64-linux-gnu-gcc",
        }
    }
}

/// Builds the image and prints its digest.
pub(crate) async fn run(options: &Options) -> Outcome<ExitCode> {
    let wanted = match options.arch.as_slice() {
        [] => all().await?,
        named => named.to_vec(),
    };
    let out = root().join(&options.out);
    let digest = write(&wanted, &options.name, &out).await?;
    println!("{} written", out.display());
    println!("{} written", bill_of(&out).display());
    println!("{}@{digest}", options.name);
    Ok(ExitCode::SUCCESS)
}

/// The architectures that can be built for here. Says which cannot.
async fn all() -> Outcome<Vec<Arch>> {
    let mut all = vec![Arch::here()?];
    for arch in [Arch::Amd64, Arch::Arm64] {
        if all.contains(&arch) {
            continue;
        }
        match missing(arch).await? {
            None => all.push(arch),
            Some(missing) => println!("skipped: {}: {missing}", arch.name()),
        }
    }
    Ok(all)
}

/// What is needed to build for another architecture and is not there.
async fn missing(arch: Arch) -> Outcome<Option<String>> {
    let (compiler, triple) = (arch.compiler(), arch.triple());
    if Command::new(compiler)
        .arg("--version")
        .output()
        .await
        .is_err()
    {
        return Ok(Some(format!(
            "{compiler} is needed: on Debian, apt-get install gcc-{1} libc6-dev-{0}-cross",
            arch.name(),
            compiler.trim_end_matches("-gcc"),
        )));
    }
    let mut rustc = Command::new("rustc");
    rustc.current_dir(root());
    let arguments = ["--print", "target-libdir", "--target", triple];
    let libraries = rustc.args(arguments).output().await.while_("rustc")?;
    let libraries = String::from_utf8_lossy(&libraries.stdout);
    let is_there = Path::new(libraries.trim_end()).is_dir();
    Ok((!is_there).then(|| format!("its Rust target is needed: rustup target add {triple}")))
}

/// Builds the image of this machine's architecture as `cargo xtask image` does, and tells where it is.
pub(crate) async fn build() -> Outcome<PathBuf> {
    let out = root().join(OUT);
    write(&[Arch::here()?], NAME, &out).await?;
    Ok(out)
}

/// This machine's architecture, as images name it.
pub(crate) fn here() -> Outcome<&'static str> {
    Ok(Arch::here()?.name())
}

async fn write(wanted: &[Arch], name: &str, out: &Path) -> Outcome<String> {
    let mut programs = Vec::new();
    for arch in wanted {
        programs.push((*arch, static_program(*arch).await?));
    }
    let created = created().await?;
    let digest = pack(&programs, name, out, created)?;
    let mut components = sbom::Components::new();
    for arch in wanted {
        let metadata = sbom::metadata(arch.triple()).await?;
        components.extend(sbom::components(&metadata, PROGRAM)?);
    }
    let bill = bill_of(out);
    let document = sbom::document(name, &digest, created, components)?;
    std::fs::write(&bill, document).while_(bill.display())?;
    Ok(digest)
}

/// Packs programs, for an architecture each, into an archive and returns its digest.
fn pack(
    programs: &[(Arch, PathBuf)],
    name: &str,
    out: &Path,
    created: DateTime<Utc>,
) -> Outcome<String> {
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder).while_(folder.display())?;
    }
    let images = programs.iter().map(|(arch, path)| image(*arch, path));
    let images = images.collect::<Outcome<Vec<Image>>>()?;
    layout::write(out, name, created, &images)
}

/// Where the bill of materials of an archive is: beside it.
fn bill_of(archive: &Path) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(".cdx.json");
    name.into()
}

/// Builds the operator as one static program.
///
/// glibc is linked statically; names are resolved by the program itself and not by glibc. Paths of this
/// machine are replaced, so that two machines build the same bytes.
async fn static_program(arch: Arch) -> Outcome<PathBuf> {
    let mut command = cargo::cargo();
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    flags.push(format!("--remap-path-prefix={}=/source", root().display()));
    if let Some(home) = home {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }
    // The separator that a path cannot hold.
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    if arch != Arch::here().unwrap_or(arch) {
        cross(&mut command, arch).await?;
    }
    let arguments = ["--release", "--locked", "--target", arch.triple()];
    cargo::run(command, PROGRAM, &arguments, true).await
}

/// Names the compiler of another architecture.
async fn cross(command: &mut Command, arch: Arch) -> Outcome {
    if let Some(missing) = missing(arch).await? {
        return fail(format!("{}: {missing}", arch.name()));
    }
    let (compiler, triple) = (arch.compiler(), arch.triple());
    let name = triple.replace('-', "_");
    command.env(
        format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()),
        compiler,
    );
    command.env(format!("CC_{name}"), compiler);
    Ok(())
}

fn image(arch: Arch, program: &Path) -> Outcome<Image> {
    let content = std::fs::read(program).while_(program.display())?;
    let program = File {
        path: PROGRAM.to_owned(),
        executable: true,
        content,
    };
    Ok(Image {
        architecture: arch.name(),
        files: vec![
            plain("etc/ssl/certs/ca-certificates.crt", authorities()),
            program,
        ],
        config: json!({
            "User": "65532:65532",
            "Entrypoint": [format!("/{PROGRAM}")],
            "Cmd": ["run"],
            "Labels": {
                "org.opencontainers.image.title": PROGRAM,
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            },
        }),
    })
}

/// Mozilla's public certificate authorities, of the version that `Cargo.lock` says.
fn authorities() -> Vec<u8> {
    let mut text = String::new();
    for authority in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(authority);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text.into_bytes()
}

/// The creation time of the image: `SOURCE_DATE_EPOCH`, else the time of the last commit.
async fn created() -> Outcome<DateTime<Utc>> {
    let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => seconds,
        Err(_) => last_commit().await?,
    };
    let seconds = seconds.trim().parse().while_("SOURCE_DATE_EPOCH")?;
    let time = DateTime::from_timestamp(seconds, 0);
    time.map_or_else(|| fail("SOURCE_DATE_EPOCH is no time"), Ok)
}

async fn last_commit() -> Outcome<String> {
    let mut git = Command::new("git");
    // The checkout may belong to another user than the build.
    git.args(["-c", "safe.directory=*", "-c", "log.showSignature=false"]);
    git.args(["log", "-1", "--format=%ct"]).current_dir(root());
    let output = git.output().await.while_("git")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return fail(format!(
            "git names no last commit: give SOURCE_DATE_EPOCH, the seconds since 1970. {}",
            said.trim_end()
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    use super::*;

    /// Packs the beginning of this program, as it was copied into a folder of its own, so long after 1970, with these rights.
    fn packed(age: Duration, mode: u32, name: &str) -> (String, Vec<u8>) {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let program = program.get(..100_000).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let programs = [Arch::Amd64, Arch::Arm64].map(|arch| {
            let path = folder.path().join(arch.name());
            std::fs::write(&path, program).unwrap();
            let file = std::fs::File::open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + age).unwrap();
            let rights = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, rights).unwrap();
            (arch, path)
        });
        let out = folder.path().join("out").join(name);
        let digest = pack(&programs, NAME, &out, DateTime::UNIX_EPOCH).unwrap();
        (digest, std::fs::read(out).unwrap())
    }

    #[test]
    fn where_and_when_an_image_is_packed_changes_none_of_its_bytes() {
        let first = packed(Duration::from_secs(86_400 * 400), 0o700, "first.tar");
        let second = packed(Duration::ZERO, 0o755, "second.tar");
        assert_eq!(first.0, second.0);
        assert!(first.1 == second.1);
    }
}
