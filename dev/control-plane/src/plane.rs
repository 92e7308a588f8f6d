//! A running control plane.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, Config, api::DeleteParams};
use rustix::process::Signal;
use tokio::sync::{Mutex, OnceCell};

use crate::{
    Binaries, Error,
    access::{Endpoint, Identity, write_private},
    binaries,
    error::Context,
    launch, pki,
    processes::{Guard, Process},
    tail,
};

/// A real etcd, kube-apiserver and kube-controller-manager on loopback.
///
/// They end with this value, and with the process that owns it, however that
/// ends. Nothing here is bound to an async runtime: a value made in one test
/// serves the tests after it. Clients are bound to the runtime that makes
/// them, so every test makes its own with [`ControlPlane::client`].
#[derive(Debug)]
pub struct ControlPlane {
    pub(crate) binaries: Binaries,
    pub(crate) endpoint: Endpoint,
    pub(crate) admin: Identity,
    admin_kubeconfig: PathBuf,
    directory: PathBuf,
    /// Held while custom resource definitions are installed.
    pub(crate) installing: Mutex<()>,
    // Locks of tokio do not need a runtime either.
    running: Arc<Mutex<Running>>,
}

#[derive(Debug)]
struct Running {
    guard: Guard,
    etcd: Option<Process>,
    api_server: Option<Process>,
    controller_manager: Option<Process>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let processes = [
            self.controller_manager.take(),
            self.api_server.take(),
            self.etcd.take(),
        ];
        self.guard.stop(processes.into_iter().flatten());
    }
}

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();

