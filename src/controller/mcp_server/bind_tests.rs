use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::json;

use super::*;
use crate::controller::mcp_server::validate::tests::{object, with};
use crate::controller::model_deployment::validate::tests::{config, object as model};
use crate::controller::names::uid;
use crate::controller::serving::edge;

fn service(spec: serde_json::Value) -> Service {
    serde_json::from_value(json!({ "metadata": { "name": "assistant" }, "spec": spec })).unwrap()
}

fn ours() -> Service {
    service(
        json!({ "clusterIP": "10.96.3.7", "selector": { "a": "b" }, "ports": [{ "port": 8080 }] }),
    )
}

fn namespaces() -> BTreeMap<String, Labels> {
    ["team-a", "tools"]
        .map(|name| {
            let label = ("kubernetes.io/metadata.name".to_owned(), name.to_owned());
            (name.to_owned(), Labels::from([label]))
        })
        .into()
}

fn bound(
    server: &McpServer,
    model: Option<&ModelDeployment>,
    service: Option<&Service>,
) -> Binding {
    let found = Found {
        model,
        service,
        ..Found::default()
    };
    bind(server, 0, &found, &namespaces(), &config()).unwrap()
}

#[test]
fn a_model_of_the_own_namespace_is_bound_by_its_uid() {
    let binding = bound(&object(), Some(&model()), Some(&ours()));
    let way = binding.way.clone().unwrap();
    assert_eq!(way.url, "http://10.96.3.7:8080/v1");
    assert_eq!(way.labels, edge::owner(uid(&model())));
    assert_eq!(binding.base_url(), "http://127.0.0.1:11500/v1");
    assert_eq!(binding.model.as_deref(), Some("assistant"));
    assert!(!way.ready);
    let mut serving = model();
    let available = json!({ "conditions": [{ "type": "Available", "status": "True", "reason": "Serving",
        "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }] });
    serving.status = Some(serde_json::from_value(available).unwrap());
    let binding = bound(&object(), Some(&serving), Some(&ours()));
    assert!(binding.way.unwrap().ready);
}

#[rstest::rstest]
#[case::no_model(None, Some(ours()), Reason::ModelNotFound)]
#[case::no_service(Some(model()), None, Reason::NoAddress)]
#[case::headless(Some(model()), Some(service(json!({ "clusterIP": "None" }))), Reason::NoAddress)]
fn what_is_missing_is_said(
    #[case] model: Option<ModelDeployment>,
    #[case] service: Option<Service>,
    #[case] reason: Reason,
) {
    let binding = bound(&object(), model.as_ref(), service.as_ref());
    let unbound = binding.way.unwrap_err();
    assert_eq!(unbound.reason, reason);
    assert!(unbound.message.contains("ModelDeployment team-a/assistant"));
}

#[rstest::rstest]
#[case::the_first_unless_it_is_written(None, Ok("chat"))]
#[case::as_written(Some("embed"), Ok("embed"))]
#[case::not_served(Some("other"), Err("write one of chat, embed"))]
fn one_of_several_models_is_told(
    #[case] written: Option<&str>,
    #[case] expected: Result<&str, &str>,
) {
    let mut several = model();
    let source = several.spec.artifact.take();
    let models = ["chat", "embed"].map(|name| json!({ "name": name, "artifact": source }));
    several.spec.models = Some(serde_json::from_value(json!(models)).unwrap());
    let at =
        json!({ "models": [{ "modelDeploymentRef": { "name": "assistant", "model": written } }] });
    let binding = bound(&with(object(), at), Some(&several), Some(&ours()));
    match expected {
        Ok(name) => {
            assert!(binding.way.is_ok(), "{binding:?}");
            assert_eq!(binding.model.as_deref(), Some(name));
        }
        Err(says) => {
            let unbound = binding.way.unwrap_err();
            assert_eq!(unbound.reason, Reason::ModelNotFound);
            assert!(unbound.message.contains(says), "{unbound:?}");
        }
    }
}

/// The server is in another namespace than the model.
#[rstest::rstest]
#[case::nobody("[]", false)]
#[case::own_namespace("[{podSelector: {}}]", false)]
#[case::by_namespace(
    "[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: tools}}}]",
    true
)]
#[case::by_name(
    "[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: tools}}, podSelector: {matchLabels: {app.kubernetes.io/name: sealroom-mcp, app.kubernetes.io/instance: search}}}]",
    true
)]
#[case::another_server(
    "[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: tools}}, podSelector: {matchLabels: {app.kubernetes.io/instance: other}}}]",
    false
)]
#[case::another_namespace(
    "[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab}}}]",
    false
)]
#[case::addresses("[{ipBlock: {cidr: 0.0.0.0/0}}]", false)]
fn another_namespace_needs_the_models_word(#[case] from: &str, #[case] let_in: bool) {
    let mut server = object();
    server.metadata.namespace = Some("tools".to_owned());
    let at = json!({ "models": [{ "modelDeploymentRef": { "name": "assistant", "namespace": "team-a" } }] });
    let server = with(server, at);
    let mut model = model();
    model.spec.access.from = serde_saphyr::from_str(from).unwrap();
    let binding = bound(&server, Some(&model), Some(&ours()));
    match binding.way {
        Ok(way) => assert!(let_in && way.namespace == "team-a", "{way:?}"),
        Err(unbound) => {
            assert!(!let_in, "{unbound:?}");
            assert_eq!(unbound.reason, Reason::AccessNotGranted);
            assert!(
                unbound
                    .message
                    .contains("kubernetes.io/metadata.name=tools")
            );
        }
    }
}

