//! What `/sealz` says, as a table.

use serde_json::Value;

/// A line per target: its verdict beside its control.
#[must_use]
pub fn table(report: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<34} {:<9} {:<8} {:<8} {}",
        "target", "required", "verdict", "control", "found"
    )];
    for target in report["targets"].as_array().into_iter().flatten() {
        let text = |key: &str| target[key].as_str().unwrap_or_default();
        let required = if target["required"] == true {
            "yes"
        } else {
            "tripwire"
        };
        lines.push(format!(
            "{:<34} {:<9} {:<8} {:<8} {}",
            text("name"),
            required,
            text("verdict"),
            text("control"),
            text("detail")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn verdict_stands_beside_control() {
        let report = serde_json::json!({"targets": [
            {"name": "dns/udp4", "required": true, "verdict": "blocked", "control": "ok", "detail": "silence 1003 ms"},
        ]});
        let lines = table(&report);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("dns/udp4"));
        assert!(lines[1].contains("yes       blocked  ok       silence 1003 ms"));
    }
}
