//! Moves messages between the planner and the world.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::canary::Dials;
use crate::seal::sign::SigningKey;
use crate::seal::wire::SeenReport;

use super::board::Board;
use super::cluster::{Cluster, KubeCluster};
use super::config::Config;
use super::edge::{Edge, EdgeError};
use super::made::Looks;
use super::planner::{Finished, Owners, Planner};
use super::seen::Seen;
use super::sequence::Sequence;
use super::stores::Stores;
use super::targets::Controls;
use super::view::{Canary, View};

mod act;
mod ask;
mod batches;

/// Orders under way at once at one canary, which takes four.
const MAX_BATCHES: usize = 3;
/// Messages that wait for the planner; senders wait when it is full.
const MAX_MESSAGES: usize = 256;

/// What tasks tell the planner.
enum Message {
    Controls {
        uids: Vec<String>,
        controls: Controls,
    },
    Finished(Box<Finished>),
    Seen {
        canary: Canary,
        answer: Result<SeenReport, EdgeError>,
    },
    ConditionWritten {
        uid: String,
        done: bool,
    },
    DeleteFailed {
        uid: String,
    },
}

/// Drives the proofs on a real cluster until `shutdown`: a task of the leader alone.
///
/// # Errors
/// [`EdgeError::Http`] when the HTTP client cannot be built.
#[expect(
    clippy::too_many_arguments,
    reason = "the operator's wiring, called once"
)]
pub async fn run(
    client: kube::Client,
    instance: Option<String>,
    stores: Stores,
    owners: Arc<dyn Owners>,
    key: SigningKey,
    config: Config,
    board: Board,
    shutdown: CancellationToken,
) -> Result<(), EdgeError> {
    let cluster = KubeCluster::new(client, instance);
    drive(
        cluster,
        stores,
        owners,
        Edge::new(key)?,
        config,
        board,
        shutdown,
    )
    .await;
    Ok(())
}

/// Drives the proofs with any [`Cluster`].
pub async fn drive<C: Cluster>(
    cluster: C,
    stores: Stores,
    owners: Arc<dyn Owners>,
    edge: Edge,
    config: Config,
    board: Board,
    shutdown: CancellationToken,
) {
    tokio::select! {
        () = shutdown.cancelled() => return,
        ready = stores.ready() => if ready.is_err() {
            tracing::error!("a watch ended before its first list");
            return;
        },
    }
    let (sender, mut receiver) = mpsc::channel(MAX_MESSAGES);
    let mut poll = tokio::time::interval(config.tick / 4);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut driver = Driver {
        planner: Planner::new(config.clone(), Instant::now()),
        cluster,
        owners,
        edge,
        dials: Arc::new(Dials::new()),
        config,
        looks: Looks::new(board.made().clone()),
        board,
        sender,
        tasks: JoinSet::new(),
        view: Arc::default(),
        fingerprint: None,
        observed: Instant::now(),
        batches: 0,
        waiting: VecDeque::new(),
        orders: HashMap::new(),
        seen: Seen::default(),
    };
    loop {
        let look = tokio::select! {
            () = shutdown.cancelled() => return,
            _ = poll.tick() => true,
            () = stores.changed.notified() => true,
            message = receiver.recv() => match message {
                Some(message) => {
                    driver.handle(message);
                    false
                }
                None => return,
            },
        };
        if look {
            driver.look(&stores);
        }
        driver.step();
    }
}

struct Driver<C> {
    planner: Planner,
    cluster: C,
    owners: Arc<dyn Owners>,
    edge: Edge,
    /// The operator's own dials, at the canaries' listeners.
    dials: Arc<Dials>,
    config: Config,
    board: Board,
    sender: mpsc::Sender<Message>,
    /// Dropped with the driver, and every task with it: a leader no more does nothing more.
    tasks: JoinSet<()>,
    /// What was found when pods were held to what was made.
    looks: Looks,
    view: Arc<View>,
    fingerprint: Option<u64>,
    observed: Instant,
    batches: usize,
    /// Batches that no canary has room for yet.
    waiting: VecDeque<Vec<String>>,
    /// The numbers of the orders to each canary, by its UID.
    orders: HashMap<String, Sequence>,
    seen: Seen,
}

impl<C: Cluster> Driver<C> {
    /// Looks for what has changed: at every object, so not after each of hundreds of messages a second.
    fn look(&mut self, stores: &Stores) {
        let now = Instant::now();
        let fingerprint = stores.fingerprint().wrapping_add(self.looks.version());
        if self.fingerprint != Some(fingerprint) {
            self.fingerprint = Some(fingerprint);
            self.view = Arc::new(stores.view(&mut self.looks));
            self.looks.sweep(&self.view, &*self.owners, now);
            self.observe(now);
        } else if now.duration_since(self.observed) >= self.config.tick {
            self.observe(now);
        }
    }

    fn step(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        let now = Instant::now();
        // Alarms wait for nothing; rounds wait for a free place at the canaries.
        let room = self.waiting.is_empty() && self.batches < MAX_BATCHES;
        let due = self.planner.due(now, room);
        for uid in due.alarms {
            if let Some(begun) = self.planner.begin_alarm(&uid, now) {
                self.send(begun);
            }
        }
        self.split(due.rounds);
        while self.batches < MAX_BATCHES
            && let Some(batch) = self.waiting.pop_front()
        {
            self.batch(batch, now);
        }
        self.ask_seen(now);
    }

    fn observe(&mut self, now: Instant) {
        self.observed = now;
        let actions = self
            .planner
            .observe(Arc::clone(&self.view), &*self.owners, now);
        self.act(actions);
    }

    fn handle(&mut self, message: Message) {
        let now = Instant::now();
        match message {
            Message::Controls { uids, controls } => {
                self.batches = self.batches.saturating_sub(1);
                for uid in uids {
                    match self.planner.begin(&uid, &controls, now) {
                        Some(begun) => self.send(begun),
                        None => self.planner.abandoned(&uid),
                    }
                }
            }
            Message::Finished(finished) => {
                self.seen.round_ended(&self.view.shared.canaries);
                let actions = self.planner.finished(*finished, now);
                self.act(actions);
            }
            Message::Seen { canary, answer } => {
                let read = answer
                    .as_ref()
                    .ok()
                    .map(|report| (report.next, report.lost));
                self.seen.answered(&canary.uid, read, now);
                let Ok(report) = answer else {
                    return;
                };
                let actions = self.planner.seen(&canary, &report.seen, now);
                self.act(actions);
            }
            Message::ConditionWritten { uid, done } => {
                self.planner.condition_written(&uid, done, now);
            }
            Message::DeleteFailed { uid } => self.planner.delete_failed(&uid, now),
        }
    }
}
