//! The task that stands for election, leads, and gives the lease back.

use std::time::Duration;

use aws_lc_rs::rand;
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::cluster::error::ClusterError;
use crate::cluster::leader::decide::{Next, Role, Sighting, decide};
use crate::cluster::leader::leadership::{Leadership, Standing};
use crate::cluster::leader::lease::{Leases, held, record, released};
use crate::cluster::leader::neighbours::{Found, Neighbours};
use crate::cluster::leader::release_watch::ReleaseWatch;
use crate::cluster::leader::terms::Terms;
use crate::cluster::shard::Shard;
use crate::core::fingerprint::hex;

/// An election that this process stands for, until this value is dropped or ends it.
pub struct Election {
    resigning: CancellationToken,
    task: JoinHandle<()>,
}

impl Election {
    /// Stands for election from now on. `pod` is what distinguishes this replica for people; the name in
    /// the lease is another at every start. `client` must not repeat requests by itself: when they are
    /// repeated follows from the times of the election.
    pub fn start(
        client: kube::Client,
        namespace: &str,
        pod: &str,
        clock: Clock,
        terms: Terms,
    ) -> (Self, Leadership) {
        Self::of_shard(client, namespace, pod, clock, terms, None)
    }

    /// Stands for the election among the operators of one shard. Who wins it leads only as long as no
    /// operator that lives serves the same credentials under another Lease.
    pub fn of_shard(
        client: kube::Client,
        namespace: &str,
        pod: &str,
        clock: Clock,
        terms: Terms,
        shard: Option<Shard>,
    ) -> (Self, Leadership) {
        let me = format!("{pod}_{}", nonce());
        let (standing, leadership) = Leadership::elected();
        let resigning = CancellationToken::new();
        let candidate = Candidate {
            leases: Leases::new(client, namespace, shard.as_ref().map(Shard::selector)),
            neighbours: shard.map(Neighbours::of),
            leads: false,
            me,
            terms,
            clock,
            start: Instant::now(),
            standing,
            role: Role::Standby,
            seen: None,
            lease: None,
            release: None,
            trouble: None,
        };
        let task = tokio::spawn(candidate.run(resigning.clone()));
        (Self { resigning, task }, leadership)
    }

    /// Stops to act, and gives the lease back if this process has it, so that another need not wait.
    pub async fn resign(mut self) {
        self.resigning.cancel();
        // A task that has panicked has given nothing back; the lease ends by itself.
        let _ = (&mut self.task).await;
    }
}

/// Different in every process.
fn nonce() -> String {
    let mut bytes = [0_u8; 8];
    // Without randomness TLS would not have come up either.
    let _ = rand::fill(&mut bytes);
    hex(&bytes, 16)
}

impl Drop for Election {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Candidate {
    leases: Leases,
    me: String,
    terms: Terms,
    /// Tells the times that are written for people.
    clock: Clock,
    /// Times are measured from here, by the monotonic clock.
    start: Instant,
    standing: watch::Sender<Standing>,
    role: Role,
    /// The operators of other shards, if there may be some.
    neighbours: Option<Neighbours>,
    /// Whether it holds the lease and serves what nobody else does: it acts.
    leads: bool,
    seen: Option<Sighting>,
    /// The lease as it was read or written last; `None`: it has to be read.
    lease: Option<Lease>,
    /// Tells of the release of the lease while this process stands by.
    release: Option<ReleaseWatch>,
    /// The last trouble with the API server, to be told once.
    trouble: Option<String>,
}

impl Candidate {
    async fn run(mut self, resigning: CancellationToken) {
        // A round is never cut short: what was sent would be carried out all the same.
        while !resigning.is_cancelled() {
            let Some(pause) = self.round().await else {
                self.standing.send_replace(Standing::Over);
                return;
            };
            let _ = resigning.run_until_cancelled(self.rest(pause)).await;
        }
        // Nothing of this process happens under a lease that it has given back.
        self.standing.send_replace(Standing::Over);
        if let Role::Leader { .. } = self.role {
            self.give_back().await;
        }
    }

