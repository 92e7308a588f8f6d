//! How a client reaches the API server, and as whom.

use std::{fs, net::SocketAddr, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::Config;
use serde_json::json;

use crate::{Error, error::Context, pki::Authority};

/// Where the API server is.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
}

/// Who a client is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Validates who the client is.
    pub(crate) token: String,
    /// User and groups whom the client stands for.
    pub(crate) acts_as: Option<(String, Vec<String>)>,
}

impl Endpoint {
    pub(crate) fn config(&self, identity: &Identity) -> Result<Config, Error> {
        let url = self.url();
        let parsed = url
            .parse()
            .map_err(|error: http::uri::InvalidUri| Error::Malformed {
                what: url,
                reason: error.to_string(),
            })?;
        let mut config = Config::new(parsed);
        config.root_cert = Some(vec![self.authority.der.clone()]);
        config.auth_info.token = Some(identity.token.clone().into());
        if let Some((user, groups)) = &identity.acts_as {
            config.auth_info.impersonate = Some(user.clone());
            config.auth_info.impersonate_groups = Some(groups.clone());
        }
        Ok(config)
    }

    /// Writes a kubeconfig that only its owner can read. It holds everything:
    /// it can be moved anywhere.
    pub(crate) fn write_kubeconfig(&self, identity: &Identity, path: &Path) -> Result<(), Error> {
        let mut user = json!({ "token": identity.token });
        if let (Some((name, groups)), Some(user)) = (&identity.acts_as, user.as_object_mut()) {
            user.insert("as".to_owned(), json!(name));
            user.insert("as-groups".to_owned(), json!(groups));
        }
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "control-plane",
            "contexts": [{
                "name": "control-plane",
                "context": { "cluster": "control-plane", "user": "control-plane" },
            }],
            "clusters": [{
                "name": "control-plane",
                "cluster": {
                    "server": self.url(),
                    "certificate-authority-data": STANDARD.encode(&self.authority.pem),
                },
            }],
            "users": [{ "name": "control-plane", "user": user }],
        });
        write_private(path, &format!("{kubeconfig:#}\n"))
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, content: &str) -> Result<(), Error> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let what = || format!("writing {}", path.display());
    let mut file = fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .context(what())?;
    file.write_all(content.as_bytes()).context(what())
}
