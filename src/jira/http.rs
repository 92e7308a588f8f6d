//! HTTPS clients that may carry a credential, and how many of them there are.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use crate::api::Hosting;
use crate::net::{Client, Network, TrustError};

/// Clients for private authorities that are kept; the one unused for longest goes first.
const MOST_CLIENTS: usize = 32;

type Digest = [u8; SHA256_OUTPUT_LEN];

/// The clients: one per hosting, since the addresses that are allowed differ, and one per bundle
/// of private authorities, so that the trust of one credential never reaches another.
pub(super) struct Clients {
    network: Network,
    cloud: Client,
    data_center: Client,
    /// Most recently used last.
    private: Mutex<VecDeque<(Digest, Client)>>,
}

impl Clients {
    pub(super) fn new(network: Network) -> Result<Self, TrustError> {
        Ok(Self {
            cloud: network.client(Hosting::Cloud, None)?,
            data_center: network.client(Hosting::DataCenter, None)?,
            private: Mutex::default(),
            network,
        })
    }

    /// What all of them are made of.
    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// The client for a site. Atlassian's cloud has public certificates, so that the authorities
    /// of a credential count for Data Center only.
    pub(super) fn get(
        &self,
        hosting: Hosting,
        ca_pem: Option<&[u8]>,
    ) -> Result<Client, TrustError> {
        match (hosting, ca_pem) {
            (Hosting::Cloud, _) => Ok(self.cloud.clone()),
            (Hosting::DataCenter, None) => Ok(self.data_center.clone()),
            (Hosting::DataCenter, Some(pem)) => self.trusting(pem),
        }
    }

    fn trusting(&self, pem: &[u8]) -> Result<Client, TrustError> {
        let mut key = Digest::default();
        key.copy_from_slice(digest(&SHA256, pem).as_ref());
        let mut clients = self.private.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.iter().position(|(digest, _)| *digest == key);
        let client = if let Some((_, client)) = known.and_then(|at| clients.remove(at)) {
            client
        } else {
            self.network.client(Hosting::DataCenter, Some(pem))?
        };
        clients.push_back((key, client.clone()));
        if clients.len() > MOST_CLIENTS {
            clients.pop_front();
        }
        Ok(client)
    }
}
