//! Follows the engine: is it loading, does it answer, has it answered its first question.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::asked::Asks;
use super::core::Core;
use super::doubts::Next;
use super::passing::ENGINE_PATIENCE;
use super::reply::checked;
use super::served::Models;
use super::upstream::{Upstream, UpstreamError};
use crate::engine::{Health, Particulars, Question, Tokens};
use crate::seal::lease::Runtime;

/// Between two looks while the engine loads, and at what requests show of it.
const SOON: Duration = Duration::from_millis(250);
/// Between two looks at an engine that serves.
const LATER: Duration = Duration::from_secs(5);
/// For an answer about its health.
const HEALTH_PATIENCE: Duration = Duration::from_secs(5);
/// For the first answer.
const WARM_UP_PATIENCE: Duration = Duration::from_secs(600);
/// For launch to say that an engine which broke off has ended.
const LAST_WORD: Duration = Duration::from_secs(1);
/// For its counters: a scrape waits for them.
const METRICS_PATIENCE: Duration = Duration::from_secs(1);
/// Longest answer that is read.
const MAX_ANSWER: usize = 256 * 1024;

/// Why there is no right answer to a question.
#[derive(Debug, thiserror::Error)]
enum NotRight {
    /// There is none.
    #[error(transparent)]
    NoAnswer(#[from] UpstreamError),
    /// It is an error.
    #[error("the engine answered {0}")]
    Status(StatusCode),
    /// It says that it is fine, and is an error or no answer.
    #[error("what the engine answered is no answer")]
    Nonsense,
}

impl NotRight {
    /// Whether the engine was there and gave this answer. One that cannot be reached or takes its time is found otherwise.
    fn is_wrong(&self) -> bool {
        !matches!(
            self,
            Self::NoAnswer(UpstreamError::Connect(_) | UpstreamError::Timeout(_))
        )
    }
}

/// Looks after one engine after the other, for ever. One that answers wrongly has `again` for each further try.
pub async fn follow(
    core: Arc<Core>,
    upstream: Upstream,
    engine: &'static dyn Particulars,
    models: Models,
    asks: Asks,
    again: Duration,
) {
    let mut warm_up: Option<(u64, AbortOnDropHandle<()>)> = None;
    let mut question: Option<AbortOnDropHandle<()>> = None;
    let mut looked: Option<(u64, Instant)> = None;
    loop {
        sleep(SOON).await;
        let view = core.runtime();
        if !view.warm {
            asks.forget();
            drop(question.take());
        }
        if view.phase != Runtime::Running {
            warm_up = None;
            continue;
        }
        if view.warm && core.is_open() {
            match asks.next() {
                Next::Rest => drop(question.take()),
                Next::Wait => {}
                Next::Ask(name) => {
                    question = models.named(&name).map(|model| {
                        let asked = engine.warm_up(&model.name, model.mode);
                        let (core, upstream) = (Arc::clone(&core), upstream.clone());
                        let task = settle(core, upstream, asks.clone(), asked, view.run);
                        AbortOnDropHandle::new(tokio::spawn(task))
                    });
                }
                Next::Convict => {
                    drop(question.take());
                    tracing::warn!(run = view.run, "the engine gives no answer");
                    core.answered_wrongly(view.run);
                }
            }
        }
        let fresh = looked.is_some_and(|(run, at)| run == view.run && at.elapsed() < LATER);
        if view.warm && fresh {
            continue;
        }
        looked = Some((view.run, Instant::now()));
        let path = engine.health_path();
        let health = upstream.ask(Method::GET, path, Bytes::new(), MAX_ANSWER, HEALTH_PATIENCE);
        let Ok((status, _)) = health.await else {
            continue;
        };
        core.sign_of_life();
        let busy = warm_up
            .as_ref()
            .is_some_and(|(run, task)| *run == view.run && !task.is_finished());
        if engine.health(status) == Health::Ready && !view.warm && !busy {
            // The first model last: of those that are loaded by turns, it is the one that stays.
            let questions = models.iter().rev();
            let questions = questions.map(|model| engine.warm_up(&model.name, model.mode));
            let patience = if view.answers_wrongly() {
                again
            } else {
                WARM_UP_PATIENCE
            };
            let task = warm(
                Arc::clone(&core),
                upstream.clone(),
                questions.collect(),
                view.run,
                patience,
            );
            warm_up = Some((view.run, AbortOnDropHandle::new(tokio::spawn(task))));
        }
    }
}

/// Asks every model its first question: one that does not load is found here, and not by a client.
async fn warm(
    core: Arc<Core>,
    upstream: Upstream,
    questions: Vec<Question>,
    run: u64,
    patience: Duration,
) {
    for question in questions {
        if let Err(error) = ask(&upstream, question, patience).await {
            tracing::warn!(run, %error, "the first question failed");
            if error.is_wrong() {
                core.answered_wrongly(run);
            }
            return sleep(LATER).await;
        }
        tracing::info!(run, "the engine answered its first question");
    }
    core.warmed(run);
}

/// Asks a model that is doubted. That it does not answer is found by whoever looks at the doubts.
async fn settle(core: Arc<Core>, upstream: Upstream, asks: Asks, question: Question, run: u64) {
    tracing::info!(
        run,
        "requests fail: the engine is asked its first question again"
    );
    let mut answer = ask(&upstream, question.clone(), 2 * ENGINE_PATIENCE).await;
    if answer.as_ref().is_err_and(NotRight::is_wrong) {
        // What the requests asked of it may have been too much for this moment.
        sleep(LATER).await;
        answer = ask(&upstream, question, 2 * ENGINE_PATIENCE).await;
    }
    match answer {
        Ok(()) => {
            tracing::info!(run, "the engine answers");
            asks.answered(true);
        }
        Err(error) if error.is_wrong() => {
            tracing::warn!(run, %error, "the engine answers wrongly");
            sleep(LAST_WORD).await;
            core.answered_wrongly(run);
        }
        Err(_) => {
            sleep(LATER).await;
            asks.answered(false);
        }
    }
}

/// Asks the engine what it answers if it answers anything.
async fn ask(upstream: &Upstream, question: Question, patience: Duration) -> Result<(), NotRight> {
    let body = Bytes::from(question.body);
    let asked = upstream.ask(Method::POST, question.path, body, MAX_ANSWER, patience);
    let (status, answer) = asked.await?;
    if status != StatusCode::OK {
        return Err(NotRight::Status(status));
    }
    checked(status, &answer).map_err(|_| NotRight::Nonsense)
}

/// The engine's token counters, if it runs and has any.
pub async fn tokens(core: &Core, upstream: &Upstream, engine: &dyn Particulars) -> Option<Tokens> {
    if core.runtime().phase != Runtime::Running {
        return None;
    }
    let path = engine.counters_path()?;
    let answer = upstream
        .ask(
            Method::GET,
            path,
            Bytes::new(),
            MAX_ANSWER,
            METRICS_PATIENCE,
        )
        .await;
    let (_, text) = answer
        .ok()
        .filter(|(status, _)| *status == StatusCode::OK)?;
    engine.counters(std::str::from_utf8(&text).ok()?)
}
