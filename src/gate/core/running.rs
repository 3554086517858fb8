//! What runs behind the gate: what launch says of it, and what the gate has seen of it itself.

use std::time::Instant;

use super::Core;
use crate::gate::engine_view::{Limits, Lost, RuntimeView};
use crate::launch::lock::NAMES;
use crate::seal::lease::Runtime;
use crate::seal::wire::RuntimeFault;

impl Core {
    /// Of an engine that may take this long.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        self.inner().runtime.limits = limits;
        self
    }

    /// A launch has come and shown its locks.
    pub fn connected(&self, locks: &[String]) {
        self.change(|inner, now| {
            inner.runtime.connected = true;
            inner.runtime.locks = NAMES
                .into_iter()
                .filter(|name| locks.iter().any(|lock| lock == name))
                .map(str::to_owned)
                .collect();
            inner.runtime.enter(Runtime::Waiting, now);
        });
    }

    /// The launch is gone, and a drain for its sake is over.
    pub fn disconnected(&self) {
        self.change(|inner, now| {
            inner.runtime.gone(now);
            inner.drain.launch_gone();
        });
    }

    /// Launch says where the engine is.
    pub fn says(&self, phase: Runtime) {
        self.change(|inner, now| inner.runtime.enter(phase, now));
    }

    /// The engine has answered something.
    pub fn sign_of_life(&self) {
        self.inner().runtime.sign = Instant::now();
    }

    /// Engine `run` has answered a completion.
    pub fn warmed(&self, run: u64) {
        self.while_running(run, RuntimeView::warmed);
    }

    /// Engine `run` does not answer any more, for now.
    pub fn cooled(&self, run: u64) {
        self.change(|inner, now| {
            if inner.runtime.run == run {
                inner.runtime.cooled(now);
            }
        });
    }

    /// Engine `run` is healthy and answered the gate's own question wrongly, or not at all.
    pub fn answered_wrongly(&self, run: u64) {
        self.while_running(run, RuntimeView::answered_wrongly);
    }

    /// What runs lives and does not answer as it should, for now.
    pub fn troubled(&self, run: u64, fault: RuntimeFault) {
        self.while_running(run, |runtime, now| runtime.troubled(fault, now));
    }

    /// A process behind the one that launch runs has ended by itself, or was ended for this.
    pub fn failed(&self, run: u64, fault: RuntimeFault) {
        self.while_running(run, |runtime, now| runtime.failed(fault, now));
    }

    /// Something about engine `run`. Once launch has said that it is over, launch's word holds.
    fn while_running(&self, run: u64, act: impl FnOnce(&mut RuntimeView, Instant)) {
        self.change(|inner, now| {
            if inner.runtime.run == run && inner.runtime.phase == Runtime::Running {
                act(&mut inner.runtime, now);
            }
        });
    }

    /// What launch said.
    #[must_use]
    pub fn runtime(&self) -> RuntimeView {
        self.inner().runtime.clone()
    }

    /// Why a started engine should be started again, if it should.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        self.inner().runtime.lost(Instant::now())
    }
}
