//! What a server of the older era asks a stateless client: `input_required`, and a retry of the same call.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::bed::{Bed, Client, message, messages, modern, open, text, until};
use crate::gate::bed::PATIENCE;

/// A client that can be asked everything.
fn all() -> Value {
    json!({"roots": {}, "sampling": {}, "elicitation": {"form": {}, "url": {}}})
}

/// The first request of a call of the tool that asks what `word` says.
fn quiz(word: &str, capabilities: &Value) -> Value {
    json!({"name": "quiz", "arguments": {"word": word},
        "_meta": {"io.modelcontextprotocol/clientCapabilities": capabilities}})
}

/// The retry of that, with the answers to what was asked.
fn retry(first: &Value, asked: &Value, answers: &[(&str, Value)]) -> Value {
    let questions = asked["result"]["inputRequests"].as_object().unwrap();
    let mut params = first.clone();
    params["requestState"] = asked["result"]["requestState"].clone();
    params["inputResponses"] = json!({});
    for (key, question) in questions {
        let method = question["method"].as_str();
        if let Some((_, answer)) = answers.iter().find(|(what, _)| Some(*what) == method) {
            params["inputResponses"][key] = answer.clone();
        }
    }
    params
}

fn answers() -> [(&'static str, Value); 3] {
    [
        ("roots/list", json!({"roots": [{"uri": "file:///a"}]})),
        (
            "elicitation/create",
            json!({"action": "accept", "content": {"name": "ada"}}),
        ),
        (
            "sampling/createMessage",
            json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "Paris"}}),
        ),
    ]
}

async fn send(client: &Client, id: u64, params: &Value) -> Value {
    let answer = client
        .modern(&json!(id), "tools/call", params.clone())
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = message(&answer);
    assert_eq!(answer["id"], id, "{answer}");
    answer
}

/// The methods that are asked.
fn asked(answer: &Value) -> Vec<String> {
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required", "{answer}");
    assert!(result["requestState"].as_str().unwrap().len() >= 32);
    let questions = result["inputRequests"].as_object().unwrap().values();
    let mut methods: Vec<_> = questions
        .map(|question| question["method"].as_str().unwrap().to_owned())
        .collect();
    methods.sort();
    methods
}

fn noted(bed: &Bed) -> String {
    std::fs::read_to_string(bed.path("note")).unwrap()
}

#[tokio::test]
async fn a_call_asks_its_client_as_often_as_it_likes_and_runs_once() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.client();
    let first = quiz("roots,name+sample,link", &all());
    let answer = send(&client, 1, &first).await;
    assert_eq!(asked(&answer), ["roots/list"]);
    assert_eq!(
        answer["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "perl"
    );
    let answer = send(&client, 2, &retry(&first, &answer, &answers())).await;
    assert_eq!(
        asked(&answer),
        ["elicitation/create", "sampling/createMessage"]
    );
    // What is not answered is asked again.
    let half = retry(&first, &answer, &answers()[..2]);
    let answer = send(&client, 3, &half).await;
    assert_eq!(asked(&answer), ["sampling/createMessage"]);
    let answer = send(&client, 4, &retry(&first, &answer, &answers())).await;
    let questions = answer["result"]["inputRequests"].as_object().unwrap();
    let question = questions.values().next().unwrap();
    assert_eq!(question["params"]["mode"], "url", "{question}");
    assert_eq!(question["params"].get("_meta"), None, "{question}");
    let answer = send(&client, 5, &retry(&first, &answer, &answers())).await;
    assert_eq!(text(&answer), "file:///a ada Paris ada", "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete");
    let noted = noted(&bed);
    assert_eq!(noted.matches("call quiz").count(), 1, "{noted}");
    assert!(!noted.contains("cancelled"), "{noted}");
    assert!(
        noted.contains(r#"client {"roots":{},"sampling":{},"elicitation":{"form":{},"url":{}}}"#),
        "{noted}"
    );
}

#[tokio::test]
async fn only_what_the_client_declared_is_asked() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.client();
    for (capabilities, word) in [
        (json!({}), "name"),
        (json!({"roots": {}}), "name"),
        (json!({"elicitation": {}}), "link"),
        (json!({"elicitation": {"url": {}}}), "name"),
        (json!({"elicitation": {}}), "strange"),
    ] {
        let answer = send(&client, 1, &quiz(word, &capabilities)).await;
        assert_eq!(text(&answer), "error-32601", "{capabilities} {word}");
    }
    let shared = ["--mcp-isolation", "Shared"];
    let bed = Bed::start(&shared, &["legacy", "note=DIR/note"]).await;
    let answer = send(&bed.client(), 1, &quiz("roots", &all())).await;
    assert_eq!(text(&answer), "error-32601");
    assert!(noted(&bed).contains("client {}"), "{}", noted(&bed));
}

