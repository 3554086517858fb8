//! What the gate's own child tells of its lists, and when something of that may have been missed: between two children, and
//! between two subscriptions at a server of the stateless era, which tells of its lists by one.

use std::time::Instant;

use super::call::{Call, Heard, Said};
use super::hello::own;
use super::live::Live;
use super::pace::Pace;
use super::subscriptions::list_changes;
use crate::mcp::filter::ACKNOWLEDGED;
use crate::mcp::translate::without_subscription;
use crate::mcp::{Era, Object};

/// Of one child.
#[derive(Debug)]
pub struct Changes {
    subscription: Option<Call>,
    pace: Pace,
    /// When it is asked for again.
    due: Instant,
    /// The server tells of its lists now: one of the older era always does, the other from its acknowledgment on.
    tells: bool,
    /// Since nobody was told of lists, they may have changed.
    missed: bool,
}

impl Changes {
    /// Of a child that was just greeted; `later` where another one was there before.
    #[must_use]
    pub fn new(live: &Live, later: bool) -> Self {
        Self {
            subscription: None,
            pace: Pace::default(),
            due: Instant::now(),
            tells: live.hello.era == Era::Legacy,
            missed: later,
        }
    }

    /// Subscribes to all of them, at a server that tells them by that, where the child has no such subscription now. One that
    /// closes it again and again has it after ever longer pauses: each time all sessions list anew.
    pub async fn subscribe(&mut self, live: &Live) {
        if self.subscription.is_some() || live.hello.era == Era::Legacy || Instant::now() < self.due
        {
            return;
        }
        let wanted = list_changes(live);
        if wanted.is_empty() {
            return;
        }
        let params = Object::default().with("notifications", &wanted.acknowledged());
        let request = own(Era::Modern, "subscriptions/listen", params);
        self.subscription = live.child.call(request).await.ok();
        self.pace.tried(self.subscription.is_some(), Instant::now());
    }

    /// What comes of the subscription, while there is one.
    pub async fn next(&mut self) -> Option<Said> {
        let Some(call) = &mut self.subscription else {
            return std::future::pending().await;
        };
        if let Ok(Heard::Note(mut said)) = call.next().await {
            self.tells |= said.message.method() == Some(ACKNOWLEDGED);
            let params = without_subscription(said.message.params().unwrap_or_default());
            said.message.body.put("params", &params);
            return Some(said);
        }
        // The server has closed it.
        self.subscription = None;
        self.tells = false;
        self.missed = true;
        let now = Instant::now();
        self.due = now + self.pace.pause(now);
        None
    }

    /// To a child that serves: whether its lists may have changed unheard, which is said once, and when it tells of them
    /// again. A server that never acknowledges has nobody list anew again and again.
    #[must_use]
    pub fn missed(&mut self) -> bool {
        self.tells && std::mem::take(&mut self.missed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixStream;
    use tokio::time::sleep;

    use super::*;
    use crate::gate::mcp::budget::Budget;
    use crate::gate::mcp::child::{Child, Limits};
    use crate::gate::mcp::hello::Hello;
    use crate::gate::mcp::house::Owner;
    use crate::gate::mcp::pace::BACK_OFF;
    use crate::mcp::translate::SUBSCRIPTION;
    use crate::mcp::{Kind, Message};

    /// A child that says that it tells of its tools, and the test's end of its connection.
    async fn live(era: Era) -> (Live, BufReader<UnixStream>) {
        let limits = Limits {
            line: 1024,
            budget: Arc::new(Budget::new(1024)),
        };
        let (child, _loose, stream) = Child::sample(limits, Owner::Gate).await;
        let capabilities = json!({"tools": {"listChanged": true}});
        let hello = Hello {
            era,
            legacy: era == Era::Legacy,
            result: Object::default().with("capabilities", &capabilities),
        };
        let live = Live {
            child,
            hello,
            place: None,
        };
        (live, BufReader::new(stream))
    }

    /// The server acknowledges the subscription that it was asked for, and closes it.
    async fn closes(stream: &mut BufReader<UnixStream>) {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let Kind::Request { id, .. } = Message::parse(line.as_bytes()).unwrap().kind else {
            panic!("no request: {line}");
        };
        let params = Object::default().with("_meta", &json!({SUBSCRIPTION: id}));
        let acknowledged = Message::notification(ACKNOWLEDGED, &params).to_line();
        let closed = Message::result(&id, &json!({})).to_line();
        let said = [&acknowledged[..], b"\n", &closed, b"\n"].concat();
        stream.write_all(&said).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_missed_is_told_once_and_when_the_server_tells_again() {
        let (old, _stream) = live(Era::Legacy).await;
        assert!(!Changes::new(&old, false).missed());
        let mut later = Changes::new(&old, true);
        assert!(later.missed() && !later.missed());

        let (new, mut stream) = live(Era::Modern).await;
        let mut later = Changes::new(&new, true);
        later.subscribe(&new).await;
        assert!(!later.missed(), "before the acknowledgment");
        closes(&mut stream).await;
        assert!(later.next().await.is_some());
        assert!(later.missed() && !later.missed());
        assert!(later.next().await.is_none());
        assert!(!later.missed(), "before the next one");
    }

    /// Each time all sessions list anew.
    #[tokio::test]
    async fn a_server_that_closes_at_once_is_asked_again_after_ever_longer_pauses() {
        let (live, mut stream) = live(Era::Modern).await;
        let mut changes = Changes::new(&live, false);
        let begun = Instant::now();
        for pauses in [0, 1, 1 + 2] {
            while changes.subscription.is_none() {
                changes.subscribe(&live).await;
                sleep(Duration::from_millis(5)).await;
            }
            let elapsed = begun.elapsed();
            assert!(elapsed >= pauses * BACK_OFF, "{pauses}: {elapsed:?}");
            closes(&mut stream).await;
            assert!(changes.next().await.is_some());
            assert_eq!(changes.missed(), pauses > 0);
            assert!(changes.next().await.is_none());
        }
    }
}
