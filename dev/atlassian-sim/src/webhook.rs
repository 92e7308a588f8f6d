//! A receiver of webhooks: takes whatever is posted, and shows it.

use crate::fault::{Fault, Rule};
use crate::reply::Reply;
use crate::request::Incoming;
use crate::rules::FaultHandle;
use crate::sim::Sim;
use crate::world::{Place, World};

/// A request that a receiver has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its path.
    pub path: String,
    /// Its `Content-Type`, in lower case.
    pub content_type: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// A host that takes webhooks.
#[derive(Debug, Clone)]
pub struct Webhook {
    sim: Sim,
    host: String,
}

impl Webhook {
    pub(crate) fn new(sim: Sim, host: String) -> Self {
        Self { sim, host }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.sim.port())
    }

    /// What it has taken, oldest first. What a fault kept away is not there.
    pub fn received(&self) -> Vec<Received> {
        match self.sim.shared.world().places.get(&self.host) {
            Some(Place::Webhook(received)) => received.clone(),
            _ => Vec::new(),
        }
    }

    /// Lets a fault strike every request.
    pub fn fault(&self, fault: Fault) -> FaultHandle {
        self.sim.fault(Rule::new(fault).host(&self.host))
    }

    /// Lets a fault strike so many requests.
    pub fn fault_times(&self, fault: Fault, times: u64) -> FaultHandle {
        self.sim
            .fault(Rule::new(fault).host(&self.host).times(times))
    }
}

/// Takes a request.
pub(crate) fn handle(world: &mut World, call: &Incoming) -> Reply {
    let Some(Place::Webhook(received)) = world.places.get_mut(&call.host) else {
        return Reply::html(404, "Not found", "There is no receiver here.");
    };
    received.push(Received {
        path: call.path.clone(),
        content_type: call.content_type.clone(),
        body: call.body.to_vec(),
    });
    Reply::new(200, "text/plain", "ok")
}
