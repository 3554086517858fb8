//! What the gate knows, in one place: the seal's state machine, what launch says, the drain.
//!
//! Every change goes through here, so that what follows from it happens before anybody is told: when the pod
//! no longer serves, all client connections are cut first. What concerns the proof is in [`proof`], what launch and the
//! engine do in [`running`].

mod proof;
mod running;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::Extensions;
use tokio::sync::watch;

use super::doors::Doors;
pub use super::drain_state::{Drain, DrainFor};
use super::drain_state::{DrainNumber, DrainState};
use super::engine_view::RuntimeView;
use super::listen::Unwarned;
use crate::seal::lease::{Runtime, Word};
use crate::seal::state::Machine;
use crate::seal::wire::{Mcp, Report, State};

/// What others wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The seal.
    pub state: State,
    /// Requests may be served, as far as the seal goes.
    pub serves: bool,
    /// What launch is to hear.
    pub word: Word,
    /// The drain.
    pub drain: Drain,
}

#[derive(Debug)]
struct Inner {
    machine: Machine,
    unsealed: bool,
    runtime: RuntimeView,
    drain: DrainState,
    checked_at: String,
    in_flight: usize,
    mcp: Option<Mcp>,
    obstacle: Option<String>,
}

/// The gate's knowledge.
#[derive(Debug)]
pub struct Core {
    inner: Mutex<Inner>,
    status: watch::Sender<Status>,
    /// Every connection on the API port.
    pub doors: Doors,
}

/// A request under way.
#[derive(Debug)]
pub struct InFlight(Arc<Core>);

impl Core {
    /// Of a gate that has just started: unproven.
    #[must_use]
    pub fn new(machine: Machine) -> Self {
        let now = Instant::now();
        let runtime = RuntimeView::new(now);
        let status = Status {
            state: State::Unproven,
            serves: false,
            word: Word::Held,
            drain: Drain::No,
        };
        Self {
            inner: Mutex::new(Inner {
                machine,
                unsealed: false,
                runtime,
                drain: DrainState::default(),
                checked_at: String::new(),
                in_flight: 0,
                mcp: None,
                obstacle: None,
            }),
            status: watch::Sender::new(status),
            doors: Doors::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something and lets everything follow that depends on it.
    fn change<T>(&self, act: impl FnOnce(&mut Inner, Instant) -> T) -> T {
        let mut inner = self.inner();
        let now = Instant::now();
        let done = act(&mut inner, now);
        let status = inner.status(now);
        // Published under the lock, so that no older status overtakes a newer one.
        self.status.send_if_modified(|old| {
            if old.serves && !status.serves {
                self.doors.cut();
            }
            if old.drain < Drain::LameDuck && status.drain >= Drain::LameDuck {
                self.doors.leave();
            }
            if old.drain < Drain::Refusing && status.drain >= Drain::Refusing {
                self.doors.close();
            }
            if old.drain != Drain::No && status.drain == Drain::No {
                self.doors.stay();
            }
            if old.state != status.state {
                let reason = inner
                    .machine
                    .opening()
                    .map(|opening| opening.reason.clone());
                tracing::info!(from = ?old.state, to = ?status.state, reason, "seal");
            }
            let changed = *old != status;
            *old = status;
            changed
        });
        done
    }

    /// Follows the clock; returns when the state may next change by itself.
    pub fn refresh(&self) -> Option<Instant> {
        self.change(|inner, now| inner.machine.next_change(now))
    }

    /// To wait for changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// What this gives, or nothing when the pod no longer serves or lets nobody wait any more before.
    ///
    /// Nothing is locked afterwards: what [`watch::Receiver::wait_for`] gives is a lock that the next change waits for,
    /// and whoever reads the state beside it would wait for that change.
    pub async fn while_serving<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut status = self.watch();
        let closed = async {
            let _ = status
                .wait_for(|status| !status.serves || status.drain >= Drain::Emptying)
                .await;
        };
        tokio::select! {
            biased;
            () = closed => None,
            done = work => Some(done),
        }
    }

    /// Of a pod whose object asks for no seal (`seal.mode: Unsealed`): it serves without a proof and reports
    /// that it is not sealed.
    #[must_use]
    pub fn unsealed(self) -> Self {
        self.inner().unsealed = true;
        self
    }

    /// Counts a request until the guard goes; `None` when the drain refuses it: new ones first, last those over
    /// connections that were to end and could not say so.
    #[must_use]
    pub fn enter(self: &Arc<Self>, extensions: &Extensions) -> Option<InFlight> {
        let refusing = match extensions.get::<Unwarned>() {
            Some(Unwarned) => Drain::Emptying,
            None => Drain::Refusing,
        };
        self.change(|inner, _| {
            let open = inner.drain.stage < refusing;
            inner.in_flight += usize::from(open);
            open
        })
        .then(|| InFlight(Arc::clone(self)))
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.inner().in_flight
    }

    /// Begins a drain; `None` where one goes on already.
    #[must_use]
    pub fn drain(&self, by: DrainFor) -> Option<DrainNumber> {
        self.change(|inner, _| inner.drain.begin(by))
    }

    /// Moves this drain on, never back; false when it is over.
    #[must_use]
    pub fn advance(&self, drain: DrainNumber, to: Drain) -> bool {
        self.change(|inner, _| inner.drain.advance(drain, to))
    }

    /// Ends this drain where nothing is under way, and says whether. Both in one, so that nothing enters in between.
    #[must_use]
    pub fn end_drain(&self, drain: DrainNumber) -> bool {
        self.change(|inner, _| inner.in_flight == 0 && inner.drain.advance(drain, Drain::Done))
    }

    /// What is known about an MCP server, and why it must not be served, if there is a reason.
    pub fn mcp(&self, report: Mcp, obstacle: Option<String>) {
        self.change(|inner, _| {
            inner.mcp = Some(report);
            inner.obstacle = obstacle;
        });
    }

    /// Why what runs must not be served, though it could.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        self.inner().obstacle.clone()
    }

    /// Whether what clients send is sent on now, and so can be answered wrongly.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let inner = self.inner();
        let serves = inner.unsealed || inner.machine.serves(Instant::now());
        serves && inner.drain.stage == Drain::No && inner.obstacle.is_none()
    }

    /// The answer of `/sealz` and `/challenge`.
    #[must_use]
    pub fn report(&self) -> Report {
        let inner = self.inner();
        let now = Instant::now();
        let report = inner.machine.report(now);
        let mut locks = inner.runtime.locks.clone();
        if report.state == State::Proven {
            locks.push("NetworkPolicy".to_owned());
        }
        Report {
            checked_at: inner.checked_at.clone(),
            locks,
            runtime_ran: inner.runtime.run > 0,
            runtime_fault: inner.runtime.fault(now),
            mcp: inner.mcp.clone(),
            ..report
        }
    }
}

impl Inner {
    fn status(&self, now: Instant) -> Status {
        let engine_runs = matches!(self.runtime.phase, Runtime::Starting | Runtime::Running);
        let lease = if self.unsealed {
            Word::Granted
        } else {
            self.machine.lease(now, engine_runs)
        };
        let word = match lease {
            Word::Granted if self.drain.stage == Drain::Done => Word::Drained,
            word => word,
        };
        Status {
            state: self.machine.state(now),
            serves: self.unsealed || self.machine.serves(now),
            word,
            drain: self.drain.stage,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0
            .change(|inner, _| inner.in_flight = inner.in_flight.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests;
