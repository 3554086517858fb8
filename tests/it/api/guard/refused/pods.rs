//! Pods with our labels: made, changed, entered.

use serde_json::{Value, json};

use super::Row;
use crate::api::guard::attempt::{Call, Who};
use crate::api::guard::world::{IMAGE, TEAM, World, plain};

const NOT_YOURS: &str = "write a ModelDeployment or McpServer, or leave the";
const OURS_ALONE: &str = "are changed by Sealroom alone";

/// The attempts.
pub fn table(world: &World) -> Vec<Row> {
    use Who::{Controller, Lead, Pipeline, Plugin, Tenant};
    let pods = format!("/api/v1/namespaces/{TEAM}/pods");
    let serving = format!("{pods}/assistant-1");
    let own = format!("{pods}/own");
    let labels = |key: &str, value: Value| json!({ "metadata": { "labels": { key: value } } });
    let wearing = |key: &str, value: &str| {
        let mut pod = plain(TEAM);
        pod["metadata"] = json!({ "name": "stranger", "labels": { key: value } });
        Call::create(&pods, pod)
    };
    let made = |change: &dyn Fn(&mut Value)| {
        let mut pod = world.serving.clone();
        pod["metadata"]["name"] = "assistant-2".into();
        change(&mut pod);
        Call::create(&pods, pod)
    };
    let uid = world.serving["metadata"]["labels"]["sealroom.dev/owner-uid"]
        .as_str()
        .unwrap();
    let image = json!({ "spec": { "initContainers": [{ "name": "gate", "image": IMAGE }] } });
    let debug = json!({ "spec": { "ephemeralContainers": [{ "name": "debug", "image": IMAGE }] } });
    let small = json!({ "spec": { "containers": [{ "name": "runtime", "resources": { "requests": { "cpu": "10m" } } }] } });
    let note =
        json!({ "metadata": { "annotations": { "k8s.v1.cni.cncf.io/networks": "outside" } } });
    let reader = Controller("replicaset-controller");
    let by_tag = (
        reader,
        "makes one with an image volume by tag",
        made(&|pod| {
            pod["spec"]["volumes"][1] =
                json!({ "name": "bin", "image": { "reference": "r.io/a:v1" } })
        }),
        "image volume",
    );
    let rows = vec![
        (
            Tenant,
            "makes a pod that says it is sealed",
            wearing("sealroom.dev/sealed", "serve"),
            NOT_YOURS,
        ),
        (
            Tenant,
            "makes a pod that the model's Service leads to",
            wearing("sealroom.dev/owner-uid", uid),
            NOT_YOURS,
        ),
        (
            Tenant,
            "makes a pod that holds pulls to its node",
            wearing("sealroom.dev/artifact", "a"),
            NOT_YOURS,
        ),
        (
            Tenant,
            "gives its pod the label",
            Call::merge(&own, labels("sealroom.dev/sealed", "serve".into())),
            OURS_ALONE,
        ),
        (
            Tenant,
            "takes the label from a pod",
            Call::merge(&serving, labels("sealroom.dev/sealed", Value::Null)),
            OURS_ALONE,
        ),
        (
            Tenant,
            "changes whose pod it is",
            Call::merge(&serving, labels("sealroom.dev/owner-uid", "other".into())),
            OURS_ALONE,
        ),
        (
            Tenant,
            "takes the artifact's label",
            Call::merge(&serving, labels("sealroom.dev/artifact", Value::Null)),
            OURS_ALONE,
        ),
        (
            Tenant,
            "gives a sealed pod a label of its own",
            Call::merge(&serving, labels("app", "chat".into())),
            OURS_ALONE,
        ),
        (
            Tenant,
            "swaps the gate's image in place",
            Call::strategic(&serving, image),
            OURS_ALONE,
        ),
        (
            Tenant,
            "asks for a second network",
            Call::merge(&serving, note.clone()),
            OURS_ALONE,
        ),
        (
            Pipeline,
            "asks for a second network",
            Call::merge(&serving, note),
            OURS_ALONE,
        ),
        (
            Plugin,
            "changes whose pull it is",
            Call::merge(
                &format!("{pods}/pull-1"),
                labels("sealroom.dev/owner-uid", uid.into()),
            ),
            OURS_ALONE,
        ),
        (
            Plugin,
            "takes the label from a pod",
            Call::merge(&serving, labels("sealroom.dev/sealed", Value::Null)),
            OURS_ALONE,
        ),
        (
            Lead,
            "makes a pod small",
            Call::strategic(&format!("{serving}/resize"), small),
            OURS_ALONE,
        ),
        (
            Lead,
            "debugs a sealed pod",
            Call::strategic(&format!("{serving}/ephemeralcontainers"), debug),
            "no ephemeral containers",
        ),
        (
            Controller("statefulset-controller"),
            "makes a sealed pod",
            made(&|_| {}),
            NOT_YOURS,
        ),
        (
            reader,
            "makes one with an image by tag",
            made(&|pod| pod["spec"]["containers"][0]["image"] = "r.io/llama:v1".into()),
            "named by digest",
        ),
        (
            reader,
            "makes one with an init container by tag",
            made(&|pod| pod["spec"]["initContainers"][0]["image"] = "r.io/a:v1".into()),
            "named by digest",
        ),
        (
            reader,
            "makes one in the node's network",
            made(&|pod| pod["spec"]["hostNetwork"] = true.into()),
            "no hostNetwork",
        ),
        (
            reader,
            "makes one among the node's processes",
            made(&|pod| pod["spec"]["hostPID"] = true.into()),
            "no hostNetwork",
        ),
        (
            reader,
            "makes one with the node's IPC",
            made(&|pod| pod["spec"]["hostIPC"] = true.into()),
            "no hostNetwork",
        ),
    ];
    rows.into_iter()
        .chain(world.image_volumes.then_some(by_tag))
        .collect()
}
