//! Whether the rules of a policy are those of the chart.

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;

use super::*;

/// The chart's policies as helm renders them with these values.
fn rendered(values: &str) -> Vec<ValidatingAdmissionPolicy> {
    let root = env!("CARGO_MANIFEST_DIR");
    let chart = format!("{root}/charts/sealroom/tests/golden/{values}.yaml");
    let text = std::fs::read_to_string(chart).unwrap();
    let mut all = serde_saphyr::from_multiple::<serde_json::Value>(&text).unwrap();
    all.retain(|object| object["kind"] == "ValidatingAdmissionPolicy");
    serde_json::from_value(all.into()).unwrap()
}

fn spec(name: &str) -> ValidatingAdmissionPolicySpec {
    let is = |policy: &ValidatingAdmissionPolicy| policy.metadata.name.as_deref() == Some(name);
    let policy = rendered("default").into_iter().find(is);
    policy.unwrap().spec.unwrap()
}

/// Of default values, and of some with people who are exempt.
#[test]
fn the_chart_ships_these_rules() {
    for values in ["default", "full"] {
        let policies = rendered(values);
        let read = policies.iter().map(|policy| {
            let (hash, _) = read(policy.spec.as_ref().unwrap()).unwrap();
            (policy.metadata.name.as_deref().unwrap(), hash)
        });
        let mut read: Vec<(&str, String)> = read.collect();
        read.sort();
        let shipped = SHIPPED.map(|(name, hash)| (name, hash.to_owned()));
        assert_eq!(read, shipped, "{values}");
    }
}

#[test]
fn the_operators_namespace_is_read_from_them() {
    let spec = spec("sealroom-pods");
    let expected = BTreeSet::from(["sealroom-system".to_owned()]);
    assert_eq!(shipped("sealroom-pods", &spec), Some(expected));
    assert_eq!(shipped("sealroom-claims", &spec), None);
    let text = serde_json::to_string(&spec).unwrap();
    let elsewhere = text.replace("sealroom-system", "platform");
    let elsewhere = serde_json::from_str(&elsewhere).unwrap();
    let expected = BTreeSet::from(["platform".to_owned()]);
    assert_eq!(shipped("sealroom-pods", &elsewhere), Some(expected));
    // A user of the same name in another namespace beside it is no operator.
    let operator = "system:serviceaccount:sealroom-system:sealroom-operator";
    let both = format!("{operator}\\\",\\\"system:serviceaccount:team-a:sealroom-operator");
    let both = serde_json::from_str(&text.replace(operator, &both)).unwrap();
    assert_eq!(shipped("sealroom-pods", &both), None);
}

#[rstest::rstest]
#[case::a_rule(|spec: &mut ValidatingAdmissionPolicySpec| spec.validations.as_mut().unwrap()[0].expression = "true".into())]
#[case::one_rule_less(|spec: &mut ValidatingAdmissionPolicySpec| drop(spec.validations.as_mut().unwrap().pop()))]
#[case::a_variable(|spec: &mut ValidatingAdmissionPolicySpec| spec.variables.as_mut().unwrap()[1].expression = "[]".into())]
#[case::one_condition_more(|spec: &mut ValidatingAdmissionPolicySpec| {
    let mut never = spec.match_conditions.as_ref().unwrap()[0].clone();
    never.name = "never".into();
    never.expression = "false".into();
    spec.match_conditions.as_mut().unwrap().push(never);
})]
#[case::everybody(|spec: &mut ValidatingAdmissionPolicySpec| {
    let condition = &mut spec.match_conditions.as_mut().unwrap()[0];
    condition.expression = condition.expression.replace("system:masters", "system:authenticated");
})]
#[case::fewer_resources(|spec: &mut ValidatingAdmissionPolicySpec| {
    let rules = spec.match_constraints.as_mut().unwrap().resource_rules.as_mut().unwrap();
    rules[0].resources = Some(vec!["pods".into()]);
})]
#[case::fewer_objects(|spec: &mut ValidatingAdmissionPolicySpec| {
    let labels = [("a".to_owned(), "b".to_owned())].into();
    spec.match_constraints.as_mut().unwrap().object_selector = Some(LabelSelector { match_labels: Some(labels), match_expressions: None });
})]
#[case::fewer_namespaces(|spec: &mut ValidatingAdmissionPolicySpec| {
    let labels = [("a".to_owned(), "b".to_owned())].into();
    spec.match_constraints.as_mut().unwrap().namespace_selector = Some(LabelSelector { match_labels: Some(labels), match_expressions: None });
})]
#[case::with_exclusions(|spec: &mut ValidatingAdmissionPolicySpec| {
    let matched = spec.match_constraints.as_mut().unwrap();
    matched.exclude_resource_rules = matched.resource_rules.clone();
})]
fn a_rule_that_was_rewritten_is_not_the_charts(
    #[case] rewrite: fn(&mut ValidatingAdmissionPolicySpec),
) {
    let mut spec = spec("sealroom-pods");
    rewrite(&mut spec);
    assert_eq!(shipped("sealroom-pods", &spec), None);
}

#[test]
fn what_the_server_fills_in_and_other_words_change_nothing() {
    let mut spec = spec("sealroom-pods");
    let matched = spec.match_constraints.as_mut().unwrap();
    matched.match_policy = Some("Equivalent".into());
    matched.namespace_selector = Some(LabelSelector::default());
    matched.object_selector = Some(LabelSelector::default());
    spec.validations.as_mut().unwrap()[0].message = Some("Nein.".into());
    assert!(shipped("sealroom-pods", &spec).is_some());
}

#[rstest::rstest]
#[case::as_ever(
    r#"!request.userInfo.groups.exists(group, group in ["system:masters"])"#,
    true
)]
#[case::people(r#"!request.userInfo.groups.exists(group, group in ["system:masters","a)]"]) && !(request.userInfo.username in ["b"])"#, true)]
#[case::everybody(
    r#"!request.userInfo.groups.exists(group, group in ["system:authenticated"])"#,
    false
)]
#[case::and_more(
    r#"!request.userInfo.groups.exists(group, group in ["system:masters"]) && false"#,
    false
)]
#[case::or_more(r#"!request.userInfo.groups.exists(group, group in ["system:masters"]) && !(request.userInfo.username in ["b"]) || true"#, false)]
#[case::another_form("false", false)]
fn exemptions(#[case] expression: &str, #[case] expected: bool) {
    assert_eq!(exempts_some(expression), expected);
}
