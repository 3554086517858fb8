//! What is not as it was in the tools of a server, for people: pure.

use super::pin::{Inventory, MEMBERS};

/// Longest description of a change in characters.
const MAX_CHANGE: usize = 512;
/// Longest name in such a description.
const MAX_NAME: usize = 64;

impl Inventory {
    /// What is not as it was, for people: bounded, and nothing in it moves a cursor.
    #[must_use]
    pub fn changes(&self, before: &Self) -> String {
        let mut parts = self.altered(before);
        let gone = before.0.keys().filter(|name| !self.0.contains_key(*name));
        parts.extend(gone.map(|name| format!("{} is gone", shown(name))));
        bounded(&parts.join("; "), MAX_CHANGE)
    }

    /// The same of a part of the tools, in which nothing is gone that is not there; `None` where all is as it was.
    #[must_use]
    pub fn strangers(&self, before: &Self) -> Option<String> {
        let parts = self.altered(before);
        (!parts.is_empty()).then(|| bounded(&parts.join("; "), MAX_CHANGE))
    }

    fn altered(&self, before: &Self) -> Vec<String> {
        let mut parts = Vec::new();
        for (name, tool) in &self.0 {
            match before.0.get(name) {
                None => parts.push(format!("{} is new", shown(name))),
                Some(old) if old.said != tool.said => {
                    let differs = |member: &&str| old.said.get(*member) != tool.said.get(*member);
                    let members: Vec<_> = MEMBERS.into_iter().filter(differs).collect();
                    parts.push(format!("{}: {}", shown(name), members.join(", ")));
                }
                Some(_) => {}
            }
        }
        parts
    }

    /// What there is instead of what was pinned, where that was never seen.
    #[must_use]
    pub fn instead(&self) -> String {
        let names: Vec<_> = self.0.keys().map(|name| shown(name)).collect();
        let text = format!(
            "the server offers {} tools with {}: {}",
            self.len(),
            self.hash(),
            names.join(", ")
        );
        bounded(&text, MAX_CHANGE)
    }
}

fn shown(name: &str) -> String {
    printable(name, MAX_NAME)
}

fn bounded(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut + "…"
}

/// A text of a server, fit for a status: at most `most` characters, and all but printable ASCII escaped.
#[must_use]
pub fn printable(text: &str, most: usize) -> String {
    let escaped: String = text
        .chars()
        .take(most.saturating_add(1))
        .flat_map(|c| {
            let plain = matches!(c, ' '..='~');
            let (own, escape) = (plain.then_some(c), (!plain).then(|| c.escape_unicode()));
            own.into_iter().chain(escape.into_iter().flatten())
        })
        .collect();
    bounded(&escaped, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(tools: &str) -> Inventory {
        let mut inventory = Inventory::default();
        inventory.add(tools).unwrap();
        inventory
    }

    const TWO: &str = r#"[{"name":"b"},{"name":"a","description":"d"}]"#;

    #[test]
    fn changes_are_named_and_bounded() {
        let now = inventory(
            &TWO.replace("\"d\"", "\"exfiltrate\"")
                .replace("\"name\":\"b\"", "\"name\":\"c\\u001b[2J\""),
        );
        let text = now.changes(&inventory(TWO));
        assert_eq!(text, "a: description; c\\u{1b}[2J is new; b is gone");
        let many: Vec<_> = (0..999)
            .map(|n| format!(r#"{{"name":"tool{n}"}}"#))
            .collect();
        let many = inventory(&format!("[{}]", many.join(",")));
        assert_eq!(many.changes(&now).chars().count(), MAX_CHANGE);
        assert_eq!(many.instead().chars().count(), MAX_CHANGE);
    }

    #[test]
    fn texts_of_servers_are_escaped() {
        assert_eq!(printable("a\u{202e}b", 64), "a\\u{202e}b");
        assert_eq!(printable(&"x".repeat(100), 64).chars().count(), 64);
    }
}
