//! An outbox as the body of an answer: server-sent events (WHATWG HTML, section 9.2), one per message.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::guests::Stay;
use super::outbox::Outbox;
use super::reading::Reading;
use super::session::Session;
use crate::gate::answer::{Body, BodyError};
use crate::gate::audit::{Outcome, Record};
use crate::gate::core::{Core, Drain};

/// Between two comments on a stream in which nothing happens: intermediaries close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What is read, and by whom.
pub struct Reader {
    /// It.
    pub outbox: Arc<Outbox>,
    /// The number of the event that was read last.
    pub after: u64,
    /// Whose stream it is, and its number there: with them a client can come back.
    pub session: Option<(Arc<Session>, u64, Reading)>,
    /// Begins with an event without a message, from which a client can come back already.
    pub primes: bool,
    /// Somebody else reads it now.
    pub taken_over: CancellationToken,
    /// The stream waits for nothing in particular: a drain ends it.
    pub stands: bool,
    /// Dropped with the stream: nobody reads it any more.
    pub unread: Option<DropGuard>,
    /// Its caller is let in no longer than that.
    pub stay: Arc<Stay>,
    /// The gate's knowledge.
    pub core: Arc<Core>,
}

struct State {
    reader: Reader,
    record: Record,
    over: bool,
}

/// As a body, counted in `record`.
#[must_use]
pub fn body(reader: Reader, record: Record) -> Body {
    let state = State {
        reader,
        record,
        over: false,
    };
    let frames = stream::unfold(state, |mut state| async move {
        let text = state.next().await?;
        state.record.wrote(text.len());
        Some((Ok::<_, BodyError>(Frame::data(text)), state))
    });
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

impl State {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return self.end(Outcome::Ok);
        }
        let reader = &mut self.reader;
        if std::mem::take(&mut reader.primes)
            && let Some((_, stream, _)) = &reader.session
        {
            return Some(format!("id: {stream}-{}\ndata: \n\n", reader.after).into());
        }
        let mut status = reader.core.watch();
        let leaves = async {
            if reader.stands {
                let _ = status
                    .wait_for(|status| status.drain >= Drain::Refusing)
                    .await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let event = tokio::select! {
            biased;
            () = reader.stay.over() => return self.end(Outcome::Refused),
            event = reader.outbox.after(reader.after) => event,
            () = reader.taken_over.cancelled() => None,
            () = leaves => None,
            () = sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b":\n\n")),
        };
        let Some(event) = event else {
            return self.end(Outcome::Ok);
        };
        reader.after = event.number;
        self.over = event.last;
        let mut text = Vec::with_capacity(event.text.len() + 48);
        if let Some((_, stream, _)) = &reader.session {
            text.extend_from_slice(format!("id: {stream}-{}\n", event.number).as_bytes());
        }
        text.extend_from_slice(b"event: message\ndata: ");
        text.extend_from_slice(&event.text);
        text.extend_from_slice(b"\n\n");
        Some(text.into())
    }

    fn end(&mut self, outcome: Outcome) -> Option<Bytes> {
        self.record.rpc_error(self.reader.outbox.error());
        self.record.settle(outcome);
        // Handed out, and perhaps not read: the connection may break with the answer in it.
        if let Some((session, stream, _)) = &self.reader.session
            && self.over
        {
            session.read(*stream);
        }
        // A subscription ends with its stream, also where a drain has ended that, and so does a call whose caller is no
        // longer let in.
        let unread = self.reader.unread.take();
        if let Some(guard) = unread.filter(|_| self.over && !self.reader.stands) {
            guard.disarm();
        }
        None
    }
}
