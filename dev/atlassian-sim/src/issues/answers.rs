//! The answers about issues.

use serde_json::{Map, Value, json};

use crate::calls::Verdict;
use crate::issues::project::{Issue, Kept};
use crate::issues::{Ask, Projects, query};
use crate::reply::Reply;

const TYPES: [&str; 2] = ["Task", "Bug"];

/// Id, name and target of each transition.
const TRANSITIONS: [(&str, &str, &str); 3] = [
    ("11", "Reopen", "To Do"),
    ("21", "Start", "In Progress"),
    ("31", "Close", "Done"),
];

pub(super) fn malformed() -> Reply {
    said(400, "There was an error parsing JSON.").verdict(Verdict::Malformed)
}

pub(super) fn absent() -> Reply {
    said(
        404,
        "Issue does not exist or you do not have permission to see it.",
    )
    .verdict(Verdict::NotFound)
}

fn said(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "errorMessages": [text], "errors": {} }))
}

fn denied(text: &str) -> Reply {
    said(403, text).verdict(Verdict::NoAccess)
}

fn text_at<'a>(value: &'a Value, place: &str) -> Option<&'a str> {
    value.pointer(place)?.as_str()
}

fn status(name: &str) -> Value {
    let (key, category) = match name {
        "Done" => ("done", "Done"),
        "To Do" => ("new", "To Do"),
        _ => ("indeterminate", "In Progress"),
    };
    json!({ "name": name, "statusCategory": { "key": key, "name": category } })
}

fn shown(ask: &Ask<'_>, issue: &Issue) -> Value {
    let key = &issue.key;
    json!({
        "id": id(key),
        "key": key,
        "self": format!("{}/rest/api/{}/issue/{key}", ask.base, ask.version),
        "fields": {
            "summary": issue.summary,
            "labels": issue.labels,
            "issuetype": { "name": issue.issue_type },
            "status": status(&issue.status),
        },
    })
}

fn id(key: &str) -> String {
    let number = key.rsplit('-').next().unwrap_or_default();
    format!("10{number:0>3}")
}

/// The issues that are searched for. Unknown projects and those that the caller may not browse are the same to
/// them.
fn found<'a>(
    projects: &'a Projects,
    ask: &Ask<'_>,
    wish: &Value,
) -> Result<Vec<&'a Issue>, Box<Reply>> {
    let jql = wish["jql"].as_str().unwrap_or_default();
    let Some(query) = query::read(jql) else {
        return Err(refused_query("Error in the JQL Query."));
    };
    let key = query.project.unwrap_or_default();
    let Some(project) = projects.get(&key).filter(|_| ask.may("BROWSE_PROJECTS")) else {
        let text = format!("The value '{key}' does not exist for the field 'project'.");
        return Err(refused_query(&text));
    };
    let known = project.indexed.unwrap_or(project.issues.len());
    let mut found: Vec<&Issue> = project
        .issues
        .iter()
        .take(known)
        .filter(|issue| {
            query
                .label
                .as_ref()
                .is_none_or(|label| issue.labels.contains(label))
        })
        .filter(|issue| !query.own_only || issue.creator == ask.caller)
        .filter(|issue| !query.open_only || issue.status != "Done")
        .collect();
    if query.newest_first {
        found.reverse();
    }
    Ok(found)
}

fn refused_query(text: &str) -> Box<Reply> {
    Box::new(said(400, text).verdict(Verdict::Malformed))
}

pub(super) fn search(projects: &Projects, ask: &Ask<'_>, wish: &Value) -> Reply {
    let found = match found(projects, ask, wish) {
        Ok(found) => found,
        Err(refusal) => return *refusal,
    };
    let (total, most) = (found.len(), wish["maxResults"].as_u64().unwrap_or(50));
    let page = usize::try_from(most).unwrap_or(usize::MAX);
    let page: Vec<Value> = found
        .into_iter()
        .take(page)
        .map(|issue| shown(ask, issue))
        .collect();
    let body = if ask.is_cloud {
        json!({ "isLast": page.len() == total, "issues": page })
    } else {
        json!({ "startAt": 0, "maxResults": most, "total": total, "issues": page })
    };
    Reply::json(200, &body).verdict(Verdict::Accepted)
}

