use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::amiss::amiss;
use super::template::Harm;
use super::*;
use crate::controller::difference;

fn map(data: &str, owner: Option<&str>) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some("a".to_owned());
    map.metadata.owner_references = owner.map(|uid| {
        vec![
            k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
                uid: uid.to_owned(),
                ..Default::default()
            },
        ]
    });
    map.data = Some([("k".to_owned(), data.to_owned())].into());
    map
}

#[test]
fn only_our_own_is_ours() {
    let wanted = map("", Some("u"));
    let check = |there: &ConfigMap, owner| must_be_ours(there, &wanted, owner);
    assert!(check(&map("", Some("u")), Some("u")).is_ok());
    let others = check(&map("", Some("v")), Some("u")).unwrap_err();
    assert!(matches!(others, ApplyError::NameConflict { .. }));
    assert!(check(&map("", None), Some("u")).is_err());
    assert!(check(&map("", None), None).is_err());
}

/// An object that is deleted and made anew finds what its predecessor had, for as long as the garbage collector and pods
/// that drain take: nobody has to delete that.
#[rstest::rstest]
#[case::made_anew("McpServer", "assistant", true, true)]
#[case::of_another_kind("ModelDeployment", "assistant", true, false)]
#[case::of_another_name("McpServer", "other", true, false)]
#[case::shared("McpServer", "assistant", false, false)]
fn what_a_predecessor_had_is_leaving(
    #[case] kind: &str,
    #[case] name: &str,
    #[case] controller: bool,
    #[case] leaving: bool,
) {
    let child = |kind: &str, name: &str, uid: &str, controller| {
        let mut child = map("", Some(uid));
        let owner = &mut child.metadata.owner_references.as_mut().unwrap()[0];
        owner.api_version = "sealroom.dev/v1alpha1".to_owned();
        owner.kind = kind.to_owned();
        owner.name = name.to_owned();
        owner.controller = Some(controller);
        child
    };
    let wanted = child("McpServer", "assistant", "new", true);
    let there = child(kind, name, "old", controller);
    let error = must_be_ours(&there, &wanted, Some("new")).unwrap_err();
    let is_leaving = matches!(error, ApplyError::Leaving { .. });
    assert_eq!(is_leaving, leaving, "{error}");
    let outcome = crate::controller::outcome::Outcome::from(error);
    assert_eq!(
        outcome.as_str(),
        if leaving { "waiting" } else { "stalled" }
    );
}

fn matches<K: Child>(body: &Value, there: &K, compare: Compare) -> bool {
    amiss(body, &value(there), compare).is_empty()
}

#[test]
fn the_hash_shows_what_is_no_longer_wanted() {
    let wanted = map("v", None);
    let (body, hash) = body(&wanted);
    let mut there = wanted.clone();
    there.metadata.annotations = Some([(APPLIED.to_owned(), hash)].into());
    there.metadata.resource_version = Some("7".to_owned());
    assert!(matches(&body, &there, Compare::Ours));
    // The field was wanted when the annotation was written and is not any more.
    there.data = Some(
        [
            ("k".to_owned(), "v".to_owned()),
            ("old".to_owned(), "x".to_owned()),
        ]
        .into(),
    );
    there.metadata.annotations = Some([(APPLIED.to_owned(), "another".to_owned())].into());
    assert!(!matches(&body, &there, Compare::Ours));
    // Somebody changed what we want.
    there.metadata.annotations = wanted.metadata.annotations.clone();
    there.data = Some([("k".to_owned(), "theirs".to_owned())].into());
    assert!(!matches(&body, &there, Compare::Ours));
}

#[test]
fn what_others_add_to_a_policy_is_seen() {
    let wanted = crate::controller::sealed_policy::build("team-a", "sealroom-system");
    let (body, hash) = body(&wanted);
    let mut there = wanted;
    there.metadata.annotations = Some([(APPLIED.to_owned(), hash)].into());
    assert!(matches(&body, &there, Compare::WholeSpec));
    let selector = there.spec.as_mut().unwrap().pod_selector.as_mut().unwrap();
    // It narrows the policy to pods that also have this label.
    selector.match_labels = Some([("app".to_owned(), "one".to_owned())].into());
    assert!(matches(&body, &there, Compare::Ours));
    assert!(!matches(&body, &there, Compare::WholeSpec));
}

