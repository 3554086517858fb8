//! A call of a stateless client to a server of the older era, which may ask that client something: the client hears that
//! input is required, the call waits, and the client comes back with the answers to the same call (2026-07-28, Multi
//! Round-Trip Requests). The server's program sees one call; nothing of it is run twice.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::answers::failed;
use super::call::{Call, Heard, Said};
use super::calls::Hears;
use super::live::Live;
use super::parked::{Owner, Parked, Ticket, Turn};
use super::pump::Shape;
use super::questions::{Questions, can_be_kept};
use crate::gate::audit::Outcome;
use crate::mcp::asks::input_required;
use crate::mcp::error::INTERNAL;
use crate::mcp::{Id, Kind, Message, RpcError};

/// How often one call may ask its client.
const MAX_ROUNDS: usize = 16;
/// For what a child asks at the same time to be asked at once.
const GATHER: Duration = Duration::from_millis(50);

/// Such a call.
pub struct Turns {
    /// The child.
    pub live: Arc<Live>,
    /// Where it waits.
    pub parked: Arc<Parked>,
    /// Whose it is.
    pub owner: Owner,
    /// For each answer of the server.
    pub limit: Duration,
    /// For the client to come back.
    pub patience: Duration,
    /// What becomes of the answer.
    pub shape: Shape,
}

/// What ends a turn.
enum End {
    /// The answer.
    Answer(Said),
    /// Its client gives the call up.
    GivenUp,
    /// The child took too long.
    TooSlow,
    /// The child waits for its client.
    Asks,
}

/// What comes of waiting for a client.
enum Wait {
    /// It is back.
    Back(Turn),
    /// It is back, and the server has answered meanwhile.
    Over(Turn, Said),
    /// It did not come.
    Expired,
}

impl Turns {
    /// To its end.
    pub async fn run(self, mut call: Call, mut turn: Turn) {
        let mut questions = Questions::new(std::mem::take(&mut turn.askable));
        let mut rounds = 0;
        let mut end = Instant::now() + self.limit;
        loop {
            let ended = self.hear(&mut call, &turn, &mut questions, end).await;
            let ticket = match ended {
                End::Answer(said) => {
                    self.answer(&turn, said);
                    break;
                }
                End::GivenUp => {
                    turn.outbox.close();
                    call.give_up("the client has cancelled it");
                    return questions.give_up(&self.live.child);
                }
                End::TooSlow => {
                    self.answer(&turn, failed(&turn.id, Outcome::Timeout).into());
                    call.give_up("it took too long");
                    return questions.give_up(&self.live.child);
                }
                End::Asks if rounds == MAX_ROUNDS => None,
                End::Asks => self.parked.park(&self.owner),
            };
            let Some(ticket) = ticket else {
                questions.give_up(&self.live.child);
                continue;
            };
            rounds += 1;
            self.ask(turn, &ticket, &mut questions);
            turn = match self.wait(&mut call, ticket, &mut questions).await {
                Wait::Back(turn) => turn,
                Wait::Over(turn, said) => {
                    self.answer(&turn, said);
                    break;
                }
                Wait::Expired => {
                    call.give_up("the client did not come back");
                    return questions.give_up(&self.live.child);
                }
            };
            end = Instant::now() + self.limit;
            let (from, asks) = (turn.from, true);
            call.rename(turn.token.take(), Hears::Stateless { from, asks });
            if self.deliver(&mut turn, &mut questions).await.is_none() {
                let gone = failed(&turn.id, Outcome::UpstreamError);
                self.answer(&turn, gone.into());
                break;
            }
        }
        // A call that is answered waits for nothing.
        questions.give_up(&self.live.child);
    }

    /// Passes what comes until the child has answered, or asks what its client can be asked.
    async fn hear(
        &self,
        call: &mut Call,
        turn: &Turn,
        questions: &mut Questions,
        end: Instant,
    ) -> End {
        let mut soon = (!questions.is_empty()).then(|| Instant::now() + GATHER);
        loop {
            tokio::select! {
                biased;
                heard = call.next() => match heard {
                    Ok(Heard::Note(said)) if is_question(&said) => {
                        questions.take(&self.live.child, said);
                        if !questions.is_empty() {
                            soon.get_or_insert_with(|| Instant::now() + GATHER);
                        }
                    }
                    Ok(Heard::Note(said)) => {
                        turn.outbox.push(said);
                    }
                    Ok(Heard::Answer(said)) => return End::Answer(said),
                    Err(_) => return End::Answer(failed(&turn.id, Outcome::UpstreamError).into()),
                },
                () = turn.cancel.cancelled() => return End::GivenUp,
                () = sleep_until(end) => return End::TooSlow,
                () = sleep_until(soon.unwrap_or(end)) => {
                    soon = None;
                    if questions.open(&self.live.child).next().is_some() {
                        return End::Asks;
                    }
                }
            }
        }
    }

    /// Tells the client what is asked. Its request is over with that.
    fn ask(&self, turn: Turn, ticket: &Ticket, questions: &mut Questions) {
        let server = self.live.hello.server_info();
        let open = questions.open(&self.live.child);
        let result = input_required(open, &ticket.state, server.as_ref());
        let asked = Message::result(&turn.id, &result);
        turn.outbox.finish(asked.into());
    }

    /// Until the client is back. What the child says of its progress meanwhile nobody hears.
    async fn wait(&self, call: &mut Call, mut ticket: Ticket, questions: &mut Questions) -> Wait {
        let until = Instant::now() + self.patience;
        let mut kept: Option<Said> = None;
        let back = loop {
            let said = tokio::select! {
                biased;
                turn = ticket.back() => break Some(turn),
                heard = call.next(), if kept.is_none() => match heard {
                    Ok(Heard::Note(said)) => {
                        if is_question(&said) {
                            questions.take(&self.live.child, said);
                        }
                        continue;
                    }
                    Ok(Heard::Answer(said)) => said,
                    Err(_) => failed(&Id::number(0), Outcome::UpstreamError).into(),
                },
                () = sleep_until(until) => break ticket.expire(),
            };
            questions.give_up(&self.live.child);
            kept = Some(short(said));
        };
        match (back, kept) {
            (Some(turn), None) => Wait::Back(turn),
            (Some(turn), Some(said)) => Wait::Over(turn, said),
            (None, _) => Wait::Expired,
        }
    }

    /// Gives the child what its client answers; `None` where it does not read.
    async fn deliver(&self, turn: &mut Turn, questions: &mut Questions) -> Option<()> {
        let answers = std::mem::take(&mut turn.answers);
        let mut messages = questions.answered(&self.live.child, &answers);
        let last = messages.pop();
        for message in messages {
            self.live.child.send(&message, None).await.ok()?;
        }
        // The memory of the request is free when the child has all of it.
        let share = turn.share.take();
        let sent = match last {
            Some(message) => self.live.child.send(&message, share).await.ok(),
            None => Some(()),
        };
        questions.to_client(&self.live.child, std::mem::take(&mut turn.askable));
        sent
    }

    fn answer(&self, turn: &Turn, said: Said) {
        let message = said.message.with_id(&turn.id);
        turn.outbox.finish((self.shape)(Said { message, ..said }));
    }
}

fn is_question(said: &Said) -> bool {
    matches!(said.message.kind, Kind::Request { .. })
}

/// An answer that comes while its client is away, if it is short: it takes memory for as long as that stays away.
fn short(said: Said) -> Said {
    if can_be_kept(&said.message) {
        return said;
    }
    let text = "the server answered before its client did, and with too much to keep; the call was carried out";
    RpcError::new(INTERNAL, text).message(&Id::number(0)).into()
}
