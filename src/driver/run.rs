//! Moves messages between the planner and the world.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::canary::Dials;
use crate::seal::sign::SigningKey;
use crate::seal::wire::{ControlOrder, SeenReport, VERSION};

use super::board::Board;
use super::cluster::{Cluster, ClusterError, KubeCluster};
use super::config::Config;
use super::edge::{Edge, EdgeError};
use super::planner::{Action, Begun, Finished, Owners, Planner};
use super::seen::Seen;
use super::sequence::{Sequence, unix_millis};
use super::stores::Stores;
use super::targets::{self, Controls};
use super::view::{Canary, View};

/// Gates in one order; a canary takes 512.
const MAX_GATES: usize = 256;
/// Node addresses in one order; a canary takes 32 targets.
const MAX_NODES: usize = 16;
/// Orders under way at once at one canary, which takes four.
const MAX_BATCHES: usize = 3;
/// For one write.
const WRITE: Duration = Duration::from_secs(10);
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
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = poll.tick() => {}
            () = stores.changed.notified() => {}
            message = receiver.recv() => match message {
                Some(message) => driver.handle(message),
                None => return,
            },
        }
        driver.step(&stores);
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
    fn step(&mut self, stores: &Stores) {
        while self.tasks.try_join_next().is_some() {}
        let now = Instant::now();
        let fingerprint = stores.fingerprint();
        if self.fingerprint != Some(fingerprint) {
            self.fingerprint = Some(fingerprint);
            self.view = Arc::new(stores.view());
            self.observe(now);
        } else if now.duration_since(self.observed) >= self.config.tick {
            self.observe(now);
        }
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

    /// Splits these pods into batches that fit an order each. At most one second's worth of them waits.
    fn split(&mut self, uids: Vec<String>) {
        let mut batch: Vec<String> = Vec::new();
        for uid in uids {
            batch.push(uid);
            let (gates, nodes) = self.planner.to_dial(&batch);
            if (gates.len() > MAX_GATES || nodes.len() > MAX_NODES) && batch.len() > 1 {
                let last = batch.pop();
                self.waiting.push_back(std::mem::take(&mut batch));
                batch.extend(last);
            }
        }
        if !batch.is_empty() {
            self.waiting.push_back(batch);
        }
    }

    /// Orders the controls of these pods' rounds.
    fn batch(&mut self, uids: Vec<String>, now: Instant) {
        self.batches += 1;
        let (gates, nodes) = self.planner.to_dial(&uids);
        let targets = self.planner.control_targets(&nodes);
        let period = self.planner.period();
        let canaries = &self.view.shared.canaries;
        self.orders
            .retain(|uid, _| canaries.iter().any(|canary| canary.uid == *uid));
        let mut asked = JoinSet::new();
        let mut reports = BTreeMap::new();
        for canary in canaries {
            if let Some(why) = self.seen.doubt(&canary.uid, period, now) {
                reports.insert(canary.uid.clone(), Err(why.to_owned()));
                continue;
            }
            let Some(address) = control_address(canary, &self.config) else {
                continue;
            };
            let sequence = self.orders.entry(canary.uid.clone()).or_default().clone();
            let order = ControlOrder {
                v: VERSION,
                seq: sequence.next(unix_millis()),
                canary_uid: canary.uid.clone(),
                gates: gates.clone(),
                targets: targets.clone(),
            };
            let (edge, uid) = (self.edge.clone(), canary.uid.clone());
            asked.spawn(async move {
                let answer = edge.control(address, &order, &sequence).await;
                (uid, answer.map_err(|error| error.to_string()))
            });
        }
        let own = ControlOrder {
            v: VERSION,
            seq: 0,
            canary_uid: targets::OPERATOR.to_owned(),
            gates: Vec::new(),
            targets: self.planner.own_targets(),
        };
        let dials = Arc::clone(&self.dials);
        asked.spawn(async move {
            let report = dials.obey(&own).await;
            (own.canary_uid, Ok(report))
        });
        let sender = self.sender.clone();
        self.tasks.spawn(async move {
            while let Some(Ok((uid, answer))) = asked.join_next().await {
                reports.insert(uid, answer);
            }
            let controls = Controls(reports);
            // The driver is gone when nobody receives.
            let _ = sender.send(Message::Controls { uids, controls }).await;
        });
    }

    fn send(&mut self, begun: Begun) {
        let (edge, sender) = (self.edge.clone(), self.sender.clone());
        self.tasks.spawn(async move {
            let answer = edge
                .challenge(begun.gate, &begun.challenge, &begun.sequence)
                .await;
            let answer = answer.map_err(|error| {
                tracing::debug!(%error, pod = begun.uid, "a challenge went unheard");
                error.to_string()
            });
            let _ = sender
                .send(Message::Finished(Box::new(Finished { begun, answer })))
                .await;
        });
    }

    fn ask_seen(&mut self, now: Instant) {
        for (canary, since) in self.seen.due(&self.view.shared.canaries, now) {
            let address = control_address(&canary, &self.config);
            let (edge, sender) = (self.edge.clone(), self.sender.clone());
            self.tasks.spawn(async move {
                let answer = match address {
                    Some(address) => edge.seen(address, since).await,
                    None => Err(EdgeError::NoAddress),
                };
                let _ = sender.send(Message::Seen { canary, answer }).await;
            });
        }
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            let (cluster, sender) = (self.cluster.clone(), self.sender.clone());
            match action {
                Action::Publish(seal) => self.board.publish(*seal),
                Action::Forget { uid } => self.board.forget(&uid),
                Action::Condition(condition) => {
                    let uid = condition.uid.clone();
                    self.tasks.spawn(async move {
                        let done = match timeout(WRITE, cluster.condition(condition)).await {
                            Ok(Ok(())) => true,
                            Ok(Err(ClusterError::Gone)) => false,
                            Ok(Err(error)) => {
                                tracing::warn!(%error, "the condition of a pod was not written");
                                false
                            }
                            Err(_) => {
                                tracing::warn!("the API server did not answer a pod's condition");
                                false
                            }
                        };
                        let _ = sender.send(Message::ConditionWritten { uid, done }).await;
                    });
                }
                Action::Delete {
                    namespace,
                    name,
                    uid,
                } => {
                    tracing::warn!(namespace, pod = name, "deleting a pod that is open");
                    self.tasks.spawn(async move {
                        let done = cluster.delete(namespace, name, uid.clone());
                        match timeout(WRITE, done).await {
                            Ok(Ok(()) | Err(ClusterError::Gone)) => return,
                            Ok(Err(error)) => {
                                tracing::warn!(%error, "an open pod was not deleted");
                            }
                            Err(_) => {
                                tracing::warn!("the API server did not answer a deletion");
                            }
                        }
                        let _ = sender.send(Message::DeleteFailed { uid }).await;
                    });
                }
                Action::Event {
                    regarding,
                    reason,
                    note,
                } => {
                    tracing::warn!(reason = reason.as_str(), note, "a pod is open");
                    self.tasks.spawn(async move {
                        let told = cluster.event(*regarding, reason, note);
                        match timeout(WRITE, told).await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => tracing::warn!(%error, "an Event was not written"),
                            Err(_) => tracing::warn!("the API server did not answer an Event"),
                        }
                    });
                }
            }
        }
    }
}

fn control_address(canary: &Canary, config: &Config) -> Option<SocketAddr> {
    let ip = canary.pod.addresses.first()?;
    Some(SocketAddr::new(*ip, config.ports.canary_control))
}
