use serde_json::{Value, json};

use super::super::validate::tests::{object, with};
use super::*;
use crate::controller::conditions::Truth;

const NOW: &str = "2026-11-29T10:01:00Z";

/// With two variables, and with files of both kinds.
fn server() -> McpServer {
    let entry = |name: &str, key: &str| json!({ "name": name, "key": key });
    with(
        object(),
        json!({
            "env": [
                { "name": "LEVEL", "value": "info" },
                { "name": "PASSWORD", "secretKeyRef": entry("db", "password") },
                { "name": "ORIGIN", "configMapKeyRef": entry("settings", "origin") },
            ],
            "files": [
                { "mountPath": "/etc/a", "secretRef": { "name": "certificates" } },
                { "mountPath": "/etc/b", "configMapRef": { "name": "rules" } },
                { "mountPath": "/etc/c", "secretRef": { "name": "certificates" } },
            ],
        }),
    )
}

fn pod(name: &str, status: Value) -> Arc<Pod> {
    let pod = json!({ "metadata": { "name": name, "namespace": "team-a" }, "status": status });
    Arc::new(serde_json::from_value(pod).unwrap())
}

/// The kubelet cannot make the server's container.
fn not_made(reason: &str, said: &str) -> Value {
    json!({ "podIP": "10.0.0.9", "containerStatuses": [{
        "name": "server", "image": "i", "imageID": "i", "ready": false, "restartCount": 0,
        "state": { "waiting": { "reason": reason, "message": said } },
    }] })
}

/// It has a node since then.
fn placed(at: &str, more: Value) -> Value {
    let mut conditions = vec![
        json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": at }),
        json!({ "type": "PodReadyToStartContainers", "status": "False" }),
    ];
    conditions.extend(more.as_array().cloned().unwrap_or_default());
    json!({ "phase": "Pending", "conditions": conditions })
}

fn look(server: &McpServer, pods: &[Arc<Pod>]) -> Awaited {
    awaited(server, pods, NOW.parse().unwrap())
}

/// Reason and text, and whether somebody has to act.
fn told(of: Awaited) -> Option<(Reason, String, bool)> {
    let [ready, _, stalled] = of.told?;
    assert_eq!(ready.0, Truth::False);
    Some((ready.1, ready.2, stalled.0 == Truth::True))
}

#[rstest::rstest]
#[case::secret(
    r#"secret "db" not found"#,
    Reason::SecretMissing,
    "PASSWORD takes entry password of Secret db,"
)]
#[case::asked_for_each_time(r#"secrets "db" not found"#, Reason::SecretMissing, "of Secret db,")]
#[case::entry(
    "couldn't find key password in Secret team-a/db",
    Reason::SecretMissing,
    "entry password of Secret db,"
)]
#[case::config_map(
    r#"configmap "settings" not found"#,
    Reason::ConfigMapMissing,
    "ORIGIN takes entry origin of ConfigMap settings,"
)]
#[case::entry_of_it(
    "couldn't find key origin in ConfigMap team-a/settings",
    Reason::ConfigMapMissing,
    "of ConfigMap settings,"
)]
fn what_a_variable_lacks_is_named(#[case] said: &str, #[case] reason: Reason, #[case] says: &str) {
    let pods = [pod(
        "search-1",
        not_made("CreateContainerConfigError", said),
    )];
    let (is, text, stalled) = told(look(&server(), &pods)).unwrap();
    assert_eq!((is, stalled), (reason, true), "{text}");
    assert!(
        text.contains(says) && text.contains("pod search-1"),
        "{text}"
    );
}

/// What is not of the object is the kubelet's word, and nobody is told to make what is not named.
#[rstest::rstest]
#[case::another_one(r#"secret "db2" not found"#)]
#[case::a_name_in_it(r#"secret "my-db" not found"#)]
#[case::a_longer_name("couldn't find key password in Secret team-a/db2")]
#[case::another_namespace("couldn't find key password in Secret team-b/db")]
#[case::another_kind(r#"configmap "db" not found"#)]
fn other_words_are_shown_as_they_are(#[case] said: &str) {
    let pods = [pod(
        "search-1",
        not_made("CreateContainerConfigError", said),
    )];
    let (reason, text, stalled) = told(look(&server(), &pods)).unwrap();
    assert_eq!((reason, stalled), (Reason::RollingOut, false), "{text}");
    assert!(text.ends_with(said), "{text}");
}

