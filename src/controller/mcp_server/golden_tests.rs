//! Object in, children out: plain files under `tests/golden`. `SEALROOM_BLESS=1` writes what comes out.
//!
//! The server's models are in the same file, before it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;

use super::bind::{Binding, bind};
use super::build::deployment::{Inputs, build as deployment};
use super::build::{edge_policy, service};
use super::target::Target;
use super::validate::validate;
use super::way::Found;
use crate::api::{McpServer, ModelDeployment};
use crate::controller::golden_tests::{compare, read, yaml};
use crate::controller::model_deployment::build::edge_policy as model_edges;
use crate::controller::model_deployment::validate::tests::config;
use crate::controller::names::uid;
use crate::controller::sealed_policy;
use crate::policy::{Closure, Declared, Labels, Policy, closure};

struct World {
    models: Vec<ModelDeployment>,
    services: Vec<Service>,
    server: McpServer,
}

impl World {
    fn read(case: &str) -> Self {
        let mut world = Self {
            models: Vec::new(),
            services: Vec::new(),
            server: super::validate::tests::object(),
        };
        for document in read(case) {
            match document["kind"].as_str().unwrap() {
                "ModelDeployment" => world.models.push(serde_json::from_value(document).unwrap()),
                "Service" => world
                    .services
                    .push(serde_json::from_value(document).unwrap()),
                _ => world.server = serde_json::from_value(document).unwrap(),
            }
        }
        world
    }

    fn bindings(&self) -> Vec<Binding> {
        let own = self.server.namespace().unwrap();
        let names = [own.as_str(), "team-a", "models"];
        let namespaces: BTreeMap<String, Labels> = names
            .map(|name| {
                let label = ("kubernetes.io/metadata.name".to_owned(), name.to_owned());
                (name.to_owned(), Labels::from([label]))
            })
            .into();
        let bound = self.server.spec.models.iter().enumerate();
        bound
            .map(|(index, binding)| {
                let target = Target::of(binding, &own).unwrap();
                let (namespace, name) = target.key();
                let is = |at: Option<String>, called: String| {
                    at.as_deref() == Some(namespace) && called == name
                };
                let found = Found {
                    model: self.models.iter().find(|m| is(m.namespace(), m.name_any())),
                    service: self
                        .services
                        .iter()
                        .find(|s| is(s.namespace(), s.name_any())),
                    full: false,
                };
                bind(&self.server, index, &found, &namespaces, &config()).unwrap()
            })
            .collect()
    }
}

#[rstest::rstest]
fn children_are_as_written(#[values("mcp-stdio", "mcp-http")] case: &str) {
    let world = World::read(case);
    let config = config();
    let object = &world.server;
    let server = validate(object, &config).unwrap();
    let bindings = world.bindings();
    for binding in &bindings {
        assert!(binding.way.is_ok(), "{binding:?}");
    }
    let inputs = Inputs {
        server: &server,
        bindings: &bindings,
        verify_keys: "PUBLIC KEYS",
        config: &config,
    };
    let mut documents = vec![
        yaml(&sealed_policy::build(&server.namespace, "sealroom-system")),
        yaml(&edge_policy::build(object, &bindings, &config)),
        yaml(&deployment(object, &inputs)),
        yaml(&service::build(object)),
    ];
    // The other side of the edge, where it is the operator's to open.
    for model in world
        .models
        .iter()
        .filter(|m| m.namespace() == object.namespace())
    {
        let servers = [model_edges::Server {
            uid: uid(object).to_owned(),
            name: object.name_any(),
        }];
        documents.push(yaml(&model_edges::build(model, &config, &servers)));
    }
    compare(case, &documents.join("---\n"));
    let exits = edge_policy::exits(object, &bindings, &config);
    let out = exits.iter().filter(|exit| exit.starts_with("out "));
    let rules: usize = object
        .spec
        .egress
        .iter()
        .map(|egress| egress.to.len())
        .sum();
    assert_eq!(out.count(), bindings.len() + rules, "{exits:#?}");
}

/// The longest names that the schema lets through leave room for every child's name.
#[test]
fn longest_names_fit() {
    let mut object = super::validate::tests::object();
    object.metadata.name = Some("a".repeat(40));
    let edges = edge_policy::build(&object, &[], &config());
    assert!(edges.name_any().len() <= 63);
    // Deployments append 11 characters for the ReplicaSet and 6 for the pod.
    assert!(object.name_any().len() + 17 <= 63);
}

/// The closure proof takes the edges of both sides as they are declared, and nothing more.
#[test]
fn declared_edges_are_no_widening() {
    let world = World::read("mcp-stdio");
    let config = config();
    let (object, model) = (&world.server, &world.models[0]);
    let shared = sealed_policy::build("team-a", "sealroom-system");
    let edges = edge_policy::build(object, &world.bindings(), &config);
    let servers = [model_edges::Server {
        uid: uid(object).to_owned(),
        name: object.name_any(),
    }];
    let parse = |policies: &[&NetworkPolicy]| -> Vec<Policy> {
        policies
            .iter()
            .map(|policy| Policy::parse(policy))
            .collect()
    };
    let there = parse(&[
        &shared,
        &edges,
        &model_edges::build(model, &config, &servers),
    ]);
    let labels = super::build::deployment::pod_labels(object, true);
    let declared = Declared {
        policies: parse(&[&shared, &edges]),
    };
    assert!(declared.has_egress());
    assert_eq!(
        closure(&declared, &there, "team-a", &labels),
        Closure::Equal
    );

    // A server whose model is gone declares no way to it.
    let narrowed = Declared {
        policies: parse(&[&shared, &edge_policy::build(object, &[], &config)]),
    };
    assert!(!narrowed.has_egress());
    let widened = closure(&narrowed, &there, "team-a", &labels).detail();
    assert!(widened.contains("sealroom-edge-search"), "{widened}");

    // The model's pods are open to the server as long as it is declared, and no longer.
    let mut labels = crate::controller::model_deployment::build::deployment::selector(model);
    labels.insert("sealroom.dev/sealed".to_owned(), "serve".to_owned());
    for (servers, equal) in [(&servers[..], true), (&servers[..0], false)] {
        let declared = Declared {
            policies: parse(&[&shared, &model_edges::build(model, &config, servers)]),
        };
        let found = closure(&declared, &there, "team-a", &labels);
        assert_eq!(found == Closure::Equal, equal, "{found:?}");
    }
}