#[test]
fn what_others_add_to_a_pod_template_is_seen() {
    let mut wanted = Deployment::default();
    let spec = json!({ "selector": {}, "template": { "spec": { "containers": [{ "name": "a", "image": "i" }] } } });
    wanted.spec = serde_json::from_value(spec).ok();
    let (body, hash) = body(&wanted);
    let mut there = wanted.clone();
    there.metadata.annotations = Some([(APPLIED.to_owned(), hash.clone())].into());
    assert_eq!(applied(&there), Some(hash.as_str()));
    assert!(matches(&body, &there, Compare::Ours));
    let template = &mut there.spec.as_mut().unwrap().template;
    template.spec.as_mut().unwrap().host_network = Some(true);
    assert!(difference::satisfied(&body, &value(&there)));
    assert!(!matches(&body, &there, Compare::Ours));
}

/// The worst is told: what is never proven before a field, and a field before a label.
#[test]
fn the_worst_is_what_is_amiss() {
    let mut wanted = Deployment::default();
    let spec = json!({ "replicas": 1, "selector": {}, "template": { "spec": { "containers": [{ "name": "a", "image": "i" }] } } });
    wanted.spec = serde_json::from_value(spec).ok();
    let (body, hash) = body(&wanted);
    let mut there = wanted.clone();
    there.metadata.annotations = Some([(APPLIED.to_owned(), hash)].into());
    let found = |there: &Deployment| {
        let mut all = amiss(&body, &value(there), Compare::Ours);
        all.remove(0).found
    };
    let template = &mut there.spec.as_mut().unwrap().template;
    let labels = [("mesh".to_owned(), "on".to_owned())].into();
    template.metadata.get_or_insert_default().labels = Some(labels);
    assert_eq!(found(&there).harm, Harm::Asks);
    there.spec.as_mut().unwrap().replicas = Some(3);
    let lacks = found(&there);
    assert_eq!(
        (lacks.harm, lacks.what.as_str()),
        (Harm::Lacks, "spec.replicas")
    );
    let spec = there.spec.as_mut().unwrap();
    spec.template.spec.as_mut().unwrap().host_network = Some(true);
    assert_eq!(found(&there).harm, Harm::Unlike);
}

fn at(version: u64, data: &str) -> ConfigMap {
    let mut map = map(data, None);
    map.metadata.resource_version = Some(version.to_string());
    map
}

/// Wanted was a, then b, then a again, and the store still has the first one.
#[test]
fn a_store_that_is_behind_another_write_proves_nothing() {
    let memory = Memory::default();
    memory.remember(
        "key".to_owned(),
        "b".to_owned(),
        &at(8, "b"),
        Lasting::default(),
    );
    let sight = |hash: &str, there: Option<&ConfigMap>| memory.sight("key", hash, there);
    assert_eq!(sight("a", Some(&at(7, "a"))), Sight::Behind);
    assert_eq!(sight("b", Some(&at(7, "a"))), Sight::Unseen);
    assert_eq!(sight("b", None), Sight::Unseen);
    assert_eq!(sight("a", Some(&at(8, "b"))), Sight::Shown);
    assert_eq!(
        sight("b", None),
        Sight::Shown,
        "what was shown is forgotten"
    );
}

/// A type that a webhook puts into each write is left, whatever the status says, and whatever else is changed is not.
#[rstest::rstest]
#[case::as_it_was("h", "theirs", 1, "a", &[])]
#[case::no_part_of_it_is_written("h", "theirs", 1, "b", &[])]
#[case::mended_by_somebody("h", "ours", 1, "a", &[])]
#[case::another_field("h", "theirs", 2, "a", &["spec.ports"])]
#[case::the_same_field("h", "another", 1, "a", &["spec.type"])]
#[case::something_else_is_wanted("other", "theirs", 1, "a", &["spec.type"])]
fn what_the_api_server_puts_back_is_left(
    #[case] hash: &str,
    #[case] kind: &str,
    #[case] ports: u16,
    #[case] status: &str,
    #[case] besides: &[&str],
) {
    let wanted = json!({ "spec": { "ports": 1, "type": "ours" } });
    let service = |kind: &str, ports: u16, status: &str| json!({ "metadata": { "resourceVersion": status }, "spec": { "ports": ports, "type": kind }, "status": status });
    let found = |there: &Value| amiss(&wanted, there, Compare::Ours);
    let memory = Memory::default();
    let left = Lasting::of(&found(&service("theirs", 1, "a")));
    memory.remember("key".to_owned(), "h".to_owned(), &at(8, ""), left);
    let lasting = memory.lasting("key", hash);
    let now = lasting.besides(found(&service(kind, ports, status)));
    let now: Vec<&str> = now.iter().map(|one| one.found.what.as_str()).collect();
    assert_eq!(now, besides);
}

#[test]
fn what_may_be_gone_before_it_is_shown_is_looked_at_again() {
    assert_eq!(Ack::Unchanged.again(), None);
    assert_eq!(Ack::Written.again(), Some(UNSEEN));
    let wait = Duration::from_secs(7);
    assert_eq!(Ack::Later(wait).again(), Some(wait));
}
