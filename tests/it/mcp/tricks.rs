//! Ways to write a call of a tool that is not allowed so that the gate reads another one than the server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::bed::{Bed, Client, MODERN, call, message, text};
use super::http::before;
use crate::gate::bed::raw;

/// What a request of the stateless era says in `_meta`.
pub const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// Calls by what their parameters say, with the name that a careless reader finds.
const PARAMS: [(&str, &str, &str); 21] = [
    ("as it is", r#""name":"secret""#, "secret"),
    ("escaped", r#""name":"\u0073ecret""#, "secret"),
    ("a member escaped", r#""n\u0061me":"secret""#, "secret"),
    (
        "a name escaped",
        r#""name":"\u0053\u0065\u0063\u0072\u0065\u0074""#,
        "SECRET",
    ),
    ("twice", r#""name":"echo","name":"secret""#, "secret"),
    (
        "twice, the other first",
        r#""name":"secret","name":"echo""#,
        "secret",
    ),
    (
        "twice, one escaped",
        r#""name":"echo","n\u0061me":"secret""#,
        "secret",
    ),
    (
        "twice in two cases",
        r#""name":"echo","Name":"secret""#,
        "secret",
    ),
    ("a member in another case", r#""NAME":"secret""#, "secret"),
    ("a name in another case", r#""name":"Secret""#, "Secret"),
    (
        "an allowed name in another case",
        r#""name":"ECHO""#,
        "ECHO",
    ),
    ("a space behind", r#""name":"echo ""#, "echo "),
    ("a space before", r#""name":" echo""#, " echo"),
    ("a tab behind", r#""name":"secret\t""#, "secret\t"),
    (
        "nothing that is seen",
        r#""name":"echo\u200b""#,
        "echo\u{200b}",
    ),
    ("an end", r#""name":"echo\u0000secret""#, "echo"),
    ("another alphabet", r#""name":"еcho""#, "еcho"),
    ("of full width", r#""name":"\uff45cho""#, "\u{ff45}cho"),
    ("half a sign", r#""name":"echo\ud800""#, "echo"),
    ("a list", r#""name":["secret"]"#, "secret"),
    ("no name", r#""tool":"secret""#, "secret"),
];

/// Whole messages: in each a careless reader finds a call of `secret`.
const WHOLE: [(&str, &str); 14] = [
    (
        "params twice",
        r#"{HEAD,"method":"tools/call","params":{"name":"echo",META},"params":{"name":"secret",META}}"#,
    ),
    (
        "params twice, one escaped",
        r#"{HEAD,"method":"tools/call","params":{"name":"echo",META},"p\u0061rams":{"name":"secret",META}}"#,
    ),
    (
        "params in two cases",
        r#"{HEAD,"method":"tools/call","params":{"name":"echo",META},"Params":{"name":"secret",META}}"#,
    ),
    (
        "params with a long s",
        r#"{HEAD,"method":"tools/call","params":{"name":"echo",META},"param\u017f":{"name":"secret",META}}"#,
    ),
    (
        "params as a list",
        r#"{HEAD,"method":"tools/call","params":["secret"]}"#,
    ),
    (
        "method twice",
        r#"{HEAD,"method":"tools/list","method":"tools/call","params":{"name":"secret",META}}"#,
    ),
    (
        "method twice, one escaped",
        r#"{HEAD,"method":"tools/list","m\u0065thod":"tools/call","params":{"name":"secret",META}}"#,
    ),
    (
        "method in two cases",
        r#"{HEAD,"method":"tools/list","Method":"tools/call","params":{"name":"secret",META}}"#,
    ),
    (
        "a method with an escape",
        r#"{HEAD,"method":"tools\/\u0063all","params":{"name":"secret",META}}"#,
    ),
    (
        "a method in another case",
        r#"{HEAD,"method":"Tools/Call","params":{"name":"secret",META}}"#,
    ),
    (
        "a method with a space",
        r#"{HEAD,"method":"tools/call ","params":{"name":"secret",META}}"#,
    ),
    (
        "a batch",
        r#"[{HEAD,"method":"tools/call","params":{"name":"secret",META}}]"#,
    ),
    (
        "a batch after a ping",
        r#"[{"jsonrpc":"2.0","id":2,"method":"ping"},{HEAD,"method":"tools/call","params":{"name":"secret",META}}]"#,
    ),
    (
        "two messages",
        "{HEAD,\"method\":\"ping\"}\n{HEAD,\"method\":\"tools/call\",\"params\":{\"name\":\"secret\",META}}",
    ),
];

/// All of them, with the names that `Mcp-Name` may have.
fn tricks(meta: &str) -> Vec<(&'static str, String, Vec<String>)> {
    let filled = |text: &str| {
        let text = text.replace("HEAD", r#""jsonrpc":"2.0","id":1"#);
        text.replace("META", meta)
    };
    let echo = || "echo".to_owned();
    let calls = PARAMS.iter().map(|(trick, params, name)| {
        let text =
            r#"{HEAD,"method":"tools/call","params":{PARAMS,"arguments":{"word":"x"},META}}"#;
        let coded = format!("=?base64?{}?=", STANDARD.encode(name));
        (
            *trick,
            filled(&text.replace("PARAMS", params)),
            vec![echo(), coded],
        )
    });
    let whole = WHOLE
        .iter()
        .map(|(trick, text)| (*trick, filled(text), vec![echo(), "secret".to_owned()]));
    calls.chain(whole).collect()
}

/// Of a client of the stateless era: with the header fields that go with a call of that name.
pub fn stateless(bed: &Bed, name: &str) -> Client {
    Client {
        fields: format!(
            "mcp-protocol-version: {MODERN}\r\nmcp-method: tools/call\r\nmcp-name: {name}\r\n"
        ),
        ..bed.client()
    }
}

#[rstest::rstest]
#[case::old_over_stdio("legacy", false)]
#[case::old_in_front_of_new("modern", false)]
#[case::old_over_http("http", false)]
#[case::new_over_stdio("modern", true)]
#[case::new_in_front_of_old("legacy", true)]
#[case::new_over_http("http", true)]
#[tokio::test]
async fn a_call_of_a_tool_that_is_not_allowed_reaches_no_server(
    #[case] server: &str,
    #[case] modern: bool,
) {
    let flags = ["--mcp-tools", "AllowListed", "--mcp-tool", "echo"];
    let bed = before(server, &flags).await;
    let session = if modern {
        None
    } else {
        Some(bed.session().await)
    };
    let meta = if modern { META } else { r#""_meta":{}"# };
    for (trick, body, names) in tricks(meta) {
        let clients = match &session {
            Some(client) => vec![client.clone()],
            None => names.iter().map(|name| stateless(&bed, name)).collect(),
        };
        for client in clients {
            let answer = raw(client.at, &client.post_text(&body)).await;
            let said = message(&answer);
            assert!(
                said["error"]["code"].is_i64(),
                "{trick}: {body}: {answer:?}"
            );
            // A server that takes any case would have called it, too.
            for reached in ["call ", "strange tools/", "strange Tools/"] {
                let times = bed.noted_times(reached);
                assert_eq!(times, 0, "{trick}: {body}: {answer:?}");
            }
        }
    }
    // What is allowed goes on.
    let params = json!({"name": "echo", "arguments": {"word": "x"}});
    let answer = match session {
        Some(client) => client.post(&call(&json!(1), "echo", "x")).await,
        None => bed.client().modern(&json!(1), "tools/call", params).await,
    };
    assert_eq!(text(&message(&answer)), "x", "{answer:?}");
    assert_eq!(bed.noted_times("call "), 1);
}
