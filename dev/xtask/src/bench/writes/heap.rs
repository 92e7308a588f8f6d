//! How much memory the API server has allocated, by its own metrics. Unlike CPU it is the same whatever
//! else the machine does, so that a small change of the schema shows.

use http::Request;
use kube::Client;

use crate::failure::{Outcome, While as _, fail};

/// Bytes that were ever allocated on the heap (Go runtime).
const ALLOCATED: &str = "go_memstats_alloc_bytes_total";

/// The counter at two moments with nothing between them but the reading itself.
pub(super) struct Before {
    bytes: f64,
    reading: f64,
}

impl Before {
    pub(super) async fn read(client: &Client) -> Outcome<Self> {
        let first = allocated(client).await?;
        let bytes = allocated(client).await?;
        Ok(Self {
            bytes,
            reading: bytes - first,
        })
    }

    /// Kilobytes (1024 bytes) since then, without those of the readings.
    pub(super) async fn kilobytes_since(&self, client: &Client) -> Outcome<f64> {
        let now = allocated(client).await?;
        Ok((now - self.bytes - self.reading) / 1024.0)
    }
}

async fn allocated(client: &Client) -> Outcome<f64> {
    let request = Request::get("/metrics").body(Vec::new())?;
    let text = client.request_text(request).await.while_("/metrics")?;
    value(&text, ALLOCATED).map_or_else(|| fail(format!("/metrics lacks {ALLOCATED}")), Ok)
}

/// The value of a metric without labels, in the text format of Prometheus.
fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{ALLOCATED, value};

    #[test]
    fn only_the_metric_of_this_name_counts() {
        let text = format!(
            "# HELP {ALLOCATED} Total bytes.\n# TYPE {ALLOCATED} counter\n{ALLOCATED}_more 7\n{ALLOCATED} 1.5e+09\n"
        );
        assert_eq!(value(&text, ALLOCATED), Some(1.5e9));
        assert_eq!(value("other 1\n", ALLOCATED), None);
    }
}
