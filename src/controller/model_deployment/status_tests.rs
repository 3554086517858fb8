use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStatus};

use super::super::validate::tests::object;
use super::*;
use crate::controller::outcome::Stall;
use crate::controller::seal_view::SealView;
use crate::seal::wire::RuntimeFault;

fn deployment(there: i32, updated: i32, ready: i32) -> Deployment {
    let mut deployment = Deployment {
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            ..DeploymentSpec::default()
        }),
        status: Some(DeploymentStatus {
            observed_generation: Some(1),
            replicas: Some(there),
            updated_replicas: Some(updated),
            ready_replicas: Some(ready),
            ..DeploymentStatus::default()
        }),
        ..Deployment::default()
    };
    deployment.metadata.generation = Some(1);
    deployment
}

fn seal(truth: Truth, reason: Reason) -> SealView {
    SealView {
        truth,
        reason,
        message: reason.to_string(),
        ..SealView::default()
    }
}

fn proven() -> SealView {
    seal(Truth::True, Reason::NoEgress)
}

fn keyless() -> SealView {
    SealView {
        keys_missing: true,
        ..proven()
    }
}

fn bare() -> SealView {
    SealView {
        certificate_missing: true,
        ..keyless()
    }
}

fn faulty(fault: RuntimeFault) -> SealView {
    SealView {
        runtime_fault: Some(fault),
        ..proven()
    }
}

fn waiting() -> Outcome {
    Outcome::Waiting {
        reason: Reason::ArtifactNotReady,
        message: String::new(),
        after: Duration::from_secs(1),
    }
}

fn run(seen: &Seen, outcome: &Outcome) -> ModelDeploymentStatus {
    let old = ModelDeploymentStatus::default();
    compute(&object(), &old, seen, outcome, Timestamp::UNIX_EPOCH)
}

/// Ready, Reconciling, Stalled, Sealed, Available; the last column is Ready's reason.
#[rstest::rstest]
#[case::serves((1, 1, 1), proven(), Outcome::Done, "True False False True True", "Succeeded")]
#[case::old_pod_still_there((2, 1, 2), proven(), Outcome::Done, "False True False True True", "RollingOut")]
#[case::new_pod_not_ready((2, 1, 1), proven(), Outcome::Done, "False True False True True", "RollingOut")]
#[case::no_keys((1, 1, 0), keyless(), Outcome::Done, "False False True True False", "SecretMissing")]
#[case::keys_just_came((1, 1, 1), keyless(), Outcome::Done, "True False False True True", "Succeeded")]
#[case::no_certificate((1, 1, 0), bare(), Outcome::Done, "False False True True False", "SecretMissing")]
#[case::ended_once((1, 1, 0), faulty(RuntimeFault::Ended), Outcome::Done, "False True False True False", "RollingOut")]
#[case::failing((1, 1, 0), faulty(RuntimeFault::Failing), Outcome::Done, "False True False True False", "RuntimeFailing")]
#[case::failing_and_serving((1, 1, 1), faulty(RuntimeFault::Failing), Outcome::Done, "False True False True True", "RuntimeFailing")]
#[case::out_of_memory((1, 1, 0), faulty(RuntimeFault::OutOfMemory), Outcome::Done, "False True False True False", "RuntimeOutOfMemory")]
#[case::lies((1, 1, 0), faulty(RuntimeFault::Answers), Outcome::Done, "False True False True False", "RuntimeAnswersWrong")]
#[case::told_the_truth_again((1, 1, 1), faulty(RuntimeFault::Answers), Outcome::Done, "False True False True True", "RuntimeAnswersWrong")]
#[case::hangs((1, 1, 0), faulty(RuntimeFault::Hangs), Outcome::Done, "False True False True False", "RuntimeHangs")]
#[case::proving((1, 1, 0), SealView::default(), Outcome::Done, "False True False Unknown False", "NotSealed")]
#[case::control_failed((1, 1, 1), seal(Truth::Unknown, Reason::ControlFailed), Outcome::Done, "False True False Unknown True", "NotSealed")]
#[case::widened((1, 1, 0), seal(Truth::False, Reason::PolicyWidens), Outcome::Done, "False False True False False", "PolicyWidens")]
#[case::artifact((0, 0, 0), SealView::default(), waiting(), "False True False Unknown False", "ArtifactNotReady")]
#[case::update_waits_for_artifact((1, 1, 1), proven(), waiting(), "False True False True True", "ArtifactNotReady")]
#[case::stalled((1, 1, 1), proven(), Outcome::Stalled(Stall::new(Reason::RegistryNotDeclared, "x")), "False False True True True", "RegistryNotDeclared")]
#[case::transient((1, 1, 1), proven(), Outcome::Transient { message: "x".into() }, "False True False True True", "RetryingAfterError")]
fn truth_table(
    #[case] (there, updated, ready): (i32, i32, i32),
    #[case] seal: SealView,
    #[case] outcome: Outcome,
    #[case] expected: &str,
    #[case] reason: &str,
) {
    let seen = Seen {
        deployment: Some(Arc::new(deployment(there, updated, ready))),
        seal,
        ..Seen::default()
    };
    let status = run(&seen, &outcome);
    let kinds = [
        ConditionType::Ready,
        ConditionType::Reconciling,
        ConditionType::Stalled,
        ConditionType::Sealed,
        ConditionType::Available,
    ];
    let values = kinds.map(|kind| find(&status.conditions, kind).unwrap().status.clone());
    assert_eq!(values.join(" "), expected);
    assert_eq!(
        find(&status.conditions, ConditionType::Ready)
            .unwrap()
            .reason,
        reason
    );
    assert!(
        status
            .conditions
            .iter()
            .all(|c| c.observed_generation == Some(1))
    );
}

