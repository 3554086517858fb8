use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;

use super::*;
use crate::controller::mcp_server::validate::tests::object;
use crate::controller::names::ARTIFACT;

/// With so many servers of one namespace, and one of another.
fn wakes(servers: usize) -> (Wakes, Writer<McpServer>) {
    let (mcp_servers, mut writer) = reflector::store();
    for number in 0..=servers {
        let mut server = object();
        server.metadata.name = Some(format!("s{number}"));
        if number == servers {
            server.metadata.namespace = Some("far".to_owned());
        }
        writer.apply_watcher_event(&Event::Apply(server));
    }
    let wakes = Wakes {
        triggers: Triggers {
            deployments: mpsc::channel(1).0,
            artifacts: mpsc::channel(1).0,
            servers: mpsc::channel(1).0,
        },
        model_deployments: reflector::store().0,
        model_artifacts: reflector::store().0,
        mcp_servers,
    };
    (wakes, writer)
}

/// Only where there are more servers than places does the end of one concern the others.
#[rstest::rstest]
#[case::few(references::MOST - 1, 1)]
#[case::one_has_waited(references::MOST, 1 + references::MOST)]
fn a_server_that_goes_makes_room(#[case] left: usize, #[case] expected: usize) {
    let (wakes, _writer) = wakes(left);
    let mut gone = object();
    gone.metadata.name = Some("gone".to_owned());
    let woken = wakes.mcp_server(&gone);
    let is_near = |wake: &&Wake| matches!(wake, Wake::Server(server) if server.namespace.as_deref() == Some("team-a"));
    assert_eq!(woken.iter().filter(is_near).count(), expected);
    assert_eq!(woken.len(), expected);
}

/// Each pass of each server writes its own status: that makes no room, and no model lets in anybody else for it.
#[rstest::rstest]
#[case::new(|_: &mut McpServer| {}, 1 + references::MOST)]
#[case::a_status(|server: &mut McpServer| observed(server, 1), 1)]
#[case::another_spec(|server: &mut McpServer| observed(server, 0), 1 + references::MOST)]
#[case::being_deleted(|server: &mut McpServer| { observed(server, 1); server.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH)); }, 1 + references::MOST)]
#[case::made_anew(|server: &mut McpServer| { observed(server, 1); server.metadata.uid = Some("before".to_owned()); }, 1 + references::MOST)]
fn a_status_wakes_nobody_else(#[case] change: fn(&mut McpServer), #[case] expected: usize) {
    let (wakes, _writer) = wakes(references::MOST);
    let mut server = object();
    server.metadata.name = Some("s0".to_owned());
    change(&mut server);
    assert_eq!(wakes.mcp_server(&server).len(), expected);
}

fn observed(server: &mut McpServer, generation: i64) {
    server.status.get_or_insert_default().observed_generation = Some(generation);
}

/// In `team-a`, with an owner of that UID.
fn artifact(name: &str, owner: &str) -> ModelArtifact {
    let spec = serde_json::json!({ "image": "r.io/m@sha256:0", "layout": "LlamaCpp" });
    let mut artifact = ModelArtifact::new(name, serde_json::from_value(spec).unwrap());
    artifact.metadata.namespace = Some("team-a".to_owned());
    artifact.metadata.owner_references = Some(vec![owned_by(owner)]);
    artifact
}

fn owned_by(uid: &str) -> OwnerReference {
    OwnerReference {
        uid: uid.to_owned(),
        ..OwnerReference::default()
    }
}

/// Without pods, of which each that ends would wake what it had mounted.
#[test]
fn a_template_that_mounts_another_artifact_wakes_the_one_before() {
    let (model_artifacts, mut artifacts) = reflector::store();
    for (name, owner) in [("x", "u"), ("y", "u"), ("others", "v")] {
        artifacts.apply_watcher_event(&Event::Apply(artifact(name, owner)));
    }
    let mut far = artifact("far", "u");
    far.metadata.namespace = Some("team-b".to_owned());
    artifacts.apply_watcher_event(&Event::Apply(far));
    let wakes = Wakes {
        model_artifacts,
        ..wakes(0).0
    };
    let mut deployment = Deployment::default();
    deployment.metadata.namespace = Some("team-a".to_owned());
    deployment.metadata.owner_references = Some(vec![owned_by("u")]);
    // The store has had the template that mounts X; this is the one that mounts Y.
    let template = &mut deployment.spec.get_or_insert_default().template;
    let labels = [(ARTIFACT.to_owned(), "y".to_owned())].into();
    template.metadata.get_or_insert_default().labels = Some(labels);
    let woken = wakes.deployment(&deployment);
    let is_woken = |name: &str, namespace: &str| {
        woken.contains(&Wake::Artifact(ObjectRef::new(name).within(namespace)))
    };
    assert!(is_woken("x", "team-a"), "{woken:?}");
    assert!(is_woken("y", "team-a"), "{woken:?}");
    assert!(!is_woken("others", "team-a"), "{woken:?}");
    assert!(!is_woken("far", "team-b"), "{woken:?}");
}

/// Whether a model serves, and with which names, is in its status: the servers that ask it wait for that.
#[test]
fn the_status_of_a_model_wakes_the_servers_that_name_it() {
    let (model_deployments, mut models) = reflector::store();
    let mut model = crate::controller::model_deployment::validate::tests::object();
    model.status.get_or_insert_default().observed_generation = model.metadata.generation;
    models.apply_watcher_event(&Event::Apply(model.clone()));
    let wakes = Wakes {
        model_deployments,
        ..wakes(1).0
    };
    let near = Wake::Server(ObjectRef::new("s0").within("team-a"));
    let itself = Wake::Deployment(ObjectRef::from_obj(&model));
    assert_eq!(wakes.model_deployment(&model), [itself, near]);
}

#[test]
fn the_status_of_a_model_wakes_no_artifact() {
    let (model_deployments, mut models) = reflector::store();
    let (model_artifacts, mut artifacts) = reflector::store();
    let mut model = crate::controller::model_deployment::validate::tests::object();
    artifacts.apply_watcher_event(&Event::Apply(artifact("m", "u")));
    models.apply_watcher_event(&Event::Apply(model.clone()));
    let wakes = Wakes {
        model_deployments,
        model_artifacts,
        ..wakes(0).0
    };
    assert_eq!(wakes.model_deployment(&model).len(), 2, "it is new");
    model.status.get_or_insert_default().observed_generation = Some(1);
    assert_eq!(wakes.model_deployment(&model).len(), 1);
    models.apply_watcher_event(&Event::Delete(model.clone()));
    assert_eq!(wakes.model_deployment(&model).len(), 2, "it is gone");
}