/// The number of issues alone, which Cloud has in place of the `total` of a search.
pub(super) fn count(projects: &Projects, ask: &Ask<'_>, wish: &Value) -> Reply {
    match found(projects, ask, wish) {
        Ok(found) => Reply::json(200, &json!({ "count": found.len() })).verdict(Verdict::Accepted),
        Err(refusal) => *refusal,
    }
}

/// Cloud's documentation has 403 for a lack of permission, that of Data Center 400.
pub(super) fn create(projects: &mut Projects, ask: &Ask<'_>, wish: &Value) -> Reply {
    let fields = &wish["fields"];
    let key = text_at(wish, "/fields/project/key").unwrap_or_default();
    let Some(project) = projects.get_mut(key).filter(|_| ask.may("BROWSE_PROJECTS")) else {
        return wrong(&[("project", "valid project is required")]);
    };
    if !ask.may("CREATE_ISSUES") {
        let text = "You do not have permission to create issues in this project.";
        let status = if ask.is_cloud { 403 } else { 400 };
        return said(status, text).verdict(Verdict::NoAccess);
    }
    let faults = faults(project, ask, fields);
    if !faults.is_empty() {
        return wrong(&faults);
    }
    let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
    let issue = Issue {
        key: format!("{key}-{}", project.issues.len() + 1),
        creator: ask.caller.to_owned(),
        issue_type: text_at(fields, "/issuetype/name")
            .unwrap_or_default()
            .to_owned(),
        summary: text("summary"),
        description: text("description"),
        labels: labels(fields).unwrap_or_default(),
        status: "To Do".to_owned(),
        comments: Vec::new(),
    };
    let shown = shown(ask, &issue);
    project.issues.push(issue);
    let told = |name: &str| shown.get(name).cloned();
    let body = json!({ "id": told("id"), "key": told("key"), "self": told("self") });
    Reply::json(201, &body).verdict(Verdict::Accepted)
}

fn labels(fields: &Value) -> Option<Vec<String>> {
    let labels = fields["labels"].as_array()?.iter();
    let texts = labels.filter_map(Value::as_str);
    Some(texts.map(str::to_owned).collect())
}

/// Changes the summary, the description and the labels, as far as they are given.
pub(super) fn edit(projects: &mut Projects, ask: &Ask<'_>, key: &str, wish: &Value) -> Reply {
    let Some((issue, _)) = seen(projects, ask, key) else {
        return absent();
    };
    if !ask.may("EDIT_ISSUES") {
        return denied("You do not have permission to edit this issue.");
    }
    let fields = &wish["fields"];
    if ask.wants_documents() && fields["description"].is_string() {
        return wrong(&[(
            "description",
            "Operation value must be an Atlassian Document.",
        )]);
    }
    if let Some(text) = fields["summary"].as_str() {
        text.clone_into(&mut issue.summary);
    }
    if let Some(text) = fields["description"].as_str() {
        text.clone_into(&mut issue.description);
    }
    if let Some(labels) = labels(fields) {
        issue.labels = labels;
    }
    Reply::json(204, &Value::Null)
        .empty()
        .verdict(Verdict::Accepted)
}

fn faults<'a>(project: &'a Kept, ask: &Ask<'_>, fields: &Value) -> Vec<(&'a str, &'static str)> {
    let mut faults = Vec::new();
    let kind = text_at(fields, "/issuetype/name");
    if !kind.is_some_and(|kind| TYPES.contains(&kind)) {
        faults.push(("issuetype", "The issue type selected is invalid."));
    }
    match fields["summary"].as_str() {
        None | Some("") => faults.push(("summary", "You must specify a summary of the issue.")),
        Some(text) if text.contains(['\n', '\r']) => {
            faults.push((
                "summary",
                "The summary is invalid because it contains newline characters.",
            ));
        }
        Some(text) if text.chars().count() > 255 => {
            faults.push(("summary", "Summary can't exceed 255 characters."));
        }
        Some(_) => {}
    }
    let labels = fields["labels"].as_array().into_iter().flatten();
    if labels
        .filter_map(Value::as_str)
        .any(|label| label.contains(' '))
    {
        faults.push(("labels", "The label contains spaces which is invalid."));
    }
    if ask.wants_documents() && fields["description"].is_string() {
        faults.push((
            "description",
            "Operation value must be an Atlassian Document.",
        ));
    }
    let missing = project
        .required
        .iter()
        .filter(|name| fields[name.as_str()].is_null());
    faults.extend(missing.map(|name| (name.as_str(), "This field is required.")));
    faults
}

