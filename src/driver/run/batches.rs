//! The controls of many pods' rounds, in as few orders to the canaries as hold them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::driver::cluster::Cluster;
use crate::driver::sequence::unix_millis;
use crate::driver::targets::{self, Controls};
use crate::seal::wire::{ControlOrder, VERSION};

use super::ask::control_address;
use super::{Driver, Message};

/// Gates in one order; a canary takes 512.
const MAX_GATES: usize = 256;
/// Node addresses in one order; a canary takes 32 targets.
const MAX_NODES: usize = 16;

impl<C: Cluster> Driver<C> {
    /// Splits these pods into batches that fit an order each. At most one second's worth of them waits.
    pub(super) fn split(&mut self, uids: Vec<String>) {
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
    pub(super) fn batch(&mut self, uids: Vec<String>, now: Instant) {
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
}
