//! Two shapes side by side, and what is said of it; pure.

use std::collections::BTreeSet;

use super::{Facts, Kept, Part, Shape};
use crate::mcp::pin::printable;

/// The sandbox that a pod asks for.
pub(super) const RUNTIME_CLASS: &str = "runtimeClassName";
/// The names of the init containers, which start one after the other.
pub(super) const ORDER: &str = "order of init containers";
/// Differences that are told; of further ones the number is.
const TOLD: usize = 6;
/// Longest text, in characters.
const LONGEST: usize = 600;

/// Every difference in words.
pub(super) fn between(made: &Shape, there: &Shape) -> Vec<String> {
    let mut found = Vec::new();
    let parts: BTreeSet<&Part> = made.0.keys().chain(there.0.keys()).collect();
    let reordered = inits(made) == inits(there);
    for part in parts {
        match (made.0.get(part), there.0.get(part)) {
            (Some(one), Some(other)) => fields(part, one, other, reordered, &mut found),
            (None, Some(facts)) => found.push(format!("{part} was added{}", what(part, facts))),
            (Some(_), None) => found.push(format!("{part} is missing")),
            (None, None) => {}
        }
    }
    found
}

/// All of them in one line, bounded and printable; nothing where there is none.
pub(super) fn told(found: &[String]) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    let mut text = found
        .iter()
        .take(TOLD)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if found.len() > TOLD {
        text.push_str(&format!("; and {} more", found.len() - TOLD));
    }
    Some(printable(&text, LONGEST))
}

fn inits(shape: &Shape) -> BTreeSet<&Part> {
    let parts = shape.0.keys();
    parts.filter(|part| matches!(part, Part::Init(_))).collect()
}

/// What was added: the image of a container, the kind of a volume.
fn what(part: &Part, facts: &Facts) -> String {
    if let Part::Volume(_) = part {
        let kinds: Vec<&str> = facts.0.keys().map(String::as_str).collect();
        return format!(" ({})", kinds.join(", "));
    }
    match facts.0.get("image") {
        Some(Kept::Shown(image)) => format!(" with image {image}"),
        _ => String::new(),
    }
}

fn fields(part: &Part, made: &Facts, there: &Facts, reordered: bool, found: &mut Vec<String>) {
    let names: BTreeSet<&String> = made.0.keys().chain(there.0.keys()).collect();
    for name in names {
        let (one, other) = (made.0.get(name), there.0.get(name));
        // An init container that came or went is told as that.
        let same = one == other || harmless(name, one, other) || (name == ORDER && !reordered);
        if !same {
            found.push(format!("{part}: {}", changed(name, one, other)));
        }
    }
}

/// A stricter sandbox may be the platform's rule. A digest says what is run, wherever it is pulled from: platforms
/// lead images to a mirror.
fn harmless(field: &str, made: Option<&Kept>, there: Option<&Kept>) -> bool {
    match (field, made, there) {
        (RUNTIME_CLASS, None, Some(_)) => true,
        ("image", Some(Kept::Shown(made)), Some(Kept::Shown(there))) => {
            let digest = |image: &str| image.rsplit_once('@').map(|(_, digest)| digest.to_owned());
            digest(made).is_some_and(|made| digest(there) == Some(made))
        }
        _ => false,
    }
}

fn changed(field: &str, made: Option<&Kept>, there: Option<&Kept>) -> String {
    match (made, there) {
        (Some(Kept::Shown(made)), Some(Kept::Shown(there))) => {
            format!("{field} is {there}, not {made}")
        }
        (None, Some(Kept::Shown(there))) => format!("{field} is {there}"),
        (Some(Kept::Shown(made)), None) => format!("{field} is not {made}"),
        (None, _) => format!("{field} was added"),
        (_, None) => format!("{field} is missing"),
        _ => format!("{field} changed"),
    }
}