#[tokio::test]
async fn a_state_is_good_once_and_for_whom_and_what_it_was_given() {
    let keys = tempfile::tempdir().unwrap();
    for name in ["ada", "bob"] {
        let key = format!("key-of-{name}-0123456789abcdef");
        std::fs::write(keys.path().join(name), key).unwrap();
    }
    let flags = ["--api-keys-dir", keys.path().to_str().unwrap()];
    let bed = Bed::start(&flags, &["legacy", "note=DIR/note"]).await;
    let of = |name| Client {
        fields: format!("authorization: Bearer key-of-{name}-0123456789abcdef\r\n"),
        ..bed.client()
    };
    let (ada, bob) = (of("ada"), of("bob"));
    let first = quiz("name", &all());
    let answer = send(&ada, 1, &first).await;
    let good = retry(&first, &answer, &answers());
    let wrong = |answer: &Value| {
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    };
    let said = wrong(&send(&bob, 2, &good).await);
    assert!(said.contains("unknown"), "{said}");
    let mut other = good.clone();
    other["arguments"]["word"] = json!("link");
    let said = wrong(&send(&ada, 3, &other).await);
    assert!(said.contains("another call"), "{said}");
    let mut forged = good.clone();
    forged["requestState"] = json!("0".repeat(64));
    wrong(&send(&ada, 4, &forged).await);
    let mut bad = good.clone();
    bad["inputResponses"] = json!({"q1": "yes"});
    wrong(&send(&ada, 5, &bad).await);
    let mut bare = good.clone();
    bare.as_object_mut().unwrap().remove("requestState");
    wrong(&send(&ada, 6, &bare).await);
    // None of these has used it up.
    let answer = send(&ada, 7, &good).await;
    assert_eq!(text(&answer), "ada");
    wrong(&send(&ada, 8, &good).await);
    assert_eq!(noted(&bed).matches("call quiz").count(), 1);
}

#[tokio::test]
async fn a_call_to_which_nobody_comes_back_is_cancelled() {
    let flags = ["--mcp-idle-seconds", "2"];
    let bed = Bed::start(&flags, &["legacy", "note=DIR/note"]).await;
    let client = bed.client();
    let first = quiz("name", &all());
    let answer = send(&client, 1, &first).await;
    sleep(Duration::from_secs(1)).await;
    let noted_yet = noted(&bed);
    assert!(!noted_yet.contains("cancelled"), "{noted_yet}");
    bed.noted("cancelled").await;
    bed.noted("answer error-32603").await;
    let late = send(&client, 2, &retry(&first, &answer, &answers())).await;
    assert_eq!(late["error"]["code"], -32602, "{late}");
    assert_eq!(noted(&bed).matches("call quiz").count(), 1);
}

/// While a call waits for its client nothing cancels it; while its client waits for it, the client's end does.
#[tokio::test]
async fn a_client_that_goes_gives_up_what_it_waits_for_and_nothing_else() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.client();
    let first = quiz("roots,slow,name", &all());
    let (body, fields) = modern(&json!(1), "tools/call", first.clone());
    let sends = Client {
        fields,
        ..client.clone()
    };
    let mut stream = open(&sends, &sends.post_text(&body.to_string())).await;
    let asked = until(&mut stream, "requestState").await;
    drop(stream);
    sleep(Duration::from_millis(500)).await;
    assert!(!noted(&bed).contains("cancelled"));
    let json = asked.split("\r\n\r\n").nth(1).unwrap();
    let asked: Value = serde_json::from_str(json).unwrap();
    let (body, fields) = modern(&json!(2), "tools/call", retry(&first, &asked, &answers()));
    let sends = Client { fields, ..client };
    let stream = open(&sends, &sends.post_text(&body.to_string())).await;
    bed.noted("answer file:///a").await;
    sleep(Duration::from_millis(200)).await;
    drop(stream);
    bed.noted("cancelled").await;
}

