//! Follows the engine: is it loading, does it answer, has it answered its first question.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::core::Core;
use super::served::Models;
use super::upstream::Upstream;
use crate::engine::{Health, Particulars, Question, Tokens};
use crate::seal::lease::Runtime;

/// Between two looks while the engine loads.
const SOON: Duration = Duration::from_millis(250);
/// Between two looks at an engine that serves.
const LATER: Duration = Duration::from_secs(5);
/// For an answer about its health.
const HEALTH_PATIENCE: Duration = Duration::from_secs(5);
/// For the first answer.
const WARM_UP_PATIENCE: Duration = Duration::from_secs(600);
/// For its counters: a scrape waits for them.
const METRICS_PATIENCE: Duration = Duration::from_secs(1);
/// Longest answer that is read.
const MAX_ANSWER: usize = 256 * 1024;

/// Looks after one engine after the other, for ever.
pub async fn follow(
    core: Arc<Core>,
    upstream: Upstream,
    engine: &'static dyn Particulars,
    models: Models,
) {
    let mut warm_up: Option<(u64, AbortOnDropHandle<()>)> = None;
    let mut looked: Option<(u64, Instant)> = None;
    loop {
        sleep(SOON).await;
        let view = core.runtime();
        if view.phase != Runtime::Running {
            warm_up = None;
            continue;
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
            let task = warm(
                Arc::clone(&core),
                upstream.clone(),
                questions.collect(),
                view.run,
            );
            warm_up = Some((view.run, AbortOnDropHandle::new(tokio::spawn(task))));
        }
    }
}

/// Asks every model its first question: one that does not load is found here, and not by a client.
async fn warm(core: Arc<Core>, upstream: Upstream, questions: Vec<Question>, run: u64) {
    for question in questions {
        let body = Bytes::from(question.body);
        let path = question.path;
        match upstream
            .ask(Method::POST, path, body, MAX_ANSWER, WARM_UP_PATIENCE)
            .await
        {
            Ok((StatusCode::OK, _)) => {
                tracing::info!(run, "the engine answered its first question");
            }
            Ok((status, _)) => {
                tracing::warn!(run, status = status.as_u16(), "the first question failed");
                return sleep(LATER).await;
            }
            Err(error) => {
                tracing::warn!(run, %error, "the first question failed");
                return sleep(LATER).await;
            }
        }
    }
    core.warmed(run);
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
