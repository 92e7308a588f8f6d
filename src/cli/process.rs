//! The process of the operator, from its start to its end.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::failure::{Failure, failed};
use crate::cli::run_args::RunArgs;
use crate::clock::Clock;
use crate::cluster::{Election, LONGEST_SILENCE, Leadership, Standing, with_longest_silence};
use crate::controller::{Operator, OperatorConfig, StartError};
use crate::ops::http::{Health, serve_health, serve_metrics};
use crate::ops::metrics::Metrics;
use crate::ops::telemetry;

/// The operator, once it has started.
type Started = Arc<OnceLock<Arc<Operator>>>;

/// Runs the operator until a signal ends it, or the lease is lost.
///
/// # Errors
/// When it cannot start, or ends with something that is not stored.
pub(super) async fn run(args: RunArgs) -> Result<(), Failure> {
    telemetry::start(args.log_format, args.log_level);
    let mut config = args.config()?;
    let shutdown = shutdown_signal()?;
    let metrics = Arc::new(Metrics::default());
    let started = serve(&args, metrics.clone()).await?;
    let client = kube::Config::infer().await;
    let access = client.map_err(failed("the Kubernetes client"))?;
    let access = with_longest_silence(access, LONGEST_SILENCE);
    let client = kube::Client::try_from(access.clone());
    let client = client.map_err(failed("the Kubernetes client"))?;
    let election = if args.leader_elect {
        Some(stand_for_election(&args, access, &mut config)?)
    } else {
        None
    };
    let leadership = config.leadership.clone();
    let operator = tokio::select! {
        operator = start(config, client, metrics) => operator,
        () = shutdown.cancelled() => return end(election).await,
        () = leadership.over() => return end(election).await,
    };
    let operator = operator.map_err(failed("the operator cannot start"))?;
    let _ = started.set(operator.clone());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
    operator
        .clone()
        .run(shutdown, futures::stream::pending())
        .await;
    let lost = operator.unfinished_renewals();
    if !lost.is_empty() {
        return Err(failed("RENEWAL NOT STORED")(lost.join(" ")));
    }
    end(election).await
}

/// What is served while the process lives: metrics, and its health. The operator is put there once it has started.
async fn serve(args: &RunArgs, metrics: Arc<Metrics>) -> Result<Started, Failure> {
    serve_metrics(args.metrics_bind_address, metrics)
        .await
        .map_err(failed("--metrics-bind-address"))?;
    let started = Started::default();
    let watched = started.clone();
    let health = move || match watched.get() {
        Some(operator) => Health {
            listed: operator.is_ready(),
            refused_list: operator.refused_list(),
            broken_watch: operator.broken_watch(),
            policy: operator.policy_state(),
            standing: operator.standing(),
        },
        None => Health::default(),
    };
    serve_health(args.health_probe_bind_address, Arc::new(health))
        .await
        .map_err(failed("--health-probe-bind-address"))?;
    Ok(started)
}

/// Stands for election from now on, with a connection of its own.
fn stand_for_election(
    args: &RunArgs,
    mut access: kube::Config,
    config: &mut OperatorConfig,
) -> Result<(Election, Leadership), Failure> {
    access.default_retry = false;
    let client = kube::Client::try_from(access).map_err(failed("the Kubernetes client"))?;
    let namespace = &args.leader_election_namespace;
    let namespace = namespace.as_ref().unwrap_or(&args.namespace);
    let terms = args.terms();
    let (election, leadership) = Election::of_shard(
        client,
        namespace,
        &config.pod,
        Clock::system(),
        terms,
        config.shard.clone(),
    );
    config.leadership = leadership.clone();
    Ok((election, leadership))
}

/// The end of a process that has finished its work: the lease is given back, so that another process need
/// not wait. A process that has lost the lease ends with an error, so that it is started again without its old state.
async fn end(election: Option<(Election, Leadership)>) -> Result<(), Failure> {
    if let Some((election, leadership)) = election {
        let is_lost = leadership.standing() == Some(Standing::Over);
        election.resign().await;
        if is_lost {
            return Err(failed("the leadership is lost")(
                "what was under way is stored; the process ends, to start again on standby",
            ));
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// Starts the operator as soon as the API server can be asked.
async fn start(
    config: OperatorConfig,
    client: kube::Client,
    metrics: Arc<Metrics>,
) -> Result<Arc<Operator>, StartError> {
    let mut wait = Duration::from_secs(1);
    loop {
        let operator = Operator::new(
            config.clone(),
            client.clone(),
            Clock::system(),
            metrics.clone(),
        );
        match operator.await {
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "cannot start yet");
                config.leadership.wait(wait).await;
                wait = (wait * 2).min(Duration::from_secs(30));
            }
            settled => return settled,
        }
    }
}

/// A token that SIGTERM or an interrupt cancels. Signals are heard from the first moment on,
/// while the process still waits for the API server, too.
fn shutdown_signal() -> Result<CancellationToken, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(failed("signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed("signals"))?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing reconciles that are under way");
        cancel.cancel();
    });
    Ok(token)
}
