//! What one write of a `JiraCredential` costs the API server, beside the same write of a plain Secret in
//! the same run: the validation of the schema, its rules and the management of fields are the price.

mod heap;
mod orders;

use std::path::PathBuf;
use std::time::Duration;

use control_plane::ControlPlane;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Request;
use jira_credential_operator::cluster::Cluster;
use kube::Client;
use kube::client::Body;
use serde_json::Value;

use super::process;
use crate::failure::{Outcome, While as _};
use crate::ui::Ui;
use heap::Before;
use orders::{Order, Size, Write};

/// Requests at a time.
const PARALLEL: usize = 8;

/// Each order ends within this time.
const LIMIT: Duration = Duration::from_secs(30);

/// What to write.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Objects of each kind in a round.
    #[arg(long, default_value_t = 400)]
    objects: usize,
    /// Rounds; the table shows the median.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Another `CustomResourceDefinition` than the one of this work tree.
    #[arg(long, value_name = "FILE")]
    crd: Option<PathBuf>,
    /// Write objects with most optional fields, in place of what most users write.
    #[arg(long)]
    full: bool,
    /// Write the API server's own CPU profile of each kind of write into this directory, for
    /// `go tool pprof`.
    #[arg(long, value_name = "DIRECTORY")]
    profiles: Option<PathBuf>,
}

/// What one request costs.
#[derive(Clone, Copy)]
struct Cost {
    /// CPU milliseconds.
    api_server: f64,
    /// CPU milliseconds.
    etcd: f64,
    /// Kilobytes that the API server allocates.
    allocated: f64,
}

struct Bench {
    plane: ControlPlane,
    client: Client,
    cluster: Cluster,
    size: Size,
}

/// Measures, and prints a table.
pub(super) async fn measure(ui: &Ui, options: &Options) -> Outcome {
    ui.say("starting a control plane");
    let bench = Bench::start(options).await?;
    ui.say("warming up");
    for write in Write::ALL {
        bench.write(write, "warm", options.objects / 4, 0).await?;
    }
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); Write::ALL.len()];
    for round in 0..options.rounds {
        ui.say(&format!("round {}", round + 1));
        for (write, costs) in Write::ALL.iter().zip(&mut costs) {
            let namespace = format!("round-{round}");
            costs.push(bench.cost(*write, &namespace, options.objects).await?);
        }
    }
    ui.line(&format!("\n{}", table(&costs)));
    if let Some(directory) = &options.profiles {
        std::fs::create_dir_all(directory).while_(directory.display())?;
        for write in Write::ALL {
            ui.say(&format!("profile: {}", write.words()));
            let path = directory.join(format!("{}.pb.gz", write.word()));
            let profile = bench.profile(write, options.objects).await?;
            std::fs::write(&path, profile).while_(path.display())?;
        }
    }
    bench.plane.stop().await?;
    Ok(())
}

/// The median of each kind of write, and its ratio to its yardstick.
fn table(costs: &[Vec<Cost>]) -> String {
    let medians: Vec<Cost> = costs.iter().map(|costs| median(costs)).collect();
    let mut lines = vec![format!(
        "{:<28} {:>10} {:>9} {:>7} {:>8} {:>11} {:>7}",
        "per request", "API server", "etcd", "ratio", "wanted", "allocated", "ratio"
    )];
    for (write, cost) in Write::ALL.iter().zip(&medians) {
        let yardstick = Write::ALL
            .iter()
            .position(|other| *other == write.yardstick())
            .and_then(|index| medians.get(index));
        let ratio = |field: fn(&Cost) -> f64| field(cost) / yardstick.map_or(f64::NAN, field);
        let wanted = write
            .most()
            .map_or_else(String::new, |most| format!("<= {most:.1}"));
        lines.push(format!(
            "{:<28} {:>7.2} ms {:>6.2} ms {:>7.2} {wanted:>8} {:>8.0} kB {:>7.2}",
            write.words(),
            cost.api_server,
            cost.etcd,
            ratio(|cost| cost.api_server),
            cost.allocated,
            ratio(|cost| cost.allocated),
        ));
    }
    lines
        .push("ratio: to the same write of a Secret; of the status, to the creation of one. CPU varies with what\nelse the machine does, the memory that the API server allocates does not".into());
    lines.join("\n")
}

