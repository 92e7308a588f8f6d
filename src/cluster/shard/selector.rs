//! Label selectors: read, compared with labels, and compared with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

use crate::api::OPERATOR_NAME;
use crate::core::fingerprint::hex;

/// The labels of an object.
pub type Labels = BTreeMap<String, String>;

/// A label selector in its normal form: equal selectors are written equally, whatever they were read from.
/// That without requirements matches everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selector(BTreeMap<String, Allowed>);

/// What a selector allows for one key.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Allowed {
    /// Whether the label may be missing.
    absent: bool,
    values: Values,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Values {
    Only(BTreeSet<String>),
    AllBut(BTreeSet<String>),
}

/// Why a text is no label selector that an operator can be given.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SelectorError {
    /// A requirement cannot be read.
    #[error(
        "{0:?} is no requirement on a label: write key=value, key!=value, key in (a,b), key notin (a,b), key or !key, separated by commas"
    )]
    Requirement(String),
    /// It names a label that cannot exist.
    #[error("{0:?} is no key of a label")]
    Key(String),
    /// It names a value that no label can have.
    #[error("{0:?} is no value of a label")]
    Value(String),
    /// Its requirements contradict each other.
    #[error("nothing can match it: its requirements on {0} contradict each other")]
    Contradiction(String),
}

impl Allowed {
    fn and(&self, other: &Self) -> Self {
        use Values::{AllBut, Only};
        let values = match (&self.values, &other.values) {
            (Only(some), Only(others)) => Only(some & others),
            (Only(some), AllBut(others)) | (AllBut(others), Only(some)) => Only(some - others),
            (AllBut(some), AllBut(others)) => AllBut(some | others),
        };
        let absent = self.absent && other.absent;
        Self { absent, values }
    }

    /// There are more values than a selector can exclude.
    fn is_possible(&self) -> bool {
        self.absent || !matches!(&self.values, Values::Only(values) if values.is_empty())
    }

    fn allows(&self, value: Option<&String>) -> bool {
        match (value, &self.values) {
            (None, _) => self.absent,
            (Some(value), Values::Only(values)) => values.contains(value),
            (Some(value), Values::AllBut(values)) => !values.contains(value),
        }
    }
}

impl Selector {
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: Option<&Labels>) -> bool {
        let value = |key| labels.and_then(|labels| labels.get(key));
        self.0
            .iter()
            .all(|(key, allowed)| allowed.allows(value(key)))
    }

    /// Whether some labels match both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().all(|(key, allowed)| {
            let theirs = other.0.get(key);
            theirs.is_none_or(|theirs| allowed.and(theirs).is_possible())
        })
    }

    /// Whether it requires anything of the label with this key.
    pub fn names(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The name of the Lease of the operators with this selector: equal selectors have one Lease.
    pub fn lease_name(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.to_string().as_bytes());
        format!("{OPERATOR_NAME}-{}", hex(digest.as_ref(), 10))
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let mut all: BTreeMap<String, Allowed> = BTreeMap::new();
        for part in parts(text) {
            let (key, allowed) = requirement(part)?;
            let allowed = match all.get(&key) {
                Some(known) => known.and(&allowed),
                None => allowed,
            };
            if !allowed.is_possible() {
                return Err(SelectorError::Contradiction(key));
            }
            all.insert(key, allowed);
        }
        Ok(Self(all))
    }
}

/// Splits at the commas outside of parentheses.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    text.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .map(str::trim)
}

fn requirement(part: &str) -> Result<(String, Allowed), SelectorError> {
    let only = |values| (false, Values::Only(values));
    let all_but = |values| (true, Values::AllBut(values));
    let one = |value: &str| Ok::<_, SelectorError>(BTreeSet::from([label_value(value)?]));
    let (key, (absent, values)) = if let Some((left, right)) = part.split_once('(') {
        let unreadable = || SelectorError::Requirement(part.to_owned());
        let (listed, rest) = right.split_once(')').ok_or_else(unreadable)?;
        let words: Vec<&str> = left.split_whitespace().collect();
        let values: Result<BTreeSet<String>, _> = listed.split(',').map(label_value).collect();
        match (words.as_slice(), rest) {
            ([key, "in"], "") => (*key, only(values?)),
            ([key, "notin"], "") => (*key, all_but(values?)),
            _ => return Err(unreadable()),
        }
    } else if let Some((key, value)) = part.split_once("!=") {
        (key, all_but(one(value)?))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, only(one(value)?))
    } else if let Some(key) = part.strip_prefix('!') {
        (key, (true, Values::Only(BTreeSet::new())))
    } else if part.is_empty() || part.contains(char::is_whitespace) {
        return Err(SelectorError::Requirement(part.to_owned()));
    } else {
        (part, (false, Values::AllBut(BTreeSet::new())))
    };
    Ok((label_key(key)?, Allowed { absent, values }))
}

/// The longest name or value in a label.
const LONGEST: usize = 63;

/// The longest prefix of a key.
const LONGEST_PREFIX: usize = 253;

fn is_name(text: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let outer = |letter: char| letter.is_ascii_alphanumeric();
    (1..=LONGEST).contains(&text.len())
        && text.chars().all(inner)
        && text.starts_with(outer)
        && text.ends_with(outer)
}