/// Whose a question is nobody knows then, so nobody is asked.
#[tokio::test]
async fn nobody_is_asked_while_several_calls_are_under_way() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.client();
    let slow = client.clone();
    let mut params = quiz("", &all());
    params["name"] = json!("slow");
    params["arguments"]["word"] = json!("4");
    let slow = tokio::spawn(async move { send(&slow, 1, &params).await });
    bed.noted("call slow").await;
    let answer = send(&client, 2, &quiz("name", &all())).await;
    assert_eq!(text(&answer), "error-32601");
    assert_eq!(text(&slow.await.unwrap()), "slept");
    // It asks again when it is alone.
    let answer = send(&client, 3, &quiz("name", &all())).await;
    assert_eq!(asked(&answer), ["elicitation/create"]);
}

#[tokio::test]
async fn a_server_that_does_not_wait_is_answered_for() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.client();
    let first = quiz("impatient", &all());
    let answer = send(&client, 1, &first).await;
    assert_eq!(asked(&answer), ["elicitation/create"]);
    bed.noted("answer error-32603").await;
    let mut again = retry(&first, &answer, &answers());
    again["_meta"]["progressToken"] = json!("new");
    let answer = send(&client, 2, &again).await;
    assert_eq!(text(&answer), "went on");
    // One whose child ends meanwhile hears of that.
    let first = quiz("die", &all());
    let answer = send(&client, 3, &first).await;
    assert_eq!(asked(&answer), ["elicitation/create"]);
    let pid = bed.noted("dies").await;
    let begun = Instant::now();
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(20)).await;
    }
    let answer = send(&client, 4, &retry(&first, &answer, &answers())).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
}

/// The slot of a call that waits for its client is free, and progress goes by the token of each request.
#[tokio::test]
async fn a_call_that_waits_for_its_client_holds_nobody_up() {
    let flags = ["--max-concurrent", "1", "--max-queued", "1"];
    let bed = Bed::start(&flags, &["legacy", "note=DIR/note"]).await;
    let client = bed.client();
    let mut first = quiz("roots,progress", &all());
    first["_meta"]["progressToken"] = json!("one");
    let answer = send(&client, 1, &first).await;
    let echo = json!({"name": "echo", "arguments": {"word": "x"}});
    assert_eq!(text(&send(&client, 2, &echo).await), "x");
    let mut again = retry(&first, &answer, &answers());
    again["_meta"]["progressToken"] = json!("two");
    let answer = client.modern(&json!(3), "tools/call", again).await;
    let all = messages(&answer);
    assert_eq!(all.len(), 2, "{answer:?}");
    assert_eq!(all[0]["params"]["progressToken"], "two");
    assert_eq!(text(&all[1]), "file:///a");
}

#[tokio::test]
async fn a_stateless_call_for_which_there_is_no_child_is_told_so_at_once() {
    let keys = tempfile::tempdir().unwrap();
    for name in ["ada", "bob"] {
        let key = format!("key-of-{name}-0123456789abcdef");
        std::fs::write(keys.path().join(name), key).unwrap();
    }
    let flags = [
        "--mcp-max-children",
        "2",
        "--api-keys-dir",
        keys.path().to_str().unwrap(),
    ];
    let bridge = ["--max-children", "2"];
    let bed = Bed::unready(&flags, &bridge, &["legacy", "note=DIR/note"]).await;
    bed.gate.until("/readyz", 200).await;
    let of = |name| Client {
        fields: format!("authorization: Bearer key-of-{name}-0123456789abcdef\r\n"),
        ..bed.client()
    };
    let (ada, bob) = (of("ada"), of("bob"));
    let answer = send(&ada, 1, &quiz("name", &all())).await;
    assert_eq!(asked(&answer), ["elicitation/create"]);
    let begun = Instant::now();
    // As many at once as one caller likes, also with another set of what it can be asked.
    let tries: Vec<_> = (0..8)
        .map(|number| {
            let client = if number % 2 == 0 {
                bob.clone()
            } else {
                ada.clone()
            };
            let params = json!({"name": "echo", "arguments": {"word": "x"}});
            tokio::spawn(async move { client.modern(&json!(1), "tools/call", params).await })
        })
        .collect();
    for tried in tries {
        let answer = tried.await.unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(
            message(&answer)["error"]["data"]["reason"],
            "TooManyChildren"
        );
        assert!(answer.head.contains("retry-after: "), "{answer:?}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}
