use serde_json::{Value, json};

use super::*;

pub(in crate::controller) fn node(name: &str, memory: &str) -> Node {
    shaped(name, memory, json!({}), json!([]))
}

fn shaped(name: &str, memory: &str, labels: Value, taints: Value) -> Node {
    serde_json::from_value(json!({
        "metadata": { "name": name, "labels": labels },
        "spec": { "taints": taints },
        "status": { "allocatable": { "memory": memory, "cpu": "4" } },
    }))
    .unwrap()
}

fn pod(extra: Value) -> PodSpec {
    let mut pod = json!({
        "initContainers": [
            { "name": "copy", "resources": { "requests": { "memory": "16Mi" } } },
            { "name": "gate", "restartPolicy": "Always", "resources": { "requests": { "memory": "24Mi" } } },
        ],
        "containers": [{ "name": "runtime", "resources": { "requests": { "memory": "4Gi" }, "limits": { "memory": "5Gi" } } }],
    });
    pod.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    serde_json::from_value(pod).unwrap()
}

/// A GPU node that keeps others away, a large one and a small one.
fn cluster() -> Vec<Arc<Node>> {
    let taint = json!([{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }]);
    let sick = json!([{ "key": "node.kubernetes.io/not-ready", "effect": "NoExecute" }]);
    let nodes = [
        shaped("gpu", "64Gi", json!({ "kind": "gpu", "size": "64" }), taint),
        shaped("large", "8Gi", json!({ "kind": "cpu", "size": "8" }), sick),
        shaped(
            "small",
            "2Gi",
            json!({ "kind": "cpu", "size": "2" }),
            json!([]),
        ),
    ];
    nodes.map(Arc::new).to_vec()
}

fn affinity(term: Value) -> Value {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    json!({ "affinity": { "nodeAffinity": { required: { "nodeSelectorTerms": [term] } } } })
}

fn expression(key: &str, operator: &str, values: &[&str]) -> Value {
    affinity(
        json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] }),
    )
}

fn memory(room: NoRoom) -> TooLittle {
    match room {
        NoRoom::Memory(few) => few,
        NoRoom::Devices(few) => panic!("{few}"),
    }
}

/// The largest node that may run the pod.
#[rstest::rstest]
#[case::taint(json!({}), Some("large"))]
#[case::tolerated(json!({ "tolerations": [{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }] }), Some("gpu"))]
#[case::tolerated_exists(json!({ "tolerations": [{ "operator": "Exists" }] }), Some("gpu"))]
#[case::other_value(json!({ "tolerations": [{ "key": "gpu", "value": "no" }] }), Some("large"))]
#[case::other_effect(json!({ "tolerations": [{ "key": "gpu", "operator": "Exists", "effect": "NoExecute" }] }), Some("large"))]
#[case::selector(json!({ "nodeSelector": { "size": "2" } }), Some("small"))]
#[case::selects_nothing(json!({ "nodeSelector": { "size": "3" } }), None)]
#[case::is_in(expression("size", "In", &["2", "3"]), Some("small"))]
#[case::not_in(expression("size", "NotIn", &["8"]), Some("small"))]
#[case::exists(expression("size", "Exists", &[]), Some("large"))]
#[case::does_not_exist(expression("size", "DoesNotExist", &[]), None)]
#[case::less(expression("size", "Lt", &["8"]), Some("small"))]
#[case::greater(expression("size", "Gt", &["7"]), Some("large"))]
#[case::named(affinity(json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["small"] }] })), Some("small"))]
#[case::empty_term(affinity(json!({})), None)]
fn placement_is_the_schedulers(#[case] extra: Value, #[case] expected: Option<&str>) {
    let mut wants = pod(extra);
    let request = &mut wants.containers[0].resources.as_mut().unwrap().requests;
    request.as_mut().unwrap().get_mut("memory").unwrap().0 = "1Ti".to_owned();
    let largest = fits(&cluster(), &wants)
        .err()
        .map(|few| memory(few).largest);
    assert_eq!(largest.as_deref(), expected);
}

#[test]
fn containers_and_sidecars_count_together() {
    assert_eq!(request(&pod(json!({}))), (4 << 30) + (24 << 20));
    let mut limits_alone = pod(json!({}));
    limits_alone.containers[0]
        .resources
        .as_mut()
        .unwrap()
        .requests = None;
    assert_eq!(request(&limits_alone), (5 << 30) + (24 << 20));
    let mut large_init = pod(json!({}));
    let first = large_init.init_containers.as_mut().unwrap();
    first[0].resources =
        serde_json::from_value(json!({ "requests": { "memory": "9Gi" } })).unwrap();
    assert_eq!(request(&large_init), 9 << 30);
}

#[rstest::rstest]
#[case::exactly(&["4194304Ki", "4218880Ki"], None)]
#[case::less(&["4Gi", "3Gi"], Some((4_096, 2)))]
#[case::one(&["3Gi"], Some((3_072, 1)))]
#[case::no_node(&[], None)]
#[case::says_nothing(&["what"], None)]
fn the_largest_node_decides(#[case] nodes: &[&str], #[case] most: Option<(u64, usize)>) {
    let nodes: Vec<_> = nodes
        .iter()
        .map(|memory| Arc::new(node("a", memory)))
        .collect();
    let few = fits(&nodes, &pod(json!({}))).err().map(memory);
    assert_eq!(few.map(|few| (few.most >> 20, few.candidates)), most);
}

#[test]
fn the_text_has_the_numbers() {
    let few = fits(&[Arc::new(node("n1", "3Gi"))], &pod(json!({}))).unwrap_err();
    assert_eq!(
        few.to_string(),
        "a pod asks for 4120 MiB of memory, and of 1 node that may run it the largest, n1, has 3072 MiB"
    );
}

/// Devices count where the pod may run: what a node behind a taint has is not there.
#[rstest::rstest]
#[case::enough("2", json!({ "tolerations": [{ "operator": "Exists" }] }), None)]
#[case::too_many("3", json!({ "tolerations": [{ "operator": "Exists" }] }), Some((3, 2, 3)))]
#[case::behind_a_taint("1", json!({}), Some((1, 0, 2)))]
fn devices_are_counted(
    #[case] asked: &str,
    #[case] extra: Value,
    #[case] expected: Option<(u64, u64, usize)>,
) {
    let mut nodes = cluster();
    let mut gpu = (*nodes[0]).clone();
    let status = gpu.status.as_mut().unwrap().allocatable.as_mut().unwrap();
    status.insert(
        "nvidia.com/gpu".to_owned(),
        serde_json::from_value(json!("2")).unwrap(),
    );
    nodes[0] = Arc::new(gpu);
    let mut wants = pod(extra);
    let limits = &mut wants.containers[0].resources.as_mut().unwrap().limits;
    let asked = serde_json::from_value(json!(asked)).unwrap();
    limits
        .as_mut()
        .unwrap()
        .insert("nvidia.com/gpu".to_owned(), asked);
    let few = fits(&nodes, &wants).err();
    let few = few.map(|room| match room {
        NoRoom::Devices(few) => (few.asked, few.most, few.candidates),
        NoRoom::Memory(few) => panic!("{few}"),
    });
    assert_eq!(few, expected);
}
