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
    /// An architecture; may be given several times. Left out: that of this machine.
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
    let mut wanted = options.arch.clone();
    if wanted.is_empty() {
        wanted.push(Arch::here()?);
    }
    let out = root().join(&options.out);
    let digest = write(&wanted, &options.name, &out).await?;
    println!("{} written", out.display());
    println!("{} written", bill_of(&out).display());
    println!("{}@{digest}", options.name);
    Ok(ExitCode::SUCCESS)
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
    let mut images = Vec::new();
    for arch in wanted {
        let program = static_program(*arch).await?;
        images.push(image(*arch, &program)?);
    }
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder).while_(folder.display())?;
    }
    let created = created().await?;
    let digest = layout::write(out, name, created, &images)?;
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
    let (compiler, triple) = (arch.compiler(), arch.triple());
    let found = Command::new(compiler).arg("--version").output().await;
    if found.is_err() {
        return fail(format!(
            "{compiler} is needed for {0}: on Debian, apt-get install gcc-{1} libc6-dev-{0}-cross; and rustup target add {triple}",
            arch.name(),
            compiler.trim_end_matches("-gcc"),
        ));
    }
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
