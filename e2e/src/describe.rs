//! What a reader of a failed test or demo wants to see.

use serde_json::Value;

use crate::objects::{API, condition_of};
use crate::world::{World, name_of};

impl World {
    /// Prints what is there and what the operator said last, for who reads why something failed: last what is not
    /// proven, since some see only the end.
    pub async fn describe(&self) {
        let operator = [
            "logs",
            "--namespace=sealroom-system",
            "--selector=app.kubernetes.io/component=operator",
            "--tail=40",
        ];
        for arguments in [
            &["get", "md,ma,mcps", "-A", "-o", "wide"][..],
            &["get", "pods,jobs,pvc,networkpolicies", "-A", "-o", "wide"],
            // Cilium's own view of the pods; other clusters have no such kind.
            &["get", "ciliumendpoints", "-A", "-o", "wide"],
            &["get", "events", "-A", "--sort-by=.lastTimestamp"],
            &operator,
        ] {
            if let Ok(output) = self.kubectl(arguments).await {
                let lines: Vec<_> = output.stdout.lines().collect();
                println!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
            }
        }
        for plural in ["modeldeployments", "mcpservers"] {
            let objects = self.list(&format!("{API}/{plural}")).await;
            for object in objects.unwrap_or_default() {
                if let Some(lines) = unproven(plural, &object) {
                    println!("{lines}");
                }
            }
        }
    }
}

/// Why an object is not proven, and what its seal says, in two lines; `None` when it is proven.
fn unproven(plural: &str, object: &Value) -> Option<String> {
    let sealed = condition_of(object, "Sealed");
    if sealed.status == "True" {
        return None;
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let name = name_of(object);
    let words: Vec<_> = sealed.message.split_whitespace().collect();
    let (status, reason, message) = (sealed.status, sealed.reason, words.join(" "));
    let seal = &object["status"]["seal"];
    let (locks, untested) = (&seal["locks"], &seal["notEvaluated"]);
    Some(format!(
        "e2e unproven {plural} {namespace}/{name}: Sealed={status} {reason}: {message}\n\
         e2e unproven   its seal: locks {locks}, not evaluated {untested}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(status: &str) -> Value {
        let sealed =
            json!({"type": "Sealed", "status": status, "reason": "Stale", "message": "no\nround"});
        json!({
            "metadata": {"namespace": "team-a", "name": "asks"},
            "status": {"conditions": [sealed], "seal": {"notEvaluated": ["otherNode"]}},
        })
    }

    #[test]
    fn what_is_not_proven_says_why_in_few_lines() {
        assert_eq!(unproven("mcpservers", &object("True")), None);
        let told = unproven("mcpservers", &object("Unknown")).unwrap();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(
            lines,
            [
                "e2e unproven mcpservers team-a/asks: Sealed=Unknown Stale: no round",
                "e2e unproven   its seal: locks null, not evaluated [\"otherNode\"]",
            ]
        );
        assert!(unproven("mcpservers", &json!({})).is_some());
    }
}
