//! Faults between a client and the API server, and a record of what passes.
//!
//! The layer stands outside of kube's own retries: a failure made here is not
//! retried by kube, and a request that kube repeats is recorded once.
//!
//! ```no_run
//! # fn test(plane: &control_plane::ControlPlane) -> Result<(), Box<dyn std::error::Error>> {
//! use control_plane::faults::{Fault, Faults, Requests, Verb};
//!
//! let faults = Faults::default();
//! let client = faults.client(plane.admin_config()?)?;
//! // The second write of a Secret is applied, but its answer is lost.
//! faults.add(Requests::verb(Verb::Patch).resource("secrets"), 2..=2, Fault::LostAnswer);
//! # Ok(())
//! # }
//! ```

mod body;
mod request;
mod rule;
mod service;

use std::{
    collections::BTreeMap,
    ops::RangeBounds,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::channel::oneshot;
use kube::{Client, Config, client::ClientBuilder};
use tokio::sync::watch;

use self::rule::{Occurrences, Plan, Rule};
pub use self::{
    body::{AnswerBody, Cut},
    request::{Recorded, Verb},
    rule::{Fault, Requests},
    service::{FaultLayer, FaultService},
};
use crate::{Error, error::Context};

/// Before or after the server does what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The server has not seen the request.
    Before,
    /// The server has answered.
    After,
}

/// A position in the record of requests.
#[derive(Debug, Clone, Copy)]
pub struct Mark(usize);

/// The faults of one client. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    stopped: Arc<watch::Sender<bool>>,
    heals: Arc<watch::Sender<()>>,
}

#[derive(Debug, Default)]
struct State {
    recorded: Vec<Recorded>,
    rules: Vec<Rule>,
    stop: Option<StopRule>,
    struck: usize,
    watches: Vec<(Recorded, oneshot::Sender<Cut>)>,
}

#[derive(Debug)]
struct StopRule {
    requests: Requests,
    remaining: usize,
    side: Side,
}

/// Tells when a client has been stopped.
#[derive(Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until the client is stopped: forever, if that never happens.
    pub async fn reached(&mut self) {
        if self.0.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the client is stopped.
    pub fn is_reached(&self) -> bool {
        *self.0.borrow()
    }
}

impl Faults {
    /// A layer for [`ClientBuilder::with_layer`].
    pub fn layer(&self) -> FaultLayer {
        FaultLayer {
            faults: self.clone(),
        }
    }

    /// A client with these faults, for the current runtime.
    pub fn client(&self, config: Config) -> Result<Client, Error> {
        let builder = ClientBuilder::try_from(config).context("making a client")?;
        Ok(builder.with_layer(&self.layer()).build())
    }

    /// Adds a fault. `occurrences` are those of the matching requests that it
    /// happens to, counted from 1 and from now: `2..=2` is the second, `..`
    /// are all.
    pub fn add(&self, requests: Requests, occurrences: impl RangeBounds<usize>, fault: Fault) {
        self.state().rules.push(Rule {
            requests,
            occurrences: Occurrences::of(&occurrences),
            fault,
            seen: 0,
        });
    }

    /// Stops the client at the `n`th request that changes the cluster,
    /// counted from 1 and from now, as if its process ended there: neither
    /// that request nor any later one is ever answered, and the later ones do
    /// not reach the server.
    pub fn stop_at_effect(&self, n: usize, side: Side) -> Stop {
        self.stop_at(Requests::effects(), n, side)
    }

    /// Stops the client at the `n`th matching request.
    pub fn stop_at(&self, requests: Requests, n: usize, side: Side) -> Stop {
        self.state().stop = Some(StopRule {
            requests,
            remaining: n.max(1),
            side,
        });
        self.stopped()
    }

    /// Stops the client now.
    pub fn stop_now(&self) {
        self.stopped.send_replace(true);
    }

    /// Tells when the client is stopped.
    pub fn stopped(&self) -> Stop {
        Stop(self.stopped.subscribe())
    }

    /// Ends the open watches that match, and returns how many they were.
    pub fn cut_watches(&self, requests: &Requests, cut: Cut) -> usize {
        let mut state = self.state();
        let (matching, others) = std::mem::take(&mut state.watches)
            .into_iter()
            .partition(|(recorded, _)| requests.matches(recorded));
        state.watches = others;
        matching
            .into_iter()
            .filter_map(|(_, watch)| watch.send(cut).ok())
            .count()
    }

    /// How many matching watches are open.
    pub fn open_watches(&self, requests: &Requests) -> usize {
        let state = self.state();
        let open = state
            .watches
            .iter()
            .filter(|(_, watch)| !watch.is_canceled());
        open.filter(|(recorded, _)| requests.matches(recorded))
            .count()
    }

    /// All requests so far, in their order, those that failed included.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state().recorded.clone()
    }

    /// Where the record ends now.
    pub fn mark(&self) -> Mark {
        Mark(self.state().recorded.len())
    }

    /// The requests since a mark.
    pub fn since(&self, mark: Mark) -> Vec<Recorded> {
        self.state()
            .recorded
            .get(mark.0..)
            .unwrap_or_default()
            .to_vec()
    }

    /// How many requests have failed by a fault so far.
    pub fn struck(&self) -> usize {
        self.state().struck
    }

    /// How many recorded requests match.
    pub fn count(&self, requests: &Requests) -> usize {
        self.state()
            .recorded
            .iter()
            .filter(|recorded| requests.matches(recorded))
            .count()
    }

    /// How many requests there were of each verb and resource. Subresources
    /// count on their own.
    pub fn counts(&self) -> BTreeMap<(Verb, String), usize> {
        let mut counts = BTreeMap::new();
        for recorded in &self.state().recorded {
            *counts
                .entry((recorded.verb, recorded.target()))
                .or_default() += 1;
        }
        counts
    }

    /// Takes all faults and stops back. Requests that were stopped stay so; answers that were held arrive.
    pub fn heal(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.stop = None;
        self.stopped.send_replace(false);
        self.heals.send_replace(());
    }

    /// Takes all faults and stops back, and forgets the record.
    pub fn reset(&self) {
        self.heal();
        self.state().recorded.clear();
    }

    /// Records a request and decides what happens to it.
    fn plan(&self, request: &Recorded) -> Plan {
        let mut state = self.state();
        state.recorded.push(request.clone());
        let mut plan = Plan::default();
        for fault in state
            .rules
            .iter_mut()
            .filter_map(|rule| rule.apply(request))
        {
            plan.add(fault);
        }
        if plan.failure_before.is_some() || plan.failure_after.is_some() {
            state.struck += 1;
        }
        // What never reaches the server is no effect.
        if let Some(stop) = &mut state.stop
            && plan.failure_before.is_none()
            && stop.requests.matches(request)
        {
            match stop.remaining {
                // The stop is under way: it waits for the server's answer.
                0 => plan.hold = true,
                1 => plan.stop = Some(stop.side),
                _ => {}
            }
            stop.remaining = stop.remaining.saturating_sub(1);
        }
        plan
    }

    /// Returns at once, or, when the client is stopped, never.
    async fn stopped_is_forever(&self) {
        if *self.stopped.borrow() {
            std::future::pending::<()>().await;
        }
    }

    fn watch_opened(&self, recorded: Recorded) -> oneshot::Receiver<Cut> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        state.watches.retain(|(_, watch)| !watch.is_canceled());
        state.watches.push((recorded, sender));
        receiver
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
