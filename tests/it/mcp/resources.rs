//! Updates of single resources behind a server of the older era: each client hears of what it named, and the server is
//! asked once and until nobody wants to hear of it.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::bed::{Bed, Client, message, modern, text};
use crate::gate::bed::{PATIENCE, raw};

/// A stream of messages, read as it comes.
struct Stream {
    id: String,
    stream: TcpStream,
    /// What has come and was not asked for yet.
    left: String,
}

impl Stream {
    async fn open(client: &Client, id: &str, request: &str) -> Self {
        let mut stream = TcpStream::connect(client.at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Self {
            id: id.to_owned(),
            stream,
            left: String::new(),
        }
    }

    /// A subscription of a stateless client.
    async fn listen(client: &Client, id: &str, uris: &[&str]) -> Self {
        let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": uris});
        let params = json!({"notifications": wanted});
        let (body, fields) = modern(&json!(id), "subscriptions/listen", params);
        let fields = client.fields.clone() + &fields;
        let client = Client {
            fields,
            ..client.clone()
        };
        Self::open(&client, id, &client.post_text(&body.to_string())).await
    }

    /// More of it; false at its end.
    async fn more(&mut self) -> bool {
        let mut some = [0u8; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut some)).await;
        let count = read.unwrap().unwrap();
        self.left.push_str(&String::from_utf8_lossy(&some[..count]));
        count > 0
    }

    /// The next message.
    async fn next(&mut self) -> Value {
        loop {
            if let Some((_, rest)) = self.left.split_once("\ndata: ")
                && let Some((data, rest)) = rest.split_once('\n')
            {
                let message = serde_json::from_str(data).unwrap();
                self.left = rest.to_owned();
                return message;
            }
            assert!(self.more().await, "it ended: {}", self.left);
        }
    }

    /// The resources that are agreed on, which is said before anything else.
    async fn agreed(&mut self) -> Vec<String> {
        let said = self.next().await;
        assert_eq!(said["method"], "notifications/subscriptions/acknowledged");
        let params = self.own(&said["params"]);
        assert_eq!(params["notifications"]["toolsListChanged"], true, "{said}");
        let uris = params["notifications"].get("resourceSubscriptions");
        let uris = uris.map(|uris| serde_json::from_value(uris.clone()).unwrap());
        uris.unwrap_or_default()
    }

    /// The resource of the next message, which is an update.
    async fn update(&mut self) -> String {
        let said = self.next().await;
        assert_eq!(said["method"], "notifications/resources/updated", "{said}");
        let params = self.own(&said["params"]);
        params["uri"].as_str().unwrap().to_owned()
    }

    /// What is of this subscription.
    fn own<'a>(&self, part: &'a Value) -> &'a Value {
        let id = &part["_meta"]["io.modelcontextprotocol/subscriptionId"];
        assert_eq!(*id, self.id.as_str(), "{part}");
        part
    }
}

async fn tool(client: &Client, name: &str, word: &str) -> Value {
    let params = json!({"name": name, "arguments": {"word": word}});
    let answer = client.modern(&json!(1), "tools/call", params).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    message(&answer)
}

/// The server says that this has changed, whether or not somebody asked it to.
async fn touch(client: &Client, uri: &str) {
    assert_eq!(text(&tool(client, "touch", uri).await), "touched");
}

/// The end of the child that serves stateless clients of this caller.
async fn die(client: &Client) {
    let answer = tool(client, "die", "").await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
}

const SERVER: [&str; 3] = ["legacy", "watch", "note=DIR/note"];

#[rstest::rstest]
#[case::own("PerSession")]
#[case::shared("Shared")]
#[tokio::test]
async fn each_client_hears_of_what_it_named_and_the_server_until_nobody_does(
    #[case] isolation: &str,
) {
    let bed = Bed::start(&["--mcp-isolation", isolation], &SERVER).await;
    let client = bed.client();
    let (red, blue, both) = ("file:///red", "file:///blue", "file:///both");
    let mut one = Stream::listen(&client, "one", &[red, "file:///nowhere", both]).await;
    let mut two = Stream::listen(&client, "two", &[blue, both]).await;
    assert_eq!(one.agreed().await, [red, both]);
    assert_eq!(two.agreed().await, [blue, both]);
    for uri in ["file:///nobody", blue, red, both] {
        touch(&client, uri).await;
    }
    assert_eq!([one.update().await, one.update().await], [red, both]);
    assert_eq!([two.update().await, two.update().await], [blue, both]);
    for uri in [red, blue, both] {
        assert_eq!(bed.noted_times(&format!("tells {uri}")), 1, "{uri}");
    }
    drop(one);
    bed.noted("hushes file:///red").await;
    for uri in [red, both, blue] {
        touch(&client, uri).await;
    }
    assert_eq!([two.update().await, two.update().await], [both, blue]);
    assert_eq!(bed.noted_times("hushes file:///both"), 0);
    drop(two);
    bed.noted("hushes file:///blue").await;
    bed.noted("hushes file:///both").await;
    // Whoever comes later is told anew.
    let mut three = Stream::listen(&client, "three", &[blue]).await;
    assert_eq!(three.agreed().await, [blue]);
    assert_eq!(bed.noted_times("tells file:///blue"), 2);
    touch(&client, blue).await;
    assert_eq!(three.update().await, blue);
}

