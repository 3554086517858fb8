//! The official SDK of Rust, unchanged, as a client: with a session as it begins one by itself, and without.

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientConfig, ContentBlock, ElicitRequestParams,
    ElicitResult, ElicitationAction, Implementation, ProgressNotificationParam, ProtocolVersion,
    ServerNotification, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, RequestContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient, ServiceError,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::bed::{Bed, LEGACY, MODERN};
use crate::gate::bed::PATIENCE;

const KEY: &str = "key-of-ada-0123456789abcdef";

/// What a client does with what comes from its server: it tells it, and says who asks for a name that it is Ada.
#[derive(Debug)]
struct Tells(UnboundedSender<String>);

impl Tells {
    fn tell(&self, what: String) {
        let _ = self.0.send(what);
    }
}

impl ClientHandler for Tells {
    fn get_info(&self) -> ClientConfig {
        let capabilities = serde_json::from_value(json!({"elicitation": {}})).unwrap();
        // The server of these tests takes the first name that is one word for the tool's.
        ClientConfig::new(capabilities, Implementation::new("rmcp-client", "1"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams { message, .. } = request else {
            return Ok(ElicitResult::new(ElicitationAction::Decline));
        };
        self.tell(message);
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({"name": "ada"})))
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let message = progress.message.unwrap_or_default();
        self.tell(format!("{message} {}", progress.progress));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tell("tools changed".to_owned());
    }
}

type Client = RunningService<RoleClient, Tells>;

/// It offers the newest revision that it knows, and agrees on one with sessions.
fn session() -> ClientLifecycleMode {
    ClientLifecycleMode::Initialize
}

fn stateless() -> ClientLifecycleMode {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    ClientLifecycleMode::Discover { preferred_versions }
}

/// A bed at which Ada has a key.
async fn bed_with_key(flags: &[&str], server: &[&str]) -> (TempDir, Bed) {
    let keys = tempfile::tempdir().unwrap();
    std::fs::write(keys.path().join("ada"), KEY).unwrap();
    let dir = keys.path().to_str().unwrap();
    let bed = Bed::start(&[&["--api-keys-dir", dir], flags].concat(), server).await;
    (keys, bed)
}

fn transport(bed: &Bed, key: &str) -> StreamableHttpClientTransport<reqwest::Client> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let uri = format!("http://{}/mcp", bed.gate.api);
    let config = StreamableHttpClientTransportConfig::with_uri(uri).auth_header(key);
    StreamableHttpClientTransport::with_client(http, config)
}

/// A client, and what it tells.
async fn connect(bed: &Bed, mode: ClientLifecycleMode) -> (Client, UnboundedReceiver<String>) {
    let (tells, told) = unbounded_channel();
    let begun = Tells(tells).serve_with_lifecycle(transport(bed, KEY), mode);
    (timeout(PATIENCE, begun).await.unwrap().unwrap(), told)
}

async fn next(told: &mut UnboundedReceiver<String>) -> String {
    timeout(PATIENCE, told.recv()).await.unwrap().unwrap()
}

async fn call(
    client: &Client,
    tool: &'static str,
    word: &str,
) -> Result<CallToolResult, ServiceError> {
    let params = CallToolRequestParams::new(tool);
    let params = params.with_arguments(rmcp::object!({"word": word}));
    timeout(PATIENCE, client.call_tool(params)).await.unwrap()
}

/// The text that a tool gives.
async fn text(client: &Client, tool: &'static str, word: &str) -> String {
    let result = call(client, tool, word).await.unwrap();
    let text = result.content.first().and_then(ContentBlock::as_text);
    text.unwrap_or_else(|| panic!("{result:?}")).text.clone()
}

/// The code of the error that a call is answered with.
async fn code(client: &Client, tool: &'static str) -> i32 {
    match call(client, tool, "").await {
        Err(ServiceError::McpError(error)) => error.code.0,
        other => panic!("{other:?}"),
    }
}

#[rstest::rstest]
#[case::old_own("legacy", "PerSession")]
#[case::old_shared("legacy", "Shared")]
#[case::new_own("modern", "PerSession")]
#[case::new_shared("modern", "Shared")]
#[tokio::test]
async fn it_lists_tools_calls_them_and_hears_of_their_progress(
    #[case] server: &str,
    #[case] isolation: &str,
) {
    let flags = ["--mcp-isolation", isolation, "--mcp-tools", "AllowListed"];
    let tools = ["--mcp-tool", "echo", "--mcp-tool", "progress"];
    let (_keys, bed) = bed_with_key(&[flags, tools].concat(), &[server]).await;
    for (mode, version) in [(session(), LEGACY), (stateless(), MODERN)] {
        let (client, mut told) = connect(&bed, mode).await;
        let hello = client.peer_info().unwrap();
        assert_eq!(hello.protocol_version.as_str(), version);
        assert_eq!(hello.instructions.as_deref(), Some("be kind"));
        assert_eq!(hello.server_info.as_ref().unwrap().name, "perl");

        let tools = timeout(PATIENCE, client.list_all_tools()).await;
        let tools = tools.unwrap().unwrap();
        let names: Vec<_> = tools.iter().map(|tool| &*tool.name).collect();
        assert_eq!(names, ["echo", "progress"]);
        assert_eq!(text(&client, "echo", "hello").await, "hello");

        assert_eq!(text(&client, "progress", "p").await, "done p");
        // The SDK gives each notification to a task of its own.
        let mut progress = Vec::new();
        for _ in 0..3 {
            progress.push(next(&mut told).await);
        }
        progress.sort();
        assert_eq!(progress, ["p 1", "p 2", "p 3"]);

        assert_eq!(code(&client, "secret").await, -32602);
    }
}

