//! What goes to a gate, and what is asked of a canary, but for controls.

use std::net::SocketAddr;
use std::time::Instant;

use crate::driver::cluster::Cluster;
use crate::driver::config::Config;
use crate::driver::edge::EdgeError;
use crate::driver::planner::{Begun, Finished};
use crate::driver::view::Canary;

use super::{Driver, Message};

impl<C: Cluster> Driver<C> {
    /// Sends a challenge to its gate.
    pub(super) fn send(&mut self, begun: Begun) {
        let (edge, sender) = (self.edge.clone(), self.sender.clone());
        self.tasks.spawn(async move {
            let answer = edge
                .challenge(begun.gate, &begun.challenge, &begun.sequence, begun.alarm)
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

    /// Asks the canaries what they saw.
    pub(super) fn ask_seen(&mut self, now: Instant) {
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
}

/// Where a canary takes orders.
pub(super) fn control_address(canary: &Canary, config: &Config) -> Option<SocketAddr> {
    let ip = canary.pod.addresses.first()?;
    Some(SocketAddr::new(*ip, config.ports.canary_control))
}
