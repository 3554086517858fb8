//! An MCP server beside the model: an application asks the model, the model's tool asks it again.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::hole::refused;
use super::{CLIENT, Demo, NAME, NAMESPACE, READY, SEEN, Show};
use crate::asking::LED;
use crate::kube::wait;
use crate::objects::Subject;
use crate::outside::ADDRESSES;
use crate::suite::PROGRAM;
use crate::tool::NO_CONNECTION;
use crate::world::name_of;

const SERVER: &str = "asks";
const QUESTION: &str = "What is the capital of France?";

impl Demo<'_> {
    /// The server: it is bound to the model, and from its first moment on it dials out.
    pub(super) fn server(&self) -> Value {
        let home = format!("{}:9000", ADDRESSES[0]);
        let command = [PROGRAM, "tool", "mcp-server", "--home", &home];
        json!({
            "apiVersion": "sealroom.dev/v1alpha1",
            "kind": "McpServer",
            "metadata": {"name": SERVER, "namespace": NAMESPACE},
            "spec": {
                "image": self.props.tool,
                "transport": {"type": "Stdio", "stdio": {"command": command}},
                "models": [{"modelDeploymentRef": {"name": NAME}}],
                "access": {"from": [{"podSelector": {"matchLabels": {"assistant-client": "true"}}}]},
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
            },
        })
    }

    /// The whole circle. So small a model seldom calls a tool as it should; then the call is scripted, and said to be.
    pub(super) async fn circle(&self, show: &mut Show) -> Result<()> {
        show.now("an MCP server whose tool asks the model");
        self.server_ready().await?;
        let listed = self.mcp("tools/list", &json!({})).await?;
        let tool = &listed["result"]["tools"][0];
        let function = json!({
            "type": "function",
            "function": {
                "name": tool["name"], "description": tool["description"], "parameters": tool["inputSchema"],
            },
        });
        let mut messages = vec![json!({"role": "user", "content": QUESTION})];
        let offered = json!({"messages": messages, "tools": [function], "tool_choice": "required"});
        let chosen = chosen(&self.settled(offered).await?);
        let chosen_by = if chosen.is_some() {
            "the model"
        } else {
            "the script"
        };
        let arguments = chosen.unwrap_or_else(|| json!({"question": QUESTION}));

        let call = json!({"name": "ask", "arguments": arguments});
        let said = self.mcp("tools/call", &call).await?;
        let told = said["result"]["content"][0]["text"].as_str();
        let told = told.with_context(|| format!("failed to find the tool's answer in {said}"))?;
        ensure!(
            said["result"]["isError"] != true && told.contains("Paris"),
            "expected Paris of the tool, got {said}"
        );
        let function = json!({"name": "ask", "arguments": arguments.to_string()});
        let call = json!({"id": "call-1", "type": "function", "function": function});
        messages.extend([
            json!({"role": "assistant", "content": "", "tool_calls": [call]}),
            json!({"role": "tool", "tool_call_id": "call-1", "content": told}),
        ]);
        let last = self.settled(json!({"messages": messages})).await?;
        let last = last["content"].as_str().unwrap_or_default().trim();
        ensure!(!last.is_empty(), "expected an answer of the model");
        show.done(
            "circle",
            format!(
                "{chosen_by} called the tool of McpServer {SERVER}, which asked the model: {told:?}; with that the model said {last:?}"
            ),
        );
        self.server_seal(show).await
    }

    /// What the model says to this, always the same.
    async fn settled(&self, mut order: Value) -> Result<Value> {
        for (name, value) in [
            ("model", json!(NAME)),
            ("temperature", json!(0)),
            ("seed", json!(7)),
            ("max_tokens", json!(64)),
        ] {
            order[name] = value;
        }
        self.complete(&order.to_string()).await
    }

    async fn server_seal(&self, show: &mut Show) -> Result<()> {
        let subject = Subject::server(NAMESPACE, SERVER);
        let pods = self.world.pods_of(subject).await?;
        let pod = pods
            .first()
            .map(name_of)
            .context("failed to find its pod")?;
        let report = self.world.pod_json(NAMESPACE, pod, 8081, "/sealz").await?;
        let object = self.world.object(subject).await?.unwrap_or_default();
        show.done(
            "seal",
            format!(
                "of the server: state {}, closure {}, locks {}",
                report["state"], report["closure"], report["locks"]
            ),
        );
        show.say(&format!("  exits: {}", object["status"]["seal"]["exits"]));
        Ok(())
    }

    /// Waits until the server serves, and its Service leads to it.
    pub(super) async fn server_ready(&self) -> Result<()> {
        let subject = Subject::server(NAMESPACE, SERVER);
        self.world
            .wait_for(subject, "Ready", "True", "", READY)
            .await?;
        wait(LED, "the server's tools", async || {
            self.mcp("tools/list", &json!({})).await.map(Some)
        })
        .await?;
        Ok(())
    }

    /// Waits until the server is seen open, and refuses: what it says.
    pub(super) async fn caught(&self, reason: &str) -> Result<String> {
        let subject = Subject::server(NAMESPACE, SERVER);
        let sealed = self
            .world
            .wait_for(subject, "Sealed", "False", reason, SEEN)
            .await?;
        let refused = refused("a refused call", async || {
            match self.mcp_call("tools/list", &json!({})).await {
                Ok((200, _)) => Ok(None),
                Ok((status, said)) => {
                    let reason = &said["error"]["data"]["reason"];
                    Ok(Some(format!("{status} {reason}")))
                }
                Err(error) if error.to_string().contains(NO_CONNECTION) => {
                    Ok(Some("no connection".to_owned()))
                }
                // What says nothing about the server, such as an exec that failed.
                Err(error) => Err(error),
            }
        })
        .await?;
        Ok(format!(
            "McpServer {SERVER}, which dials out all the time: Sealed=False {}, a call gives {refused}",
            sealed.reason
        ))
    }

    /// The message that the server answers with.
    async fn mcp(&self, method: &str, params: &Value) -> Result<Value> {
        let (status, said) = self.mcp_call(method, params).await?;
        ensure!(status == 200, "expected an answer, got {status} {said}");
        Ok(said)
    }

    async fn mcp_call(&self, method: &str, params: &Value) -> Result<(u16, Value)> {
        let url = format!("http://{SERVER}.{NAMESPACE}.svc:8080/mcp");
        let params = params.to_string();
        let command = [
            PROGRAM, "tool", "mcp-call", &url, method, "--params", &params,
        ];
        let ran = self.world.exec(NAMESPACE, CLIENT, "tool", &command).await?;
        let answer = ran.stdout.trim().split_once(' ');
        let (status, said) = answer.context("failed to read an answer")?;
        let said =
            serde_json::from_str(said).with_context(|| format!("failed to read {said:?}"))?;
        Ok((status.parse()?, said))
    }
}

/// The arguments of the model's call, if it is one of the tool and asks what was asked.
fn chosen(message: &Value) -> Option<Value> {
    let function = &message["tool_calls"][0]["function"];
    let arguments: Value = serde_json::from_str(function["arguments"].as_str()?).ok()?;
    let asks = arguments["question"].as_str()?.contains("France");
    (function["name"] == "ask" && asks).then_some(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_that_asks_what_was_asked_is_the_models() {
        let message = |name: &str, arguments: &str| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"content": null, "tool_calls": [{"function": function}]})
        };
        let good = r#"{"question": "What is the capital of France?"}"#;
        assert!(chosen(&message("ask", good)).is_some());
        assert_eq!(chosen(&message("say", good)), None);
        assert_eq!(chosen(&message("ask", r#"{"question": "Who?"}"#)), None);
        assert_eq!(chosen(&message("ask", "France")), None);
        assert_eq!(chosen(&json!({"content": "Paris"})), None);
    }
}
