//! An API server that says nothing on a connection. A request of a reconcile has a limit of its own; the
//! begin of a watch and the lists of a watch have none in kube, and would wait until TCP gives up.

use std::error::Error;
use std::time::Duration;

use hyper_util::client::legacy;
use kube::Config;

/// A watch ends after so many seconds, by the API server's own doing. Load balancers drop a connection that is
/// quiet for 240 s without a word.
pub const WATCH_SECONDS: u32 = 200;

/// A connection that is silent for longer is dead: longer than the quietest watch.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);

/// Has connections that are silent for so long be closed.
#[must_use]
pub fn with_longest_silence(mut access: Config, limit: Duration) -> Config {
    access.read_timeout = Some(limit);
    // A connection that was idle must not fail in the middle of the next request.
    access.reset_reader_on_write = true;
    access
}

/// Whether a request failed because the connection was silent for too long, and not before it was made.
pub fn was_silent(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| (*error).source());
    let mut is_timeout = false;
    let connects = causes.any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        is_timeout |= io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut);
        let client = cause.downcast_ref::<legacy::Error>();
        client.is_some_and(legacy::Error::is_connect)
    });
    is_timeout && !connects
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use kube::Api;
    use kube::api::{ListParams, WatchParams};
    use tokio::net::TcpListener;

    use super::*;

    /// Takes connections and says nothing, or takes none.
    async fn errors(accepts: bool) -> Vec<kube::Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        if accepts {
            tokio::spawn(async move {
                let mut held = Vec::new();
                while let Ok((stream, _)) = listener.accept().await {
                    held.push(stream);
                }
            });
        } else {
            drop(listener);
        }
        let mut access = Config::new(address.parse().unwrap());
        access.default_retry = false;
        let access = with_longest_silence(access, Duration::from_millis(100));
        let client = kube::Client::try_from(access).unwrap();
        let api: Api<Secret> = Api::namespaced(client, "team");
        let watch = api.watch(&WatchParams::default(), "1").await;
        let list = api.list(&ListParams::default()).await;
        vec![watch.err().unwrap(), list.unwrap_err()]
    }

    #[tokio::test]
    async fn a_watch_and_a_list_end_when_the_api_server_says_nothing() {
        for error in errors(true).await {
            assert!(was_silent(&error), "{error:?}");
        }
        for error in errors(false).await {
            assert!(!was_silent(&error), "{error:?}");
        }
    }
}