fn median(costs: &[Cost]) -> Cost {
    let of = |field: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(field).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Cost {
        api_server: of(|cost| cost.api_server),
        etcd: of(|cost| cost.etcd),
        allocated: of(|cost| cost.allocated),
    }
}

impl Bench {
    async fn start(options: &Options) -> Outcome<Self> {
        let path = options
            .crd
            .clone()
            .unwrap_or_else(|| crate::root().join("crds/jiracredentials.yaml"));
        let text = std::fs::read_to_string(&path).while_(path.display())?;
        let plane = ControlPlane::start().await?;
        plane.install_crds(&text).await?;
        let client = plane.client()?;
        Ok(Self {
            cluster: Cluster::new(client.clone(), LIMIT),
            plane,
            client,
            size: if options.full {
                Size::Full
            } else {
                Size::Usual
            },
        })
    }

    /// Writes all objects of a round once, and reads what that cost.
    async fn cost(&self, write: Write, namespace: &str, objects: usize) -> Outcome<Cost> {
        let [etcd, api_server, ..] = self.plane.process_ids().await[..] else {
            return crate::failure::fail("the control plane has no processes");
        };
        let heap = Before::read(&self.client).await?;
        let before = (
            process::cpu_seconds(api_server)?,
            process::cpu_seconds(etcd)?,
        );
        self.write(write, namespace, objects, 0).await?;
        let after = (
            process::cpu_seconds(api_server)?,
            process::cpu_seconds(etcd)?,
        );
        let requests = f64::from(u32::try_from(objects)?);
        Ok(Cost {
            api_server: (after.0 - before.0) * 1000.0 / requests,
            etcd: (after.1 - before.1) * 1000.0 / requests,
            allocated: heap.kilobytes_since(&self.client).await? / requests,
        })
    }

    /// The API server's CPU profile while it does this and nothing else.
    async fn profile(&self, write: Write, objects: usize) -> Outcome<Vec<u8>> {
        let prepared = format!("profile-{}", write.word());
        for needed in Write::ALL {
            self.write(needed, &prepared, objects, 0).await?;
        }
        let profile = async {
            let request = Request::get("/debug/pprof/profile?seconds=5").body(Body::empty())?;
            let answer = self.client.send(request).await?;
            if !answer.status().is_success() {
                return crate::failure::fail(format!("/debug/pprof: {}", answer.status()));
            }
            Outcome::Ok(answer.into_body().collect_bytes().await?.to_vec())
        };
        let load = async {
            for round in 1_usize.. {
                let created = format!("{prepared}-{round}");
                let namespace = if write.creates() { &created } else { &prepared };
                self.write(write, namespace, objects, round).await?;
            }
            Ok(Vec::new())
        };
        tokio::select! {
            profile = profile => profile,
            failed = load => failed,
        }
    }

    /// `variant` makes a write differ from the one before it.
    async fn write(
        &self,
        write: Write,
        namespace: &str,
        objects: usize,
        variant: usize,
    ) -> Outcome {
        if write.creates() {
            let body = serde_json::json!({ "metadata": { "name": namespace } });
            // It is there already when another kind of object was created first.
            let _ = self
                .send("POST", "/api/v1/namespaces", "application/json", &body)
                .await;
        }
        let held = match write {
            Write::UpdateStatus | Write::ReportEvent => {
                orders::credentials(&self.client, namespace).await?
            }
            _ => Vec::new(),
        };
        stream::iter(0..objects)
            .map(|number| {
                let order = write.order(namespace, number, variant, (self.size, held.get(number)));
                async move {
                    match order? {
                        Order::Send(method, path, kind, body) => {
                            self.send(method, &path, kind, &body).await
                        }
                        Order::Status(object, status) => {
                            self.cluster.write_status(&object, &status).await?;
                            Ok(())
                        }
                        Order::Event(event) => Ok(self.cluster.tell(&event).await?),
                    }
                }
            })
            .buffer_unordered(PARALLEL)
            .try_for_each(|()| async { Ok(()) })
            .await
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> Outcome {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(serde_json::to_vec(body)?)?;
        self.client.request_text(request).await.while_(path)?;
        Ok(())
    }
}
