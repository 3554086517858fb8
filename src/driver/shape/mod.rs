//! What of a pod is held to what was made; pure.
//!
//! Compared is what could lead around a lock or read along: containers, what they run, what they mount and may do, and
//! what they share with the node. Not compared is what a cluster fills in by itself: node, scheduling and priority,
//! resources (LimitRange, an in-place resize), image pull secrets and policy, the service account's name, names and DNS,
//! times and thresholds, labels, and annotations but those that ask for a second network. A field at its default is as
//! one that is not there, because a template is compared as it was written and a pod as the API server has it.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodTemplateSpec};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

mod container;
mod difference;
mod running;
mod security;
#[cfg(test)]
mod tests;
mod volume;

pub use running::otherwise;

use super::cluster::CONDITION;

/// Longest value that a text may show; of what is longer only the hash is kept.
const LONGEST: usize = 256;
/// Annotations with which a pod asks for a network beside the one that policies hold.
const NETWORKS: [&str; 2] = [
    "k8s.v1.cni.cncf.io/networks",
    "v1.multus-cni.io/default-network",
];

/// What of a pod, or of the template that one is made from, is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape(BTreeMap<Part, Facts>);

/// A part of a pod, in the order in which differences are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Ephemeral(String),
    Init(String),
    Container(String),
    Pod,
    Volume(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ephemeral(name) => write!(f, "ephemeral container {name}"),
            Self::Init(name) => write!(f, "init container {name}"),
            Self::Container(name) => write!(f, "container {name}"),
            Self::Pod => f.write_str("the pod"),
            Self::Volume(name) => write!(f, "volume {name}"),
        }
    }
}

/// What is said of one part, by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Facts(BTreeMap<String, Kept>);

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    /// It may be shown.
    Shown(String),
    /// It may be secret or long: arguments, variables, sources.
    Hidden([u8; 32]),
}

impl Facts {
    /// A value that a message may show.
    fn show(&mut self, field: &str, value: impl Into<String>) {
        let value = value.into();
        if value.len() > LONGEST {
            return self.hide(field, &value);
        }
        self.0.insert(field.to_owned(), Kept::Shown(value));
    }

    /// A value of which no message shows more than that it differs.
    fn hide(&mut self, field: &str, value: &str) {
        let mut hasher = Sha256::new();
        // A variable can be there twice: both count.
        if let Some(Kept::Hidden(before)) = self.0.get(field) {
            hasher.update(before);
        }
        hasher.update(value.as_bytes());
        let hash = Kept::Hidden(hasher.finalize().into());
        self.0.insert(field.to_owned(), hash);
    }

    /// A list, unless it is empty.
    fn list<T: Serialize>(&mut self, field: &str, list: Option<&[T]>) {
        if let Some(list) = list.filter(|list| !list.is_empty()) {
            self.hide(field, &json(&list));
        }
    }

    /// A switch that is off by default.
    fn on(&mut self, field: &str, value: Option<bool>) {
        if value == Some(true) {
            self.show(field, "true");
        }
    }
}

/// As one text. What cannot be written so is a bug of the type; then both sides have the same.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A text that is not empty: the API server drops those that are.
fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

impl Shape {
    /// That of a pod as the API server has it.
    #[must_use]
    pub fn of_pod(pod: &Pod) -> Self {
        let annotations = pod.metadata.annotations.as_ref();
        pod.spec.as_ref().map_or_else(Self::default, |spec| {
            Self::of(annotations.unwrap_or(&BTreeMap::new()), spec)
        })
    }

    /// That of the pods that are made from a template.
    #[must_use]
    pub fn of_template(template: &PodTemplateSpec) -> Self {
        let meta = template.metadata.as_ref();
        let annotations = meta.and_then(|meta| meta.annotations.as_ref());
        template.spec.as_ref().map_or_else(Self::default, |spec| {
            Self::of(annotations.unwrap_or(&BTreeMap::new()), spec)
        })
    }

    fn of(annotations: &BTreeMap<String, String>, spec: &PodSpec) -> Self {
        let context = spec.security_context.as_ref();
        let facts = |container| container::facts(container, context);
        let mut parts = BTreeMap::from([(Part::Pod, pod_facts(annotations, spec))]);
        for one in spec.ephemeral_containers.iter().flatten() {
            let mut facts = Facts::default();
            facts.show("image", one.image.clone().unwrap_or_default());
            parts.insert(Part::Ephemeral(one.name.clone()), facts);
        }
        for one in spec.init_containers.iter().flatten() {
            parts.insert(Part::Init(one.name.clone()), facts(one));
        }
        for one in &spec.containers {
            parts.insert(Part::Container(one.name.clone()), facts(one));
        }
        for one in spec.volumes.iter().flatten() {
            parts.insert(Part::Volume(one.name.clone()), volume::facts(one));
        }
        Self(parts)
    }

    /// How a pod of this shape differs from what was made, in one line; nothing where it does not.
    #[must_use]
    pub fn differs(&self, made: &Self) -> Option<String> {
        (self != made)
            .then(|| difference::between(made, self))
            .and_then(|found| difference::told(&found))
    }

    /// What in it no template of any version has, in one line: that needs nothing to compare with.
    #[must_use]
    pub fn never(&self) -> Option<String> {
        difference::told(&difference::between(&self.innocent(), self))
    }

    /// How much of it differs from what was made.
    #[must_use]
    pub fn distance(&self, made: &Self) -> usize {
        difference::between(made, self).len()
    }

    /// The same without what is never made.
    fn innocent(&self) -> Self {
        let mut rest = self.clone();
        rest.0.retain(|part, facts| match part {
            Part::Ephemeral(_) => false,
            Part::Volume(_) => !facts.0.contains_key(volume::HOST_PATH),
            Part::Pod | Part::Init(_) | Part::Container(_) => {
                facts.0.retain(|field, _| !NEVER.contains(&field.as_str()));
                true
            }
        });
        rest
    }
}

/// Fields that no template has.
const NEVER: [&str; 6] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "shareProcessNamespace",
    security::PRIVILEGED,
    security::ADDED,
];

fn pod_facts(annotations: &BTreeMap<String, String>, spec: &PodSpec) -> Facts {
    let mut facts = Facts::default();
    facts.on("hostNetwork", spec.host_network);
    facts.on("hostPID", spec.host_pid);
    facts.on("hostIPC", spec.host_ipc);
    facts.on("shareProcessNamespace", spec.share_process_namespace);
    if let Some(class) = filled(&spec.runtime_class_name) {
        facts.show(difference::RUNTIME_CLASS, class);
    }
    // An address without names: the API server drops the empty list.
    let aliases = spec.host_aliases.iter().flatten().map(|alias| {
        let names: Vec<&String> = alias.hostnames.iter().flatten().collect();
        json(&(&alias.ip, names))
    });
    let aliases: Vec<String> = aliases.collect();
    facts.list("hostAliases", Some(aliases.as_slice()));
    // What a driver gives for one can be devices, mounts and hooks.
    facts.list("resourceClaims", spec.resource_claims.as_deref());
    let mut gates = spec.readiness_gates.iter().flatten();
    if gates.any(|gate| gate.condition_type == CONDITION) {
        facts.show("readiness gate", CONDITION);
    }
    for key in NETWORKS {
        if let Some(value) = annotations.get(key) {
            facts.hide(&format!("annotation {key}"), value);
        }
    }
    security::of_pod(&mut facts, spec.security_context.as_ref());
    let order = spec.init_containers.iter().flatten();
    let order: Vec<&str> = order.map(|one| one.name.as_str()).collect();
    facts.show(difference::ORDER, order.join(", "));
    facts
}
