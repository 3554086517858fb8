use k8s_openapi::api::apps::v1::{DeploymentSpec, DeploymentStatus};
use rstest::rstest;
use serde_json::json;

use super::super::target::Target;
use super::super::validate::tests::{object, with};
use super::super::way::{Unbound, Way};
use super::*;
use crate::api::mcp_server::KeyRef;
use crate::controller::outcome::Stall;
use crate::seal::wire::{Lack, Mcp, Need, Pin, RuntimeFault, ServerInfo, Tools};

fn deployment(ready: i32) -> Arc<Deployment> {
    let mut made = Deployment::default();
    made.metadata.generation = Some(1);
    made.spec = Some(DeploymentSpec {
        replicas: Some(1),
        ..DeploymentSpec::default()
    });
    made.status = Some(DeploymentStatus {
        observed_generation: Some(1),
        replicas: Some(1),
        ready_replicas: Some(ready),
        updated_replicas: Some(1),
        ..DeploymentStatus::default()
    });
    Arc::new(made)
}

fn binding(way: Result<bool, Reason>) -> Binding {
    Binding {
        target: Target::Deployment {
            namespace: "team-a".to_owned(),
            name: "assistant".to_owned(),
        },
        port: 11_500,
        model: Some("assistant".to_owned()),
        env: Vec::new(),
        key: None,
        ca: None,
        way: way
            .map(|ready| Way {
                url: String::new(),
                tls_name: None,
                namespace: String::new(),
                labels: Default::default(),
                port: k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(1),
                ready,
            })
            .map_err(|reason| Unbound {
                reason,
                message: "it is not there".to_owned(),
            }),
    }
}

fn proven(pin: Option<Pin>) -> SealView {
    SealView {
        truth: Truth::True,
        reason: Reason::DeclaredEgressOnly,
        mcp: pin.map(|pin| Mcp {
            server: Some(ServerInfo {
                name: "search".to_owned(),
                ..ServerInfo::default()
            }),
            tools: Some(Tools {
                count: 2,
                hash: format!("sha256:{}", "0".repeat(64)),
            }),
            pin,
            drift: "tool read: its description".to_owned(),
        }),
        ..SealView::default()
    }
}

fn seen(way: Result<bool, Reason>, seal: SealView, ready: i32) -> Seen {
    Seen {
        deployment: Some(deployment(ready)),
        seal,
        bindings: vec![binding(way)],
        awaited: None,
        exits: vec!["out".to_owned()],
        guard: TenantGuard::None,
    }
}

fn pinned() -> McpServer {
    with(
        object(),
        json!({ "tools": { "pin": format!("sha256:{}", "0".repeat(64)) } }),
    )
}

fn of(object: &McpServer, seen: &Seen, outcome: &Outcome) -> McpServerStatus {
    compute(
        object,
        &McpServerStatus::default(),
        seen,
        outcome,
        Timestamp::UNIX_EPOCH,
    )
}

fn cell(status: &McpServerStatus, kind: ConditionType) -> (String, String) {
    let found = find(&status.conditions, kind).unwrap();
    (found.status.clone(), found.reason.clone())
}

#[rstest]
#[case::fine(Ok(true), Pin::Ok, 1, "True", "Succeeded", "Bound", "Pinned")]
#[case::model_waits(
    Ok(false),
    Pin::Ok,
    1,
    "False",
    "ModelsNotBound",
    "ModelNotReady",
    "Pinned"
)]
#[case::drift(
    Ok(true),
    Pin::Drift,
    0,
    "False",
    "ToolsDrifted",
    "Bound",
    "ToolsDrifted"
)]
#[case::not_listed(
    Ok(true),
    Pin::Unknown,
    0,
    "False",
    "RollingOut",
    "Bound",
    "ToolsUnknown"
)]
fn ready_says_what_stands_in_the_way(
    #[case] way: Result<bool, Reason>,
    #[case] pin: Pin,
    #[case] serve: i32,
    #[case] ready: &str,
    #[case] reason: &str,
    #[case] models: &str,
    #[case] tools: &str,
) {
    let status = of(
        &pinned(),
        &seen(way, proven(Some(pin)), serve),
        &Outcome::Done,
    );
    let expected = (ready.to_owned(), reason.to_owned());
    assert_eq!(cell(&status, ConditionType::Ready), expected);
    assert_eq!(cell(&status, ConditionType::ModelsBound).1, models);
    assert_eq!(cell(&status, ConditionType::ToolsPinned).1, tools);
    assert_eq!(status.tools.unwrap().count, 2);
    assert_eq!(status.server_info.unwrap().name, "search");
}

#[test]
fn a_model_that_is_gone_is_named() {
    let outcome = Outcome::Waiting {
        reason: Reason::ModelsNotBound,
        message: "it is not there".to_owned(),
        after: std::time::Duration::from_secs(1),
    };
    let status = of(
        &object(),
        &seen(Err(Reason::ModelNotFound), proven(None), 1),
        &outcome,
    );
    let bound = cell(&status, ConditionType::ModelsBound);
    assert_eq!(bound, ("False".to_owned(), "ModelNotFound".to_owned()));
    assert_eq!(cell(&status, ConditionType::Ready).1, "ModelsNotBound");
    assert_eq!(status.models[0].state, "ModelNotFound");
    assert_eq!(status.models[0].target, "ModelDeployment team-a/assistant");
}