#[test]
fn a_key_set_that_is_missing_is_named() {
    let mut object = object();
    object.spec.access.api_keys = None;
    object.spec.access.jwt = Some(
        serde_saphyr::from_str("{issuer: i, audiences: [a], jwks: {configMapRef: {name: sso}}}")
            .unwrap(),
    );
    let seen = Seen {
        deployment: Some(Arc::new(deployment(1, 1, 0))),
        seal: SealView {
            token_keys: crate::seal::wire::TokenKeys::Missing,
            ..keyless()
        },
        ..Seen::default()
    };
    let old = ModelDeploymentStatus::default();
    let status = compute(&object, &old, &seen, &Outcome::Done, Timestamp::UNIX_EPOCH);
    let ready = find(&status.conditions, ConditionType::Ready).unwrap();
    assert_eq!(ready.reason, "KeySetMissing");
    assert!(ready.message.contains("ConfigMap sso"), "{}", ready.message);
    assert!(status.callers.unwrap().contains("no token is accepted"));
}

#[test]
fn a_deployment_that_the_cluster_has_not_looked_at_is_not_complete() {
    let mut behind = deployment(1, 1, 1);
    behind.metadata.generation = Some(2);
    let seen = Seen {
        deployment: Some(Arc::new(behind)),
        seal: proven(),
        ..Seen::default()
    };
    let status = run(&seen, &Outcome::Done);
    assert_eq!(
        find(&status.conditions, ConditionType::Ready)
            .unwrap()
            .reason,
        "RollingOut"
    );
}

#[test]
fn unsealed_shows_and_does_not_wait_for_a_proof() {
    let mut object = object();
    object.spec.seal.mode = SealMode::Unsealed;
    let seen = Seen {
        deployment: Some(Arc::new(deployment(1, 1, 1))),
        ..Seen::default()
    };
    let old = ModelDeploymentStatus::default();
    let status = compute(&object, &old, &seen, &Outcome::Done, Timestamp::UNIX_EPOCH);
    assert_eq!(
        find(&status.conditions, ConditionType::Sealed)
            .unwrap()
            .reason,
        "SealDisabled"
    );
    assert_eq!(
        find(&status.conditions, ConditionType::Ready)
            .unwrap()
            .status,
        "True"
    );
}

#[test]
fn the_same_pass_again_changes_nothing() {
    let seen = Seen {
        seal: proven(),
        ..Seen::default()
    };
    let first = run(&seen, &Outcome::Done);
    let again = compute(&object(), &first, &seen, &Outcome::Done, Timestamp::now());
    assert_eq!(first, again);
}

#[rstest::rstest]
#[case::keys(keyless(), "Secret assistant-keys of access.apiKeys")]
#[case::certificate(bare(), "Secret assistant-tls of access.tls")]
fn the_secret_that_is_missing_is_named(#[case] seal: SealView, #[case] says: &str) {
    let mut object = object();
    object.spec.access.tls = Some(
        serde_json::from_value(serde_json::json!({ "secretRef": { "name": "assistant-tls" } }))
            .unwrap(),
    );
    let seen = Seen {
        deployment: Some(Arc::new(deployment(1, 1, 0))),
        seal,
        ..Seen::default()
    };
    let old = ModelDeploymentStatus::default();
    let status = compute(&object, &old, &seen, &Outcome::Done, Timestamp::UNIX_EPOCH);
    let stalled = find(&status.conditions, ConditionType::Stalled).unwrap();
    assert!(stalled.message.contains(says), "{}", stalled.message);
    assert_eq!(
        status.url.as_deref(),
        Some("https://assistant.team-a.svc:8080/v1")
    );
}

