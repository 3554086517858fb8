use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;
use crate::api::Reason;
use crate::controller::mcp_server::validate::tests::object;
use crate::controller::model_deployment::validate::tests::{config, object as model};

/// A server that names the model, made in that second. Those that are made later have lower UIDs.
fn server(second: usize) -> McpServer {
    let mut server = object();
    server.metadata.name = Some(format!("s{second}"));
    server.metadata.uid = Some(format!("u{:03}", 999 - second));
    let at = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
    server.metadata.creation_timestamp = Some(Time(at));
    server
}

struct World {
    targets: Targets,
    servers: Writer<McpServer>,
    models: Writer<ModelDeployment>,
}

impl World {
    fn with(servers: usize) -> Self {
        let (model_deployments, mut models) = reflector::store();
        let (mcp_servers, mut writer) = reflector::store();
        models.apply_watcher_event(&Event::Apply(model()));
        for second in 0..servers {
            writer.apply_watcher_event(&Event::Apply(server(second)));
        }
        let targets = Targets {
            model_deployments,
            services: reflector::store().0,
            namespaces: reflector::store().0,
            mcp_servers,
        };
        Self {
            targets,
            servers: writer,
            models,
        }
    }

    /// Why a server cannot ask the model. There is no Service, so one that has a place has no address.
    fn why(&self, server: &McpServer) -> (Reason, String) {
        let binding = self.targets.bind(server, &config()).remove(0);
        let unbound = binding.way.unwrap_err();
        (unbound.reason, unbound.message)
    }
}

#[test]
fn those_that_came_first_have_the_places() {
    let mut world = World::with(MOST + 2);
    let let_in = servers_of(&world.targets.mcp_servers, &model());
    assert_eq!(let_in.len(), MOST);
    for second in 0..MOST + 2 {
        let server = server(second);
        let has_a_place = second < MOST;
        let listed = let_in.iter().any(|one| one.uid == uid(&server));
        assert_eq!(listed, has_a_place, "{second}");
        let (reason, text) = world.why(&server);
        let expected = if has_a_place {
            Reason::NoAddress
        } else {
            Reason::TooManyServers
        };
        assert_eq!(reason, expected, "{second}: {text}");
    }
    let (_, text) = world.why(&server(MOST));
    let says = format!("lets in {MOST} servers of its namespace");
    assert!(
        text.contains(&says) && text.contains(&format!("instance=s{MOST}")),
        "{text}"
    );

    // One that goes makes room for the next, and keeps its own until its pods are gone.
    let mut going = server(3);
    going.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    world
        .servers
        .apply_watcher_event(&Event::Apply(going.clone()));
    assert_eq!(world.why(&server(MOST)).0, Reason::NoAddress);
    assert_eq!(world.why(&server(MOST + 1)).0, Reason::TooManyServers);
    assert_eq!(world.why(&going).0, Reason::NoAddress);
}

/// Whom the model names itself needs no place.
#[test]
fn the_models_own_word_is_enough() {
    let mut world = World::with(MOST + 1);
    let mut open = model();
    let peer = json!([{ "podSelector": { "matchLabels": {
        "app.kubernetes.io/name": "sealroom-mcp", "app.kubernetes.io/instance": format!("s{MOST}") } } }]);
    open.spec.access.from = serde_json::from_value(peer).unwrap();
    world.models.apply_watcher_event(&Event::Apply(open));
    assert_eq!(world.why(&server(MOST)).0, Reason::NoAddress);
}

#[test]
fn servers_of_other_namespaces_take_no_place() {
    let mut world = World::with(MOST);
    for second in MOST..MOST + 3 {
        let mut far = server(second);
        far.metadata.namespace = Some("tools".to_owned());
        far.spec.models[0]
            .model_deployment_ref
            .as_mut()
            .unwrap()
            .namespace = Some("team-a".to_owned());
        world.servers.apply_watcher_event(&Event::Apply(far));
    }
    assert_eq!(servers_of(&world.targets.mcp_servers, &model()).len(), MOST);
    assert_eq!(world.why(&server(MOST - 1)).0, Reason::NoAddress);
}
