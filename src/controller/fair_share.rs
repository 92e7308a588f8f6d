//! A bounded number of places, shared fairly: one namespace cannot take them all, nor one site.
//!
//! The places are the slots of reconciles that work, and the turns of those that call Jira
//! (`controller/turns`). A caller that finds no place either waits for one, or lines up and is woken when a
//! place is kept for it. The next place goes by priority, then to the namespace that has the fewest.
//! Some places are for namespaces that have none. Renewals that are due have as many places of their
//! own, so that they wait for nothing that is less urgent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::cluster::Key;
use crate::controller::wake::Wake;

/// A place kept for a credential that does not come is given away after this time.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// Who wants a place.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Claim {
    /// The namespace of the credential.
    pub(super) namespace: Arc<str>,
    /// Host and port that are called; `None` for a place that is no call.
    pub(super) site: Option<Arc<str>>,
    /// Who comes first.
    pub(super) priority: Priority,
}

/// Who comes first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Priority {
    /// A token is to be renewed.
    Renewal,
    /// A reconcile that has an answer of Jira: it is nearly done.
    Resumed,
    /// All others.
    Routine,
}

/// How many places there are. Renewals have as many again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Altogether.
    pub(super) total: usize,
    /// Those of them that only a namespace without a place may take.
    pub(super) reserve: usize,
    /// For one namespace.
    pub(super) namespace: usize,
    /// For one site.
    pub(super) site: usize,
    /// Those of them that only a namespace without a place at the site may take.
    pub(super) site_reserve: usize,
}

/// Places that are shared.
pub(super) struct FairShare {
    limits: Limits,
    wake: Arc<Wake>,
    state: Mutex<State>,
}

/// A place; free again when it is dropped.
pub(super) struct Place {
    share: Arc<FairShare>,
    claim: Claim,
}

#[derive(Default)]
struct State {
    taken: HashMap<Scope, usize>,
    /// Those who wait, in their order, by what they claim.
    line: HashMap<Claim, VecDeque<Waiting>>,
    /// Who of the line is a credential that is woken, and what number it has.
    lined_up: HashMap<Key, (u64, Claim)>,
    /// Places that are kept for who was woken.
    kept: HashMap<Key, (u64, Place)>,
    last_number: u64,
}

/// What a limit counts; apart for renewals.
#[derive(Eq, Hash, PartialEq)]
struct Scope {
    renewals: bool,
    namespace: Option<Arc<str>>,
    site: Option<Arc<str>>,
}

struct Waiting {
    number: u64,
    who: Who,
}

enum Who {
    /// A future that waits.
    Here(oneshot::Sender<Place>),
    /// A credential that is woken.
    Woken(Key),
}