/// Of several models the first that is not ready is told, by its name, and each is listed.
#[rstest::rstest]
#[case::both_there([true, true], "Verified", "")]
#[case::the_second_comes([true, false], "Planning", "model vectors")]
#[case::none_yet([false, false], "Planning", "model chat")]
fn several_models_are_told_apart(
    #[case] there: [bool; 2],
    #[case] reason: &str,
    #[case] says: &str,
) {
    let object = super::super::models::tests::two();
    let models = object.served_names().into_iter().zip(there);
    let models = models.map(|(name, there)| {
        let made = there.then(|| Arc::new(verified(&name)));
        (name, made)
    });
    let seen = Seen {
        models: models.collect(),
        ..Seen::default()
    };
    let old = ModelDeploymentStatus::default();
    let status = compute(&object, &old, &seen, &waiting(), Timestamp::UNIX_EPOCH);
    let told = find(&status.conditions, ConditionType::ArtifactReady).unwrap();
    assert_eq!(told.reason, reason);
    assert!(told.message.starts_with(says), "{}", told.message);
    assert_eq!(told.message.is_empty(), says.is_empty());
    let listed = status
        .models
        .iter()
        .map(|one| (one.name.as_str(), one.own.artifact.is_some()));
    let expected = ["chat", "vectors"].into_iter().zip(there);
    assert!(listed.eq(expected), "{:?}", status.models);
    assert_eq!(status.artifact, None);
    assert_eq!(status.served_model_name.as_deref(), Some("chat"));
}

/// Adapters and the projector are told apart from the model and listed beside it.
#[rstest::rstest]
#[case::all([true, true], "Verified", "")]
#[case::no_adapter([false, true], "Planning", "adapter tone")]
#[case::no_projector([true, false], "Planning", "projector")]
fn parts_are_told_apart(#[case] there: [bool; 2], #[case] reason: &str, #[case] says: &str) {
    let image = |name: &str| {
        format!("r.io/{name}@sha256:{}", "1".repeat(64))
            .parse()
            .unwrap()
    };
    let adapter = Role::Adapter {
        name: "tone".to_owned(),
        scale: "1".to_owned(),
    };
    let parts = [("tone", adapter), ("eyes", Role::Projector)];
    let parts = parts.into_iter().zip(there).map(|((name, role), there)| {
        let part = super::super::parts::Part {
            role,
            image: image(name),
            pull_secrets: Vec::new(),
        };
        (part, there.then(|| Arc::new(verified(name))))
    });
    let seen = Seen {
        models: vec![("assistant".to_owned(), Some(Arc::new(verified("model"))))],
        parts: parts.collect(),
        ..Seen::default()
    };
    let status = run(&seen, &waiting());
    let told = find(&status.conditions, ConditionType::ArtifactReady).unwrap();
    assert_eq!(told.reason, reason);
    assert!(told.message.starts_with(says), "{}", told.message);
    assert_eq!(told.message.is_empty(), says.is_empty());
    assert_eq!(status.artifact.unwrap().name, "model");
    let [adapter] = status.adapters.as_slice() else {
        panic!("{:?}", status.adapters);
    };
    assert_eq!(adapter.name, "tone");
    let projector = status.projector.unwrap();
    let shown = [&adapter.own.artifact, &projector.artifact];
    assert_eq!(shown.map(Option::is_some), there);
    let phases = [adapter.own.phase.as_str(), projector.phase.as_str()];
    assert_eq!(phases.map(|phase| phase == "Verified"), there);
}

fn verified(name: &str) -> ModelArtifact {
    let condition = serde_json::json!({
        "type": "ArtifactReady", "status": "True", "reason": "Verified", "message": "",
        "lastTransitionTime": "2026-11-28T00:00:00Z",
    });
    serde_json::from_value(serde_json::json!({
        "apiVersion": "sealroom.dev/v1alpha1", "kind": "ModelArtifact", "metadata": { "name": name },
        "spec": { "image": format!("r.io/{name}@sha256:{}", "1".repeat(64)), "layout": "LlamaCpp" },
        "status": { "conditions": [condition], "verified": true },
    }))
    .unwrap()
}
