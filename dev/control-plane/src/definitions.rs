//! Custom resource definitions of other projects, from pinned Go modules. Go keeps the modules in its own
//! cache; none of their dependencies is needed.

use std::{fs, io, path::Path, process::Output};

use serde_json::Value;

use crate::{Error, error::Context as _, go_build::go};

/// Definitions of one project.
#[derive(Debug)]
pub struct Definitions {
    /// The API group that they define.
    pub group: &'static str,
    module: &'static str,
    version: &'static str,
    /// What `go.sum` would say of the module.
    sum: &'static str,
    folder: &'static str,
    files: &'static [&'static str],
}

/// External Secrets, the Vault Secrets Operator and the Prometheus operator, with the kinds that our
/// documents and `deploy/` use.
pub static DEFINITIONS: [Definitions; 3] = [
    Definitions {
        group: "external-secrets.io",
        module: "github.com/external-secrets/external-secrets",
        version: "v1.3.2",
        sum: "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
        folder: "config/crds/bases",
        files: &["external-secrets.io_externalsecrets.yaml"],
    },
    Definitions {
        group: "secrets.hashicorp.com",
        module: "github.com/hashicorp/vault-secrets-operator",
        version: "v0.10.0",
        sum: "h1:BjOTBJRqx1SLo7NeyqNJWRPDyfRscbqPtGU1U2LzArg=",
        folder: "config/crd/bases",
        files: &["secrets.hashicorp.com_vaultstaticsecrets.yaml"],
    },
    Definitions {
        group: "monitoring.coreos.com",
        module: "github.com/prometheus-operator/prometheus-operator",
        version: "v0.85.0",
        sum: "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        folder: "example/prometheus-operator-crd",
        files: &[
            "monitoring.coreos.com_prometheusrules.yaml",
            "monitoring.coreos.com_servicemonitors.yaml",
        ],
    },
];

impl Definitions {
    /// Those of an API group.
    ///
    /// # Errors
    /// When there are none.
    pub fn of(group: &str) -> Result<&'static Self, Error> {
        let found = DEFINITIONS.iter().find(|one| one.group == group);
        found.ok_or_else(|| Error::Malformed {
            what: "looking for definitions".to_owned(),
            reason: format!("none are known for {group}"),
        })
    }

    /// The definitions as one YAML text. This blocks, for seconds when the module has to be downloaded.
    ///
    /// # Errors
    /// When Go is missing, the module cannot be downloaded or is another one, or a file is missing.
    pub fn text(&self) -> Result<String, Error> {
        let asked = format!("{}@{}", self.module, self.version);
        // Outside of any module, so that no go.mod of others has a say.
        let nowhere = tempfile::tempdir().context("making a folder to run go in")?;
        let output = match go(nowhere.path())
            .args(["mod", "download", "-json", &asked])
            .output()
        {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoGo {
                    needed: "1.21".to_owned(),
                });
            }
            other => other.context("running go mod download")?,
        };
        let folder = self.folder_in(&asked, &output)?;
        let mut all = String::new();
        for file in self.files {
            let path = Path::new(&folder).join(self.folder).join(file);
            let text = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
            all.push_str("---\n");
            all.push_str(&text);
        }
        Ok(all)
    }

    /// Where Go says that it keeps the module, if it is the one that is pinned.
    fn folder_in(&self, asked: &str, output: &Output) -> Result<String, Error> {
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let field = |name| answer.get(name).and_then(Value::as_str);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::Build {
                name: asked.to_owned(),
                output: format!("{}{said}", field("Error").unwrap_or_default()),
            });
        }
        match (field("Sum"), field("Dir")) {
            (Some(sum), Some(folder)) if sum == self.sum => Ok(folder.to_owned()),
            (sum, _) => Err(Error::Malformed {
                what: format!("downloading {asked}"),
                reason: format!("its sum is {sum:?}, not {}", self.sum),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::ExitStatusExt as _,
        process::{ExitStatus, Output},
    };

    use serde_json::{Value, json};

    use super::DEFINITIONS;

    fn folder(code: i32, answer: &Value) -> Result<String, crate::Error> {
        let output = Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: answer.to_string().into_bytes(),
            stderr: Vec::new(),
        };
        DEFINITIONS[0].folder_in("example.org/a@v1", &output)
    }

    #[test]
    fn only_the_pinned_module_is_used_and_a_machine_without_modules_is_told() {
        let answer = |sum: &str| json!({"Sum": sum, "Dir": "/modules/a@v1"});
        let found = folder(0, &answer(DEFINITIONS[0].sum));
        assert_eq!(found.unwrap(), "/modules/a@v1");
        let other = folder(0, &answer("h1:other=")).unwrap_err();
        assert!(!other.is_without_modules() && other.to_string().contains("h1:other="));
        for (said, without) in [
            (
                "reading https://proxy.example/a/@v/v1.info: 403 Forbidden",
                true,
            ),
            ("checksum mismatch", false),
        ] {
            let error = folder(1, &json!({"Error": said})).unwrap_err();
            assert_eq!(error.is_without_modules(), without, "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