impl FairShare {
    pub(super) fn new(limits: Limits, wake: Arc<Wake>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            wake,
            state: Mutex::default(),
        })
    }

    /// Waits for a place.
    pub(super) async fn enter(self: &Arc<Self>, claim: Claim) -> Place {
        let place = {
            let mut state = self.lock();
            if state.has_room(&self.limits, &claim) {
                return self.take(&mut state, claim);
            }
            let (sender, place) = oneshot::channel();
            state.wait(claim, Who::Here(sender));
            place
        };
        match place.await {
            Ok(place) => place,
            // A sender is dropped only with the line, which `self` holds.
            Err(_) => std::future::pending().await,
        }
    }

    /// A place, if there is one at once.
    pub(super) fn try_enter(self: &Arc<Self>, claim: &Claim) -> Option<Place> {
        let mut state = self.lock();
        let free = state.has_room(&self.limits, claim);
        free.then(|| self.take(&mut state, claim.clone()))
    }

    /// Takes the place that is kept for a credential, or one that is free. Without one the credential
    /// lines up, and is woken when a place is kept for it.
    pub(super) fn enter_or_line_up(self: &Arc<Self>, key: &Key, claim: &Claim) -> Option<Place> {
        let kept = self.take_kept(key);
        if let Some(place) = kept.filter(|place| place.claim == *claim) {
            self.lock().lined_up.remove(key);
            return Some(place);
        }
        let mut state = self.lock();
        if state.has_room(&self.limits, claim) {
            state.lined_up.remove(key);
            return Some(self.take(&mut state, claim.clone()));
        }
        state.line_up(key, claim);
        None
    }

    /// Takes the place that is kept for a credential.
    pub(super) fn take_kept(&self, key: &Key) -> Option<Place> {
        self.lock().kept.remove(key).map(|(_, place)| place)
    }

    /// Whether a credential waits to be woken.
    pub(super) fn is_lined_up(&self, key: &Key) -> bool {
        self.lock().lined_up.contains_key(key)
    }

    /// Gives up the place in the line, and the one that is kept.
    pub(super) fn leave(&self, key: &Key) {
        let kept = {
            let mut state = self.lock();
            state.lined_up.remove(key);
            state.kept.remove(key)
        };
        drop(kept);
    }

    fn take(self: &Arc<Self>, state: &mut State, claim: Claim) -> Place {
        for scope in claim.scopes() {
            *state.taken.entry(scope).or_default() += 1;
        }
        let share = Arc::clone(self);
        Place { share, claim }
    }

    fn release(self: &Arc<Self>, claim: &Claim) {
        {
            let mut state = self.lock();
            for scope in claim.scopes() {
                if let Some(count) = state.taken.get_mut(&scope) {
                    *count -= 1;
                    if *count == 0 {
                        state.taken.remove(&scope);
                    }
                }
            }
        }
        self.give_places();
    }

    /// Gives every free place to the next caller in the line.
    fn give_places(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            let Some((claim, waiting)) = state.next(&self.limits) else {
                return;
            };
            let place = self.take(&mut state, claim);
            match waiting.who {
                Who::Here(sender) => {
                    drop(state);
                    // Who does not wait any more leaves the place, by its drop, to the next one.
                    drop(sender.send(place));
                }
                Who::Woken(key) => {
                    let replaced = state.kept.insert(key.clone(), (waiting.number, place));
                    drop(state);
                    // A place that is dropped takes the lock.
                    drop(replaced);
                    self.wake_up(key, waiting.number);
                }
            }
        }
    }

    fn wake_up(self: &Arc<Self>, key: Key, number: u64) {
        self.wake.wake(&key);
        let share = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            share.give_away(&key, number);
        });
    }

    fn give_away(&self, key: &Key, number: u64) {
        let kept = {
            let mut state = self.lock();
            let late = state.kept.get(key).is_some_and(|(kept, _)| *kept == number);
            late.then(|| state.kept.remove(key))
        };
        drop(kept);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, limits: &Limits, claim: &Claim) -> bool {
        let taken = |namespace, site| {
            let scope = claim.scope(namespace, site);
            self.taken.get(&scope).copied().unwrap_or_default()
        };
        let (ours, site) = (Some(&claim.namespace), claim.site.as_ref());
        // A namespace that has a place leaves the reserve to those that have none.
        let most = |limit: usize, reserve: usize, held: usize| match held {
            0 => limit,
            _ => limit.saturating_sub(reserve),
        };
        let held = taken(ours, None);
        let at_site = |site| {
            let most = most(limits.site, limits.site_reserve, taken(ours, Some(site)));
            taken(None, Some(site)) < most
        };
        held < limits.namespace
            && taken(None, None) < most(limits.total, limits.reserve, held)
            && site.is_none_or(at_site)
    }

    fn wait(&mut self, claim: Claim, who: Who) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let waiting = Waiting { number, who };
        self.line.entry(claim).or_default().push_back(waiting);
        number
    }

    fn line_up(&mut self, key: &Key, claim: &Claim) {
        if self
            .lined_up
            .get(key)
            .is_some_and(|(_, known)| known == claim)
        {
            return;
        }
        let number = self.wait(claim.clone(), Who::Woken(key.clone()));
        self.lined_up.insert(key.clone(), (number, claim.clone()));
    }

    /// Takes who is next out of the line: of those for whom there is room, by priority, the one
    /// whose namespace has the fewest places, who has waited longest.
    fn next(&mut self, limits: &Limits) -> Option<(Claim, Waiting)> {
        let lined_up = &self.lined_up;
        self.line.retain(|_, line| {
            while line.front().is_some_and(|first| first.has_left(lined_up)) {
                line.pop_front();
            }
            !line.is_empty()
        });
        let claim = self
            .line
            .iter()
            .filter(|(claim, _)| self.has_room(limits, claim))
            .min_by_key(|(claim, line)| {
                let taken = self
                    .taken
                    .get(&claim.scope(Some(&claim.namespace), None))
                    .copied();
                let number = line.front().map(|first| first.number);
                (claim.priority, taken.unwrap_or_default(), number)
            })
            .map(|(claim, _)| claim.clone())?;
        let waiting = self.line.get_mut(&claim)?.pop_front()?;
        if let Who::Woken(key) = &waiting.who {
            self.lined_up.remove(key);
        }
        Some((claim, waiting))
    }
}

impl Waiting {
    /// Whether nobody waits here any more.
    fn has_left(&self, lined_up: &HashMap<Key, (u64, Claim)>) -> bool {
        match &self.who {
            Who::Here(sender) => sender.is_closed(),
            Who::Woken(key) => lined_up
                .get(key)
                .is_none_or(|(number, _)| *number != self.number),
        }
    }
}

impl Claim {
    /// Whether the place is one of those for renewals.
    pub(super) fn renews(&self) -> bool {
        self.priority == Priority::Renewal
    }

    /// Everything that a place counts for.
    fn scopes(&self) -> impl Iterator<Item = Scope> {
        let namespaces = [None, Some(&self.namespace)];
        let everywhere = namespaces.map(|namespace| self.scope(namespace, None));
        let site = self.site.as_ref();
        let at_site =
            site.map(|site| namespaces.map(|namespace| self.scope(namespace, Some(site))));
        everywhere.into_iter().chain(at_site.into_iter().flatten())
    }

    fn scope(&self, namespace: Option<&Arc<str>>, site: Option<&Arc<str>>) -> Scope {
        Scope {
            renewals: self.renews(),
            namespace: namespace.cloned(),
            site: site.cloned(),
        }
    }
}

impl Place {
    /// What the place is for.
    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.share.release(&self.claim);
    }
}

#[cfg(test)]
mod tests;
