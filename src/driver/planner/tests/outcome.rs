//! What came of it all: the seals on the board, and what was done in the cluster.

use crate::driver::planner::{Action, Reason, Sealed, Status};
use crate::seal::wire::{RuntimeFault, State};

use super::cluster::sealed_pod;
use super::sim::Sim;

impl Sim {
    pub(super) fn sealed(&self, uid: &str) -> &Sealed {
        &self.seals[uid].sealed
    }

    pub(super) fn fault(&self, uid: &str) -> Option<RuntimeFault> {
        self.seals[uid].runtime_fault
    }

    pub(super) fn state(&self, uid: &str) -> State {
        self.gates[uid].machine.state(self.now)
    }

    /// (ready, reason) of every condition written.
    pub(super) fn conditions(&self) -> Vec<(bool, &'static str)> {
        let actions = self.actions.iter();
        actions
            .filter_map(|action| match action {
                Action::Condition(one) => Some((one.ready, one.reason.as_str())),
                _ => None,
            })
            .collect()
    }

    pub(super) fn deletions(&self) -> usize {
        let deletions = self.actions.iter();
        deletions
            .filter(|action| matches!(action, Action::Delete { .. }))
            .count()
    }

    pub(super) fn events(&self) -> Vec<&'static str> {
        let actions = self.actions.iter();
        actions
            .filter_map(|action| match action {
                Action::Event { reason, .. } => Some(reason.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// A pod whose proof is done.
pub(super) fn proven() -> Sim {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.run(6.0);
    assert_eq!(sim.state("p"), State::Proven);
    sim
}

#[track_caller]
pub(super) fn assert_sealed(sim: &Sim, status: Status, reason: Reason) {
    let sealed = sim.sealed("p");
    assert_eq!(
        (sealed.status, sealed.reason),
        (status, reason),
        "{sealed:?}"
    );
}
