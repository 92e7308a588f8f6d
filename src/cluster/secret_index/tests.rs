use super::*;
use crate::api::TargetVersion;
use crate::cluster::merge::Merged;

fn version(uid: &str) -> Known {
    Known::Present {
        uid: uid.into(),
        resource_version: "1".into(),
    }
}

#[test]
fn an_answer_that_comes_after_the_end_of_a_secret_does_not_bring_it_back() {
    let index = VersionIndex::default();
    let (user, secret) = (Key::new("team", "bot"), Key::new("team", "target"));
    index.refer(&user, vec![Key::new("team", "target")]);
    let show = || index.shown(secret.clone(), "a".into(), "1".into());
    let learn = |uid| index.learn_from_write("team", "target", version(uid));
    let ends: [fn(&VersionIndex, &Key) -> Vec<Key>; 2] = [
        |index, secret| index.gone(secret, "a"),
        |index, _| {
            index.list_begins(&Scope::Cluster);
            index.list_ends(&Scope::Cluster).0
        },
    ];
    for end in ends {
        let index = &index;
        show();
        assert_eq!(end(index, &secret), std::slice::from_ref(&user));
        learn("a");
        assert_eq!(index.look("team", "target"), Known::Absent);
        // Another one is another matter.
        learn("b");
        assert_eq!(index.look("team", "target"), version("b"));
        assert_eq!(index.gone(&secret, "b"), std::slice::from_ref(&user));
    }
}

#[test]
fn a_secret_that_a_list_showed_before_anybody_asked_for_it_is_not_taken_for_absent() {
    let index = VersionIndex::default();
    let known = Known::Present {
        uid: "uid".into(),
        resource_version: "1".into(),
    };
    for read_meanwhile in [false, true] {
        index.list_begins(&Scope::Cluster);
        index.shown(Key::new("team", "late"), "uid".into(), "1".into());
        index.refer(&Key::new("team", "bot"), vec![Key::new("team", "late")]);
        if read_meanwhile {
            index.learn_from_read("team", "late", known.clone());
        }
        index.list_ends(&Scope::Cluster);
        assert_ne!(index.look("team", "late"), Known::Absent);
        index.refer(&Key::new("team", "bot"), vec![]);
    }
}

fn numbered(version: &str) -> Known {
    Known::Present {
        uid: "a".into(),
        resource_version: version.into(),
    }
}

/// An etcd that is restored from a backup counts on from where the backup was made.
#[test]
fn a_list_is_believed_even_if_it_shows_an_older_version() {
    let index = VersionIndex::default();
    let (user, secret) = (Key::new("team", "bot"), Key::new("team", "source"));
    index.refer(&user, vec![Key::new("team", "source")]);
    let show = |version: &str| index.shown(secret.clone(), "a".into(), version.into());
    let list = |version: &str| {
        index.list_begins(&Scope::Cluster);
        let concerned = show(version);
        index.list_ends(&Scope::Cluster);
        concerned
    };
    list("2000");
    assert!(show("1999").is_empty(), "late news of the watch");
    assert_eq!(index.look("team", "source"), numbered("2000"));
    assert_eq!(list("19"), std::slice::from_ref(&user));
    assert_eq!(index.look("team", "source"), numbered("19"));
    assert_eq!(show("20"), std::slice::from_ref(&user));
}

#[test]
fn a_list_that_began_before_our_own_write_does_not_undo_it() {
    let index = VersionIndex::default();
    let (user, secret) = (Key::new("team", "bot"), Key::new("team", "source"));
    index.refer(&user, vec![Key::new("team", "source")]);
    index.shown(secret.clone(), "a".into(), "19".into());
    index.list_begins(&Scope::Cluster);
    index.learn_from_write("team", "source", numbered("20"));
    assert!(index.shown(secret, "a".into(), "19".into()).is_empty());
    index.list_ends(&Scope::Cluster);
    assert_eq!(index.look("team", "source"), numbered("20"));
}

#[test]
fn what_others_wrote_into_a_shared_secret_is_told_to_everybody_who_writes_there() {
    let version = |resource_version: &str| TargetVersion {
        namespace: None,
        name: "app".into(),
        uid: "u".into(),
        resource_version: resource_version.into(),
        hash: None,
        held_by: None,
        merge: None,
    };
    let written = |over: &str, freed| Merged::Written {
        version: version("6"),
        over: over.into(),
        freed,
    };
    // The watch has shown version 4, and 5 is on its way.
    for (name, merged, woken, told) in [
        ("read", Merged::Held(version("5")), 0, 2),
        ("blocked", Merged::Blocked(Some(version("5"))), 0, 2),
        ("no such Secret", Merged::Blocked(None), 0, 2),
        ("written over what is known", written("4", false), 0, 0),
        ("written over what is not", written("5", false), 1, 0),
        ("a key is free", written("4", true), 1, 0),
    ] {
        let index = VersionIndex::default();
        let (me, other) = (Key::new("team", "a"), Key::new("team", "b"));
        index.refer(&me, vec![Key::new("team", "app")]);
        index.refer(&other, vec![Key::new("team", "app")]);
        let secret = Key::new("team", "app");
        let show = |version: &str| index.shown(secret.clone(), "u".into(), version.into());
        assert_eq!(show("4").len(), 2, "{name}");
        let users = index.learn_merge(&me, &merged);
        assert_eq!(users, vec![other; woken], "{name}");
        assert_eq!(show("5").len(), told, "{name}");
    }
    // The watch was faster than the answer.
    let index = VersionIndex::default();
    let (me, other) = (Key::new("team", "a"), Key::new("team", "b"));
    index.refer(&me, vec![Key::new("team", "app")]);
    index.refer(&other, vec![Key::new("team", "app")]);
    index.shown(Key::new("team", "app"), "u".into(), "6".into());
    assert_eq!(index.learn_merge(&me, &written("5", false)), []);
}
