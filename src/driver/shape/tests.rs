//! A model's pod as the operator makes it (`tests/golden/assistant`), and what somebody does to it.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{HostAlias, Pod, PodTemplateSpec};
use serde_json::{Value, json};

use super::{Shape, otherwise};

const OTHER: &str =
    "r.io/theirs@sha256:9999999999999999999999999999999999999999999999999999999999999999";
const GATE: &str = "/spec/initContainers/1";
const RUNTIME: &str = "/spec/containers/0";

/// The template of every case under `tests/golden` that makes pods that serve.
fn templates(case: &str) -> Vec<PodTemplateSpec> {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(format!("{root}/tests/golden/{case}/out.yaml")).unwrap();
    let mut all = serde_saphyr::from_multiple::<Value>(&text).unwrap();
    all.retain(|object| object["kind"] == "Deployment");
    let deployments = all.into_iter().map(|object| {
        let deployment: Deployment = serde_json::from_value(object).unwrap();
        deployment.spec.unwrap().template
    });
    deployments.collect()
}

fn made() -> PodTemplateSpec {
    templates("assistant").remove(0)
}

/// A pod of it.
fn pod() -> Value {
    let mut pod = serde_json::to_value(made()).unwrap();
    pod["metadata"]["name"] = "assistant-1".into();
    pod
}

/// Sets what a JSON pointer names; `-` appends to a list, and null takes away.
fn set(pod: &mut Value, pointer: &str, value: Value) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = pod.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) if last == "-" => list.push(value),
        Value::Array(list) => list[last.parse::<usize>().unwrap()] = value,
        Value::Object(map) if value.is_null() => drop(map.remove(last).unwrap()),
        Value::Object(map) => drop(map.insert(last.replace("~1", "/"), value)),
        other => panic!("{pointer} is in {other}"),
    }
}

fn found(pod: Value) -> Option<String> {
    let pod: Pod = serde_json::from_value(pod).unwrap();
    Shape::of_pod(&pod).differs(&Shape::of_template(&made()))
}

fn changed(pointer: &str, value: Value) -> Option<String> {
    let mut pod = pod();
    set(&mut pod, pointer, value);
    found(pod)
}

/// A further container as an injector adds it.
fn injected() -> Value {
    json!({ "name": "proxy", "image": "r.io/proxy:1" })
}