#[test]
fn other_words_are_bounded_and_printable() {
    let said = format!("\u{1b}[31m\n{}", "ä".repeat(5_000));
    let pods = [pod(
        "search-1",
        not_made("CreateContainerConfigError", &said),
    )];
    let (_, text, _) = told(look(&server(), &pods)).unwrap();
    assert!(text.chars().count() < 400, "{text}");
    assert!(
        text.bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) || !byte.is_ascii()),
        "{text}"
    );
    assert!(text.contains(r"\u{1b}[31m\u{a}"), "{text}");
}

#[rstest::rstest]
#[case::it_waits_for_something_else(not_made("ImagePullBackOff", r#"secret "db" not found"#))]
#[case::it_runs(json!({ "podIP": "10.0.0.9", "containerStatuses": [{ "name": "server", "image": "i", "imageID": "i",
    "ready": true, "restartCount": 0, "state": { "running": {} } }] }))]
#[case::no_node(json!({ "phase": "Pending", "conditions": [{ "type": "PodScheduled", "status": "False",
    "lastTransitionTime": "2026-11-29T09:00:00Z" }] }))]
#[case::has_begun(placed("2026-11-29T09:00:00Z", json!([{ "type": "PodReadyToStartContainers", "status": "True" }])))]
#[case::failed({ let mut over = placed("2026-11-29T09:00:00Z", json!([])); over["phase"] = "Failed".into(); over })]
fn nothing_is_said_of_others(#[case] status: Value) {
    assert_eq!(
        look(&server(), &[pod("search-1", status)]),
        Awaited::default()
    );
}

#[test]
fn a_pod_that_does_not_begin_names_all_that_it_mounts() {
    let pods = [pod("search-1", placed("2026-11-29T10:00:40Z", json!([])))];
    let (reason, text, stalled) = told(look(&server(), &pods)).unwrap();
    assert_eq!((reason, stalled), (Reason::SecretMissing, true));
    assert!(
        text.contains("of Secret certificates, ConfigMap rules;"),
        "{text}"
    );
    let one = with(
        server(),
        json!({ "files": [{ "mountPath": "/etc/b", "configMapRef": { "name": "rules" } }] }),
    );
    assert_eq!(told(look(&one, &pods)).unwrap().0, Reason::ConfigMapMissing);
    // Nothing is mounted that could be missing.
    let none = with(server(), json!({ "files": [] }));
    assert_eq!(look(&none, &pods), Awaited::default());
}

#[rstest::rstest]
#[case::just_now("2026-11-29T10:01:00Z", 20)]
#[case::almost("2026-11-29T10:00:41Z", 1)]
#[case::by_a_clock_ahead("2026-11-29T10:05:00Z", 20)]
fn before_that_it_is_looked_at_again(#[case] at: &str, #[case] seconds: u64) {
    let found = look(&server(), &[pod("search-1", placed(at, json!([])))]);
    assert_eq!(found.told, None);
    assert_eq!(found.again, Some(Duration::from_secs(seconds)));
}

#[test]
fn what_is_known_goes_before_what_is_supposed_and_pods_that_go_do_not_count() {
    let said = not_made(
        "CreateContainerConfigError",
        r#"configmap "settings" not found"#,
    );
    let long = placed("2026-11-29T09:00:00Z", json!([]));
    let pods = [pod("search-1", long.clone()), pod("search-2", said)];
    assert_eq!(
        told(look(&server(), &pods)).unwrap().0,
        Reason::ConfigMapMissing
    );
    let mut going = Pod::clone(&pod("search-1", long));
    going.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        NOW.parse().unwrap(),
    ));
    assert_eq!(look(&server(), &[Arc::new(going)]), Awaited::default());
}