/// What a server did stands before how many pods serve, and after what makes it pointless to ask.
#[rstest]
#[case::starts(None, 0, Pin::Unknown, "RollingOut")]
#[case::ended(Some(RuntimeFault::Ended), 0, Pin::Ok, "ServerFailing")]
#[case::ended_and_back(Some(RuntimeFault::Ended), 1, Pin::Ok, "Succeeded")]
#[case::does_not_start(Some(RuntimeFault::Failing), 0, Pin::Unknown, "ServerFailing")]
#[case::serves_between(Some(RuntimeFault::Failing), 1, Pin::Ok, "ServerFailing")]
#[case::hangs(Some(RuntimeFault::Hangs), 0, Pin::Ok, "ServerHangs")]
#[case::out_of_memory(Some(RuntimeFault::OutOfMemory), 0, Pin::Ok, "RuntimeOutOfMemory")]
#[case::other_tools(Some(RuntimeFault::Ended), 0, Pin::Drift, "ToolsDrifted")]
fn what_is_wrong_with_the_server_is_told(
    #[case] runtime_fault: Option<RuntimeFault>,
    #[case] serve: i32,
    #[case] pin: Pin,
    #[case] reason: &str,
) {
    let seal = SealView {
        runtime_fault,
        ..proven(Some(pin))
    };
    let status = of(&pinned(), &seen(Ok(true), seal, serve), &Outcome::Done);
    assert_eq!(cell(&status, ConditionType::Ready).1, reason);
    let stalls = reason == "ToolsDrifted";
    let stalled = cell(&status, ConditionType::Stalled).0 == "True";
    assert_eq!(stalled, stalls);
}

/// A key that is missing is told while the pods serve, and the calls of the model fail.
#[test]
fn a_key_that_no_gate_finds_is_no_bound_model() {
    let mut seen = seen(Ok(true), proven(Some(Pin::Ok)), 1);
    seen.bindings[0].key = Some(KeyRef {
        name: "assistant-keys".to_owned(),
        key: "tools".to_owned(),
    });
    let lack = Lack {
        port: 11_500,
        what: Need::Key,
    };
    seen.seal.models_lack = Some([lack].into());
    let status = of(&object(), &seen, &Outcome::Done);
    let bound = cell(&status, ConditionType::ModelsBound);
    assert_eq!(bound, ("False".to_owned(), "SecretMissing".to_owned()));
    assert_eq!(cell(&status, ConditionType::Ready).1, "ModelsNotBound");
    assert_eq!(cell(&status, ConditionType::Available).0, "True");
    assert_eq!(status.models[0].state, "SecretMissing");
    seen.seal.models_lack = Some(Default::default());
    let status = of(&object(), &seen, &Outcome::Done);
    assert_eq!(cell(&status, ConditionType::Ready).0, "True");
    assert_eq!(status.models[0].state, "Bound");
}

/// Before the proof, which a pod that does not begin never has; after what is wrong anyhow, and not for pods too many.
#[rstest]
#[case::not_proven(SealView::default(), 0, "SecretMissing", "True")]
#[case::proven(proven(None), 0, "SecretMissing", "True")]
#[case::drift(proven(Some(Pin::Drift)), 0, "ToolsDrifted", "True")]
#[case::all_serve(proven(None), 1, "Succeeded", "False")]
fn what_a_pod_waits_for_is_told(
    #[case] seal: SealView,
    #[case] serve: i32,
    #[case] ready: &str,
    #[case] stalled: &str,
) {
    let mut seen = seen(Ok(true), seal, serve);
    seen.awaited = Some(held(Reason::SecretMissing, "Secret db"));
    let status = of(&pinned(), &seen, &Outcome::Done);
    assert_eq!(cell(&status, ConditionType::Ready).1, ready);
    assert_eq!(cell(&status, ConditionType::Stalled).0, stalled);
}

#[test]
fn an_opening_goes_before_everything() {
    let open = SealView {
        truth: Truth::False,
        reason: Reason::PolicyWidens,
        ..proven(Some(Pin::Drift))
    };
    let status = of(&pinned(), &seen(Ok(true), open, 0), &Outcome::Done);
    let stalled = cell(&status, ConditionType::Stalled);
    assert_eq!(stalled, ("True".to_owned(), "PolicyWidens".to_owned()));
}

#[test]
fn without_a_pin_nothing_is_claimed() {
    let status = of(
        &object(),
        &seen(Ok(true), proven(Some(Pin::Ok)), 1),
        &Outcome::Done,
    );
    let tools = cell(&status, ConditionType::ToolsPinned);
    assert_eq!(tools, ("Unknown".to_owned(), "NotPinned".to_owned()));
    assert_eq!(cell(&status, ConditionType::Ready).0, "True");
    let unlisted = seen(Ok(true), proven(Some(Pin::Unknown)), 1);
    let status = of(&object(), &unlisted, &Outcome::Done);
    let tools = cell(&status, ConditionType::ToolsPinned);
    assert_eq!(tools, ("Unknown".to_owned(), "ToolsUnknown".to_owned()));
}

/// A new operator knows nothing yet: what was told stays, and what was pinned is not said to be unknown.
#[test]
fn what_was_told_stays_until_something_else_is() {
    let before = of(
        &pinned(),
        &seen(Ok(true), proven(Some(Pin::Ok)), 1),
        &Outcome::Done,
    );
    let after = compute(
        &pinned(),
        &before,
        &seen(Ok(true), proven(None), 1),
        &Outcome::Done,
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(before, after);
}

#[test]
fn stalls_are_told() {
    let stall = Outcome::Stalled(Stall::new(Reason::NameConflict, "taken"));
    let status = of(&object(), &seen(Ok(true), proven(None), 1), &stall);
    let ready = cell(&status, ConditionType::Ready);
    assert_eq!(ready, ("False".to_owned(), "NameConflict".to_owned()));
}
