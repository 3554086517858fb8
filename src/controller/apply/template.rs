//! What somebody else has put into the pod template of a child, and who changed what of a child; pure.
//!
//! Server-side apply leaves what another field manager owns. Looked for is what would make pods unlike what is wanted, by
//! the comparison that pods are held to, and labels and annotations, by which injectors are asked. What a platform adds
//! besides (scheduling, priority, resources) is its own.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde::Deserialize as _;
use serde_json::Value;

use crate::controller::names::MANAGER;
use crate::driver::shape::Shape;
use crate::mcp::pin::printable;

/// With this `kubectl rollout restart` asks for new pods, and for nothing else.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
/// Longest key or path, in characters. The API server takes keys of 317, so that each is told as a whole.
const LONGEST: usize = 350;
/// Field managers that are named; of further ones the number is.
const NAMED: usize = 3;
/// Longest name of a field manager, in characters. The API server takes 128.
const LONGEST_NAME: usize = 64;

/// What of a child is not as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// In words: printable, bounded, without values of variables.
    pub(super) what: String,
    /// What follows from it.
    pub(super) harm: Harm,
}

/// What follows from what somebody else has changed, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Harm {
    /// Nothing yet: a pod template has labels or annotations, by which injectors are asked.
    Asks,
    /// A field is not as the object asks for.
    Lacks,
    /// Pods that are made of the template would be no pods of ours.
    Unlike,
}

/// What is in the template of a child and not in the wanted one: that its pods would be others, or else each label and
/// annotation, with its value. Nothing for kinds that have no pod template.
pub(super) fn foreign(wanted: &Value, there: &Value) -> Vec<(Foreign, String)> {
    let Some(wanted) = template(wanted) else {
        return Vec::new();
    };
    let there = template(there).unwrap_or_default();
    let shape = Shape::of_template(&there).differs(&Shape::of_template(&wanted));
    if let Some(what) = shape {
        let harm = Harm::Unlike;
        return vec![(Foreign { what, harm }, String::new())];
    }
    let of = |of: PodTemplateSpec| of.metadata.unwrap_or_default();
    let (wanted, there) = (of(wanted), of(there));
    let labels = added("label", wanted.labels, there.labels);
    let annotations = added("annotation", wanted.annotations, there.annotations);
    labels.chain(annotations).collect()
}

/// The wanted template. A restart that somebody asked for in the one that is there stays: without it pods would be
/// replaced once more, and it is nobody's interference.
pub(super) fn own(wanted: &Value, there: &Value) -> Value {
    let mut template = wanted["spec"]["template"].clone();
    let restarted = &there["spec"]["template"]["metadata"]["annotations"][RESTARTED];
    if restarted.is_string() {
        template["metadata"]["annotations"][RESTARTED] = restarted.clone();
    }
    template
}

/// The field of that path, which is not as it is wanted.
pub(super) fn lacking(path: &str) -> Foreign {
    Foreign {
        what: printable(path.trim_start_matches('.'), LONGEST),
        harm: Harm::Lacks,
    }
}

fn template(of: &Value) -> Option<PodTemplateSpec> {
    let template = of.pointer("/spec/template")?;
    let pods = template.get("spec").is_some_and(Value::is_object);
    let parsed = pods.then(|| PodTemplateSpec::deserialize(template));
    parsed.and_then(Result::ok)
}

type Pairs = Option<BTreeMap<String, String>>;

fn added(kind: &str, wanted: Pairs, there: Pairs) -> impl Iterator<Item = (Foreign, String)> {
    let wanted = wanted.unwrap_or_default();
    let there = there.unwrap_or_default().into_iter();
    let theirs = there.filter(move |(key, _)| !wanted.contains_key(key) && key != RESTARTED);
    theirs.map(move |(key, value)| {
        let what = printable(&format!("{kind} {key} was added"), LONGEST);
        let harm = Harm::Asks;
        (Foreign { what, harm }, value)
    })
}

/// The other field managers that own something of the spec which we do not, as they call themselves.
pub(super) fn managers(entries: &[ManagedFieldsEntry]) -> BTreeSet<String> {
    let ours = |entry: &&ManagedFieldsEntry| entry.manager.as_deref() == Some(MANAGER);
    let known: Vec<&Value> = entries.iter().filter(ours).filter_map(owned).collect();
    let others = entries.iter().filter(|entry| !ours(entry));
    others
        .filter(|entry| owned(entry).is_some_and(|theirs| more(theirs, &known)))
        .filter_map(|entry| entry.manager.clone())
        .collect()
}

/// What of the spec an entry owns (`FieldsV1`).
fn owned(entry: &ManagedFieldsEntry) -> Option<&Value> {
    let fields = entry.fields_v1.as_ref()?;
    fields.0.get("f:spec")
}

/// Whether there is a field in it that is in none of the others. The dot stands for the whole, which many own together.
fn more(theirs: &Value, known: &[&Value]) -> bool {
    let fields = theirs.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| *name != ".")
        .any(|(name, below)| {
            let known: Vec<&Value> = known.iter().filter_map(|one| one.get(name)).collect();
            known.is_empty() || more(below, &known)
        })
}

/// Who it was, for a message. What an admission webhook adds to a write belongs to no field manager.
pub(super) fn named(managers: &BTreeSet<String>) -> String {
    let names = managers.iter().take(NAMED);
    let names: Vec<String> = names
        .map(|name| format!("\"{}\"", printable(name, LONGEST_NAME)))
        .collect();
    if names.is_empty() {
        return "an admission webhook, or somebody whom the API server does not name,".to_owned();
    }
    let one = match names.len() {
        1 => "the field manager",
        _ => "one of the field managers",
    };
    let further = managers.len().saturating_sub(NAMED);
    let further = (further > 0).then(|| format!(" and {further} more"));
    let further = further.unwrap_or_default();
    format!("{one} {}{further}", names.join(", "))
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