fn wrong(faults: &[(&str, &str)]) -> Reply {
    let errors: Map<String, Value> = faults
        .iter()
        .map(|(name, text)| ((*name).to_owned(), json!(text)))
        .collect();
    let body = json!({ "errorMessages": [], "errors": errors });
    Reply::json(400, &body).verdict(Verdict::Malformed)
}

/// An issue that the caller may see.
fn seen<'a>(projects: &'a mut Projects, ask: &Ask<'_>, key: &str) -> Option<(&'a mut Issue, bool)> {
    let (project, _) = key
        .rsplit_once('-')
        .filter(|_| ask.may("BROWSE_PROJECTS"))?;
    let project = projects.get_mut(project)?;
    let is_endless = project.is_endless;
    let issue = project.issues.iter_mut().find(|issue| issue.key == key)?;
    Some((issue, is_endless))
}

pub(super) fn issue(projects: &mut Projects, ask: &Ask<'_>, key: &str) -> Reply {
    match seen(projects, ask, key) {
        Some((issue, _)) => Reply::json(200, &shown(ask, issue)).verdict(Verdict::Accepted),
        None => absent(),
    }
}

pub(super) fn comment(projects: &mut Projects, ask: &Ask<'_>, key: &str, wish: &Value) -> Reply {
    let Some((issue, _)) = seen(projects, ask, key) else {
        return absent();
    };
    if !ask.may("ADD_COMMENTS") {
        return denied("You do not have the permission to comment on this issue.");
    }
    match wish["body"].as_str() {
        Some(body) if !body.is_empty() && !ask.wants_documents() => {
            issue.comments.push(body.to_owned());
            let number = issue.comments.len().to_string();
            Reply::json(201, &json!({ "id": number, "body": body })).verdict(Verdict::Accepted)
        }
        _ => wrong(&[("comment", "Comment body can not be empty!")]),
    }
}

/// What leads elsewhere from here; nothing for who may make no transition.
fn open_to(
    ask: &Ask<'_>,
    issue: &Issue,
    is_endless: bool,
) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let (may, now) = (ask.may("TRANSITION_ISSUES"), issue.status.clone());
    let leads = move |to: &str| may && to != now && !(is_endless && to == "Done");
    TRANSITIONS.into_iter().filter(move |(_, _, to)| leads(to))
}

pub(super) fn transitions(projects: &mut Projects, ask: &Ask<'_>, key: &str) -> Reply {
    let Some((issue, is_endless)) = seen(projects, ask, key) else {
        return absent();
    };
    let listed: Vec<Value> = open_to(ask, issue, is_endless)
        .map(|(id, name, to)| json!({ "id": id, "name": name, "to": status(to) }))
        .collect();
    Reply::json(
        200,
        &json!({ "expand": "transitions", "transitions": listed }),
    )
    .verdict(Verdict::Accepted)
}

pub(super) fn transition(projects: &mut Projects, ask: &Ask<'_>, key: &str, wish: &Value) -> Reply {
    let Some((issue, is_endless)) = seen(projects, ask, key) else {
        return absent();
    };
    let wanted = text_at(wish, "/transition/id").unwrap_or_default();
    let found = open_to(ask, issue, is_endless).find(|(id, _, _)| *id == wanted);
    let Some((_, _, to)) = found else {
        return said(400, "It seems that you have tried to perform an operation which you are not permitted to perform.")
            .verdict(Verdict::NoAccess);
    };
    to.clone_into(&mut issue.status);
    Reply::json(204, &Value::Null)
        .empty()
        .verdict(Verdict::Accepted)
}
