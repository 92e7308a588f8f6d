//! Lists of host names that the administrator allows.

use std::fmt;

use url::Host;

/// Names of hosts, each exact or all below a suffix.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostPatterns(Vec<Pattern>);

/// An exact name, or all names below a suffix.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Pattern {
    Exact(String),
    Below(String),
}

/// Why a pattern of a flag cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{flag}: {pattern:?} {problem}")]
pub struct HostPatternError {
    flag: &'static str,
    pattern: String,
    problem: PatternProblem,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PatternProblem {
    TooWide,
    NotAName,
}

impl fmt::Display for PatternProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooWide => {
                "is too wide: write an exact name, or *.SUFFIX with at least two labels in SUFFIX, such as *.jira.example.com"
            }
            Self::NotAName => {
                "is not a host name: write jira.example.com or *.jira.example.com, without scheme, port or path, and not an IP address"
            }
        })
    }
}

impl HostPatterns {
    /// Reads the values of a flag. Empty values are left out, so that an empty environment variable means an
    /// empty list.
    ///
    /// # Errors
    /// When a value is neither a name nor `*.SUFFIX` with at least two labels.
    pub fn parse<I>(flag: &'static str, values: I) -> Result<Self, HostPatternError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let values = values.into_iter();
        let values = values.filter(|value| !value.as_ref().trim().is_empty());
        let patterns = values.map(|value| Pattern::parse(flag, value.as_ref().trim()));
        patterns.collect::<Result<_, _>>().map(Self)
    }

    /// All names below suffixes, which are written `*.SUFFIX`.
    pub(crate) fn below(suffixes: &[&str]) -> Self {
        let below = |pattern: &&str| Pattern::Below(pattern.trim_start_matches("*.").to_owned());
        Self(suffixes.iter().map(below).collect())
    }

    /// Whether a host is one of them.
    pub fn matches(&self, host: &str) -> bool {
        let host = canonical(host);
        self.0.iter().any(|pattern| pattern.matches(&host))
    }
}

impl Pattern {
    fn parse(flag: &'static str, text: &str) -> Result<Self, HostPatternError> {
        let error = |problem| HostPatternError {
            flag,
            pattern: text.escape_debug().to_string(),
            problem,
        };
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None if text == "*" => return Err(error(PatternProblem::TooWide)),
            None => (text, false),
        };
        // The same reading as for the site of a spec: lower case, Punycode, no address.
        let Ok(Host::Domain(name)) = Host::parse(name) else {
            return Err(error(PatternProblem::NotAName));
        };
        let name = canonical(&name);
        if !is_name(&name) {
            return Err(error(PatternProblem::NotAName));
        }
        match (wildcard, name.contains('.')) {
            (false, _) => Ok(Self::Exact(name)),
            (true, true) => Ok(Self::Below(name)),
            (true, false) => Err(error(PatternProblem::TooWide)),
        }
    }

    fn matches(&self, host: &str) -> bool {
        if !is_name(host) {
            return false;
        }
        match self {
            Self::Exact(name) => host == name,
            Self::Below(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.ends_with('.')),
        }
    }
}

/// Lower case, without the dot that marks a name as complete.
pub(crate) fn canonical(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether every label has a letter, digit, hyphen or underscore, and nothing else.
fn is_name(host: &str) -> bool {
    host.split('.').all(|label| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.bytes().all(known)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_names_or_narrow_suffixes() {
        for (pattern, good) in [
            ("*.cloud.localhost", true),
            ("jira", true),
            ("Jira.Example.COM.", true),
            ("*.bücher.example", true),
            ("jira_1.example.com", true),
            ("*", false),
            ("*.", false),
            ("*.com", false),
            ("*.com.", false),
            ("*.*.com", false),
            ("j*.example.com", false),
            ("*example.com", false),
            (".example.com", false),
            ("*..example.com", false),
            ("https://jira.example.com", false),
            ("jira.example.com:8443", false),
            ("jira.example.com/jira", false),
            ("10.0.0.1", false),
            ("*.0.0.1", false),
            ("[::1]", false),
        ] {
            let read = HostPatterns::parse("--hosts", [pattern]);
            assert_eq!(read.is_ok(), good, "{pattern:?}: {read:?}");
        }
    }
}
