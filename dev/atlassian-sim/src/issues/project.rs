//! A project as it is kept, and the handle on it.

use crate::issues::Projects;
use crate::sim::Sim;
use crate::world::Place;

/// An issue, as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its key.
    pub key: String,
    /// The name of the account that created it.
    pub creator: String,
    /// Its type.
    pub issue_type: String,
    /// Its summary.
    pub summary: String,
    /// Its description.
    pub description: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// `To Do`, `In Progress` or `Done`.
    pub status: String,
    /// The comments, oldest first.
    pub comments: Vec<String>,
}

/// A project as it is kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) issues: Vec<Issue>,
    /// Fields beside the summary without which no issue is created.
    pub(crate) required: Vec<String>,
    /// To who is not logged in there is no such project, and Cloud answers a refused credential as nobody's.
    pub(crate) is_private: bool,
    /// No transition leads to `Done`.
    pub(crate) is_endless: bool,
    /// How many of the issues the search knows; `None`: all.
    pub(crate) indexed: Option<usize>,
}

/// Where a project is.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) sim: Sim,
    pub(crate) name: String,
}

/// A project of a Cloud site or a Data Center instance, with the types `Task` and `Bug` and a simple workflow.
/// What an account may do in it follows from its permissions, which are the same in every project.
#[derive(Debug, Clone)]
pub struct Project {
    host: Host,
    key: String,
}

impl Project {
    /// Makes the project unless it exists.
    pub(crate) fn new(host: Host, key: &str) -> Self {
        let project = Self {
            host,
            key: key.to_owned(),
        };
        project.with(|_| ());
        project
    }

    /// Its issues, oldest first.
    pub fn issues(&self) -> Vec<Issue> {
        self.with(|kept| kept.issues.clone()).unwrap_or_default()
    }

    /// Another account creates an issue; returns its key.
    pub fn create_issue(&self, creator: &str, summary: &str) -> String {
        let created = self.with(|kept| {
            let key = format!("{}-{}", self.key, kept.issues.len() + 1);
            kept.issues.push(Issue {
                key: key.clone(),
                creator: creator.to_owned(),
                issue_type: "Task".to_owned(),
                summary: summary.to_owned(),
                description: String::new(),
                labels: Vec::new(),
                status: "To Do".to_owned(),
                comments: Vec::new(),
            });
            key
        });
        created.unwrap_or_default()
    }

    /// A person gives an issue another status.
    pub fn set_status(&self, key: &str, status: &str) {
        self.with(|kept| {
            for issue in kept.issues.iter_mut().filter(|issue| issue.key == key) {
                status.clone_into(&mut issue.status);
            }
        });
    }

    /// A person gives an issue other labels.
    pub fn set_labels(&self, key: &str, labels: &[&str]) {
        self.with(|kept| {
            for issue in kept.issues.iter_mut().filter(|issue| issue.key == key) {
                issue.labels = labels.iter().map(|&label| label.to_owned()).collect();
            }
        });
    }

    /// Another account clones an issue: everything but the comments is copied.
    pub fn clone_issue(&self, key: &str, creator: &str) {
        self.with(|kept| {
            let found = kept.issues.iter().find(|issue| issue.key == key);
            if let Some(mut issue) = found.cloned() {
                issue.key = format!("{}-{}", self.key, kept.issues.len() + 1);
                creator.clone_into(&mut issue.creator);
                issue.comments.clear();
                kept.issues.push(issue);
            }
        });
    }

    /// Whether the project is hidden from who is not logged in. Cloud answers a refused credential as nobody's
    /// then, in place of 401.
    pub fn set_private(&self, is_private: bool) {
        self.with(|kept| kept.is_private = is_private);
    }

    /// Has the project require one more field.
    pub fn require(&self, field: &str) {
        self.with(|kept| kept.required.push(field.to_owned()));
    }

    /// Whether a transition leads to `Done`.
    pub fn set_endless(&self, is_endless: bool) {
        self.with(|kept| kept.is_endless = is_endless);
    }

    /// Whether the search stays behind: it does not find what is created from now on.
    pub fn set_index_behind(&self, is_behind: bool) {
        self.with(|kept| kept.indexed = is_behind.then_some(kept.issues.len()));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        let mut world = self.host.sim.shared.world();
        let projects: &mut Projects = match world.places.get_mut(&self.host.name)? {
            Place::Cloud(site) => site.projects.get_mut().ok()?,
            Place::DataCenter(instance) => &mut instance.projects,
            Place::Gateway | Place::Auth | Place::Webhook(_) => return None,
        };
        Some(act(projects.entry(self.key.clone()).or_default()))
    }
}
