//! A way to the API server that counts what is asked of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use kube::Client;
use serde_json::json;
use tempfile::TempDir;

/// Passes requests on as the administrator.
pub(crate) struct Counting {
    asked: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

impl Counting {
    pub(crate) async fn start(client: Client) -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", socket.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new()
            .fallback(pass)
            .with_state((client, asked.clone()));
        tokio::spawn(async move { axum::serve(socket, router).await });
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        let counting = Self { asked, folder };
        std::fs::write(counting.kubeconfig(), kubeconfig.to_string()).unwrap();
        counting
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Method and path of each request since this was last asked.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn pass(
    State((client, asked)): State<(Client, Arc<Mutex<Vec<String>>>)>,
    request: Request,
) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path());
    asked.lock().unwrap().push(line);
    let (mut head, body) = request.into_parts();
    head.headers.remove("host");
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let request = http::Request::from_parts(head, kube::client::Body::from(body.to_vec()));
    client.send(request).await.unwrap().map(Body::new)
}
