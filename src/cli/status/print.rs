//! Objects as text.

use std::fmt::Write as _;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};

use super::object::Object;
use crate::api::ConditionType;
use crate::api::model_deployment::TenantGuard;

/// Everything that is known of one.
pub fn whole(object: &Object) -> String {
    let mut text = format!("{} {}/{}\n", object.kind, object.namespace, object.name);
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<14} {}", plain(value));
    };
    if object.outdated {
        line(
            "",
            "the status speaks of an older generation of this object",
        );
    }
    for condition in &object.conditions {
        let Condition {
            status,
            reason,
            message,
            ..
        } = condition;
        line(
            &condition.type_,
            &format!("{status:<8} {reason}: {message}"),
        );
    }
    for (label, value) in &object.facts {
        line(label, value);
    }
    line("locks", &join(&object.seal.locks, "none"));
    line("tenant guard", guard(object.seal.tenant_guard));
    for exit in &object.seal.exits {
        line("exit", exit);
    }
    line("not evaluated", &join(&object.seal.not_evaluated, "-"));
    text
}

fn join(words: &[String], none: &str) -> String {
    if words.is_empty() {
        return none.to_owned();
    }
    words.join(", ")
}

fn guard(guard: TenantGuard) -> &'static str {
    match guard {
        TenantGuard::None => "none",
        TenantGuard::Objects => "objects",
        TenantGuard::ObjectsAndConnections => "objectsAndConnections",
    }
}

/// Nothing that a terminal obeys.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.trim_end().chars().map(shown).collect()
}

/// Everything that is known of each, as a JSON list.
pub fn json(objects: &[Object]) -> String {
    let each = objects.iter().map(|object| {
        let facts = object.facts.iter();
        let facts = facts.map(|(label, value)| ((*label).to_owned(), Value::from(value.as_str())));
        json!({
            "kind": object.kind,
            "namespace": object.namespace,
            "name": object.name,
            "outdated": object.outdated,
            "ready": object.holds(ConditionType::Ready),
            "sealed": object.holds(ConditionType::Sealed),
            "conditions": object.conditions,
            "facts": Value::Object(facts.collect()),
            "seal": object.seal,
        })
    });
    let all = Value::Array(each.collect());
    let mut text = String::new();
    for c in format!("{all:#}\n").chars() {
        // JSON escapes the control characters below these, which a terminal obeys too.
        if ('\u{7f}'..='\u{9f}').contains(&c) {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

/// A line for each; a mark where its status speaks of an older generation.
pub fn table(objects: &[Object]) -> String {
    let head = [
        "NAMESPACE",
        "KIND",
        "NAME",
        "READY",
        "SEALED",
        "LOCKS",
        "EXITS",
        "GUARD",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(objects.iter().map(|object| {
        let mark = if object.outdated { "?" } else { "" };
        [
            object.namespace.clone(),
            object.kind.to_owned(),
            object.name.clone(),
            format!("{}{mark}", object.reason(ConditionType::Ready)),
            object.reason(ConditionType::Sealed).to_owned(),
            join(&object.seal.locks, "none").replace(", ", ","),
            object.seal.exits.len().to_string(),
            guard(object.seal.tenant_guard).to_owned(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("   ").trim_end());
    }
    text
}