#[tokio::test]
async fn nobody_hears_from_another_callers_child() {
    let keys = tempfile::tempdir().unwrap();
    for name in ["ada", "bob"] {
        let key = format!("key-of-{name}-0123456789abcdef");
        std::fs::write(keys.path().join(name), key).unwrap();
    }
    let flags = ["--api-keys-dir", keys.path().to_str().unwrap()];
    let bed = Bed::start(&flags, &SERVER).await;
    let of = |name| Client {
        fields: format!("authorization: Bearer key-of-{name}-0123456789abcdef\r\n"),
        ..bed.client()
    };
    let (ada, bob) = (of("ada"), of("bob"));
    let (red, blue) = ("file:///red", "file:///blue");
    let mut to_ada = Stream::listen(&ada, "s", &[red, blue]).await;
    let mut to_bob = Stream::listen(&bob, "s", &[red, blue]).await;
    assert_eq!(to_ada.agreed().await, [red, blue]);
    assert_eq!(to_bob.agreed().await, [red, blue]);
    assert_eq!(bed.noted_times("tells file:///red"), 2);
    for _ in 0..2 {
        touch(&ada, red).await;
        touch(&bob, blue).await;
        assert_eq!(to_ada.update().await, red);
        assert_eq!(to_bob.update().await, blue);
    }
}

/// What has changed while there was no child nobody knows.
#[rstest::rstest]
#[case::own("PerSession")]
#[case::shared("Shared")]
#[tokio::test]
async fn a_subscription_outlasts_its_child(#[case] isolation: &str) {
    let bed = Bed::start(&["--mcp-isolation", isolation], &SERVER).await;
    let client = bed.client();
    let mut stream = Stream::listen(&client, "s", &["file:///red"]).await;
    assert_eq!(stream.agreed().await, ["file:///red"]);
    die(&client).await;
    assert_eq!(stream.update().await, "file:///red");
    let lists = stream.next().await;
    assert_eq!(lists["method"], "notifications/tools/list_changed");
    assert_eq!(bed.noted_times("tells file:///red"), 2);
    bed.gate.until("/readyz", 200).await;
    touch(&client, "file:///red").await;
    assert_eq!(stream.update().await, "file:///red");
    drop(stream);
    bed.noted("hushes file:///red").await;
}

#[tokio::test]
async fn a_subscription_that_does_not_hold_any_more_is_closed() {
    let server = [&SERVER[..], &["once=DIR/once"]].concat();
    let bed = Bed::start(&[], &server).await;
    let client = bed.client();
    let mut stream = Stream::listen(&client, "s", &["file:///red", "file:///once"]).await;
    assert_eq!(stream.agreed().await, ["file:///red", "file:///once"]);
    die(&client).await;
    let over = stream.next().await;
    assert_eq!(over["id"], "s", "{over}");
    let result = stream.own(&over["result"]);
    assert_eq!(result["resultType"], "complete", "{over}");
    while stream.more().await {}
    bed.noted("hushes file:///red").await;
}

#[tokio::test]
async fn a_server_that_does_not_say_that_it_tells_is_not_asked() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let mut stream = Stream::listen(&bed.client(), "s", &["file:///red"]).await;
    assert!(stream.agreed().await.is_empty());
    assert_eq!(bed.noted_times("tells"), 0);
}

#[tokio::test]
async fn sessions_of_a_shared_child_are_counted_too_and_hear_on_after_its_end() {
    let bed = Bed::start(&["--mcp-isolation", "Shared"], &SERVER).await;
    let (one, two) = (bed.session().await, bed.session().await);
    let ask = async |client: &Client, verb: &str, uri: &str| {
        let method = format!("resources/{verb}");
        let params = json!({"uri": uri});
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        message(&client.post(&body).await)
    };
    let refused = ask(&one, "subscribe", "file:///nowhere").await;
    assert_eq!(refused["error"]["code"], -32002, "{refused}");
    for client in [&one, &two, &one] {
        let answer = ask(client, "subscribe", "file:///red").await;
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
    }
    let mut stream = Stream::listen(&bed.client(), "s", &["file:///red"]).await;
    assert_eq!(stream.agreed().await, ["file:///red"]);
    assert_eq!(bed.noted_times("tells file:///red"), 1);

    let listen = format!("GET /mcp HTTP/1.1\r\n{}\r\n", two.head());
    let mut standing = Stream::open(&two, "", &listen).await;
    die(&bed.client()).await;
    // Neither what has changed of that nor what of the lists does anybody know. Each is told once, in either order.
    let mut heard = [standing.next().await, standing.next().await];
    heard.sort_by_key(|said| said["method"].to_string());
    let told = |what: &str, params: Value| {
        let method = format!("notifications/{what}");
        json!({"jsonrpc": "2.0", "method": method, "params": params})
    };
    let expected = [
        told("resources/updated", json!({"uri": "file:///red"})),
        told("tools/list_changed", json!({})),
    ];
    assert_eq!(heard, expected);
    assert_eq!(stream.update().await, "file:///red");
    bed.gate.until("/readyz", 200).await;

    let answer = ask(&one, "unsubscribe", "file:///red").await;
    assert_eq!(answer["result"], json!({}), "{answer}");
    drop(stream);
    touch(&bed.client(), "file:///red").await;
    let heard = standing.next().await;
    assert_eq!(heard["params"]["uri"], "file:///red", "{heard}");
    assert_eq!(bed.noted_times("hushes file:///red"), 0);
    // A session that ends wants nothing any more.
    let bye = format!("DELETE /mcp HTTP/1.1\r\n{}\r\n", two.head());
    assert_eq!(raw(two.at, &bye).await.status, 200);
    bed.noted("hushes file:///red").await;
}