#[rstest::rstest]
#[case::the_gates_image("/spec/initContainers/1/image", json!(OTHER), "init container gate: image is r.io/theirs@sha256:9")]
#[case::by_tag("/spec/containers/0/image", json!("registry.internal:5000/llama:b1"), "container runtime: image is registry.internal:5000/llama:b1, not registry.internal:5000/llama@sha256:2222")]
#[case::a_container(
    "/spec/containers/-",
    injected(),
    "container proxy was added with image r.io/proxy:1"
)]
#[case::an_init_container(
    "/spec/initContainers/-",
    injected(),
    "init container proxy was added with image r.io/proxy:1"
)]
#[case::one_taken_away("/spec/initContainers", json!([pod()["spec"]["initContainers"][0]]), "init container gate is missing")]
#[case::another_order("/spec/initContainers", json!([pod()["spec"]["initContainers"][1], pod()["spec"]["initContainers"][0]]), "the pod: order of init containers is gate, copy, not copy, gate")]
#[case::an_ephemeral_container("/spec/ephemeralContainers", json!([{ "name": "debugger", "image": "r.io/sh" }]), "ephemeral container debugger was added with image r.io/sh")]
#[case::a_command("/spec/containers/0/command", json!(["/usr/bin/llama-server"]), "container runtime: command changed")]
#[case::arguments("/spec/containers/0/args", json!(["--rpc"]), "container runtime: args was added")]
#[case::an_argument_of_the_gate("/spec/initContainers/1/args/-", json!("--unsealed"), "init container gate: args changed")]
#[case::a_variable("/spec/containers/0/env", json!([{ "name": "LD_PRELOAD", "value": "/x" }]), "container runtime: env LD_PRELOAD was added")]
#[case::a_key("/spec/initContainers/1/env/1/value", json!("THEIR KEYS"), "init container gate: env SEALROOM_VERIFY_KEYS changed")]
#[case::a_variable_twice("/spec/initContainers/1/env/-", json!({ "name": "SEALROOM_VERIFY_KEYS", "value": "PUBLIC KEYS" }), "env SEALROOM_VERIFY_KEYS changed")]
#[case::variables_of_a_secret("/spec/containers/0/envFrom", json!([{ "secretRef": { "name": "s" } }]), "container runtime: envFrom was added")]
#[case::the_nodes_network("/spec/hostNetwork", json!(true), "the pod: hostNetwork is true")]
#[case::the_nodes_processes("/spec/hostPID", json!(true), "the pod: hostPID is true")]
#[case::the_nodes_ipc("/spec/hostIPC", json!(true), "the pod: hostIPC is true")]
#[case::each_others_processes("/spec/shareProcessNamespace", json!(true), "the pod: shareProcessNamespace is true")]
#[case::a_second_network("/metadata/annotations", json!({ "k8s.v1.cni.cncf.io/networks": "open" }), "the pod: annotation k8s.v1.cni.cncf.io/networks was added")]
#[case::no_readiness_gate("/spec/readinessGates", json!([]), "the pod: readiness gate is not sealroom.dev/sealed")]
#[case::a_path_of_the_node("/spec/volumes/-", json!({ "name": "root", "hostPath": { "path": "/" } }), "volume root was added (hostPath)")]
#[case::a_secret("/spec/volumes/-", json!({ "name": "theirs", "secret": { "secretName": "s" } }), "volume theirs was added (secret)")]
#[case::a_token("/spec/volumes/-", json!({ "name": "kube-api-access-x", "projected": { "sources": [{ "serviceAccountToken": { "path": "token" } }] } }), "volume kube-api-access-x was added (projected)")]
#[case::another_claim("/spec/volumes/0/persistentVolumeClaim/claimName", json!("theirs"), "volume models: persistentVolumeClaim changed")]
#[case::a_claim_to_write("/spec/volumes/0/persistentVolumeClaim/readOnly", json!(false), "volume models: persistentVolumeClaim changed")]
#[case::another_kind_of_volume("/spec/volumes/0", json!({ "name": "models", "nfs": { "server": "s", "path": "/" } }), "volume models: nfs was added; volume models: persistentVolumeClaim is missing")]
#[case::a_mount("/spec/containers/0/volumeMounts/-", json!({ "name": "bin", "mountPath": "/etc" }), "container runtime: mount /etc was added")]
#[case::a_mount_to_write("/spec/containers/0/volumeMounts/0/readOnly", json!(false), "container runtime: mount /models changed")]
#[case::a_probe_that_runs_something("/spec/containers/0/readinessProbe", json!({ "exec": { "command": ["sh"] } }), "container runtime: readinessProbe was added")]
#[case::no_startup_probe(
    "/spec/initContainers/1/startupProbe",
    Value::Null,
    "init container gate: startupProbe is missing"
)]
#[case::a_hook("/spec/containers/0/lifecycle", json!({ "postStart": { "exec": { "command": ["sh"] } } }), "container runtime: lifecycle was added")]
#[case::a_port_of_the_node("/spec/initContainers/1/ports/0/hostPort", json!(8080), "init container gate: ports changed")]
#[case::no_sidecar(
    "/spec/initContainers/1/restartPolicy",
    Value::Null,
    "init container gate: restartPolicy is not Always"
)]
#[case::last_words_of_a_file("/spec/containers/0/terminationMessagePath", json!("/tmp/x"), "container runtime: terminationMessagePath is /tmp/x")]
#[case::last_words_of_the_log("/spec/containers/0/terminationMessagePolicy", json!("FallbackToLogsOnError"), "container runtime: terminationMessagePolicy is FallbackToLogsOnError")]
#[case::an_input("/spec/containers/0/stdin", json!(true), "container runtime: stdin is true")]
#[case::privileged("/spec/containers/0/securityContext/privileged", json!(true), "container runtime: privileged is true")]
#[case::more_rights(
    "/spec/containers/0/securityContext/allowPrivilegeEscalation",
    Value::Null,
    "container runtime: allowPrivilegeEscalation is true"
)]
#[case::a_root_to_write("/spec/containers/0/securityContext/readOnlyRootFilesystem", json!(false), "container runtime: readOnlyRootFilesystem is false")]
#[case::a_capability("/spec/containers/0/securityContext/capabilities/add", json!(["SYS_PTRACE"]), "container runtime: added capabilities is SYS_PTRACE")]
#[case::fewer_dropped("/spec/containers/0/securityContext/capabilities/drop", json!(["NET_RAW"]), "container runtime: dropped capabilities is NET_RAW, not ALL")]
#[case::another_user("/spec/containers/0/securityContext/runAsUser", json!(0), "container runtime: runAsUser is 0, not 65532")]
#[case::root("/spec/securityContext/runAsNonRoot", json!(false), "container runtime: runAsNonRoot is not true")]
#[case::no_seccomp("/spec/securityContext/seccompProfile/type", json!("Unconfined"), "container runtime: seccompProfile is Unconfined, not RuntimeDefault")]
#[case::no_app_armor("/spec/securityContext/appArmorProfile", json!({ "type": "Unconfined" }), "container runtime: appArmorProfile is Unconfined")]
#[case::another_se_linux_type("/spec/securityContext/seLinuxOptions", json!({ "type": "spc_t" }), "container runtime: seLinuxOptions is spc_t")]
#[case::another_group("/spec/securityContext/fsGroup", json!(0), "the pod: fsGroup is 0, not 65532")]
#[case::a_further_group("/spec/securityContext/supplementalGroups", json!([0]), "the pod: supplementalGroups is [0]")]
#[case::a_sysctl("/spec/securityContext/sysctls", json!([{ "name": "a", "value": "1" }]), "the pod: sysctls was added")]
#[case::a_claim_of_a_device("/spec/resourceClaims", json!([{ "name": "gpu", "resourceClaimName": "theirs" }]), "the pod: resourceClaims was added")]
#[case::a_name_for_an_address("/spec/hostAliases", json!([{ "ip": "192.0.2.1", "hostnames": ["model"] }]), "the pod: hostAliases was added")]
fn what_somebody_alters_is_named(
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] expected: &str,
) {
    let text = changed(pointer, value).unwrap_or_default();
    assert!(text.contains(expected), "{text}");
}

