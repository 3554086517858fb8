//! The text of the guard's rules, held to that of the chart of this version; pure.
//!
//! Two things in it are the platform's: the operator's namespace, and who is exempt. They are left out of the hashes, but
//! the namespace must be one in all policies, and the exempt must not be everybody.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{MatchResources, ValidatingAdmissionPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Serialize;

use crate::controller::names::short_hash;

/// What the policies of the chart say, by name. `the_chart_ships_these_rules` prints what is to stand here.
const SHIPPED: [(&str, &str); 8] = [
    ("sealroom-children", "b29deb8d6400f3017fc4963c42f7e91e"),
    ("sealroom-claims", "8e4aaf32ef52261c6e6f57ceea6991e8"),
    ("sealroom-connections", "69aaa687cca4cc01bfdef571d33ddbd2"),
    ("sealroom-mounts", "9897278c752ed81ec4cc555e6425aa1d"),
    ("sealroom-pod-status", "950f3b3b775b621e7896c8af9a69b7fd"),
    ("sealroom-pods", "9b54feccddbce5f52e2d84ec29477559"),
    ("sealroom-status", "31ac3698f61f9775d119ce6b1a7cf09c"),
    ("sealroom-templates", "1654e2b4af19a33f0486c4867e5dce52"),
];
/// The condition that names who is exempt.
const EXEMPT: &str = "not-exempt";
/// Groups that are everybody, or everybody's programs.
const EVERYBODY: [&str; 3] = [
    "system:authenticated",
    "system:unauthenticated",
    "system:serviceaccounts",
];
/// The operator's user, around its namespace.
const USER: [&str; 2] = ["system:serviceaccount:", ":sealroom-operator\""];

/// The namespaces in which the rules of a policy say that the operator is: none or one. Nothing where these are not the
/// rules of the chart.
#[must_use]
pub fn shipped(name: &str, spec: &ValidatingAdmissionPolicySpec) -> Option<BTreeSet<String>> {
    let (hash, namespaces) = read(spec)?;
    let known = SHIPPED
        .iter()
        .any(|(policy, rules)| *policy == name && *rules == hash);
    (known && namespaces.len() <= 1).then_some(namespaces)
}

fn read(spec: &ValidatingAdmissionPolicySpec) -> Option<(String, BTreeSet<String>)> {
    let mut said = Said::default();
    if spec.param_kind.is_some() {
        return None;
    }
    said.matches(spec.match_constraints.as_ref()?)?;
    for condition in spec.match_conditions.iter().flatten() {
        said.parts
            .extend(["condition".to_owned(), condition.name.clone()]);
        if condition.name != EXEMPT {
            said.expression(&condition.expression);
        } else if !exempts_some(&condition.expression) {
            return None;
        }
    }
    for variable in spec.variables.iter().flatten() {
        said.parts
            .extend(["variable".to_owned(), variable.name.clone()]);
        said.expression(&variable.expression);
    }
    for rule in spec.validations.iter().flatten() {
        said.parts.push("rule".to_owned());
        said.expression(&rule.expression);
    }
    let hash = short_hash(said.parts.iter().map(String::as_str), 32);
    Some((hash, said.namespaces))
}

/// What counts of a policy, part by part. The words of a refusal do not.
#[derive(Default)]
struct Said {
    parts: Vec<String>,
    namespaces: BTreeSet<String>,
}

impl Said {
    /// What it is asked about. As the chart has it, whole namespaces or resources are left out nowhere.
    fn matches(&mut self, matched: &MatchResources) -> Option<()> {
        let left_out = matched.exclude_resource_rules.iter().flatten().count();
        let namespaces = matched.namespace_selector.clone().unwrap_or_default();
        if left_out > 0 || namespaces != LabelSelector::default() {
            return None;
        }
        let policy = matched.match_policy.as_deref().unwrap_or("Equivalent");
        self.parts.extend(["match".to_owned(), policy.to_owned()]);
        let objects = matched.object_selector.clone().unwrap_or_default();
        self.parts.push(json(&objects));
        let rules = matched.resource_rules.iter().flatten();
        self.parts.extend(rules.map(json));
        Some(())
    }

    /// An expression, in which a NUL stands for the operator's namespace and for nothing else.
    fn expression(&mut self, text: &str) {
        let text = text.replace('\0', "NUL");
        let mut said = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once(USER[0]) {
            said.push_str(before);
            said.push_str(USER[0]);
            rest = after;
            let label = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
            if let Some((namespace, after)) = rest.split_once(USER[1])
                && !namespace.is_empty()
                && namespace.bytes().all(label)
            {
                self.namespaces.insert(namespace.to_owned());
                said.push('\0');
                said.push_str(USER[1]);
                rest = after;
            }
        }
        said.push_str(rest);
        self.parts.push(said);
    }
}

/// Whether a condition of the chart's form exempts groups and users of the platform's choice, and not everybody.
fn exempts_some(expression: &str) -> bool {
    let after = |text: &str, words: &str| text.strip_prefix(words).map(str::to_owned);
    let lists = || {
        let groups = "!request.userInfo.groups.exists(group, group in ";
        let (groups, rest) = list(&after(expression, groups)?)?;
        let rest = after(&rest, ")")?;
        if rest.is_empty() {
            return Some(groups);
        }
        let (_, rest) = list(&after(&rest, " && !(request.userInfo.username in ")?)?;
        (rest == ")").then_some(groups)
    };
    let everybody = |group: &String| EVERYBODY.contains(&group.as_str());
    lists().is_some_and(|groups| !groups.iter().any(everybody))
}

/// A list of texts at the beginning, and what follows.
fn list(text: &str) -> Option<(Vec<String>, String)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Vec<String>>();
    let list = values.next()?.ok()?;
    let rest = text.get(values.byte_offset()..)?;
    Some((list, rest.to_owned()))
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
