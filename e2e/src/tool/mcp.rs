//! An MCP server whose tool asks the model that the server is given, and a client of it: what the demo needs of both.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sealroom::mcp::MODERN;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// For an answer of a model.
const PATIENCE: Duration = Duration::from_secs(50);

/// What `tool mcp-call` says where no connection was made. Nothing else that a call meets is said so, nor by kubectl.
pub const NO_CONNECTION: &str = "failed to connect to the MCP server";

/// Flags of `tool mcp-server`.
#[derive(Debug, clap::Args)]
pub struct Server {
    /// Dials this again and again, from its first moment on
    #[arg(long)]
    home: Vec<SocketAddr>,
}

/// Flags of `tool mcp-call`.
#[derive(Debug, clap::Args)]
pub struct Call {
    /// Where the server is
    url: String,
    /// What is asked of it, such as `tools/list`
    method: String,
    /// With which parameters, a JSON object
    #[arg(long, default_value = "{}")]
    params: String,
}

impl Server {
    /// Answers what comes on standard input, one after the other, until it ends.
    ///
    /// # Errors
    /// What comes is no JSON.
    pub async fn run(self) -> Result<()> {
        for to in self.home {
            tokio::spawn(call_home(to));
        }
        for line in std::io::stdin().lines() {
            let message: Value =
                serde_json::from_str(&line?).context("failed to read a message")?;
            if let Some(answer) = answer(&message).await {
                println!("{answer}");
            }
        }
        Ok(())
    }
}

async fn call_home(to: SocketAddr) {
    loop {
        let _ = timeout(Duration::from_millis(500), TcpStream::connect(to)).await;
        sleep(Duration::from_millis(200)).await;
    }
}

/// The answer to a request of the revisions with a handshake; nothing to a notification.
async fn answer(message: &Value) -> Option<Value> {
    let id = message.get("id")?;
    let params = &message["params"];
    let said = match message["method"].as_str()? {
        "initialize" => Ok(json!({
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "asks", "version": "1"},
        })),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({"tools": [{
            "name": "ask",
            "description": "Asks the model and says its answer.",
            "inputSchema": {
                "type": "object",
                "properties": {"question": {"type": "string"}},
                "required": ["question"],
            },
        }]})),
        "tools/call" => {
            let asked = ask(&params["arguments"]["question"]).await;
            let failed = asked.is_err();
            let text = asked.unwrap_or_else(|error| format!("{error:#}"));
            Ok(json!({"content": [{"type": "text", "text": text}], "isError": failed}))
        }
        _ => Err(json!({"code": -32601, "message": "Method not found"})),
    };
    Some(match said {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
    })
}

/// Asks the model that the variables name.
async fn ask(question: &Value) -> Result<String> {
    let variable =
        |name: &str| std::env::var(name).with_context(|| format!("failed to find {name}"));
    let order = json!({
        "model": variable("LLM_MODEL")?,
        "temperature": 0,
        "seed": 7,
        "max_tokens": 24,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": question},
        ],
    });
    let url = format!("{}/chat/completions", variable("OPENAI_BASE_URL")?);
    let request = client()?.post(url).bearer_auth(variable("OPENAI_API_KEY")?);
    let answer = request.json(&order).send().await?.error_for_status()?;
    let answer: Value = answer.json().await?;
    let text = answer["choices"][0]["message"]["content"].as_str();
    Ok(text.context("failed to find an answer")?.trim().to_owned())
}

impl Call {
    /// Asks as the revision without sessions does, and prints `<status> <message>`.
    ///
    /// # Errors
    /// No connection, or an exchange that broke off.
    pub async fn run(self) -> Result<()> {
        let mut params: Value = serde_json::from_str(&self.params)?;
        ensure!(params.is_object(), "failed to read the parameters");
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "e2e", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let mut request = client()?
            .post(&self.url)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", &self.method);
        if let Some(name) = params["name"].as_str() {
            request = request.header("mcp-name", name);
        }
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": self.method, "params": params});
        let answer = request.json(&message).send().await;
        let answer = answer.map_err(|error| {
            // A name that nobody knows says nothing about the server.
            let what = if error.is_connect() && !error.is_dns() {
                NO_CONNECTION
            } else {
                "failed to send the call"
            };
            anyhow::Error::new(error).context(what)
        })?;
        let status = answer.status().as_u16();
        let body = answer.text().await.context("failed to read the answer")?;
        // Of a stream the last event is the answer.
        let mut events = body.lines().rev();
        let last = events.find_map(|line| line.strip_prefix("data:"));
        println!("{status} {}", last.unwrap_or(&body).trim());
        Ok(())
    }
}

/// The image holds no system store, and everything here is plain HTTP.
fn client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only(vec![])
        .connect_timeout(Duration::from_secs(3))
        .timeout(PATIENCE);
    client.build().context("failed to make a client")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn requests_are_answered_and_notifications_are_not() {
        let greeted =
            json!({"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}});
        let hello = answer(&greeted).await.unwrap();
        assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");
        let listed = answer(&json!({"id": 2, "method": "tools/list"}))
            .await
            .unwrap();
        assert_eq!(listed["result"]["tools"][0]["name"], "ask");
        let unknown = answer(&json!({"id": 3, "method": "server/discover"}))
            .await
            .unwrap();
        assert_eq!(
            (&unknown["id"], &unknown["error"]["code"]),
            (&json!(3), &json!(-32601))
        );
        assert_eq!(
            answer(&json!({"method": "notifications/initialized"})).await,
            None
        );
    }

    #[tokio::test]
    async fn only_a_connection_that_was_not_made_is_told_as_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let call = || Call {
            url: format!("http://{at}/mcp"),
            method: "tools/list".to_owned(),
            params: "{}".to_owned(),
        };
        let hang_up = async { drop(listener.accept().await.unwrap()) };
        let (ended, ()) = tokio::join!(call().run(), hang_up);
        let told = ended.unwrap_err().to_string();
        assert_ne!(told, NO_CONNECTION);
        drop(listener);
        let told = call().run().await.unwrap_err().to_string();
        assert_eq!(told, NO_CONNECTION);
    }

    #[tokio::test]
    async fn a_server_without_a_model_says_so() {
        let call =
            json!({"id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": {}}});
        let said = answer(&call).await.unwrap();
        assert_eq!(said["result"]["isError"], true, "{said}");
    }
}
