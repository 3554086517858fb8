use super::super::gate;
use super::*;
use crate::api::model_deployment::LlamaCpp;
use crate::controller::model_deployment::validate::tests::{config, object};
use crate::controller::model_deployment::validate::validate;

fn asked(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Resources {
    let map = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Quantity((*value).to_owned())))
            .collect()
    };
    Resources {
        requests: map(requests),
        limits: map(limits),
    }
}

#[rstest::rstest]
#[case::nothing_asked(&[], &[], "100Mi", "100Mi")]
#[case::request_below(&[("memory", "50Mi")], &[], "50Mi", "100Mi")]
#[case::request_above(&[("memory", "1Gi")], &[], "1Gi", "1Gi")]
#[case::limit(&[], &[("memory", "2Gi")], "2Gi", "2Gi")]
#[case::both(&[("memory", "1Gi")], &[("memory", "2Gi")], "1Gi", "2Gi")]
fn memory_that_is_missing_is_computed(
    #[case] requests: &[(&str, &str)],
    #[case] limits: &[(&str, &str)],
    #[case] request: &str,
    #[case] limit: &str,
) {
    let built = resources(&asked(requests, limits), Some(100 << 20));
    assert_eq!(built.requests.unwrap()["memory"].0, request);
    assert_eq!(built.limits.unwrap()["memory"].0, limit);
}

#[test]
fn a_device_that_is_only_requested_is_the_limit_too() {
    let built = resources(&asked(&[("nvidia.com/gpu", "2")], &[]), None);
    assert_eq!(built.limits.unwrap()["nvidia.com/gpu"].0, "2");
}

/// As the kubelet reads arguments: `$(NAME)` becomes the variable's value, `$$` a dollar (Kubernetes,
/// `third_party/forked/golang/expansion`).
fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if rest.starts_with('(') && rest.contains(')') {
            out.push_str("EXPANDED");
            rest = rest.split_once(')').unwrap().1;
        } else {
            out.push('$');
        }
    }
    out + rest
}

/// Through the pod, too, a text arrives as it was written, in one argument of the init container and in none of
/// the engine's.
#[rstest::rstest]
#[case::flag("--host=0.0.0.0")]
#[case::lines("a\n--rpc\n10.0.0.1:50052")]
#[case::nul("a\u{0}b")]
#[case::variable("$(POD_UID) $$(X) $ $( $(Y")]
#[case::quotes("\"},\"model\":\"/etc/passwd\",\"x\":{\"")]
fn a_template_arrives_as_it_was_written(#[case] text: &str) {
    let mut object = object();
    let given = LlamaCpp {
        chat_template: Some(text.to_owned()),
        ..LlamaCpp::default()
    };
    object.spec.runtime.llama_cpp = Some(given);
    let config = config();
    let model = validate(&object, &config).unwrap();
    let inputs = Inputs {
        model: &model,
        weights: AtLeastOne::one(Weights {
            artifact: "a".to_owned(),
            entry: "model$(X).gguf".to_owned(),
        }),
        parts: Vec::new(),
        memory: None,
        verify_keys: "",
        config: &config,
    };
    let wanted = settings(&inputs).first;
    assert_eq!(wanted.task.template.as_deref(), Some(text));
    let copy = gate::copy(&inputs).args.unwrap();
    let given: Vec<String> = copy
        .iter()
        .map(|argument| expanded(argument))
        .filter_map(|argument| argument.strip_prefix("--settings=").map(str::to_owned))
        .collect();
    let [given] = given.as_slice() else {
        panic!("{copy:?}");
    };
    assert!(!given.contains('\0'), "no argument can hold it");
    assert_eq!(serde_json::from_str::<Settings>(given).unwrap(), wanted);
    let engine = build(&object, &inputs).command.unwrap();
    let engine: Vec<String> = engine.iter().map(|argument| expanded(argument)).collect();
    assert!(
        engine.contains(&"/models/model$(X).gguf".to_owned()),
        "{engine:?}"
    );
    assert!(!engine.iter().any(|argument| argument.contains(text)));
}
