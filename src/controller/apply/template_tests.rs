//! The Deployment of `tests/golden/assistant`, with defaults as the API server writes them, and what others put into it.

use serde_json::{Value, json};

use super::*;

fn wanted() -> Value {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(format!("{root}/tests/golden/assistant/out.yaml")).unwrap();
    let all = serde_saphyr::from_multiple::<Value>(&text).unwrap();
    let mut deployments = all.into_iter().filter(|one| one["kind"] == "Deployment");
    deployments.next().unwrap()
}

/// As the API server has it.
fn there() -> Value {
    let mut there = wanted();
    let pod = &mut there["spec"]["template"]["spec"];
    pod["restartPolicy"] = "Always".into();
    pod["schedulerName"] = "default-scheduler".into();
    pod["serviceAccount"] = "default".into();
    let lists = ["initContainers", "containers"];
    let containers = lists.map(|list| pod[list].as_array().cloned().unwrap_or_default());
    for (list, mut containers) in lists.into_iter().zip(containers) {
        for one in &mut containers {
            one["terminationMessagePath"] = "/dev/termination-log".into();
            one["terminationMessagePolicy"] = "File".into();
            one["imagePullPolicy"] = "IfNotPresent".into();
        }
        pod[list] = containers.into();
    }
    there
}

/// Merges into the template; a container is added to the list.
fn with(change: &Value) -> Value {
    let mut there = there();
    let template = &mut there["spec"]["template"];
    for (key, value) in change["metadata"].as_object().into_iter().flatten() {
        for (name, value) in value.as_object().into_iter().flatten() {
            template["metadata"][key][name] = value.clone();
        }
    }
    for (key, value) in change["spec"].as_object().into_iter().flatten() {
        match &mut template["spec"][key] {
            Value::Array(list) => list.push(value.clone()),
            field => *field = value.clone(),
        }
    }
    if let Some(env) = change.get("env") {
        template["spec"]["containers"][0]["env"] = env.clone();
    }
    there
}

#[test]
fn what_the_api_server_fills_in_is_nobodys() {
    assert_eq!(foreign(&wanted(), &there()), []);
}

#[rstest::rstest]
#[case::variable(json!({ "env": [{ "name": "A", "value": "secret" }] }), "container runtime: env A was added", Harm::Unlike)]
#[case::container(json!({ "spec": { "containers": { "name": "proxy", "image": "p:1" } } }), "container proxy was added with image p:1", Harm::Unlike)]
#[case::volume(json!({ "spec": { "volumes": { "name": "v", "hostPath": { "path": "/" } } } }), "volume v was added (hostPath)", Harm::Unlike)]
#[case::network(json!({ "spec": { "hostNetwork": true } }), "the pod: hostNetwork is true", Harm::Unlike)]
#[case::annotation(json!({ "metadata": { "annotations": { "inject": "yes" } } }), "annotation inject was added", Harm::Asks)]
#[case::label(json!({ "metadata": { "labels": { "mesh\u{7}": "on" } } }), "label mesh\\u{7} was added", Harm::Asks)]
fn what_others_put_into_a_template(#[case] change: Value, #[case] what: &str, #[case] harm: Harm) {
    let all = foreign(&wanted(), &with(&change));
    let [(found, _)] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!((found.what.as_str(), found.harm), (what, harm));
}