    /// Waits; who stands by, at most until the lease is released.
    async fn rest(&mut self, pause: Duration) {
        if self.role != Role::Standby {
            self.release = None;
            return tokio::time::sleep(pause).await;
        }
        let again = self.terms.lease();
        let leases = &self.leases;
        let watch = self
            .release
            .get_or_insert_with(|| ReleaseWatch::start(leases.api(), leases.name(), again));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = watch.released() => {}
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// One look at the lease, and what follows from it. Returns the time until the next; `None`: this
    /// process has lost the lease.
    async fn round(&mut self) -> Option<Duration> {
        let begun = self.now();
        if let Role::Leader { until } = self.role
            && begun >= until
        {
            tracing::error!("lost the lease: it could not be renewed in time");
            return None;
        }
        let result = self.attempt().await;
        self.tell_trouble(result.as_ref().err());
        match (result, self.role) {
            (Ok(Next::Stop), _) => {
                let holder = self.seen.as_ref().map(Sighting::holder);
                if holder == Some(&self.me) {
                    tracing::error!(
                        "leaves its credentials to the operator whose selector overlaps: it has precedence"
                    );
                } else {
                    tracing::error!(
                        holder,
                        "lost the lease: it is not in the name of this process"
                    );
                }
                None
            }
            // Somebody else has written: what it is has to be seen at once.
            (
                Err(ClusterError::Conflict | ClusterError::NotFound | ClusterError::AlreadyExists),
                _,
            ) => {
                self.lease = None;
                Some(self.terms.look_every() / 10)
            }
            (_, Role::Standby) => Some(self.terms.look_every()),
            (_, Role::Leader { until }) => {
                let next = begun + self.terms.renew_every();
                Some(next.min(until).saturating_sub(self.now()))
            }
        }
    }

    /// Sees what stands in the lease, decides, and does it.
    async fn attempt(&mut self) -> Result<Next, ClusterError> {
        if self.lease.is_none() || self.role == Role::Standby {
            let lease = self.within(self.leases.read()).await?;
            self.see(lease);
        }
        let Some(seen) = &self.seen else {
            return Ok(Next::Wait);
        };
        let next = decide(&self.me, self.role, seen, self.now(), self.terms);
        if next == Next::Take && self.look_around().await? != Found::Alone {
            return Ok(Next::Wait);
        }
        if let Next::Take | Next::Renew = next {
            self.write().await?;
            return self.lead_or_yield(next).await;
        }
        Ok(next)
    }

    /// With the lease in its name: acts, waits for another to end, or yields to it. Two that have taken their
    /// leases at the same time see each other here.
    async fn lead_or_yield(&mut self, next: Next) -> Result<Next, ClusterError> {
        if self.leads {
            self.announce();
        }
        let found = match self.look_around().await {
            // Who acts already goes on: nothing says that there is another.
            Err(_) if self.leads => Found::Alone,
            other => other?,
        };
        match found {
            Found::Younger(_) if !self.leads => return Ok(Next::Wait),
            Found::Elder(_) if !self.leads => {
                self.give_back().await;
                self.role = Role::Standby;
                self.lease = None;
                return Ok(Next::Wait);
            }
            Found::Elder(_) => return Ok(Next::Stop),
            Found::Alone | Found::Younger(_) => {}
        }
        if !self.leads {
            let (me, lease) = (&self.me, self.leases.name());
            tracing::info!(me, lease, "took the lease: this process leads");
            self.leads = true;
            self.announce();
        }
        Ok(next)
    }

    /// Lets everybody in this process know until when it acts.
    fn announce(&self) {
        if let Role::Leader { until } = self.role {
            let until = self.start + until;
            self.standing.send_replace(Standing::Leads { until });
        }
    }

    /// Looks which other operators serve what this one does.
    async fn look_around(&mut self) -> Result<Found, ClusterError> {
        if self.neighbours.is_none() {
            return Ok(Found::Alone);
        }
        let leases = self.within(self.leases.all()).await;
        let now = self.now();
        let holds = matches!(self.role, Role::Leader { .. });
        let mine = self.lease.as_ref().filter(|_| holds);
        let Some(neighbours) = &mut self.neighbours else {
            return Ok(Found::Alone);
        };
        match leases {
            Ok(leases) => Ok(neighbours.look(&leases, mine, now, self.terms)),
            Err(error) => {
                neighbours.lose_sight(&error);
                Err(error)
            }
        }
    }

    /// Writes this process into the lease. The time for which that holds begins before the request.
    async fn write(&mut self) -> Result<(), ClusterError> {
        let begun = self.now();
        let wanted = held(
            self.lease.as_ref(),
            &self.me,
            self.terms.lease(),
            self.clock.now(),
        );
        let written = self.within(self.leases.write(&wanted)).await?;
        self.see(Some(written));
        let until = begun + self.terms.renew_deadline();
        self.role = Role::Leader { until };
        Ok(())
    }

    fn see(&mut self, lease: Option<Lease>) {
        let told = lease.as_ref().map(record);
        self.seen = Some(Sighting::look(
            self.seen.as_ref(),
            told.as_ref(),
            self.now(),
        ));
        self.lease = lease;
    }

    /// Waits for an answer, but not for long, and not beyond the end of what this process may do.
    async fn within<T>(
        &self,
        request: impl Future<Output = Result<T, ClusterError>>,
    ) -> Result<T, ClusterError> {
        let longest = match self.role {
            Role::Standby => self.terms.request(),
            Role::Leader { until } => {
                let left = until.saturating_sub(self.now());
                self.terms.request().min(left)
            }
        };
        match tokio::time::timeout(longest, request).await {
            Ok(answer) => answer,
            Err(_) => Err(ClusterError::TimedOut),
        }
    }

    async fn give_back(&self) {
        let Some(lease) = &self.lease else {
            return;
        };
        let lease = released(lease, self.clock.now());
        match self.within(self.leases.write(&lease)).await {
            Ok(_) => tracing::info!("gave the lease back"),
            Err(error) => {
                tracing::warn!(%error, "could not give the lease back; it ends by itself");
            }
        }
    }

    /// Logs what goes wrong when it begins, and when it is over.
    fn tell_trouble(&mut self, error: Option<&ClusterError>) {
        let trouble = match error {
            Some(ClusterError::Conflict | ClusterError::NotFound | ClusterError::AlreadyExists)
            | None => None,
            Some(error) => Some(error.to_string()),
        };
        if self.trouble == trouble {
            return;
        }
        if let Some(error) = &trouble {
            tracing::warn!(
                error,
                "the Lease can be neither read nor written; without one no process leads"
            );
        } else {
            tracing::info!("the Lease can be read and written again");
        }
        self.trouble = trouble;
    }
}

#[cfg(test)]
mod tests;
