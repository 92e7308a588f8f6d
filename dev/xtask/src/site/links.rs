//! Whether the links between the pages lead somewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::failure::{Outcome, While as _, fail};

/// How much was checked.
pub(super) struct Checked {
    pub(super) pages: usize,
    pub(super) links: usize,
}

/// Checks every link of every page that does not leave the site.
pub(super) fn check(site: &Path) -> Outcome<Checked> {
    let mut pages = BTreeMap::new();
    read(site, &mut pages)?;
    let mut links = 0;
    let mut broken = Vec::new();
    for (page, text) in &pages {
        // One page of everything, for printers, whose links are relative to other pages.
        if page.ends_with("print.html") {
            continue;
        }
        for link in attributes(text, "href").chain(attributes(text, "src")) {
            if link.contains("://") || link.starts_with("data:") || link.starts_with("mailto:") {
                continue;
            }
            links += 1;
            if !leads_somewhere(page, link, &pages) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    if pages.is_empty() || links == 0 {
        return fail(format!("{} holds no pages", site.display()));
    }
    if !broken.is_empty() {
        return fail(format!("links that lead nowhere:\n{}", broken.join("\n")));
    }
    Ok(Checked {
        pages: pages.len(),
        links,
    })
}

fn read(folder: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Outcome {
    for entry in fs::read_dir(folder).while_(folder.display())? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, pages)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            let text = fs::read_to_string(&path).while_(path.display())?;
            pages.insert(path, text);
        }
    }
    Ok(())
}

/// The values of an attribute, as mdBook writes them: in double quotes.
fn attributes<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let begins = format!(" {name}=\"");
    let parts = text.split(begins.as_str()).skip(1).collect::<Vec<_>>();
    parts
        .into_iter()
        .filter_map(|part| Some(part.split_once('"')?.0))
}

fn leads_somewhere(page: &Path, link: &str, pages: &BTreeMap<PathBuf, String>) -> bool {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let target = match (path, page.parent()) {
        ("", _) => page.to_owned(),
        (path, Some(folder)) => plain(&folder.join(path)),
        (path, None) => PathBuf::from(path),
    };
    let has_anchor = || {
        let text = pages.get(&target).map(String::as_str).unwrap_or_default();
        text.contains(&format!("id=\"{anchor}\""))
    };
    target.exists() && (anchor.is_empty() || has_anchor())
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}
