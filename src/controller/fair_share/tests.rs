use futures::FutureExt;
use futures::channel::mpsc::UnboundedReceiver;
use kube::runtime::reflector::ObjectRef;

use super::*;
use crate::cluster::Watched;

const LIMITS: Limits = Limits {
    total: 4,
    reserve: 1,
    namespace: 3,
    site: 3,
    site_reserve: 1,
};

fn share() -> (Arc<FairShare>, UnboundedReceiver<ObjectRef<Watched>>) {
    let wake = Arc::new(Wake::default());
    let woken = wake.woken();
    (FairShare::new(LIMITS, wake), woken)
}

fn claim(namespace: &str, site: Option<&str>, priority: Priority) -> Claim {
    Claim {
        namespace: namespace.into(),
        site: site.map(Into::into),
        priority,
    }
}

fn routine(namespace: &str) -> Claim {
    claim(namespace, None, Priority::Routine)
}

/// The places that are there at once.
fn places(share: &Arc<FairShare>, claims: &[Claim]) -> Vec<Place> {
    let taken = claims.iter().map(|claim| share.enter(claim.clone()));
    taken.filter_map(FutureExt::now_or_never).collect()
}

#[test]
fn no_namespace_and_no_site_takes_everything() {
    let routine = |namespace, site| claim(namespace, Some(site), Priority::Routine);
    for (claims, free) in [
        (vec![routine("a", "x"); 5], 2),
        (
            vec![
                routine("a", "x"),
                routine("a", "x"),
                routine("b", "x"),
                routine("c", "x"),
            ],
            3,
        ),
        (
            vec![
                routine("a", "x"),
                routine("a", "x"),
                routine("a", "y"),
                routine("a", "y"),
            ],
            3,
        ),
        (
            vec![
                routine("a", "x"),
                routine("b", "x"),
                routine("a", "y"),
                routine("b", "y"),
                routine("c", "z"),
            ],
            4,
        ),
    ] {
        let (share, _) = share();
        assert_eq!(places(&share, &claims).len(), free, "{claims:?}");
    }
}

#[test]
fn a_place_that_is_dropped_is_free_again() {
    let (share, _) = share();
    for _ in 0..3 {
        let taken = places(&share, &vec![routine("a"); 9]);
        assert_eq!(taken.len(), 3);
    }
    assert!(share.lock().taken.is_empty());
}

#[test]
fn renewals_have_places_of_their_own() {
    let (share, _) = share();
    let all = [routine("a"), routine("a"), routine("a"), routine("b")];
    let taken = places(&share, &all);
    assert_eq!(taken.len(), 4);
    let renewal = claim("b", None, Priority::Renewal);
    assert_eq!(places(&share, &vec![renewal; 9]).len(), 3);
}

/// Who gets the places, in which order, when they come free one after the other.
async fn served(waiting: &[(&'static str, Priority)]) -> Vec<&'static str> {
    let (share, _) = share();
    // Namespace a has all that it may have, and the rest is taken, too.
    let mut taken = places(
        &share,
        &[routine("a"), routine("a"), routine("z"), routine("y")],
    );
    let (sender, order) = futures::channel::mpsc::unbounded();
    let mut line: Vec<_> = waiting
        .iter()
        .map(|(namespace, priority)| {
            let share = Arc::clone(&share);
            let (sender, claim) = (sender.clone(), claim(namespace, None, *priority));
            async move {
                let place = share.enter(claim).await;
                sender.unbounded_send(*namespace).unwrap();
                // Kept, so that it counts for the next choice.
                place
            }
            .boxed()
        })
        .collect();
    for future in &mut line {
        assert!(future.now_or_never().is_none());
    }
    drop(sender);
    while let Some(place) = taken.pop() {
        drop(place);
        for future in &mut line {
            if let Some(place) = future.now_or_never() {
                taken.insert(0, place);
                *future = std::future::pending().boxed();
            }
        }
    }
    drop(line);
    futures::StreamExt::collect(order).await
}

#[tokio::test]
async fn the_next_place_goes_to_who_has_the_fewest_and_has_waited_longest() {
    use Priority::{Resumed, Routine};
    let order = served(&[
        ("a", Routine),
        ("a", Routine),
        ("b", Routine),
        ("c", Routine),
    ])
    .await;
    assert_eq!(order, ["b", "c", "a", "a"]);
    let order = served(&[("b", Routine), ("c", Resumed)]).await;
    assert_eq!(order, ["c", "b"]);
}

#[tokio::test(start_paused = true)]
async fn who_lines_up_is_woken_and_finds_the_place() {
    let (share, mut woken) = share();
    let taken = places(&share, &vec![routine("a"); 3]);
    let (first, second) = (Key::new("a", "first"), Key::new("a", "second"));
    for key in [&first, &second, &first] {
        assert!(share.enter_or_line_up(key, &routine("a")).is_none());
        assert!(share.is_lined_up(key));
    }
    assert!(woken.try_recv().is_err());
    drop(taken);
    assert_eq!(woken.try_recv().unwrap().name, "first");
    assert_eq!(woken.try_recv().unwrap().name, "second");
    assert!(woken.try_recv().is_err(), "each is woken once");
    // The one comes; the other does not, and the place is given away in time.
    let place = share.enter_or_line_up(&first, &routine("a"));
    assert!(place.is_some() && !share.is_lined_up(&first));
    assert_eq!(places(&share, &vec![routine("a"); 3]).len(), 1);
    tokio::time::sleep(KEPT_FOR * 2).await;
    assert_eq!(places(&share, &vec![routine("a"); 3]).len(), 2);
}

#[tokio::test]
async fn who_leaves_the_line_leaves_the_place_to_the_next() {
    let (share, mut woken) = share();
    let taken = places(&share, &vec![routine("a"); 3]);
    let keys = ["gone", "deleted", "next"].map(|name| Key::new("a", name));
    for key in &keys {
        assert!(share.enter_or_line_up(key, &routine("a")).is_none());
    }
    // A future that is dropped waits no longer, either.
    assert!(share.enter(routine("a")).now_or_never().is_none());
    share.leave(&keys[0]);
    let mut taken = taken.into_iter();
    drop(taken.next());
    assert_eq!(woken.try_recv().unwrap().name, "deleted");
    share.leave(&keys[1]);
    assert_eq!(woken.try_recv().unwrap().name, "next");
    share.leave(&keys[2]);
    drop(taken);
    assert!(share.lock().taken.is_empty());
}
