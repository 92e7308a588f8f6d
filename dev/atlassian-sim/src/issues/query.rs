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
}

/// Reads `project = "X"`, `labels = "X"`, `creator = currentUser()` and `statusCategory != Done`, joined by `AND`,
/// with an order behind them; `None` for anything else.
pub(super) fn read(jql: &str) -> Option<Query> {
    let (conditions, order) = match jql.split_once(" ORDER BY ") {
        Some((conditions, order)) => (conditions, Some(order)),
        None => (jql, None),
    };
    if order.is_some_and(|order| order != "created ASC") {
        return None;
    }
    let mut query = Query::default();
    for condition in conditions.split(" AND ") {
        match condition.trim().splitn(3, ' ').collect::<Vec<_>>()[..] {
            ["project", "=", value] => query.project = Some(quoted(value)?),
            ["labels", "=", value] => query.label = Some(quoted(value)?),
            ["creator", "=", "currentUser()"] => query.own_only = true,
            ["statusCategory", "!=", "Done"] => query.open_only = true,
            _ => return None,
        }
    }
    Some(query)
}

fn quoted(value: &str) -> Option<String> {
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
        };
        assert_eq!(read(whole), Some(expected));
        for bad in [
            "",
            "project = OPS",
            "assignee = \"ann\"",
            "project = \"OPS\" ORDER BY rank",
            "labels = \"a\\\"\"",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
