//! The tenant guard beside real controllers: every other test shows that they go on with it, these that a tenant
//! does not.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::stage::Served;
use super::{Case, Needs, PROGRAM, Stage};
use crate::kube::wait;
use crate::world::name_of;

pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "guard/an_editor_is_refused",
            needs,
            run: |s| Box::pin(refused(s)),
        },
        Case {
            name: "guard/nobody_execs_in_a_labelled_namespace",
            needs,
            run: |s| Box::pin(closed(s)),
        },
    ]
}

/// What the status says of the guard.
async fn word(stage: &Stage) -> Result<String> {
    let object = stage.object(&stage.assistant().await?).await?;
    let word = object["status"]["seal"]["tenantGuard"].as_str();
    Ok(word.unwrap_or_default().to_owned())
}

/// A user with the built-in role `edit` in the namespace.
async fn tenant(stage: &Stage, namespace: &str) -> Result<()> {
    let edit = binding(namespace, "tenant", "ClusterRole", "edit");
    stage.apply(&[edit]).await
}

/// Lets that user add ephemeral containers, which `edit` leaves out and platforms give to those who debug: without it
/// the user's rights would refuse them, and not the guard.
async fn debugger(stage: &Stage, namespace: &str) -> Result<()> {
    let role = json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "Role",
        "metadata": { "name": "debugger", "namespace": namespace },
        "rules": [{ "apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["patch"] }],
    });
    let bound = binding(namespace, "debugger", "Role", "debugger");
    stage.apply(&[role, bound]).await
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// Binds that user to a role.
fn binding(namespace: &str, name: &str, kind: &str, role: &str) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding",
        "metadata": { "name": name, "namespace": namespace },
        "roleRef": { "apiGroup": RBAC, "kind": kind, "name": role },
        "subjects": [{ "apiGroup": RBAC, "kind": "User", "name": "tenant" }],
    })
}

/// Runs kubectl as that user; a policy of the guard must refuse it: what was said.
async fn must_refuse(stage: &Stage, namespace: &str, arguments: &[&str]) -> Result<String> {
    let who = ["--as=tenant", "-n", namespace];
    let arguments: Vec<&str> = who.into_iter().chain(arguments.iter().copied()).collect();
    match stage.world.kubectl(&arguments).await {
        Ok(output) => bail!("expected a refusal of {arguments:?}, got {output:?}"),
        Err(error) => {
            let said = error.to_string();
            let by_guard = said.contains("ValidatingAdmissionPolicy 'sealroom-");
            ensure!(by_guard, "expected the guard to refuse, got {said}");
            Ok(said)
        }
    }
}

async fn refused(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let ns = model.namespace.as_str();
    let said = word(stage).await?;
    ensure!(
        said == "objects",
        "expected tenantGuard: objects, got {said}"
    );
    tenant(stage, ns).await?;
    let pods = stage.world.pods(ns, &model.name).await?;
    let Some(pod) = pods.first().map(name_of) else {
        bail!("expected a pod of the assistant");
    };
    let deployment = format!("deployment/{}", model.name);
    let service = format!("service/{}", model.name);
    let image = format!("runtime={}", stage.images.tool);
    let image = image.as_str();
    let from = format!("--image={}", stage.images.tool);
    let restricted = format!("--overrides={}", restricted(&stage.images.tool));
    for attempt in [
        &["label", "pod", pod, "sealroom.dev/sealed-"][..],
        &["set", "image", &format!("pod/{pod}"), image],
        &["set", "image", &deployment, image],
        &["delete", &deployment],
        &["delete", &service],
        &["delete", "networkpolicy", "sealroom-sealed"],
        &["delete", "persistentvolumeclaim", "--all"],
        &[
            "run",
            "worn",
            &from,
            &restricted,
            "--labels=sealroom.dev/owner-uid=worn",
        ],
    ] {
        must_refuse(stage, ns, attempt).await?;
    }
    let status = stage.get_status(&model, "/v1/models").await;
    ensure!(status == Some(200), "expected it to serve, got {status:?}");
    Ok(())
}

/// A pod's specification that the namespace's PodSecurity lets pass: the guard alone is to refuse it.
fn restricted(image: &str) -> Value {
    let container = json!({
        "name": "worn", "image": image,
        "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
        },
    });
    json!({ "spec": {
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [container],
    } })
}

async fn closed(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let ns = model.namespace.as_str();
    tenant(stage, ns).await?;
    debugger(stage, ns).await?;
    let label = ["label", "namespace", ns, "sealroom.dev/guard=sealed"];
    stage.world.kubectl(&label).await?;
    let told = wait(
        Duration::from_secs(30),
        "the status to say so",
        async || Ok((word(stage).await? == "objectsAndConnections").then_some(())),
    )
    .await;
    let refused = no_way_in(stage, &model).await;
    let unlabel = ["label", "namespace", ns, "sealroom.dev/guard-"];
    stage.world.kubectl(&unlabel).await?;
    told.and(refused)
}

/// What the guard says of a way into any pod of the namespace, and of an ephemeral container in a pod of ours, which
/// another of its policies refuses too.
const WORDS: [&str; 2] = ["This namespace is sealed", "take no ephemeral containers"];

/// Neither into a pod of the tenant's own nor into the model's.
async fn no_way_in(stage: &Stage, model: &Served) -> Result<()> {
    let ns = model.namespace.as_str();
    let pods = stage.world.pods(ns, &model.name).await?;
    let pod = pods.first().map(name_of).context("failed to find a pod")?;
    let image = format!("--image={}", stage.images.tool);
    let command = ["--", PROGRAM, "--help"];
    for (pod, container) in [("stranger", "tool"), (pod, "runtime")] {
        let exec = [&["exec", pod, "-c", container][..], &command].concat();
        let debug = ["debug", pod, &image, "--profile=restricted"];
        let debug = [&debug[..], &command].concat();
        for attempt in [
            &exec[..],
            &["attach", pod, "-c", container],
            &["port-forward", pod, ":8081"],
            &debug[..],
        ] {
            let said = must_refuse(stage, ns, attempt).await?;
            ensure!(
                WORDS.iter().any(|words| said.contains(words)),
                "expected the guard's words for {attempt:?}, got {said}"
            );
        }
    }
    Ok(())
}