#[rstest::rstest]
#[case::nothing("/spec/dnsPolicy", json!("None"))]
#[case::a_node("/spec/nodeName", json!("node-1"))]
#[case::tolerations("/spec/tolerations", json!([{ "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }]))]
#[case::a_node_selector("/spec/nodeSelector", json!({ "pool": "models" }))]
#[case::a_priority("/spec/priority", json!(1000))]
#[case::a_scheduler("/spec/schedulerName", json!("default-scheduler"))]
#[case::a_service_account("/spec/serviceAccountName", json!("default"))]
#[case::pull_secrets_of_the_service_account("/spec/imagePullSecrets/-", json!({ "name": "default-dockercfg" }))]
#[case::a_restart_policy("/spec/restartPolicy", json!("Always"))]
#[case::defaults_of_a_limit_range("/spec/containers/0/resources", json!({ "limits": { "cpu": "1" }, "requests": { "cpu": "1" } }))]
#[case::a_resize("/spec/initContainers/1/resources/limits/memory", json!("512Mi"))]
#[case::resize_policies("/spec/containers/0/resizePolicy", json!([{ "resourceName": "cpu", "restartPolicy": "NotRequired" }]))]
#[case::a_pull_policy("/spec/containers/0/imagePullPolicy", json!("Always"))]
#[case::a_mirror("/spec/containers/0/image", json!("mirror.internal/llama@sha256:2222222222222222222222222222222222222222222222222222222222222222"))]
#[case::a_sandbox("/spec/runtimeClassName", json!("gvisor"))]
#[case::a_namespace_of_users("/spec/hostUsers", json!(false))]
#[case::a_level("/spec/securityContext/seLinuxOptions", json!({ "level": "s0:c26,c5" }))]
#[case::the_app_armor_of_the_runtime("/spec/securityContext/appArmorProfile", json!({ "type": "RuntimeDefault" }))]
#[case::more_dropped("/spec/containers/0/securityContext/capabilities/drop", json!(["ALL", "NET_RAW"]))]
#[case::the_same_user("/spec/containers/0/securityContext/runAsUser", json!(65532))]
#[case::proc_as_ever("/spec/containers/0/securityContext/procMount", json!("Default"))]
#[case::last_words("/spec/containers/0/terminationMessagePath", json!("/dev/termination-log"))]
#[case::their_policy("/spec/containers/0/terminationMessagePolicy", json!("File"))]
#[case::a_scheme("/spec/containers/0/livenessProbe/httpGet/scheme", json!("HTTP"))]
#[case::a_threshold("/spec/containers/0/livenessProbe/successThreshold", json!(1))]
#[case::a_mode("/spec/volumes/5/secret/defaultMode", json!(420))]
#[case::another_unit("/spec/volumes/1/emptyDir/sizeLimit", json!("65536Ki"))]
#[case::a_readiness_gate_of_a_load_balancer("/spec/readinessGates/-", json!({ "conditionType": "target-health.elbv2.k8s.aws/x" }))]
#[case::an_annotation("/metadata/annotations", json!({ "openshift.io/scc": "nonroot-v2", "cni.projectcalico.org/podIP": "10.0.0.1/32", "k8s.v1.cni.cncf.io/network-status": "[]" }))]
#[case::a_label("/metadata/labels/pod-template-hash", json!("6d4cf56db6"))]
fn what_a_cluster_fills_in_is_no_difference(#[case] pointer: &str, #[case] value: Value) {
    assert_eq!(changed(pointer, value), None);
}

