//! A way to the API server that counts what is asked of it, and can be slow.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use kube::Client;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Notify;

/// What becomes of requests whose path has a part.
#[derive(Clone, Default)]
enum Rule {
    #[default]
    Pass,
    /// They get no answer.
    Hold(&'static str),
    /// They get none before this many have been under way at the same time.
    Gather(&'static str, usize),
}

#[derive(Default)]
struct Desk {
    asked: Mutex<Vec<String>>,
    rule: Mutex<Rule>,
    /// How many are under way of those that gather, and how many were at most.
    gathered: Mutex<(usize, usize)>,
    changed: Notify,
}

/// Passes requests on as the administrator.
pub(crate) struct Counting {
    desk: Arc<Desk>,
    folder: TempDir,
}

impl Counting {
    pub(crate) async fn start(client: Client) -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", socket.local_addr().unwrap());
        let desk = Arc::new(Desk::default());
        let router = Router::new()
            .fallback(pass)
            .with_state((client, desk.clone()));
        tokio::spawn(async move { axum::serve(socket, router).await });
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        let counting = Self { desk, folder };
        std::fs::write(counting.kubeconfig(), kubeconfig.to_string()).unwrap();
        counting
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Method and path of each request since this was last asked.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.desk.asked.lock().unwrap())
    }

    /// Answers no request with this in its path.
    pub(crate) fn hold(&self, part: &'static str) {
        *self.desk.rule.lock().unwrap() = Rule::Hold(part);
    }

    /// Answers no request with this in its path before so many are under way.
    pub(crate) fn gather(&self, part: &'static str, at_once: usize) {
        *self.desk.rule.lock().unwrap() = Rule::Gather(part, at_once);
    }

    /// How many of those that gather were under way at most.
    pub(crate) fn most(&self) -> usize {
        self.desk.gathered.lock().unwrap().1
    }
}

impl Desk {
    /// Waits as long as the rule says.
    async fn keep(&self, path: &str) {
        let rule = self.rule.lock().unwrap().clone();
        match rule {
            Rule::Hold(part) if path.contains(part) => std::future::pending().await,
            Rule::Gather(part, at_once) if path.contains(part) => {
                {
                    let mut gathered = self.gathered.lock().unwrap();
                    gathered.0 += 1;
                    gathered.1 = gathered.1.max(gathered.0);
                }
                self.changed.notify_waiters();
                loop {
                    let changed = self.changed.notified();
                    if self.gathered.lock().unwrap().1 >= at_once {
                        break;
                    }
                    changed.await;
                }
            }
            _ => (),
        }
    }

    /// One of those that gather is answered.
    fn leave(&self, path: &str) {
        if matches!(*self.rule.lock().unwrap(), Rule::Gather(part, _) if path.contains(part)) {
            self.gathered.lock().unwrap().0 -= 1;
        }
    }
}

async fn pass(State((client, desk)): State<(Client, Arc<Desk>)>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let line = format!("{} {path}", request.method());
    desk.asked.lock().unwrap().push(line);
    desk.keep(&path).await;
    let (mut head, body) = request.into_parts();
    head.headers.remove("host");
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let request = http::Request::from_parts(head, kube::client::Body::from(body.to_vec()));
    let response = client.send(request).await.unwrap().map(Body::new);
    desk.leave(&path);
    response
}
