//! One operator, its canaries and the gates of its pods, without sockets and clocks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::driver::board::PodSeal;
use crate::driver::config::Config;
use crate::driver::planner::{Action, Begun, Finished, Planner, PodCondition};
use crate::driver::targets::{Controls, OPERATOR};
use crate::driver::view::{Canary, Condition, SealedPod, View};
use crate::seal::probe::Observation;
use crate::seal::wire::{ControlReport, Dialled, Proto, Seen, Target, VERSION};

use super::cluster::{OneOwner, SEALED, policy, shared};
use super::gate::Gate;

pub(super) struct Sim {
    pub planner: Planner,
    pub view: View,
    pub owners: OneOwner,
    pub now: Instant,
    pub gates: BTreeMap<String, Gate>,
    /// What pods can reach.
    pub leaks: fn(&Target) -> bool,
    /// Packets get to the canary, and no answer comes back.
    pub one_way: bool,
    /// Which controls work, by canary UID and dialled address.
    pub control: fn(&str, SocketAddr) -> bool,
    /// Whether the API server takes no condition.
    pub refuses: bool,
    pub seals: BTreeMap<String, PodSeal>,
    /// How often the words of a seal became others.
    pub reworded: usize,
    pub actions: Vec<Action>,
}

impl Sim {
    pub(super) fn new(pods: Vec<SealedPod>) -> Self {
        let now = Instant::now();
        let declared = vec![policy("sealroom-sealed", SEALED)];
        let mut sim = Self {
            planner: Planner::new(Config::default(), now),
            view: View {
                pods: Vec::new(),
                shared: shared(),
                policies: declared.clone(),
                namespaces: BTreeMap::new(),
                foreign: Vec::new(),
            },
            owners: OneOwner(declared),
            now,
            gates: BTreeMap::new(),
            leaks: |_| false,
            one_way: false,
            control: |_, _| true,
            refuses: false,
            seals: BTreeMap::new(),
            reworded: 0,
            actions: Vec::new(),
        };
        sim.pods(pods);
        sim
    }

    pub(super) fn pods(&mut self, pods: Vec<SealedPod>) {
        for pod in &pods {
            self.gates
                .entry(pod.uid.clone())
                .or_insert_with(|| Gate::new(&pod.uid));
        }
        self.view.pods = pods;
    }

    /// Ends the gate of the first pod and starts it anew; the pod's status shows both.
    pub(super) fn restart_gate(&mut self) {
        let pod = &mut self.view.pods[0];
        let uid = pod.uid.clone();
        pod.gate_running = false;
        self.step();
        self.gates.get_mut(&uid).expect("a gate").restart(&uid);
        self.view.pods[0].gate_running = true;
    }

    /// Lets time pass in steps of 190 ms, as the driver's loop does.
    pub(super) fn run(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while self.now < end {
            self.step();
            self.now += Duration::from_millis(190);
        }
    }

    pub(super) fn step(&mut self) {
        let view = Arc::new(self.view.clone());
        let actions = self.planner.observe(view, &self.owners, self.now);
        self.take(actions);
        let due = self.planner.due(self.now, true);
        for uid in due.alarms {
            let begun = self.planner.begin_alarm(&uid, self.now);
            self.exchange(begun.expect("a pod"));
        }
        let controls = self.controls(&due.rounds);
        for uid in due.rounds {
            let begun = self.planner.begin(&uid, &controls, self.now);
            self.exchange(begun.expect("a pod"));
        }
    }

    fn controls(&self, uids: &[String]) -> Controls {
        let (gates, nodes) = self.planner.to_dial(uids);
        let targets = self.planner.control_targets(&nodes);
        let one = |canary: &Canary| {
            let dial = |addr, proto| Dialled {
                addr,
                proto,
                rtt_micros: (self.control)(&canary.uid, addr).then_some(300),
            };
            let report = ControlReport {
                v: VERSION,
                canary_uid: canary.uid.clone(),
                gates: gates.iter().map(|addr| dial(*addr, Proto::Tcp)).collect(),
                targets: targets
                    .iter()
                    .map(|target| dial(target.addr, target.proto))
                    .collect(),
            };
            (canary.uid.clone(), Ok(report))
        };
        let own = ControlReport {
            v: VERSION,
            canary_uid: OPERATOR.to_owned(),
            gates: Vec::new(),
            targets: (self.planner.own_targets().iter())
                .map(|target| Dialled {
                    addr: target.addr,
                    proto: target.proto,
                    rtt_micros: (self.control)(OPERATOR, target.addr).then_some(300),
                })
                .collect(),
        };
        let mut controls: BTreeMap<_, _> = self.view.shared.canaries.iter().map(one).collect();
        controls.insert(OPERATOR.to_owned(), Ok(own));
        Controls(controls)
    }

    /// The gate probes and answers at once; canaries tell what they saw.
    fn exchange(&mut self, begun: Begun) {
        let (nonce, now) = (begun.challenge.nonce.clone(), self.now);
        let (leaks, one_way) = (self.leaks, self.one_way);
        let gate = self.gates.get_mut(&begun.uid).expect("a gate");
        let mut heard = Vec::new();
        let probe = |target: &Target| {
            let out = leaks(target);
            if out && target.name.starts_with("canary/") {
                heard.push(target.clone());
            }
            if out && !one_way {
                Observation::Connected
            } else {
                Observation::Silence { waited_ms: 1000 }
            }
        };
        let answer = gate.answer(&begun.challenge, probe, now);
        let actions = self.planner.finished(Finished { begun, answer }, now);
        self.take(actions);
        for target in heard {
            let canaries = self.view.shared.canaries.iter();
            let mut canaries = canaries.cloned();
            let canary = canaries.find(|one| one.pod.addresses.contains(&target.addr.ip()));
            self.hear(&canary.expect("a canary"), &nonce, target.proto);
        }
    }

    /// A canary tells that it heard a nonce.
    pub(super) fn hear(&mut self, canary: &Canary, nonce: &str, proto: Proto) {
        let from = "192.0.2.77".parse().expect("an address behind some NAT");
        let seen = Seen {
            id: 1,
            nonce: nonce.to_owned(),
            from,
            proto,
        };
        let actions = self.planner.seen(canary, &[seen], self.now);
        self.take(actions);
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Publish(seal) => {
                    let message = seal.sealed.message.clone();
                    let before = self.seals.insert(seal.uid.clone(), *seal);
                    let other = before.is_some_and(|before| before.sealed.message != message);
                    self.reworded += usize::from(other);
                }
                Action::Forget { uid } => {
                    self.seals.remove(&uid);
                }
                Action::Condition(one) => {
                    self.write(&one);
                    self.actions.push(Action::Condition(one));
                }
                other => self.actions.push(other),
            }
        }
    }

    /// The API server takes it, unless it refuses, and the watch shows it.
    fn write(&mut self, one: &PodCondition) {
        self.planner
            .condition_written(&one.uid, !self.refuses, self.now);
        let mut pods = self.view.pods.iter_mut();
        if let Some(pod) = pods.find(|pod| pod.uid == one.uid && !self.refuses) {
            let since = one.since.clone();
            pod.condition = Some(Condition {
                status: if one.ready { "True" } else { "False" }.to_owned(),
                reason: one.reason.as_str().to_owned(),
                since: since.unwrap_or_else(|| format!("{:?}", self.now)),
            });
        }
    }

    /// Another leader takes over, and knows what the cluster shows.
    pub(super) fn restart_operator(&mut self) {
        self.planner = Planner::new(Config::default(), self.now);
        self.actions.clear();
    }
}