#[test]
fn an_address_without_a_name_is_no_difference() {
    let alias = HostAlias {
        ip: "192.0.2.1".to_owned(),
        hostnames: Some(Vec::new()),
    };
    let mut template = made();
    template.spec.as_mut().unwrap().host_aliases = Some(vec![alias]);
    let mut pod = pod();
    let there = json!([{ "ip": "192.0.2.1" }]);
    set(&mut pod, "/spec/hostAliases", there);
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let wanted = Shape::of_template(&template);
    assert_eq!(Shape::of_pod(&pod).differs(&wanted), None);
}

#[test]
fn no_value_that_may_be_secret_is_shown_and_what_is_shown_is_bounded() {
    let mut altered = pod();
    let secret = json!([{ "name": "TOKEN\u{1b}[31m", "value": "s3cret" }]);
    set(&mut altered, &format!("{RUNTIME}/env"), secret);
    set(
        &mut altered,
        &format!("{GATE}/args/-"),
        json!("--key=s3cret"),
    );
    let text = found(altered).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    assert!(text.contains(r"env TOKEN\u{1b}[31m was added"), "{text}");
    let mut many = pod();
    for index in 0..100 {
        let one = json!({ "name": format!("c{index}"), "image": "x".repeat(300) });
        set(&mut many, "/spec/containers/-", one);
    }
    let text = found(many).unwrap();
    assert!(text.contains("and 94 more"), "{text}");
    assert!(text.chars().count() <= 600, "{text}");
}

#[rstest::rstest]
#[case::an_ephemeral_container("/spec/ephemeralContainers", json!([{ "name": "debugger", "image": "r.io/sh" }]), true)]
#[case::the_nodes_network("/spec/hostNetwork", json!(true), true)]
#[case::a_path_of_the_node("/spec/volumes/-", json!({ "name": "root", "hostPath": { "path": "/" } }), true)]
#[case::privileged("/spec/containers/0/securityContext/privileged", json!(true), true)]
#[case::a_capability("/spec/initContainers/1/securityContext/capabilities/add", json!(["SYS_ADMIN"]), true)]
#[case::another_image("/spec/containers/0/image", json!(OTHER), false)]
fn what_no_version_makes_needs_no_template(
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] never: bool,
) {
    let mut pod = pod();
    set(&mut pod, pointer, value);
    let pod: Pod = serde_json::from_value(pod).unwrap();
    assert_eq!(Shape::of_pod(&pod).never().is_some(), never);
}

#[test]
fn every_template_of_ours_is_without_it() {
    for case in [
        "assistant",
        "gpu-nvidia",
        "mcp-http",
        "mcp-stdio",
        "ollama",
        "tls",
    ] {
        let templates = templates(case);
        assert!(!templates.is_empty(), "{case}");
        for template in templates {
            assert_eq!(Shape::of_template(&template).never(), None, "{case}");
        }
    }
}

#[rstest::rstest]
#[case::as_asked(
    "registry.internal:5000/llama@sha256:2222222222222222222222222222222222222222222222222222222222222222",
    0
)]
#[case::not_yet("", 0)]
#[case::by_its_configuration(
    "sha256:3333333333333333333333333333333333333333333333333333333333333333",
    0
)]
#[case::of_another_repository(OTHER, 0)]
#[case::another(
    "registry.internal:5000/llama@sha256:9999999999999999999999999999999999999999999999999999999999999999",
    1
)]
#[case::as_docker_says_it(
    "docker-pullable://registry.internal:5000/llama:b1@sha256:9999999999999999999999999999999999999999999999999999999999999999",
    1
)]
fn a_digest_that_the_kubelet_names_is_told(#[case] image_id: &str, #[case] expected: usize) {
    let mut pod = pod();
    pod["status"] = json!({ "containerStatuses": [{
        "name": "runtime", "image": "", "imageID": image_id, "ready": true, "restartCount": 0,
    }]});
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let told = otherwise(&pod);
    assert_eq!(told.len(), expected, "{told:?}");
    assert!(
        told.iter()
            .all(|text| text.contains("sha256:9999") && text.len() < 253)
    );
}
