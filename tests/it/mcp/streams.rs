//! Streams of events: that intermediaries neither hold them back nor close them, and that a client takes them up again.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::bed::{Bed, Client, call};
use crate::gate::bed::PATIENCE;

/// What a stream has between two events, as a chunk of the body.
const KEEP_ALIVE: &str = "\r\n:\n\n";

/// A stream of events, read as it comes.
pub struct Events {
    stream: TcpStream,
    /// What has come and was not asked for yet.
    left: String,
}

impl Events {
    pub async fn of(client: &Client, request: &str) -> Self {
        let mut stream = TcpStream::connect(client.at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let left = String::new();
        Self { stream, left }
    }

    /// The stream beside the calls, from the event after that one on.
    pub async fn beside(client: &Client, after: Option<&str>) -> Self {
        let after = after.map(|id| format!("last-event-id: {id}\r\n"));
        let after = after.unwrap_or_default();
        let request = format!("GET /mcp HTTP/1.1\r\n{}{after}\r\n", client.head());
        Self::of(client, &request).await
    }

    /// What comes up to `what`.
    pub async fn until(&mut self, what: &str) -> String {
        let mut some = [0u8; 4096];
        loop {
            if let Some(at) = self.left.find(what) {
                let rest = self.left.split_off(at + what.len());
                return std::mem::replace(&mut self.left, rest);
            }
            let read = timeout(PATIENCE, self.stream.read(&mut some)).await;
            let count = read.unwrap().unwrap();
            assert_ne!(count, 0, "ended before {what}: {}", self.left);
            self.left.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    }
}

impl Events {
    /// It ends, whatever comes before that.
    pub async fn ended(mut self) {
        let mut some = [0u8; 4096];
        loop {
            let read = timeout(PATIENCE, self.stream.read(&mut some)).await;
            match read.expect("it goes on") {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

fn is_not_held_back(head: &str) {
    let head = head.to_ascii_lowercase();
    for field in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-cache, no-transform\r\n",
        "x-accel-buffering: no\r\n",
    ] {
        assert!(head.contains(field), "{field} is not in {head}");
    }
}

#[tokio::test]
async fn a_stream_in_which_nothing_happens_is_kept_alive() {
    let bed = Bed::start(&[], &["legacy"]).await;
    let client = bed.session().await;
    let body = call(&json!(9), "slow", "22").to_string();
    let mut answer = Events::of(&client, &client.post_text(&body)).await;
    let mut beside = Events::beside(&client, None).await;
    let alive = async |events: &mut Events| {
        let begun = events.until(KEEP_ALIVE).await;
        is_not_held_back(&begun);
        assert!(!begun.contains("event: message"), "{begun}");
    };
    tokio::join!(alive(&mut answer), alive(&mut beside));
    let end = answer.until("slept").await;
    assert!(end.contains("event: message\ndata: {"), "{end}");
}

/// Its events are no answers: nothing else tells how far a client has read.
#[tokio::test]
async fn the_stream_beside_the_calls_is_taken_up_after_any_event() {
    let bed = Bed::start(&["--mcp-isolation", "Shared"], &["legacy"]).await;
    let client = bed.session().await;
    let mut events = Events::beside(&client, None).await;
    events.until("text/event-stream").await;
    for id in ["id: 0-1\n", "id: 0-2\n"] {
        assert_eq!(client.text("change", "").await, "changed");
        let heard = events.until("list_changed").await;
        assert!(heard.contains(id), "{heard}");
    }
    drop(events);
    assert_eq!(client.text("change", "").await, "changed");
    // As far as it says that it has read.
    for (after, there, not_there) in [
        ("0-0", vec!["0-1", "0-2", "0-3"], vec![]),
        ("0-1", vec!["0-2", "0-3"], vec!["0-1"]),
        ("0-2", vec!["0-3"], vec!["0-1", "0-2"]),
    ] {
        let mut events = Events::beside(&client, Some(after)).await;
        let mut heard = String::new();
        for _ in &there {
            heard.push_str(&events.until("list_changed").await);
        }
        for id in there {
            assert!(heard.contains(&format!("id: {id}\n")), "{after}: {heard}");
        }
        for id in not_there {
            assert!(!heard.contains(&format!("id: {id}\n")), "{after}: {heard}");
        }
    }
    // What comes next goes to whoever reads now.
    let mut events = Events::beside(&client, Some("0-3")).await;
    events.until("text/event-stream").await;
    assert_eq!(client.text("change", "").await, "changed");
    let heard = events.until("list_changed").await;
    assert!(heard.contains("id: 0-4\n"), "{heard}");
    let other = bed.session().await;
    let mut events = Events::beside(&other, Some("7-1")).await;
    let refused = events.until("this stream is over").await;
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
}
