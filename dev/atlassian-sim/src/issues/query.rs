//! The subset of JQL that is understood.

/// What is searched for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) project: Option<String>,
    pub(super) label: Option<String>,
    /// Only what the caller has created.
    pub(super) own_only: bool,
    /// What is done is left out.
    pub(super) open_only: bool,
    /// The newest come first.
    pub(super) newest_first: bool,
}

/// What Alertmanager asks for the newest by. It expects one issue at most.
const BY_STATUS: &str = "status ASC,resolutiondate DESC";

const OLDEST_FIRST: &str = "created ASC";

const NEWEST_FIRST: &str = "created DESC";

/// Reads `project = "X"`, `labels = "X"`, `creator = currentUser()` and `statusCategory != Done`, joined by `AND`,
/// with an order behind them; `None` for anything else. JQL's words have no case, and need no space around `=`; a
/// value of letters and digits needs no quotes.
pub(super) fn read(jql: &str) -> Option<Query> {
    let jql = jql
        .replace(" and ", " AND ")
        .replace(" order by ", " ORDER BY ");
    let jql = jql
        .replace("project=", "project = ")
        .replace("labels=", "labels = ");
    let (conditions, order) = match jql.split_once(" ORDER BY ") {
        Some((conditions, order)) => (conditions, Some(order)),
        None => (jql.as_str(), None),
    };
    if order.is_some_and(|order| ![OLDEST_FIRST, NEWEST_FIRST, BY_STATUS].contains(&order)) {
        return None;
    }
    let mut query = Query {
        newest_first: order == Some(NEWEST_FIRST),
        ..Query::default()
    };
    for condition in conditions.split(" AND ") {
        match condition.trim().splitn(3, ' ').collect::<Vec<_>>()[..] {
            ["project", "=", value] => query.project = Some(text(value)?),
            ["labels", "=", value] => query.label = Some(text(value)?),
            ["creator", "=", "currentUser()"] => query.own_only = true,
            ["statusCategory", "!=", "Done"] => query.open_only = true,
            _ => return None,
        }
    }
    Some(query)
}

fn text(value: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !value.is_empty() && value.chars().all(is_plain) {
        return Some(value.to_owned());
    }
    let value = value.strip_prefix('"')?.strip_suffix('"')?;
    (!value.contains(['"', '\\'])).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_read_or_refused() {
        let whole = "project = \"OPS\" AND labels = \"a-1\" AND creator = currentUser() AND statusCategory != Done ORDER BY created ASC";
        let expected = Query {
            project: Some("OPS".to_owned()),
            label: Some("a-1".to_owned()),
            own_only: true,
            open_only: true,
            newest_first: false,
        };
        assert_eq!(read(whole), Some(expected));
        let alertmanager = "statusCategory != Done and project=\"OPS\" and labels=\"ALERT{a}\" order by status ASC,resolutiondate DESC";
        let read_as = read(alertmanager).unwrap();
        assert_eq!(read_as.label.as_deref(), Some("ALERT{a}"));
        assert!(read_as.open_only && !read_as.own_only);
        for plain in ["project = OPS", "project=OPS"] {
            assert_eq!(read(plain).unwrap().project.as_deref(), Some("OPS"));
        }
        assert!(
            read("project=\"OPS\" ORDER BY created DESC")
                .unwrap()
                .newest_first
        );
        for bad in [
            "",
            "project = ",
            "project = OPS-1",
            "assignee = \"ann\"",
            "project = \"OPS\" ORDER BY rank",
            "labels = \"a\\\"\"",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