fn label_key(text: &str) -> Result<String, SelectorError> {
    let key = text.trim();
    let is_key = match key.split_once('/') {
        Some((prefix, name)) => {
            let is_prefix = prefix.len() <= LONGEST_PREFIX && prefix.split('.').all(is_name);
            is_prefix && is_name(name)
        }
        None => is_name(key),
    };
    if is_key {
        Ok(key.to_owned())
    } else {
        Err(SelectorError::Key(key.to_owned()))
    }
}

fn label_value(text: &str) -> Result<String, SelectorError> {
    let value = text.trim();
    if value.is_empty() || is_name(value) {
        Ok(value.to_owned())
    } else {
        Err(SelectorError::Value(value.to_owned()))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<String> = Vec::new();
        for (key, allowed) in &self.0 {
            let (values, [equal, within]) = match &allowed.values {
                Values::Only(values) => (values, ["=", "in"]),
                Values::AllBut(values) => (values, ["!=", "notin"]),
            };
            let present = !allowed.absent && matches!(allowed.values, Values::AllBut(_));
            all.extend(present.then(|| key.clone()));
            let listed: Vec<&str> = values.iter().map(String::as_str).collect();
            match listed.as_slice() {
                [] if present => {}
                [] => all.push(format!("!{key}")),
                [value] => all.push(format!("{key}{equal}{value}")),
                several => all.push(format!("{key} {within} ({})", several.join(","))),
            }
        }
        formatter.write_str(&all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Selector {
        text.parse().unwrap()
    }

    fn labels(text: &str) -> Labels {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn equal_selectors_are_written_equally_and_have_one_lease() {
        for (written, normal) in [
            ("shard=a", "shard=a"),
            (" shard == a ", "shard=a"),
            ("shard in (a)", "shard=a"),
            ("shard in (b, a),tier!=x", "shard in (a,b),tier!=x"),
            ("tier != x, shard in (a,b)", "shard in (a,b),tier!=x"),
            ("shard,shard notin (b,a)", "shard,shard notin (a,b)"),
            ("shard!=a,shard!=b", "shard notin (a,b)"),
            ("shard in (a,b),shard!=a", "shard=b"),
            ("!shard", "!shard"),
            ("!shard,shard!=a", "!shard"),
            ("example.com/shard", "example.com/shard"),
            ("shard=", "shard="),
        ] {
            assert_eq!(read(written).to_string(), normal, "{written}");
            assert_eq!(read(normal), read(written));
            assert_eq!(read(normal).lease_name(), read(written).lease_name());
        }
        assert_eq!(
            read("shard=a").lease_name(),
            "jira-credential-operator-3d8dfb268d"
        );
        assert_ne!(read("shard=a").lease_name(), read("shard=b").lease_name());
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for wrong in [
            "",
            "a,",
            ",a",
            "a b",
            "a in b",
            "a in (b",
            "a in (b) c",
            "a on (b)",
            "a=b=c",
            "a>1",
            "-a",
            "a/b/c",
            "/a",
            "a=-",
            "a in (b c)",
            "!",
            "=a",
            "a in (b),a=c",
            "a,!a",
        ] {
            assert!(wrong.parse::<Selector>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn labels_match_as_the_api_server_has_it() {
        for (selector, matching, others) in [
            (
                "shard=a",
                &["shard=a", "shard=a,x=y"][..],
                &["", "shard=b"][..],
            ),
            ("shard!=a", &["", "shard=b"], &["shard=a"]),
            ("shard in (a,b)", &["shard=a", "shard=b"], &["", "shard=c"]),
            ("shard notin (a,b)", &["", "shard=c"], &["shard=a"]),
            ("shard", &["shard=a", "shard="], &["", "x=y"]),
            ("!shard", &["", "x=y"], &["shard=a"]),
            ("shard,shard!=a", &["shard=b"], &["", "shard=a"]),
            (
                "shard=a,tier=x",
                &["shard=a,tier=x"],
                &["shard=a", "tier=x"],
            ),
        ] {
            for wanted in matching {
                assert!(
                    read(selector).matches(Some(&labels(wanted))),
                    "{selector}: {wanted}"
                );
            }
            for wanted in others {
                assert!(
                    !read(selector).matches(Some(&labels(wanted))),
                    "{selector}: {wanted}"
                );
            }
        }
        assert!(read("!shard").matches(None) && !read("shard").matches(None));
    }

    #[test]
    fn selectors_overlap_when_some_labels_match_both() {
        for (one, other, overlap) in [
            ("shard=a", "shard=a", true),
            ("shard=a", "shard=b", false),
            ("shard=a", "tier=x", true),
            ("shard=a", "shard!=a", false),
            ("shard=a", "shard!=b", true),
            ("shard=a", "!shard", false),
            ("shard!=a", "!shard", true),
            ("shard!=a", "shard!=b", true),
            ("shard", "!shard", false),
            ("shard in (a,b)", "shard in (b,c)", true),
            ("shard in (a,b)", "shard notin (a,b)", false),
            ("shard=a,tier=x", "shard=a,tier=y", false),
        ] {
            assert_eq!(
                read(one).overlaps(&read(other)),
                overlap,
                "{one} and {other}"
            );
            assert_eq!(
                read(other).overlaps(&read(one)),
                overlap,
                "{other} and {one}"
            );
        }
    }
}