impl ControlPlane {
    /// The control plane that all tests of this process share: started by the
    /// first, stopped when the process ends.
    pub async fn shared() -> Result<&'static Self, Error> {
        SHARED.get_or_try_init(Self::start).await
    }

    /// Starts a control plane of its own, for tests of cluster-wide state.
    ///
    /// The first start ever builds the binaries, which takes minutes.
    pub async fn start() -> Result<Self, Error> {
        Self::start_on(Ipv4Addr::LOCALHOST.into()).await
    }

    /// The same with the API server on another loopback address, such as `::1`.
    pub async fn start_on(ip: IpAddr) -> Result<Self, Error> {
        let binaries = blocking(binaries::ensure).await??;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::boot(&binaries, launch::free_address(ip)?).await {
                Err(error) if is_port_taken(&error) && attempts < 5 => {}
                other => return other,
            }
        }
    }

    async fn boot(binaries: &Binaries, address: SocketAddr) -> Result<Self, Error> {
        let guard = Guard::new()?;
        let directory = guard.directory().to_owned();
        let mut running = Running {
            guard,
            etcd: None,
            api_server: None,
            controller_manager: None,
        };
        let endpoint = Endpoint {
            address,
            authority: pki::write(&directory)?,
        };
        let admin = Identity {
            token: pki::token()?,
            acts_as: None,
        };
        let line = format!("{},admin,admin,\"system:masters\"\n", admin.token);
        write_private(&directory.join("tokens.csv"), &line)?;
        let admin_kubeconfig = directory.join("admin.kubeconfig");
        endpoint.write_kubeconfig(&admin, &admin_kubeconfig)?;
        running.etcd = Some(launch::etcd(&running.guard, binaries).await?);
        let plane = Self {
            binaries: binaries.clone(),
            endpoint,
            admin,
            admin_kubeconfig,
            directory,
            installing: Mutex::new(()),
            running: Arc::new(Mutex::new(running)),
        };
        plane.start_api_server().await?;
        Ok(plane)
    }

    /// Stops the processes and waits until they are gone. Dropping the value
    /// does the same, but blocks.
    pub async fn stop(self) -> Result<(), Error> {
        blocking(move || drop(self)).await
    }

    /// A kubeconfig file of the administrator.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// The administrator's configuration.
    pub fn admin_config(&self) -> Result<Config, Error> {
        self.endpoint.config(&self.admin)
    }

    /// A client of the administrator, for the current runtime.
    pub fn client(&self) -> Result<Client, Error> {
        client(self.admin_config()?)
    }

    /// The directory of data and logs. It goes away with the control plane.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The port of the API server on its loopback address.
    pub fn port(&self) -> u16 {
        self.endpoint.address.port()
    }

    /// The end of a process's log: `etcd`, `kube-apiserver` or
    /// `kube-controller-manager`.
    pub fn log(&self, name: &str) -> String {
        let log = fs::read(self.directory.join(format!("{name}.log"))).unwrap_or_default();
        tail(&String::from_utf8_lossy(&log), 100)
    }

    /// The ids of the running processes.
    pub async fn process_ids(&self) -> Vec<u32> {
        let running = self.running.lock().await;
        [
            &running.etcd,
            &running.api_server,
            &running.controller_manager,
        ]
        .into_iter()
        .flatten()
        .map(Process::id)
        .collect()
    }

    /// Makes the API server stop answering without closing a connection.
    pub async fn pause_api_server(&self) -> Result<(), Error> {
        self.signal_api_server(Signal::STOP).await
    }

    /// Lets a paused API server go on.
    pub async fn resume_api_server(&self) -> Result<(), Error> {
        self.signal_api_server(Signal::CONT).await
    }

    async fn signal_api_server(&self, signal: Signal) -> Result<(), Error> {
        match &self.running.lock().await.api_server {
            Some(process) => process.signal(signal),
            None => Ok(()),
        }
    }

    /// Ends the API server, and the controller manager with it. Connections
    /// are refused until [`ControlPlane::start_api_server`].
    pub async fn stop_api_server(&self) -> Result<(), Error> {
        let mut running = self.running.clone().lock_owned().await;
        blocking(move || {
            let processes = [running.controller_manager.take(), running.api_server.take()];
            processes
                .into_iter()
                .flatten()
                .try_for_each(Process::terminate)
        })
        .await?
    }

    /// Starts the API server again, on the same port and with the same data,
    /// and the controller manager, which would otherwise wait for long
    /// between its attempts to connect.
    pub async fn start_api_server(&self) -> Result<(), Error> {
        let client = self.client()?;
        let mut running = self.running.lock().await;
        if running.api_server.is_none() {
            let (guard, address) = (&running.guard, self.endpoint.address);
            let started = launch::api_server(guard, &self.binaries, address, &client).await?;
            running.api_server = Some(started);
        }
        if running.controller_manager.is_none() {
            // Something that nobody misses, and that the controller manager
            // creates again as soon as it works.
            let maps = Api::<ConfigMap>::namespaced(client, "kube-public");
            let name = "kube-root-ca.crt";
            match maps.delete(name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => drop(other.context("preparing for the controller manager")?),
            }
            let mut started = launch::controller_manager(&running.guard, &self.binaries)?;
            launch::ready(&mut started, async || {
                matches!(maps.get_opt(name).await, Ok(Some(_)))
            })
            .await?;
            running.controller_manager = Some(started);
        }
        Ok(())
    }

    /// Copies everything that is stored, for [`ControlPlane::restore_data`]. The API server is away meanwhile.
    pub async fn save_data(&self) -> Result<(), Error> {
        self.with_data_at_rest(copy).await
    }

    /// Brings back what was stored at the time of [`ControlPlane::save_data`], as from a backup of etcd: all
    /// versions are lower than those that clients have seen. The API server is away meanwhile.
    pub async fn restore_data(&self) -> Result<(), Error> {
        self.with_data_at_rest(|data, saved| {
            std::fs::remove_dir_all(data)?;
            copy(saved, data)
        })
        .await
    }

    async fn with_data_at_rest(
        &self,
        work: impl FnOnce(&Path, &Path) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), Error> {
        self.stop_api_server().await?;
        let mut running = self.running.clone().lock_owned().await;
        let etcd = running.etcd.take();
        let (data, saved) = (
            self.directory.join("etcd"),
            self.directory.join("etcd-saved"),
        );
        blocking(move || {
            etcd.map_or(Ok(()), Process::terminate)?;
            work(&data, &saved).context("copying the data of etcd")
        })
        .await??;
        running.etcd = Some(launch::etcd(&running.guard, &self.binaries).await?);
        drop(running);
        self.start_api_server().await
    }

    /// Starts the controller manager again. It looks for new kinds of objects
    /// to collect twice a minute, and at its start.
    pub async fn restart_controller_manager(&self) -> Result<(), Error> {
        let mut running = self.running.clone().lock_owned().await;
        blocking(move || {
            running
                .controller_manager
                .take()
                .map_or(Ok(()), Process::terminate)
        })
        .await??;
        self.start_api_server().await
    }
}

/// Copies a directory with everything in it.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// Another server was quicker to take the port.
fn is_port_taken(error: &Error) -> bool {
    matches!(error, Error::Start { log, .. } if log.contains("address already in use"))
}

/// Makes a client for the current runtime.
pub(crate) fn client(config: Config) -> Result<Client, Error> {
    Client::try_from(config).context("making a client")
}

/// Runs what blocks where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::from)
        .context("waiting")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{ControlPlane, binaries, is_port_taken};

    #[tokio::test]
    async fn a_port_that_is_taken_is_noticed() {
        let binaries = super::blocking(binaries::ensure).await.unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let error = ControlPlane::boot(&binaries, address).await.unwrap_err();
        assert!(is_port_taken(&error), "{error}");
    }
}
