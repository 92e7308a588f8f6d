//! The install for a list of namespaces, by Helm and by Kustomize.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::chart::{Helm, pretty_equal, without_marks_of_helm};
use crate::support::{OPERATOR, documents, kustomized};

const NO_LISTS: &str = r#"config.watchSecrets="none""#;

/// Two operators.
const REST: &str = r#"config.shardSelector="jira-operator.dev/shard!=b""#;
const B: &str = r#"shards=[{"name": "b", "selector": "jira-operator.dev/shard=b"}]"#;

/// By kind, namespace and name.
type Placed = BTreeMap<(String, String, String), Value>;

const LISTED: &str = r#"config.watchNamespaces=["team-a", "team-b"]"#;

fn placed(text: &str) -> Placed {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = Placed::new();
    for mut object in documents(text) {
        let kind = word(&object["kind"]);
        // Kustomize gives policies a namespace, which the API server ignores.
        if kind.starts_with("ValidatingAdmissionPolicy") {
            object["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("namespace");
        }
        let metadata = &object["metadata"];
        let key = (kind, word(&metadata["namespace"]), word(&metadata["name"]));
        assert!(all.insert(key.clone(), object).is_none(), "{key:?}");
    }
    all
}

fn rendered(helm: &Helm, values: &[&str]) -> Placed {
    placed(&helm.text(OPERATOR, values).unwrap())
}

#[test]
fn the_chart_and_the_overlays_install_the_same() {
    let Some(helm) = Helm::new() else { return };
    for (overlay, values) in [
        ("listed-namespaces", vec![LISTED]),
        ("without-secret-lists", vec![LISTED, NO_LISTS]),
        ("shards", vec![REST, B]),
    ] {
        let values = [values, vec!["crds.install=false"]].concat();
        let chart = without_marks_of_helm(rendered(&helm, &values));
        let mut overlay = placed(&kustomized(&format!("overlays/{overlay}")));
        // Helm makes the namespace itself.
        overlay.retain(|(kind, ..), _| kind != "Namespace");
        let keys = |all: &Placed| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&chart), keys(&overlay));
        for (key, object) in &overlay {
            pretty_equal(&chart[key], object, &format!("{key:?}"));
        }
    }
}

#[test]
fn an_operator_for_everything_is_not_installed_beside_others() {
    let Some(helm) = Helm::new() else { return };
    let refused = helm.text(OPERATOR, &[B]).unwrap_err();
    assert!(refused.contains("set config.shardSelector"), "{refused}");
    let nameless = r#"shards=[{"selector": "a=b"}]"#;
    let refused = helm.text(OPERATOR, &[REST, nameless]).unwrap_err();
    assert!(refused.contains("name"), "{refused}");
    let alone = [
        REST,
        "config.leaderElect=false",
        "replicas=1",
        r#"strategy.type="Recreate""#,
    ];
    let refused = helm.text(OPERATOR, &alone).unwrap_err();
    assert!(refused.contains("set config.leaderElect"), "{refused}");
    let leases = r#"config.leaderElectionNamespace="kube-system""#;
    let refused = helm.text(OPERATOR, &[REST, leases]).unwrap_err();
    assert!(refused.contains("take another namespace"), "{refused}");
    for blank in [
        r#"config.shardSelector=" ""#,
        r#"shards=[{"name": "b", "selector": " "}]"#,
    ] {
        let refused = helm.text(OPERATOR, &[blank]).unwrap_err();
        assert!(refused.to_lowercase().contains("selector"), "{refused}");
    }
}

#[test]
fn without_lists_of_secrets_no_role_of_the_operator_lists_them() {
    let Some(helm) = Helm::new() else { return };
    for values in [vec![NO_LISTS], vec![LISTED, NO_LISTS]] {
        let all = rendered(&helm, &values);
        let rules = all
            .values()
            .flat_map(|role| role["rules"].as_array().into_iter().flatten());
        let of_secrets: Vec<_> = rules
            .filter(|rule| rule["resources"] == json!(["secrets"]))
            .collect();
        assert!(!of_secrets.is_empty());
        for rule in of_secrets {
            let verbs = rule["verbs"].to_string();
            assert!(
                !verbs.contains("list") && !verbs.contains("watch"),
                "{rule}"
            );
        }
    }
}

#[test]
fn no_right_spans_the_cluster_but_to_see_the_policy() {
    let Some(helm) = Helm::new() else { return };
    let all = rendered(&helm, &[LISTED]);
    let bound = all
        .iter()
        .filter(|((kind, ..), _)| kind == "ClusterRoleBinding");
    let roles: BTreeSet<&str> = bound
        .map(|(_, binding)| binding["roleRef"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(roles, BTreeSet::from([OPERATOR]));
    let role = &all[&("ClusterRole".to_owned(), String::new(), OPERATOR.to_owned())];
    assert_eq!(
        role["rules"],
        json!([{
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["validatingadmissionpolicies", "validatingadmissionpolicybindings"],
            "resourceNames": [OPERATOR],
            "verbs": ["get"],
        }])
    );
}

/// Both installs give the same rights on what a `JiraCredential` needs.
#[test]
fn the_rules_of_a_namespace_are_those_of_the_cluster() {
    let Some(helm) = Helm::new() else { return };
    let cluster = rendered(&helm, &[]);
    let role = &cluster[&("ClusterRole".to_owned(), String::new(), OPERATOR.to_owned())];
    let mut rules = role["rules"].as_array().unwrap().clone();
    rules.retain(|rule| rule["apiGroups"] != json!(["admissionregistration.k8s.io"]));
    let listed = rendered(&helm, &[LISTED]);
    for namespace in ["team-a", "team-b"] {
        let name = "jira-credential-operator-credentials";
        let role = &listed[&("Role".to_owned(), namespace.to_owned(), name.to_owned())];
        assert_eq!(role["rules"], json!(rules), "{namespace}");
    }
}

#[test]
fn an_empty_list_is_the_whole_cluster_and_another_account_is_bound_everywhere() {
    let Some(helm) = Helm::new() else { return };
    let roles = |values: &[&str]| -> Vec<_> {
        let all = rendered(&helm, values);
        let roles = all
            .into_iter()
            .filter(|((kind, ..), _)| kind.contains("Role"));
        roles.collect()
    };
    assert_eq!(roles(&["config.watchNamespaces=[]"]), roles(&[]));
    assert!(roles(&[LISTED, "rbac.install=false", "userRoles.install=false"]).is_empty());
    let account = r#"serviceAccount.name="keeper""#;
    let lease = r#"config.leaderElectionNamespace="team-a""#;
    let bound = roles(&[LISTED, account, lease]);
    let mut subjects = 0;
    for (key, role) in bound {
        for subject in role["subjects"].as_array().into_iter().flatten() {
            let wanted = json!({"kind": "ServiceAccount", "name": "keeper", "namespace": OPERATOR});
            assert_eq!(*subject, wanted, "{key:?}");
            subjects += 1;
        }
    }
    // The cluster, the Lease, the own Secrets, and two namespaces.
    assert_eq!(subjects, 5);
}

/// The roles of a listed namespace cover all its Secrets, and the operator's own has the key among them.
#[test]
fn the_namespace_of_the_operator_is_not_listed() {
    let Some(helm) = Helm::new() else { return };
    let own = format!(r#"config.watchNamespaces=["team-a", "{OPERATOR}"]"#);
    let said = helm.text(OPERATOR, &[&own]).unwrap_err();
    assert!(
        said.contains("config.watchNamespaces names jira-credential-operator"),
        "{said}"
    );
}
