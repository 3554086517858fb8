//! Pods of the client image, and the scripts of `e2e/clients` that run in them.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use crate::cluster::source;

/// The container of such a pod, which has the name of what it holds.
pub(super) const CONTAINER: &str = "languages";

/// A language with an official client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Language {
    Python,
    Node,
}

/// A pod under `restricted` with a read-only root, on one node, so that its image is pulled once.
pub(super) fn pod(namespace: &str, app: &str, image: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": app, "namespace": namespace, "labels": {"app": app}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "imagePullSecrets": [{"name": "registry"}],
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": CONTAINER,
                "image": image,
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    })
}

/// Runs a script in a pod with these settings, and expects one line a check, in this order.
pub(super) async fn run(
    stage: &Stage,
    pod: (&str, &str),
    script: (Language, &str),
    config: &Value,
    checks: &[&str],
) -> Result<()> {
    let mut config = config.clone();
    config["checks"] = json!(checks);
    let lines = lines(stage, pod, script, &config).await?;
    ensure!(
        lines == checks,
        "expected {checks:?} of {}, got {lines:?}",
        script.1
    );
    Ok(())
}

/// The lines that a script prints in a pod, which is its namespace and its name. Its settings, with keys among them,
/// stand before its text on the standard input: an argument would be in the API server's log.
pub(super) async fn lines(
    stage: &Stage,
    (namespace, pod): (&str, &str),
    (language, script): (Language, &str),
    config: &Value,
) -> Result<Vec<String>> {
    let (folder, command, config): (_, &[&str], _) = match language {
        Language::Python => {
            let quoted = Value::String(config.to_string());
            let config = format!("import json; config = json.loads({quoted})\n");
            ("python", &["/usr/bin/python3", "-"], config)
        }
        Language::Node => {
            let command = &["/usr/bin/node", "--input-type=module", "-"];
            ("node", command, format!("const config = {config};\n"))
        }
    };
    let path = source().join("clients").join(folder).join(script);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let ran = stage
        .world
        .feed(namespace, pod, CONTAINER, command, &(config + &text))
        .await
        .with_context(|| format!("failed in {script}"))?;
    Ok(ran.stdout.lines().map(str::to_owned).collect())
}
