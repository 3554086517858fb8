use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::validate::tests::object;
use super::super::way::{Unbound, Way};
use super::*;
use crate::api::mcp_server::KeyRef;

/// A model with a key and a CA of their own, bound, waiting or not bound.
fn binding(name: &str, port: u16, way: Result<bool, Reason>) -> Binding {
    let entry = |of: &str, key: &str| KeyRef {
        name: format!("{name}-{of}"),
        key: key.to_owned(),
    };
    Binding {
        target: Target::Deployment {
            namespace: "team-a".to_owned(),
            name: name.to_owned(),
        },
        port,
        model: None,
        env: Vec::new(),
        key: Some(entry("keys", "tools")),
        ca: Some(entry("ca", "ca.crt")),
        way: way
            .map(|ready| Way {
                url: String::new(),
                tls_name: None,
                namespace: "team-a".to_owned(),
                labels: BTreeMap::new(),
                port: IntOrString::Int(8080),
                ready,
            })
            .map_err(|reason| Unbound {
                reason,
                message: "not there".to_owned(),
            }),
    }
}

fn lack(port: u16, what: Need) -> Lack {
    Lack { port, what }
}

#[rstest::rstest]
#[case::nothing(Ok(true), &[], Reason::Bound, "")]
#[case::key(Ok(true), &[(11_501, Need::Key)], Reason::SecretMissing, "ModelDeployment team-a/embed cannot be asked, because a pod has found no key in entry tools of Secret embed-keys of apiKeySecretRef")]
#[case::ca(Ok(true), &[(11_501, Need::Ca)], Reason::ConfigMapMissing, "no certificates in entry ca.crt of ConfigMap embed-ca of caConfigMapRef")]
#[case::both(Ok(true), &[(11_501, Need::Ca), (11_501, Need::Key)], Reason::SecretMissing, "Secret embed-keys")]
#[case::before_what_waits(Ok(false), &[(11_501, Need::Key)], Reason::SecretMissing, "Secret embed-keys")]
#[case::after_what_holds_up(Err(Reason::ModelNotFound), &[(11_501, Need::Key)], Reason::ModelNotFound, "not there")]
#[case::of_no_model(Ok(true), &[(11_509, Need::Key)], Reason::Bound, "")]
fn what_the_gates_lack_is_named(
    #[case] first: Result<bool, Reason>,
    #[case] said: &[(u16, Need)],
    #[case] reason: Reason,
    #[case] says: &str,
) {
    let bindings = [
        binding("chat", 11_500, first),
        binding("embed", 11_501, Ok(true)),
    ];
    let lacks = said.iter().map(|(port, what)| lack(*port, *what)).collect();
    let (truth, is, text) = condition(&bindings, &lacks);
    assert_eq!(is, reason, "{text}");
    assert_eq!(truth == Truth::True, reason == Reason::Bound);
    assert!(text.contains(says), "{text}");
}

#[test]
fn each_model_says_its_own() {
    let bindings = [
        binding("chat", 11_500, Ok(true)),
        binding("embed", 11_501, Ok(true)),
        binding("rank", 11_502, Ok(false)),
    ];
    let lacks = BTreeSet::from([lack(11_501, Need::Key)]);
    let states = bindings.each_ref().map(|one| model(one, &lacks).state);
    assert_eq!(states, ["Bound", "SecretMissing", "ModelNotReady"]);
}

/// A model that asks for nothing lacks nothing, whatever a gate of an older template says.
#[test]
fn only_what_is_written_can_be_missing() {
    let mut plain = binding("chat", 11_500, Ok(true));
    (plain.key, plain.ca) = (None, None);
    let lacks = [Need::Key, Need::Ca, Need::Listener].map(|what| lack(11_500, what));
    assert_eq!(condition(&[plain], &lacks.into()).1, Reason::Bound);
}

/// Its pods are not the operator's to watch, and those of a ModelDeployment are.
#[test]
fn a_service_that_takes_no_connections_is_named() {
    let mut plain = binding("vllm", 11_500, Ok(true));
    plain.target = Target::Service {
        namespace: "team-a".to_owned(),
        name: "vllm".to_owned(),
        port: 80,
        path: "/v1".to_owned(),
    };
    (plain.key, plain.ca) = (None, None);
    let bindings = [plain, binding("chat", 11_501, Ok(true))];
    let told = BTreeSet::from([11_500, 11_501].map(|port| lack(port, Need::Listener)));
    let states = bindings.each_ref().map(|one| model(one, &told).state);
    assert_eq!(states, ["ModelUnreachable", "Bound"]);
    let (truth, reason, text) = condition(&bindings, &told);
    assert_eq!((truth, reason), (Truth::False, Reason::ModelUnreachable));
    assert!(text.starts_with("Service team-a/vllm "), "{text}");

    // An operator that has just started tells the same until a gate is heard.
    let old = McpServerStatus {
        observed_generation: Some(1),
        models: vec![model(&bindings[0], &told)],
        ..McpServerStatus::default()
    };
    let mut seal = SealView::default();
    let kept = lacks(&object(), &old, &seal, &bindings);
    assert_eq!(kept, BTreeSet::from([lack(11_500, Need::Listener)]));
    seal.models_lack = Some(BTreeSet::new());
    let heard = lacks(&object(), &old, &seal, &bindings);
    assert_eq!(condition(&bindings, &heard).1, Reason::Bound);
}

#[rstest::rstest]
#[case::nobody_is_heard(None, Some(1), 1, "SecretMissing")]
#[case::it_is_there(Some(vec![]), Some(1), 1, "Bound")]
#[case::the_other_one(Some(vec![lack(11_500, Need::Ca)]), Some(1), 1, "ConfigMapMissing")]
#[case::of_another_generation(None, Some(0), 1, "Bound")]
#[case::no_pods(None, Some(1), 0, "Bound")]
fn what_was_told_stays_until_a_gate_is_heard(
    #[case] said: Option<Vec<Lack>>,
    #[case] generation: Option<i64>,
    #[case] replicas: i32,
    #[case] state: &str,
) {
    let bindings = [binding("chat", 11_500, Ok(true))];
    let told = BTreeSet::from([lack(11_500, Need::Key)]);
    let old = McpServerStatus {
        observed_generation: generation,
        models: vec![model(&bindings[0], &told)],
        ..McpServerStatus::default()
    };
    let seal = SealView {
        models_lack: said.map(|said| said.into_iter().collect()),
        ..SealView::default()
    };
    let mut this = object();
    this.spec.replicas = replicas;
    let lacks = lacks(&this, &old, &seal, &bindings);
    assert_eq!(model(&bindings[0], &lacks).state, state);
}
