//! `cargo xtask demo`: the operator at work, step by step.

mod alert;
mod cluster;
mod consumer;
pub(crate) mod examples;
mod kept;
mod login;
mod oauth;
mod rotation;
mod story;

use std::cell::Cell;
use std::process::ExitCode;

use control_plane::{ControlPlane, binaries::KUBERNETES_VERSION};

use crate::failure::{Failure, Outcome, While as _, fail};
use crate::operator::{self, Operator};
use crate::stage::{self, Jira, OPERATOR};
use crate::ui::Ui;
use crate::{cargo, root};

pub(crate) use cluster::Cluster;

/// What is built together, so that cargo compiles what they share once.
const PACKAGES: [&str; 6] = [
    "-p",
    OPERATOR,
    "-p",
    "xtask",
    "-p",
    "kubectl-jira_credential",
];

/// How to show it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Leave everything running afterwards, and print what to type.
    #[arg(long)]
    keep: bool,
}

/// Everything that runs during the demo.
struct Demo<'a> {
    ui: &'a Ui,
    jira: Jira,
    cluster: Cluster<'a>,
    operator: Operator,
    /// How a second process is started, which takes over.
    standby: operator::Start<'a>,
}

/// Shows the demo and says whether everything was as expected.
pub(crate) async fn run(options: &Options) -> Outcome<ExitCode> {
    let ui = Ui::new();
    ui.line("jira-credential-operator: a real API server, simulated Jira sites, the real operator");
    // While everything is kept, Ctrl-C is what is waited for.
    let keeping = Cell::new(false);
    let interrupted = async { while tokio::signal::ctrl_c().await.is_ok() && keeping.get() {} };
    let shown = tokio::select! {
        shown = show(&ui, options.keep, &keeping) => shown,
        () = interrupted => fail("interrupted"),
    };
    match shown {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(failure) => {
            ui.error(&format!("The demo failed: {failure}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn show(ui: &Ui, keep: bool, keeping: &Cell<bool>) -> Outcome {
    // Says itself what it builds, the first time.
    stage::binaries().await?;
    let plane = ui.step("Start a control plane", start_plane(ui)).await?;
    let jira = ui
        .step("Start simulated Jira sites", start_jira(ui))
        .await?;
    let binary = ui
        .noisy_step("Build the operator", async {
            let path = cargo::build(OPERATOR, &PACKAGES, ui.is_terminal()).await?;
            Ok((path, "its binary is up to date".to_owned()))
        })
        .await?;
    let kubeconfig = jira.file("operator.kubeconfig");
    ui.step("Install the operator's manifests", async {
        ui.command("kubectl apply -f crds/");
        ui.command("kubectl apply -k deploy");
        let said = stage::install(&plane, &kubeconfig, &crate::root()).await?;
        ui.output(&said);
        Ok(((), format!("{} objects", said.lines().count())))
    })
    .await?;
    let log = jira.file("operator.log");
    let mut flags = jira.flags();
    flags.extend(["--test-pace".to_owned(), oauth::PACE.to_string()]);
    flags.push("--leader-elect".to_owned());
    let start = operator::Start {
        binary: &binary,
        kubeconfig: &kubeconfig,
        log: &log,
        flags: &flags,
    };
    let standby_log = jira.file("standby.log");
    let standby = operator::Start {
        log: &standby_log,
        ..start
    };
    let operator = ui
        .step("Start the operator as its ServiceAccount", async {
            ui.say("There is no kubelet here, so the pod's process runs on this machine, with the pod's rights:");
            ui.command(&format!("{OPERATOR} run {}", shown_flags(&flags)));
            ui.say(&format!(
                "--test-pace: tokens live shorter here than Atlassian's, and the operator waits {} times",
                oauth::PACE
            ));
            ui.say("shorter before it continues what another process started.");
            Ok((Operator::start(start).await?, "ready".to_owned()))
        })
        .await?;
    let cluster = Cluster::new(ui, &plane, "team-a")?;
    let mut demo = Demo {
        ui,
        jira,
        cluster,
        operator,
        standby,
    };
    let told = demo.tell().await;
    let alive = demo.operator.check();
    ui.summary();
    let ended = told.and(alive).map_err(|failure| {
        let log = demo.operator.log_tail(30);
        Failure::new(format!(
            "{failure}\n\nThe end of the operator's log:\n{log}"
        ))
    });
    if keep {
        if let Err(failure) = &ended {
            ui.error(&failure.to_string());
        }
        demo.keep(&plane, &log);
        keeping.set(true);
        tokio::signal::ctrl_c().await?;
        ui.line("\nStopping.");
    }
    demo.operator.stop().await.while_("stopping the operator")?;
    plane.stop().await?;
    if ended.is_ok() {
        ui.line("\nEverything was as expected.");
    }
    ended
}

async fn start_plane(ui: &Ui) -> Outcome<(ControlPlane, String)> {
    let plane = ControlPlane::start().await?;
    ui.say(&format!(
        "etcd, kube-apiserver {KUBERNETES_VERSION}, kube-controller-manager"
    ));
    let result = format!("https://127.0.0.1:{}", plane.port());
    Ok((plane, result))
}

async fn start_jira(ui: &Ui) -> Outcome<(Jira, String)> {
    let jira = Jira::start().await?;
    ui.say(&format!("Cloud        {}", jira.cloud.url()));
    ui.say(&format!("Data Center  {}", jira.data_center.url()));
    Ok((jira, "2 sites".to_owned()))
}

/// Flags as a person would type them.
fn shown_flags(flags: &[String]) -> String {
    let quoted = flags.iter().map(|flag| {
        if flag.contains('*') {
            format!("'{flag}'")
        } else {
            flag.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

impl Demo<'_> {
    /// What to type while everything is left running.
    fn keep(&self, plane: &ControlPlane, log: &std::path::Path) {
        let ui = self.ui;
        let namespace = self.cluster.namespace();
        ui.heading("Everything keeps running until Ctrl-C. In another terminal:");
        let kubectl = plane.kubectl();
        let kubectl = kubectl.get_program().to_string_lossy();
        ui.line(&format!(
            "  export KUBECONFIG={}",
            plane.admin_kubeconfig().display()
        ));
        ui.line(&format!("  alias kubectl={kubectl}"));
        ui.line("  kubectl get jc -A -o wide");
        ui.line(&format!("  kubectl describe jc -n {namespace} ci-bot"));
        ui.line(&format!("  kubectl get events -n {namespace} --watch"));
        ui.line(&format!("  tail -f {}", log.display()));
        ui.line(&format!(
            "  curl http://{}/metrics",
            self.operator.metrics()
        ));
        if let Some(admin) = self.jira.sim.admin_url() {
            ui.line("Revoke a token (PATCH with {\"revoked\":false} takes it back), then have it validated at once:");
            for (name, token) in self.cluster.tokens() {
                ui.line(&format!(
                    "  curl -X DELETE {admin}/admin/tokens/{token}   # {name}"
                ));
            }
            ui.line(&format!("  kubectl annotate jc -n {namespace} --all --overwrite jira-operator.dev/renew=\"$(date +%s)\""));
            ui.line("Every call that the sites saw, and every refresh token that was presented:");
            ui.line(&format!("  curl {admin}/admin/calls"));
            ui.line(&format!("  curl {admin}/admin/spends"));
        }
        ui.line(&format!(
            "The manifests of the examples are in {}.",
            root().join("deploy/examples").display()
        ));
    }
}
