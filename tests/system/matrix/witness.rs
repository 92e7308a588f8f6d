//! Who looks on.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atlassian_sim::{Call, Verdict};

use super::Way;
use crate::support::World;

/// Looks at the published Secret all the time, as pods do, and remembers every token in it that
/// Jira had not accepted by then, and every one that did not work while it stood there.
pub(super) struct Witness<W> {
    notes: Arc<Notes>,
    way: PhantomData<W>,
}

#[derive(Default)]
struct Notes {
    unvalidated: Mutex<Vec<String>>,
    dead: Mutex<Vec<String>>,
    ends: AtomicBool,
}

impl<W: Way> Witness<W> {
    pub(super) fn of(world: Arc<World>) -> Self {
        let notes = Arc::new(Notes::default());
        let book = notes.clone();
        tokio::spawn(async move {
            let mut last = None;
            while !book.ends.load(Ordering::Relaxed) {
                let token = Self::look(&world).await;
                if let Some(token) = &token {
                    if last.as_ref() != Some(token) && !is_validated::<W>(&world, token) {
                        book.unvalidated.lock().unwrap().push(token.clone());
                    }
                    // Unless another one stands there by now.
                    let dead = !W::works(&world, token);
                    if dead && Self::look(&world).await.as_ref() == Some(token) {
                        book.dead.lock().unwrap().push(token.clone());
                    }
                }
                last = token;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Self {
            notes,
            way: PhantomData,
        }
    }

    async fn look(world: &World) -> Option<String> {
        let secret = world.secrets().get_opt("bot").await.ok().flatten();
        secret.as_ref().map(W::shown)
    }

    /// What stood there and was not validated, and what did not work.
    pub(super) fn saw(&self) -> (Vec<String>, Vec<String>) {
        let list = |notes: &Mutex<Vec<String>>| notes.lock().unwrap().clone();
        (list(&self.notes.unvalidated), list(&self.notes.dead))
    }
}

fn is_validated<W: Way>(world: &World, token: &str) -> bool {
    let id = W::id(world, token);
    let accepted = |call: &Call| {
        call.token_id == id && call.path.ends_with("/myself") && call.verdict == Verdict::Accepted
    };
    id.is_some() && world.sim.calls().iter().any(accepted)
}

impl<W> Drop for Witness<W> {
    fn drop(&mut self) {
        self.notes.ends.store(true, Ordering::Relaxed);
    }
}
