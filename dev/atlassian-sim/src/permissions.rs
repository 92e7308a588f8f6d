//! Permissions of accounts, and the resource `mypermissions`, which returns those of the caller. For a
//! caller without a login it returns the permissions of anonymous users (Atlassian documentation).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::calls::Verdict;
use crate::reply::Reply;

/// The permissions that the simulator knows, and whether they belong to a project.
const KNOWN: [(&str, bool); 14] = [
    ("ADMINISTER", false),
    ("SYSTEM_ADMIN", false),
    ("BULK_CHANGE", false),
    ("CREATE_SHARED_OBJECTS", false),
    ("USER_PICKER", false),
    ("ADMINISTER_PROJECTS", true),
    ("BROWSE_PROJECTS", true),
    ("CREATE_ISSUES", true),
    ("EDIT_ISSUES", true),
    ("ADD_COMMENTS", true),
    ("ASSIGN_ISSUES", true),
    ("TRANSITION_ISSUES", true),
    ("DELETE_ISSUES", true),
    ("LINK_ISSUES", true),
];

/// What an ordinary account may do.
const ORDINARY: [&str; 7] = [
    "USER_PICKER",
    "BROWSE_PROJECTS",
    "CREATE_ISSUES",
    "EDIT_ISSUES",
    "ADD_COMMENTS",
    "ASSIGN_ISSUES",
    "TRANSITION_ISSUES",
];

/// The permissions of one account.
#[derive(Debug, Clone)]
pub(crate) struct Permissions(BTreeSet<String>);

impl Default for Permissions {
    fn default() -> Self {
        Self(ORDINARY.iter().map(|&key| key.to_owned()).collect())
    }
}

impl Permissions {
    /// Those of nobody.
    pub(crate) fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Gives a permission, or takes it away.
    pub(crate) fn set(&mut self, key: &str, held: bool) {
        if held {
            self.0.insert(key.to_owned());
        } else {
            self.0.remove(key);
        }
    }

    /// Whether it is held.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains(key)
    }

    pub(crate) fn set_all(&mut self, keys: Vec<String>) {
        self.0 = keys.into_iter().collect();
    }
}

/// What a caller may do. Anonymous callers may look at what is open to all.
pub(crate) enum Caller<'a> {
    Known(&'a Permissions),
    Anonymous {
        /// Whether projects are open to all.
        may_browse: bool,
    },
}

impl Caller<'_> {
    fn may(&self, key: &str) -> bool {
        match self {
            Caller::Known(permissions) => permissions.has(key),
            Caller::Anonymous { may_browse } => *may_browse && key == "BROWSE_PROJECTS",
        }
    }
}

/// Cloud wants to be told which permissions it is asked about, and refuses the whole question when
/// it does not know one of them (both recorded).
pub(crate) fn on_cloud(query: &str, caller: &Caller<'_>, verdict: Verdict) -> Reply {
    let Some(keys) = asked(query) else {
        let text = "The 'permissions' query parameter is required.";
        return Reply::json(400, &json!({ "errorMessages": [text], "errors": {} }))
            .verdict(Verdict::Malformed);
    };
    let unknown: Map<String, Value> = keys
        .iter()
        .filter(|key| !is_known(key))
        .map(|key| (key.clone(), json!("Unrecognized permission")))
        .collect();
    if !unknown.is_empty() {
        return Reply::json(400, &json!({ "errorMessages": [], "errors": unknown }))
            .verdict(Verdict::Malformed);
    }
    told(&|key| keys.iter().any(|asked| asked == key), caller).verdict(verdict)
}

/// Data Center tells all that it knows, whatever it is asked about (reported).
pub(crate) fn on_data_center(caller: &Caller<'_>, verdict: Verdict) -> Reply {
    told(&|_| true, caller).verdict(verdict)
}

fn is_known(key: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == key)
}

fn told(wanted: &dyn Fn(&str) -> bool, caller: &Caller<'_>) -> Reply {
    let permissions: Map<String, Value> = KNOWN
        .iter()
        .enumerate()
        .filter(|(_, (key, _))| wanted(key))
        .map(|(number, (key, of_project))| {
            let entry = json!({
                "id": number.to_string(),
                "key": key,
                "name": key.replace('_', " ").to_lowercase(),
                "type": if *of_project { "PROJECT" } else { "GLOBAL" },
                "description": "A permission of the simulator.",
                "havePermission": caller.may(key),
            });
            ((*key).to_owned(), entry)
        })
        .collect();
    Reply::json(200, &json!({ "permissions": permissions }))
}

/// The keys that the query names; `None` when it names none.
fn asked(query: &str) -> Option<Vec<String>> {
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("permissions="))?;
    let value = value.replace("%2C", ",").replace("%2c", ",");
    let keys: Vec<String> = value
        .split(',')
        .filter(|key| !key.is_empty())
        .map(str::to_owned)
        .collect();
    (!keys.is_empty()).then_some(keys)
}
