//! Which values the chart accepts, and which parts they leave out.

use serde_json::json;

use crate::chart::{CHART, Helm, deployment, get, has, pod};
use crate::support::{OPERATOR, path};

#[test]
fn wrong_values_are_refused_with_their_path() {
    let Some(helm) = Helm::new() else { return };
    for (value, words) in [
        ("replicas=\"two\"", "'/replicas': got string, want integer"),
        ("replica=2", "additional properties 'replica' not allowed"),
        (
            "config.alowedHosts=[]",
            "'/config': additional properties 'alowedHosts'",
        ),
        (
            "config.allowedHosts=\"a.example\"",
            "'/config/allowedHosts': got string",
        ),
        (
            "config.allowedHosts=[\"https://a.example\"]",
            "'/config/allowedHosts/0'",
        ),
        ("config.allowedHosts=[\"*\"]", "'/config/allowedHosts/0'"),
        ("config.authUrl=\"http://a.example\"", "'/config/authUrl'"),
        (
            "config.logLevel=\"loud\"",
            "'/config/logLevel': value must be one of",
        ),
        ("config.maxConcurrentReconciles=0", "minimum: got 0, want 1"),
        ("config.extraCaFile=\"ca.pem\"", "'/config/extraCaFile'"),
        (
            "config.httpsProxy=\"http://robot:canary@proxy.example:3128\"",
            "'/config/httpsProxy'",
        ),
        (
            "httpsProxyCredentialsSecret.name=\"proxy\"",
            "config.httpsProxy is not",
        ),
        (
            "notifyConfigSecret={\"name\": \"a\", \"key\": \"../a\"}",
            "'/notifyConfigSecret/key'",
        ),
        (
            "config.notifyConfig=\"notify.yaml\"",
            "'/config/notifyConfig'",
        ),
        ("image.digest=\"sha256:1\"", "'/image/digest'"),
        (
            "terminationGracePeriodSeconds=30",
            "minimum: got 30, want 120",
        ),
        (
            "extraEnv=[{\"name\": \"JCO_NAMESPACE\"}]",
            "'/extraEnv/0/name'",
        ),
        ("extraArgs=[\"crd\"]", "'/extraArgs/0'"),
        // Selectors find the pods by this one.
        (
            r#"podLabels={"app.kubernetes.io/name": "a"}"#,
            "'/podLabels/app.kubernetes.io~1name'",
        ),
        (
            r#"commonLabels={"app.kubernetes.io/name": "a"}"#,
            "'/commonLabels/app.kubernetes.io~1name'",
        ),
        (
            r#"commonLabels={"app.kubernetes.io/managed-by": "a"}"#,
            "'/commonLabels/app.kubernetes.io~1managed-by'",
        ),
        (
            r#"podDisruptionBudget.unhealthyPodEvictionPolicy="Never""#,
            "'/podDisruptionBudget/unhealthyPodEvictionPolicy'",
        ),
        (
            r#"config.leaderElectionNamespace="A""#,
            "'/config/leaderElectionNamespace'",
        ),
        (
            r#"config.watchNamespaces=["team-*"]"#,
            "'/config/watchNamespaces/0'",
        ),
        (
            r#"config.watchSecrets="all""#,
            "'/config/watchSecrets': value must be one of",
        ),
        (
            r#"config.watchNamespaces=["a", "a"]"#,
            "'/config/watchNamespaces': items at 0 and 1 are equal",
        ),
        (
            "networkPolicy.egressPorts=[0]",
            "'/networkPolicy/egressPorts/0'",
        ),
        (
            "prometheusRule.runbookUrl=\"https://a.example/#b\"",
            "'/prometheusRule/runbookUrl'",
        ),
    ] {
        let said = helm.template(&[value]).unwrap_err();
        assert!(said.contains(words), "{value}: {said}");
    }
}

#[test]
fn a_value_may_be_null_to_have_the_default_of_the_program() {
    let Some(helm) = Helm::new() else { return };
    let all = helm.template(&["config.logFormat=null"]).unwrap();
    let environment = pod(&all)["containers"][0]["env"].as_array().unwrap();
    assert_eq!(environment.len(), 1, "{environment:?}");
    assert!(path(CHART).join("values.schema.json").is_file());
}

#[test]
fn without_election_one_replica_is_replaced_by_the_next() {
    let Some(helm) = Helm::new() else { return };
    let alone = [
        "config.leaderElect=false",
        "replicas=1",
        r#"strategy.type="Recreate""#,
    ];
    let all = helm.template(&alone).unwrap();
    assert_eq!(pod(&all)["containers"][0]["args"], json!(["run"]));
    let strategy = &deployment(&all)["spec"]["strategy"];
    assert_eq!(*strategy, json!({"type": "Recreate"}));
    for (value, other) in [(alone[0], alone[1]), (alone[0], alone[2])] {
        let said = helm.template(&[value, other]).unwrap_err();
        assert!(said.contains("set replicas to 1"), "{said}");
    }
}

#[test]
fn parts_can_be_left_out() {
    let Some(helm) = Helm::new() else { return };
    for (value, kind) in [
        ("crds.install=false", "CustomResourceDefinition"),
        (
            "admissionPolicies.install=false",
            "ValidatingAdmissionPolicy",
        ),
        ("serviceAccount.create=false", "ServiceAccount"),
        ("rbac.install=false", "ClusterRoleBinding"),
        ("podDisruptionBudget.enabled=false", "PodDisruptionBudget"),
    ] {
        let all = helm.template(&[value]).unwrap();
        assert!(!has(&all, kind), "{value}");
    }
    // The account does not depend on the roles, nor the roles on the account.
    let all = helm.template(&["rbac.install=false"]).unwrap();
    get(&all, "ServiceAccount", OPERATOR);
    for kind in ["Role", "RoleBinding", "ClusterRoleBinding"] {
        assert!(!has(&all, kind), "{kind}");
    }
    assert!(!all.contains_key(&("ClusterRole".into(), OPERATOR.into())));
    let all = helm.template(&["serviceAccount.create=false"]).unwrap();
    get(&all, "ClusterRoleBinding", OPERATOR);
    let all = helm.template(&["userRoles.install=false"]).unwrap();
    let roles = all.keys().filter(|(kind, _)| kind == "ClusterRole");
    assert_eq!(roles.count(), 1);
    let all = helm.template(&["crds.keep=false"]).unwrap();
    let name = "jiracredentials.jira-operator.dev";
    let definition = get(&all, "CustomResourceDefinition", name);
    assert!(definition["metadata"]["annotations"].is_null());
}
