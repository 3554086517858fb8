//! The gate of one pod: its real state machine, and what it answers to a challenge.

use std::time::{Duration, Instant};

use crate::seal::probe::Observation;
use crate::seal::session::Session;
use crate::seal::state::{Config, Machine, OwnNode, Refused, WhenStale};
use crate::seal::wire::{Challenge, Report, RuntimeFault, Target};

pub(super) struct Gate {
    pub machine: Machine,
    pub runtime_ran: bool,
    pub runtime_fault: Option<RuntimeFault>,
    /// No challenge reaches it.
    pub deaf: bool,
    /// Challenges that did not reach it.
    pub unheard: usize,
    pub challenges: Vec<Instant>,
    /// Challenges that it refused with 409.
    pub conflicts: usize,
}

impl Gate {
    pub(super) fn new(uid: &str) -> Self {
        Self {
            machine: machine(uid),
            runtime_ran: false,
            runtime_fault: None,
            deaf: false,
            unheard: 0,
            challenges: Vec::new(),
            conflicts: 0,
        }
    }

    /// Its container is another: only the state machine begins anew.
    pub(super) fn restart(&mut self, uid: &str) {
        self.machine = machine(uid);
    }

    /// Probes and reports at once, unless nothing reaches it.
    pub(super) fn answer(
        &mut self,
        challenge: &Challenge,
        probe: impl FnMut(&Target) -> Observation,
        now: Instant,
    ) -> Result<Report, String> {
        if self.deaf {
            self.unheard += 1;
            return Err("no connection".to_owned());
        }
        self.challenges.push(now);
        // As the driver's HTTP side does it.
        let mut sent = challenge.clone();
        let conflict = self.machine.conflict();
        if sent.session != Some(conflict.session) {
            let refused = self.machine.begin(sent.clone(), now);
            assert_eq!(refused.err(), Some(Refused::Session));
            self.conflicts += 1;
            sent.session = Some(conflict.session);
        }
        // Time here runs faster than the clock that another operator numbers by.
        if sent.seq <= conflict.last {
            sent.seq = conflict.last + 1;
        }
        let round = self.machine.begin(sent, now).expect("a good challenge");
        let observed: Vec<Observation> = challenge.targets.iter().map(probe).collect();
        self.machine.finish(round, &observed, now);
        Ok(self.report(now))
    }

    fn report(&self, now: Instant) -> Report {
        Report {
            locks: vec!["Kernel".to_owned()],
            runtime_ran: self.runtime_ran,
            runtime_fault: self.runtime_fault,
            ..self.machine.report(now)
        }
    }
}

fn machine(uid: &str) -> Machine {
    let config = Config {
        when_stale: WhenStale::Serve,
        grace: Duration::from_secs(30),
        own_node: OwnNode::Report,
    };
    Machine::new(config, uid, Session::random())
}