#[test]
fn a_model_with_tls_needs_a_ca() {
    let mut model = model();
    model.spec.access.tls =
        Some(serde_json::from_value(json!({ "secretRef": { "name": "tls" } })).unwrap());
    let binding = bound(&object(), Some(&model), Some(&ours()));
    assert_eq!(binding.way.unwrap_err().reason, Reason::CaMissing);
    let server = with(
        object(),
        json!({ "models": [{ "modelDeploymentRef": { "name": "assistant" }, "caConfigMapRef": { "name": "ca", "key": "ca.crt" } }] }),
    );
    let way = bound(&server, Some(&model), Some(&ours())).way.unwrap();
    assert_eq!(way.url, "https://10.96.3.7:8080/v1");
    assert_eq!(way.tls_name.as_deref(), Some("assistant.team-a.svc"));
}

#[rstest::rstest]
#[case::number(json!({ "clusterIP": "10.0.0.9", "selector": { "app": "vllm" }, "ports": [{ "port": 80, "targetPort": 8000 }] }), Ok(IntOrString::Int(8000)))]
#[case::name(json!({ "clusterIP": "10.0.0.9", "selector": { "app": "vllm" }, "ports": [{ "port": 80, "targetPort": "api" }] }), Ok(IntOrString::String("api".into())))]
#[case::same(json!({ "clusterIP": "10.0.0.9", "selector": { "app": "vllm" }, "ports": [{ "port": 80 }] }), Ok(IntOrString::Int(80)))]
#[case::no_selector(json!({ "clusterIP": "10.0.0.9", "ports": [{ "port": 80 }] }), Err("selects no pods"))]
#[case::headless(json!({ "clusterIP": "None", "selector": { "app": "vllm" }, "ports": [{ "port": 80 }] }), Err("no cluster address"))]
#[case::other_port(json!({ "clusterIP": "10.0.0.9", "selector": { "app": "vllm" }, "ports": [{ "port": 81 }] }), Err("no TCP port 80"))]
#[case::dns(json!({ "clusterIP": "10.0.0.9", "selector": { "k8s-app": "kube-dns" }, "ports": [{ "port": 80, "targetPort": 53 }] }), Err("DNS"))]
#[case::dns_by_name(json!({ "clusterIP": "10.0.0.9", "selector": { "k8s-app": "kube-dns" }, "ports": [{ "port": 80, "targetPort": "dns-tcp" }] }), Err("DNS"))]
#[case::datagrams(json!({ "clusterIP": "10.0.0.9", "selector": { "app": "vllm" }, "ports": [{ "port": 80, "protocol": "UDP" }] }), Err("no TCP port 80"))]
fn any_service_by_its_selector(
    #[case] spec: serde_json::Value,
    #[case] expected: Result<IntOrString, &str>,
) {
    let server = with(
        object(),
        json!({ "models": [{ "service": { "name": "vllm", "namespace": "models", "port": 80, "model": "m" } }] }),
    );
    let binding = bound(&server, None, Some(&service(spec)));
    assert_eq!(binding.model.as_deref(), Some("m"));
    match (binding.way, expected) {
        (Ok(way), Ok(port)) => {
            assert_eq!(way.port, port);
            assert_eq!(way.url, "http://10.0.0.9:80/v1");
            assert_eq!(way.namespace, "models");
            assert_eq!(way.labels["app"], "vllm");
        }
        (Err(unbound), Err(says)) => assert!(unbound.message.contains(says), "{unbound:?}"),
        (way, expected) => panic!("{way:?}, expected {expected:?}"),
    }
}