#[tokio::test]
async fn what_the_server_asks_meanwhile_is_answered() {
    let (_keys, bed) = bed_with_key(&[], &["legacy", "note=DIR/note"]).await;
    for mode in [session(), stateless()] {
        let (client, mut told) = connect(&bed, mode).await;
        assert_eq!(text(&client, "quiz", "name,name").await, "ada ada");
        assert_eq!(next(&mut told).await, "who?");
        assert_eq!(next(&mut told).await, "who?");
    }
    assert_eq!(bed.noted_times("call quiz"), 2, "each of them runs once");
}

#[rstest::rstest]
#[case::old_own("legacy", "PerSession")]
#[case::old_shared("legacy", "Shared")]
#[case::new_own("modern", "PerSession")]
#[case::new_shared("modern", "Shared")]
#[tokio::test]
async fn it_hears_that_the_tools_changed(#[case] server: &str, #[case] isolation: &str) {
    let (_keys, bed) = bed_with_key(&["--mcp-isolation", isolation], &[server]).await;
    let (with_session, mut told) = connect(&bed, session()).await;
    let (client, _) = connect(&bed, stateless()).await;
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    let begun = timeout(PATIENCE, client.listen(filter)).await;
    let mut subscription = begun.unwrap().unwrap();
    assert_eq!(text(&client, "change", "").await, "changed");
    if isolation == "PerSession" {
        // Each hears it from its own child.
        assert_eq!(text(&with_session, "change", "").await, "changed");
    }
    assert_eq!(next(&mut told).await, "tools changed");
    let heard = timeout(PATIENCE, subscription.next()).await.unwrap();
    let Ok(Some(ServerNotification::ToolListChangedNotification(_))) = heard else {
        panic!("{heard:?}");
    };
}

#[rstest::rstest]
#[case::own(session(), "PerSession")]
#[case::shared(session(), "Shared")]
#[case::stateless_own(stateless(), "PerSession")]
#[case::stateless_shared(stateless(), "Shared")]
#[tokio::test]
async fn a_call_that_it_gives_up_is_cancelled_there(
    #[case] mode: ClientLifecycleMode,
    #[case] isolation: &str,
) {
    let flags = ["--mcp-isolation", isolation];
    let (_keys, bed) = bed_with_key(&flags, &["legacy", "note=DIR/note"]).await;
    let (client, _told) = connect(&bed, mode).await;
    tokio::select! {
        answer = call(&client, "slow", "60") => panic!("{answer:?}"),
        _ = bed.noted("call slow") => {}
    }
    bed.noted("cancelled").await;
    assert_eq!(text(&client, "echo", "x").await, "x");
}

#[rstest::rstest]
#[case::own("PerSession")]
#[case::shared("Shared")]
#[tokio::test]
async fn it_ends_its_session_when_it_closes(#[case] isolation: &str) {
    let (_keys, mut bed) = bed_with_key(&["--mcp-isolation", isolation], &["legacy"]).await;
    let (client, _told) = connect(&bed, session()).await;
    bed.gate.until_metric("sealroom_gate_mcp_sessions 1").await;
    client.cancel().await.unwrap();
    let line = bed.audited("leave").await;
    let said = json!([line["method"], line["status"], line["key"]]);
    assert_eq!(said, json!(["DELETE", 200, "ada"]), "{line}");
    assert_eq!(line["protocol"], LEGACY, "{line}");
    bed.gate.until_metric("sealroom_gate_mcp_sessions 0").await;
}

#[tokio::test]
async fn a_session_whose_child_ended_is_begun_anew() {
    let (_keys, bed) = bed_with_key(&[], &["legacy"]).await;
    let (client, _told) = connect(&bed, session()).await;
    let pid = text(&client, "pid", "").await;
    assert_eq!(code(&client, "die").await, -32603);
    bed.gate.until_metric("sealroom_gate_mcp_sessions 0").await;
    assert_ne!(text(&client, "pid", "").await, pid);
    bed.gate.until_metric("sealroom_gate_mcp_sessions 1").await;
}

#[tokio::test]
async fn a_wrong_key_is_told_so() {
    let (_keys, bed) = bed_with_key(&[], &["legacy"]).await;
    for mode in [session(), stateless()] {
        let (tells, _told) = unbounded_channel();
        let stranger = transport(&bed, "key-of-bob-0123456789abcdef");
        let begun = Tells(tells).serve_with_lifecycle(stranger, mode);
        let refused = timeout(PATIENCE, begun).await.unwrap().unwrap_err();
        assert!(refused.is_authorization_required(), "{refused:?}");
        let challenge = refused.auth_challenge().unwrap();
        assert!(challenge.starts_with("Bearer realm="), "{challenge}");
    }
}
