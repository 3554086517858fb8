//! What the canaries and the operator reached: the controls of one round.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::suffix;
use crate::driver::view::Canary;
use crate::seal::wire::{ControlReport, Proto};

/// The operator's own key among [`Controls`]: no pod has such a UID.
pub const OPERATOR: &str = "operator";

/// The answers of one round, of each canary by its UID and of the operator; an error says why one did not
/// answer.
#[derive(Clone, Debug, Default)]
pub struct Controls(pub BTreeMap<String, Result<ControlReport, String>>);

impl Controls {
    /// One half of the control of a canary by its pod address: it dialled the gate.
    pub(super) fn dialled_gate(&self, canary: &Canary, gate: SocketAddr) -> Result<u32, String> {
        let name = &canary.pod.name;
        match self.0.get(&canary.uid) {
            Some(Ok(report)) => report
                .gates
                .iter()
                .find(|dialled| dialled.addr == gate)
                .and_then(|dialled| dialled.rtt_micros)
                .ok_or_else(|| format!("canary {name} could not reach the gate at {gate}")),
            Some(Err(why)) => Err(format!("canary {name} does not answer: {why}")),
            None => Err(format!("canary {name} was not asked")),
        }
    }

    /// The other half of a canary's control: its listener answers the operator.
    pub(super) fn listens(
        &self,
        canary: &Canary,
        addr: SocketAddr,
        proto: Proto,
    ) -> Result<u32, String> {
        self.reached(addr, proto).ok_or_else(|| {
            let proto = suffix(addr.ip(), proto);
            format!(
                "canary {} does not answer the operator over {proto}",
                canary.pod.name
            )
        })
    }

    /// The control of a shared target: a canary or the operator reached it. The slowest round trip counts.
    pub(super) fn reached(&self, addr: SocketAddr, proto: Proto) -> Option<u32> {
        let reports = self.0.values().filter_map(|report| report.as_ref().ok());
        reports
            .flat_map(|report| &report.targets)
            .filter(|dialled| dialled.addr == addr && dialled.proto == proto)
            .filter_map(|dialled| dialled.rtt_micros)
            .max()
    }
}
