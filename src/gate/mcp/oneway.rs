//! What a client of the older era sends that asks for no answer: notifications, and its answers to what it was asked.

use super::answers::{Denied, unavailable};
use super::budget::Share;
use super::child::Child;
use super::legacy::no_session;
use super::live::Live;
use super::session::Session;
use crate::mcp::{CANCELLED, Id, Message};

/// A notification.
///
/// # Errors
/// The session's child does not take it.
pub async fn notes(
    session: &Session,
    method: &str,
    message: &Message,
    share: Share,
) -> Result<(), Denied> {
    match method {
        // The gate has said so itself.
        "notifications/initialized" => {}
        CANCELLED => {
            let id = message.cancelled();
            if let Some(open) = id.and_then(|id| session.under_way(&id)) {
                open.cancel.cancel();
            }
        }
        _ => {
            if let Some(live) = &session.own {
                let sent = live.child.send(message, Some(share)).await;
                sent.map_err(|_| not_taken(live))?;
            }
        }
    }
    Ok(())
}

/// An answer. One to what nobody asked is nobody's.
///
/// # Errors
/// The session's child does not take it.
pub async fn answers(
    session: &Session,
    id: &Id,
    message: Message,
    share: Share,
) -> Result<(), Denied> {
    if let Err(answer) = session.answers(id, message)
        && let Some(live) = &session.own
        && live.child.answered(id)
    {
        let child = &*live.child;
        let mut given = Given {
            child,
            id,
            took: false,
        };
        let sent = child.send(&answer, Some(share)).await;
        sent.map_err(|_| not_taken(live))?;
        given.took = true;
    }
    Ok(())
}

/// An answer on its way: nobody else gives it meanwhile. One that was not taken can be sent again, also where its client
/// went before that.
struct Given<'a> {
    child: &'a Child,
    id: &'a Id,
    took: bool,
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        if !self.took && !self.child.is_over() {
            self.child.asks(self.id);
        }
    }
}

/// The child has ended, or it may be busy and read nothing for a while: then its session goes on.
fn not_taken(live: &Live) -> Denied {
    if live.child.is_over() {
        return no_session();
    }
    unavailable("NotReady", "the server takes no messages now").into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use tokio::io::AsyncReadExt;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::gate::callers::Pass;
    use crate::gate::mcp::budget::Budget;
    use crate::gate::mcp::child::Limits;
    use crate::gate::mcp::guests::Guest;
    use crate::gate::mcp::hello::Hello;
    use crate::gate::mcp::house::Owner;
    use crate::mcp::translate::ClientSaid;
    use crate::mcp::{Era, Object, Version};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn what_a_busy_child_does_not_take_can_be_sent_again() {
        let budget = Arc::new(Budget::new(1024 * 1024));
        let limits = Limits {
            line: 1024,
            budget: Arc::clone(&budget),
        };
        let (child, _loose, mut stream) = Child::sample(limits, Owner::Client).await;
        let hello = Hello {
            era: Era::Legacy,
            legacy: true,
            result: Object::default(),
        };
        let live = Arc::new(Live {
            child,
            hello,
            place: None,
        });
        let guest = Guest {
            identity: "anyone".to_owned(),
            pass: Pass::Anyone,
        };
        let said = ClientSaid::default();
        let own = Some(Arc::clone(&live));
        let share = || budget.try_take(1).unwrap();
        let session = Session::new(
            guest,
            Version::latest_legacy(),
            own,
            said,
            Arc::clone(&budget),
        );
        let id = Id::text("q");
        assert!(live.child.asks(&id));
        let answer = || Message::result(&id, &1);
        let method = "notifications/roots/list_changed";
        let note = Message::notification(method, &Object::default());
        // It reads nothing: the first fills the connection, all others the queue.
        let long = Object::default().with("x", &"x".repeat(4 * 1024 * 1024));
        let long = Message::notification(method, &long);
        live.child.say(&long).await.unwrap();
        let to = &live.child.to;
        while to.capacity() < to.max_capacity() {
            sleep(Duration::from_millis(5)).await;
        }
        while to.try_send((Bytes::from_static(b"\n"), None)).is_ok() {}
        let ping = Message::request(&Id::number(1), "ping", Object::default());
        let both = async {
            tokio::join!(
                answers(&session, &id, answer(), share()),
                answers(&session, &id, answer(), share()),
                notes(&session, method, &note, share()),
                live.child.call(ping)
            )
        };
        let (answered, twice, noted, called) = timeout(PATIENCE, both).await.unwrap();
        assert_eq!(answered.unwrap_err().status(), 503);
        assert!(twice.is_ok(), "the first is on its way: it is nobody's");
        assert_eq!(noted.unwrap_err().status(), 503);
        assert!(called.is_err() && live.child.waits_for(&id));
        let reads = tokio::spawn(async move {
            let mut text = Vec::new();
            let _ = stream.read_to_end(&mut text).await;
            text
        });
        let again = answers(&session, &id, answer(), share());
        timeout(PATIENCE, again).await.unwrap().unwrap();
        assert!(!live.child.waits_for(&id), "the child has it");
        while to.capacity() < to.max_capacity() {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(50)).await;
        live.child.give_up();
        let text = timeout(PATIENCE, reads).await.unwrap().unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains(CANCELLED), "it knows of no call");
        timeout(PATIENCE, live.child.ended().cancelled())
            .await
            .unwrap();
        let noted = notes(&session, method, &note, share()).await;
        assert_eq!(noted.unwrap_err().status(), 404);
    }
}
