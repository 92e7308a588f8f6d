//! The modules of `src` use each other in one direction only.
//!
//! `src/core/mod.rs` tells the reading order of the core; here it is checked, together with the
//! layers around it. A method of `Facts` needs no `use`, so the files that may add one are listed.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a failed test may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The layers of the crate; each uses only those before it.
const LAYERS: [&str; 12] = [
    "clock",
    "api",
    "core",
    "crd",
    "render",
    "net",
    "jira",
    "notify",
    "cluster",
    "ops",
    "controller",
    "cli",
];

/// The rooms of the core, in their reading order.
const ROOMS: [&str; 10] = [
    "time",
    "fingerprint",
    "spec",
    "probe",
    "grant",
    "facts",
    "decide",
    "apply",
    "messages",
    "conclude",
];

/// The rooms whose files may add methods to `Facts`: those that read them, and those that change
/// them. Everywhere else a function takes `&Facts`, so that the `use` shows who depends on whom.
const METHODS_OF_FACTS: [&str; 2] = ["core/facts/", "core/apply/"];

/// A source file, by its module path, and what it says without its tests.
struct File {
    module: Vec<String>,
    path: String,
    text: String,
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found.iter().filter_map(|path| file(&root, path)).collect()
}

/// Reads one file; `None` for one that holds tests only.
fn file(root: &Path, path: &Path) -> Option<File> {
    let short: PathBuf = path.strip_prefix(root).unwrap().to_owned();
    let mut module: Vec<String> = short
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if module.iter().any(|part| part == "tests") {
        return None;
    }
    module.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
    let text = std::fs::read_to_string(path).unwrap();
    let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code: Vec<&str> = shipped
        .lines()
        .map(|line| line.split("//").next().unwrap())
        .collect();
    Some(File {
        module,
        path: short.to_str().unwrap().to_owned(),
        text: code.join("\n"),
    })
}

/// The module paths that a file names: `use` trees are unfolded, and paths within the code count
/// like them.
fn names(file: &File) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut rest = file.text.as_str();
    while let Some((before, after)) = rest.split_once("crate::") {
        let part_of_a_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if !part_of_a_word {
            unfold(after, &mut Vec::new(), &mut all);
        }
        rest = after;
    }
    let parents = file.text.match_indices("super::");
    for (at, _) in parents {
        let after = &file.text[at + "super::".len()..];
        if after.starts_with("super::") {
            continue;
        }
        let depth = file.text[..at].ends_with("super::");
        let up = if depth { 2 } else { 1 };
        let mut prefix = file.module[..file.module.len().saturating_sub(up)].to_vec();
        unfold(after, &mut prefix, &mut all);
    }
    all.extend(children_used(file));
    all
}

/// The modules that a file declares and uses itself. What it only passes on (`pub use`) does not count.
fn children_used(file: &File) -> Vec<Vec<String>> {
    let declared = file.text.lines().filter_map(|line| {
        let line = line.strip_suffix(';')?;
        line.split_once("mod ").map(|(_, name)| name)
    });
    let used = |name: &&str| {
        let path = format!("{name}::");
        let lines = file.text.lines();
        let own = lines.filter(|line| !(line.starts_with("pub") && line.contains(" use ")));
        own.into_iter().any(|line| {
            line.match_indices(&path).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            })
        })
    };
    declared
        .filter(used)
        .map(|name| {
            let mut path = file.module.clone();
            path.push(name.to_owned());
            path
        })
        .collect()
}

/// Unfolds the tree of paths at the beginning of a text, and returns what follows it.
fn unfold<'a>(text: &'a str, prefix: &mut Vec<String>, all: &mut Vec<Vec<String>>) -> &'a str {
    let depth = prefix.len();
    let mut rest = text.trim_start();
    loop {
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                rest = unfold(rest, prefix, all).trim_start();
                match rest.strip_prefix(',') {
                    Some(more) => rest = more.trim_start(),
                    None => break,
                }
                if rest.starts_with('}') {
                    break;
                }
            }
            prefix.truncate(depth);
            return rest.strip_prefix('}').unwrap_or(rest);
        }
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name != "self" {
            prefix.push(name.to_owned());
        }
        let Some(more) = after.strip_prefix("::") else {
            all.push(prefix.clone());
            prefix.truncate(depth);
            return after;
        };
        rest = more.trim_start();
    }
}

/// Which file each file uses, by the longest module path that is a file.
fn uses(files: &[File]) -> BTreeMap<usize, BTreeSet<usize>> {
    let by_module: BTreeMap<&[String], usize> = files
        .iter()
        .enumerate()
        .map(|(index, file)| (file.module.as_slice(), index))
        .collect();
    let target = |name: &[String]| {
        (1..=name.len())
            .rev()
            .find_map(|length| by_module.get(&name[..length]).copied())
    };
    files
        .iter()
        .enumerate()
        .map(|(index, file)| {
            let used = names(file);
            let used = used.iter().filter_map(|name| target(name));
            (index, used.filter(|other| *other != index).collect())
        })
        .collect()
}

#[test]
fn no_layer_uses_one_above_it() {
    let files = files();
    let rank = |file: &File| {
        let layer = file.module.first()?;
        LAYERS.iter().position(|known| known == layer)
    };
    let room = |file: &File| {
        let room = file.module.get(1).filter(|_| file.module[0] == "core")?;
        ROOMS.iter().position(|known| known == room)
    };
    let mut upward = Vec::new();
    let mut arrows = 0;
    for (from, used) in uses(&files) {
        for to in used {
            let (from, to) = (&files[from], &files[to]);
            let up = rank(from) < rank(to) && !from.module.is_empty();
            let up_in_core = room(from).zip(room(to)).is_some_and(|(from, to)| from < to);
            if up || up_in_core {
                upward.push(format!("{} uses {}", from.path, to.path));
            }
            arrows += 1;
        }
    }
    assert!(arrows > 300, "{arrows}: the imports are not read any more");
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn every_room_of_the_core_has_its_place_in_the_order() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core");
    let found: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().with_extension(""))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "mod")
        .collect();
    assert_eq!(found, ROOMS.map(str::to_owned).into());
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let files = files();
    let uses = uses(&files);
    let mut left: BTreeSet<usize> = uses.keys().copied().collect();
    loop {
        let done: Vec<usize> = left
            .iter()
            .copied()
            .filter(|file| uses[file].iter().all(|used| !left.contains(used)))
            .collect();
        if done.is_empty() {
            break;
        }
        for file in done {
            left.remove(&file);
        }
    }
    let mut circle: Vec<String> = Vec::new();
    for file in &left {
        let back: Vec<&str> = uses[file]
            .iter()
            .filter(|used| left.contains(used))
            .map(|used| files[*used].path.as_str())
            .collect();
        circle.push(format!("{} -> {}", files[*file].path, back.join(", ")));
    }
    assert!(circle.is_empty(), "{circle:#?}");
}

#[test]
fn only_the_rooms_of_the_facts_add_methods_to_them() {
    let strange: Vec<String> = files()
        .into_iter()
        .filter(|file| file.text.contains("impl Facts {"))
        .map(|file| file.path)
        .filter(|path| !METHODS_OF_FACTS.iter().any(|room| path.starts_with(room)))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}
