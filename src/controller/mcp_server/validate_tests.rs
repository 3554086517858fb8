use serde_json::{Value, json};

use super::*;
use crate::controller::model_deployment::validate::tests::config;

const OBJECT: &str = "
apiVersion: sealroom.dev/v1alpha1
kind: McpServer
metadata: { name: search, namespace: team-a, uid: 0d2a7a3c-0000-4000-8000-000000000011, generation: 1 }
spec:
  image: registry.internal:5000/search@sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
  transport: { type: Stdio, stdio: { command: [node, /app/server.js] } }
  models: [{ modelDeploymentRef: { name: assistant } }]
  access: { from: [{ podSelector: { matchLabels: { app: agent } } }] }
";

pub(crate) fn object() -> McpServer {
    serde_saphyr::from_str(OBJECT).unwrap()
}

/// The object with these members of its spec in the place of others.
pub(crate) fn with(object: McpServer, spec: Value) -> McpServer {
    let mut value = serde_json::to_value(object).unwrap();
    for (name, member) in spec.as_object().unwrap() {
        value["spec"][name] = member.clone();
    }
    serde_json::from_value(value).unwrap()
}

#[rstest::rstest]
#[case::models(json!({}), Lock::Streams)]
#[case::nothing(json!({ "models": [] }), Lock::Kernel)]
#[case::http(json!({ "models": [], "transport": { "type": "HTTP", "http": { "command": ["a"], "port": 3000 } } }), Lock::Streams)]
#[case::egress(json!({ "egress": [{ "to": [{ "podSelector": {} }], "ports": [{ "port": 5432 }] }] }), Lock::None)]
fn the_strictest_lock_that_leaves_what_is_declared(#[case] spec: Value, #[case] lock: Lock) {
    assert_eq!(
        validate(&with(object(), spec), &config()).unwrap().lock,
        lock
    );
}

#[rstest::rstest]
#[case::tag(json!({ "image": "r.io/search:latest" }), Reason::InvalidSpec, "image")]
#[case::unsealed(json!({ "seal": { "mode": "Unsealed" } }), Reason::UnsealedNotAllowed, "team-a")]
#[case::everybody(json!({ "access": { "from": [{}] } }), Reason::InvalidSpec, "access.from[0]")]
#[case::egress_to_all(json!({ "egress": [{ "to": [], "ports": [{ "port": 1 }] }] }), Reason::InvalidSpec, "egress[0]")]
#[case::egress_all_ports(json!({ "egress": [{ "to": [{ "podSelector": {} }], "ports": [] }] }), Reason::InvalidSpec, "egress[0]")]
#[case::egress_empty_peer(json!({ "egress": [{ "to": [{}], "ports": [{ "port": 1 }] }] }), Reason::InvalidSpec, "egress[0].to[0]")]
#[case::quantity(json!({ "volumes": [{ "mountPath": "/a", "scratch": { "size": "much" } }] }), Reason::InvalidSpec, "much")]
#[case::next_to_no_memory(json!({ "isolation": { "childMemory": "15Mi" } }), Reason::InvalidSpec, "at least 16Mi")]
#[case::memory_of_no_size(json!({ "isolation": { "childMemory": "much" } }), Reason::InvalidSpec, "at least 16Mi")]
#[case::memory_of_all(json!({ "isolation": { "childMemory": "1Gi" }, "resources": { "limits": { "memory": "1024Mi" } } }), Reason::InvalidSpec, "less than resources")]
#[case::memory_of_no_child(json!({ "isolation": { "childMemory": "64Mi" }, "transport": { "type": "HTTP", "http": { "command": ["a"], "port": 3000 } } }), Reason::InvalidSpec, "on stdio")]
#[case::one_path_twice(json!({ "files": [{ "mountPath": "/a", "secretRef": { "name": "s" } }], "volumes": [{ "mountPath": "/a", "scratch": { "size": "1Gi" } }] }), Reason::InvalidSpec, "/a")]
#[case::one_variable_twice(json!({ "env": [{ "name": "LLM_MODEL", "value": "x" }] }), Reason::InvalidSpec, "LLM_MODEL")]
#[case::no_command(json!({ "transport": { "type": "Stdio" } }), Reason::InvalidSpec, "command")]
fn refuses(#[case] spec: Value, #[case] reason: Reason, #[case] says: &str) {
    let stall = Stall::from(validate(&with(object(), spec), &config()).unwrap_err());
    assert_eq!(stall.reason, reason);
    assert!(stall.message.contains(says), "{}", stall.message);
}

#[rstest::rstest]
#[case::no_bound(json!({}), None)]
#[case::alone(json!({ "isolation": { "childMemory": "16Mi" } }), Some(16 << 20))]
#[case::of_what_the_container_has(json!({ "isolation": { "childMemory": "0.5Gi" }, "resources": { "limits": { "memory": "1Gi" } } }), Some(512 << 20))]
fn children_are_bounded_as_written(#[case] spec: Value, #[case] bytes: Option<u64>) {
    let server = validate(&with(object(), spec), &config()).unwrap();
    assert_eq!(server.child_memory, bytes);
}
