use k8s_openapi::api::core::v1::ConfigMap;

use super::*;

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
    assert!(must_be_ours(&map("", Some("u")), Some("u")).is_ok());
    let others = must_be_ours(&map("", Some("v")), Some("u")).unwrap_err();
    assert!(matches!(others, ApplyError::NameConflict { .. }));
    assert!(must_be_ours(&map("", None), Some("u")).is_err());
    assert!(must_be_ours(&map("", None), None).is_err());
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