/// Each by itself, with what is in it, and without a restart.
#[test]
fn labels_and_annotations_are_found_with_their_values() {
    let change = json!({ "metadata": {
        "labels": { "mesh": "on" },
        "annotations": { "inject": "yes", RESTARTED: "2026-11-29T12:00:00Z" },
    } });
    let all = foreign(&wanted(), &with(&change));
    let all: Vec<_> = all
        .iter()
        .map(|(found, value)| (found.what.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("label mesh was added", "on"),
        ("annotation inject was added", "yes"),
    ];
    assert_eq!(all, expected);
}

#[rstest::rstest]
#[case::restart(json!({ "metadata": { "annotations": { RESTARTED: "2026-11-29T12:00:00Z" } } }))]
#[case::priority(json!({ "spec": { "priorityClassName": "models" } }))]
#[case::scheduling(json!({ "spec": { "nodeSelector": { "disk": "fast" } } }))]
fn what_is_a_platforms_own(#[case] change: Value) {
    assert_eq!(foreign(&wanted(), &with(&change)), []);
}

#[test]
fn of_what_others_put_into_a_template_only_a_restart_stays() {
    let restart = json!({ RESTARTED: "2026-11-29T12:00:00Z" });
    let mut change = json!({ "metadata": { "annotations": restart, "labels": { "mesh": "on" } } });
    change["metadata"]["annotations"]["inject"] = "yes".into();
    let mut own = own(&wanted(), &with(&change));
    let annotations = own["metadata"]["annotations"].as_object_mut().unwrap();
    let at = annotations.remove(RESTARTED);
    assert_eq!(at, Some("2026-11-29T12:00:00Z".into()));
    let mut there = wanted();
    there["spec"]["template"] = own;
    assert_eq!(foreign(&wanted(), &there), []);
    assert_eq!(super::own(&wanted(), &there), wanted()["spec"]["template"]);
}

#[test]
fn of_what_has_no_pods_nothing_is_foreign() {
    let service = json!({ "spec": { "selector": { "a": "b" } } });
    assert_eq!(foreign(&service, &json!({ "spec": {} })), []);
}

/// Two keys are never told as one.
#[test]
fn the_longest_key_is_told_as_a_whole() {
    let key = format!("{}/{}", "p".repeat(253), "n".repeat(63));
    let change = json!({ "metadata": { "annotations": { key.as_str(): "" } } });
    let all = foreign(&wanted(), &with(&change));
    assert_eq!(all[0].0.what, format!("annotation {key} was added"));
}

fn entry(manager: &str, template: Value) -> ManagedFieldsEntry {
    serde_json::from_value(json!({
        "manager": manager, "operation": "Update", "fieldsType": "FieldsV1",
        "fieldsV1": { "f:spec": { "f:template": template } },
    }))
    .unwrap()
}

#[test]
fn who_owns_what_is_not_ours_is_named() {
    let runtime = r#"k:{"name":"runtime"}"#;
    let image = json!({ "f:spec": { "f:containers": { runtime: { ".": {}, "f:image": {} } } } });
    let variable = json!({ "f:spec": { "f:containers": { runtime: { "f:env": { ".": {}, r#"k:{"name":"A"}"#: {} } } } } });
    let whole = json!({ ".": {}, "f:spec": { ".": {} } });
    let mut status = entry("deployment-controller", json!({}));
    status.fields_v1 = None;
    let entries = [
        entry(MANAGER, image.clone()),
        entry("same", image),
        entry("whole", whole),
        entry("kubectl-set", variable),
        status,
    ];
    let found = managers(&entries);
    assert_eq!(found.iter().collect::<Vec<_>>(), ["kubectl-set"]);
    let replicas = json!({
        "manager": "autoscaler", "operation": "Update", "subresource": "scale",
        "fieldsV1": { "f:spec": { "f:replicas": {} } },
    });
    let scaled = [
        entries[0].clone(),
        serde_json::from_value(replicas).unwrap(),
    ];
    let found = managers(&scaled);
    assert_eq!(found.iter().collect::<Vec<_>>(), ["autoscaler"]);
    // Nothing of ours is there any more.
    let found = managers(&entries[1..3]);
    assert_eq!(found.iter().collect::<Vec<_>>(), ["same", "whole"]);
}

#[rstest::rstest]
#[case::nobody(&[], "an admission webhook, or somebody whom the API server does not name,")]
#[case::one(&["kubectl-edit"], r#"the field manager "kubectl-edit""#)]
#[case::escaped(&["a\u{1b}[31m"], r#"the field manager "a\u{1b}[31m""#)]
#[case::many(&["a", "b", "c", "d", "e"], r#"one of the field managers "a", "b", "c" and 2 more"#)]
fn names_in_words(#[case] managers: &[&str], #[case] words: &str) {
    let managers = managers.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(named(&managers), words);
}

#[test]
fn a_long_name_is_cut() {
    let words = named(&BTreeSet::from(["x".repeat(128)]));
    assert!(words.chars().count() < 100, "{words}");
}
