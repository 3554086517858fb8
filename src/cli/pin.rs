//! `sealroom pin`.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use kube::Api;

use super::place::{Place, explain};
use super::{Exit, say};
use crate::api::{ConditionType, McpServer, Reason};
use crate::controller::conditions::{find, is_true};
use crate::mcp::{Inventory, Object};

/// Longest list that is read, in bytes.
const MAX: u64 = 64 * 1024 * 1024;

const EXAMPLES: &str = "\
Prints what tools.pin of the McpServer would be for the tools that it lists now, as its gate has seen them. Where that is
not known of the pods that are wanted, it says why, prints nothing and ends with 1.

Examples:
  sealroom pin search --namespace team-a
  sealroom pin --file tools.json";

/// Flags of `sealroom pin`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("tools").required(true).args(["name", "file"])))]
pub struct Args {
    /// The McpServer
    name: Option<String>,
    /// Instead of a server that runs: the answer to tools/list, its result, or several pages of either, one after the
    /// other; `-` is the standard input
    #[arg(long, short)]
    file: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Args {
    /// Prints the hash.
    pub fn run(self) -> Exit {
        if let Some(name) = self.name {
            return self.place.run(async |client, namespace| {
                let servers: Api<McpServer> = Api::namespaced(client, &namespace);
                let server = servers.get(&name).await.map_err(explain)?;
                match hash(&server) {
                    Ok(hash) => Ok(say::result(&format!("{hash}\n"), Exit::Ok)),
                    Err(why) => {
                        anyhow::bail!("failed to find the tools of {namespace}/{name}: {why}")
                    }
                }
            });
        }
        let text = match text(&self.file) {
            Ok(text) => text,
            Err(why) => {
                say::error(why);
                return Exit::Passing;
            }
        };
        match inventory(&text) {
            Ok(inventory) => say::result(&format!("{}\n", inventory.hash()), Exit::Ok),
            Err(why) => {
                say::error(why);
                Exit::Refused
            }
        }
    }
}

/// The hash of what runs. The status keeps the last one that was told, be it of a former image or of pods that are gone.
fn hash(server: &McpServer) -> Result<&str, String> {
    let status = server.status.as_ref();
    let Some((status, tools)) = status.and_then(|s| Some((s, s.tools.as_ref()?))) else {
        return Err("no pod has listed them yet".to_owned());
    };
    if status.observed_generation != server.metadata.generation {
        return Err("the operator has not looked at the newest generation yet".to_owned());
    }
    if status.replicas == 0 {
        return Err("no pod runs, and the status has those of former ones".to_owned());
    }
    let reason = |kind| find(&status.conditions, kind).map_or("", |c| c.reason.as_str());
    let ready = reason(ConditionType::Ready);
    // A pod that drifts has told its tools, and is not ready for their sake. Beside pods of an older template it is the
    // new one while an older one serves: where none does, those may drift too, and the status has the tools of either.
    let is_new = status.updated_replicas == status.replicas || status.ready_replicas > 0;
    if ready == Reason::ToolsDrifted.as_str() && status.updated_replicas > 0 && is_new {
        return Ok(&tools.hash);
    }
    // A model that does not serve or whose key is missing holds no rollout up, and one that is not there does.
    let bound = reason(ConditionType::ModelsBound);
    let holds_nothing_up = [
        Reason::ModelNotReady,
        Reason::ModelUnreachable,
        Reason::SecretMissing,
        Reason::ConfigMapMissing,
    ];
    let lacks_a_model = ready == Reason::ModelsNotBound.as_str()
        && holds_nothing_up
            .iter()
            .any(|reason| reason.as_str() == bound);
    let serves = is_true(&status.conditions, ConditionType::Ready) || lacks_a_model;
    if !serves || reason(ConditionType::ToolsPinned) == Reason::ToolsUnknown.as_str() {
        return Err(format!(
            "not every pod is of the newest generation, serves and has listed them ({ready})"
        ));
    }
    Ok(&tools.hash)
}

/// All of them, one after the other.
fn text(files: &[PathBuf]) -> Result<String, String> {
    let mut text = String::new();
    for file in files {
        let read = if file.as_os_str() == "-" {
            io::stdin().take(MAX).read_to_string(&mut text)
        } else {
            File::open(file).and_then(|file| file.take(MAX).read_to_string(&mut text))
        };
        read.map_err(|error| format!("failed to read {}: {error}", file.display()))?;
    }
    Ok(text)
}

fn inventory(text: &str) -> Result<Inventory, String> {
    let mut inventory = Inventory::default();
    let pages = serde_json::Deserializer::from_str(text).into_iter::<Object>();
    for page in pages {
        let page = page.map_err(|error| format!("failed to read the tools: {error}"))?;
        let page = page.object("result").unwrap_or(page);
        let tools = page.get("tools");
        let tools = tools.ok_or("failed to read the tools: this is no answer to tools/list")?;
        inventory.add(tools.get()).map_err(|why| why.to_string())?;
    }
    Ok(inventory)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const UNPINNED: &str = "NotPinned";

    /// In its second generation, with these reasons of Ready and ToolsPinned, and with a model that is there and does not
    /// serve.
    fn server(ready: &str, pinned: &str, more: &Value) -> McpServer {
        let condition = |kind: &str, truth: &str, reason: &str| {
            json!({
                "type": kind, "status": truth, "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let truth = if ready == "Succeeded" {
            "True"
        } else {
            "False"
        };
        let mut status = json!({
            "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
            "tools": { "count": 1, "hash": "sha256:ab" },
            "conditions": [
                condition("Ready", truth, ready),
                condition("ModelsBound", "False", "ModelNotReady"),
                condition("ToolsPinned", "Unknown", pinned),
            ],
        });
        for (field, value) in more.as_object().unwrap() {
            status[field] = value.clone();
        }
        let stdio = json!({ "type": "Stdio", "stdio": { "command": ["/server"] } });
        let server = json!({
            "apiVersion": "sealroom.dev/v1alpha1", "kind": "McpServer",
            "metadata": { "name": "search", "generation": 2 },
            "spec": { "image": "r.io/search@sha256:ab", "transport": stdio }, "status": status,
        });
        serde_json::from_value(server).unwrap()
    }

    /// The conditions of a server whose model cannot be asked for this reason.
    fn without(model: &str) -> Value {
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({
                "type": kind, "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        json!({ "conditions": [
            condition("Ready", "False", "ModelsNotBound"),
            condition("ModelsBound", "False", model),
            condition("ToolsPinned", "Unknown", UNPINNED),
        ] })
    }

    #[rstest::rstest]
    #[case::ready("Succeeded", UNPINNED, json!({}), None)]
    #[case::pinned("Succeeded", "Pinned", json!({}), None)]
    #[case::without_its_model("ModelsNotBound", UNPINNED, json!({}), None)]
    #[case::without_its_models_key("ModelsNotBound", UNPINNED, without("SecretMissing"), None)]
    #[case::without_its_models_pods("ModelsNotBound", UNPINNED, without("ModelUnreachable"), None)]
    #[case::drifted("ToolsDrifted", "ToolsDrifted", json!({ "readyReplicas": 0 }), None)]
    #[case::drifted_in_a_rollout("ToolsDrifted", "ToolsDrifted", json!({ "updatedReplicas": 1 }), None)]
    #[case::drifted_all_of_them("ToolsDrifted", "ToolsDrifted", json!({ "updatedReplicas": 1, "readyReplicas": 0 }), Some("ToolsDrifted"))]
    #[case::drifted_when_it_was_written("RollingOut", "ToolsDrifted", json!({ "readyReplicas": 0 }), Some("(RollingOut)"))]
    #[case::drifted_before_the_rollout("ToolsDrifted", "ToolsDrifted", json!({ "updatedReplicas": 0 }), Some("ToolsDrifted"))]
    #[case::nothing_listed("RollingOut", UNPINNED, json!({ "tools": null }), Some("no pod has listed"))]
    #[case::an_older_generation("Succeeded", UNPINNED, json!({ "observedGeneration": 1 }), Some("newest generation yet"))]
    #[case::scaled_to_zero("Succeeded", UNPINNED, json!({ "replicas": 0 }), Some("no pod runs"))]
    #[case::rolling_out("RollingOut", UNPINNED, json!({ "updatedReplicas": 1 }), Some("(RollingOut)"))]
    #[case::unproven("NotSealed", "Pinned", json!({}), Some("(NotSealed)"))]
    #[case::not_heard("Succeeded", "ToolsUnknown", json!({}), Some("has listed them"))]
    fn only_what_runs_is_pinned(
        #[case] ready: &str,
        #[case] pinned: &str,
        #[case] more: Value,
        #[case] refused: Option<&str>,
    ) {
        let server = server(ready, pinned, &more);
        match (hash(&server), refused) {
            (Ok(hash), None) => assert_eq!(hash, "sha256:ab"),
            (Err(why), Some(words)) => assert!(why.contains(words), "{why}"),
            (said, _) => panic!("{said:?} where {refused:?} was expected"),
        }
    }

    /// The pods stay as they are, of whichever generation.
    #[test]
    fn a_model_that_is_not_there_holds_a_rollout_up() {
        let mut server = server("ModelsNotBound", UNPINNED, &json!({}));
        for condition in &mut server.status.as_mut().unwrap().conditions {
            if condition.type_ == ConditionType::ModelsBound.as_str() {
                condition.reason = Reason::ModelNotFound.as_str().to_owned();
            }
        }
        assert!(hash(&server).unwrap_err().contains("(ModelsNotBound)"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let why = text(&[PathBuf::from("/nowhere/at/all")]).unwrap_err();
        assert!(why.starts_with("failed to read /nowhere/at/all: "), "{why}");
    }

    #[test]
    fn an_answer_a_result_and_pages_are_read() {
        let whole = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#;
        let pages = r#"{"tools":[{"name":"b"}],"nextCursor":"c"} {"tools":[{"name":"a"}]}"#;
        assert_eq!(
            inventory(whole).unwrap().hash(),
            inventory(pages).unwrap().hash()
        );
        assert!(inventory(r#"{"result":{}}"#).is_err());
        assert!(inventory("[]").is_err());
    }
}
