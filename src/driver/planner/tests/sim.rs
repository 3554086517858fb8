//! One operator, its canaries and the gates of its pods, without sockets and clocks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::networking::v1::NetworkPolicy;

use crate::driver::board::PodSeal;
use crate::driver::config::Config;
use crate::driver::planner::{
    Action, Begun, Finished, Owner, Owners, Planner, PodCondition, Sealed,
};
use crate::driver::targets::{Controls, OPERATOR};
use crate::driver::view::{
    Canary, Condition, Infrastructure, PodKind, SealedPod, ServiceAddresses, View,
};
use crate::policy::{Declared, Pod, Policy};
use crate::seal::probe::Observation;
use crate::seal::session::Session;
use crate::seal::state::{Config as GateConfig, Machine, OwnNode, Refused, WhenStale};
use crate::seal::wire::{
    ControlReport, Dialled, Proto, Report, RuntimeFault, Seen, State, Target, VERSION,
};

pub(super) const SEALED: &str = "{podSelector: {matchExpressions: [{key: sealroom.dev/sealed, operator: Exists}]}, policyTypes: [Ingress, Egress]}";

pub(super) fn policy(name: &str, spec: &str) -> Policy {
    let mut policy = NetworkPolicy {
        spec: Some(serde_saphyr::from_str(spec).expect("a spec")),
        ..NetworkPolicy::default()
    };
    policy.metadata.name = Some(name.to_owned());
    policy.metadata.namespace = Some("team-a".to_owned());
    policy.metadata.uid = Some(format!("uid of {name}"));
    Policy::parse(&policy)
}

fn pod(name: &str, ip: &[&str]) -> Pod {
    Pod {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
        labels: [("sealroom.dev/sealed".to_owned(), "serve".to_owned())].into(),
        addresses: ip
            .iter()
            .map(|ip| ip.parse().expect("an address"))
            .collect(),
        ports: Vec::new(),
    }
}

pub(super) fn sealed_pod(name: &str) -> SealedPod {
    SealedPod {
        uid: name.to_owned(),
        owner_uid: "owner".to_owned(),
        kind: PodKind::Gated,
        pod: pod(name, &["10.0.0.1", "fd00::1"]),
        node: "node-1".to_owned(),
        node_addresses: vec!["172.20.0.1".parse().expect("an address")],
        gate_running: true,
        engine_started: false,
        engine_oom: false,
        unlabelled: false,
        terminating: false,
        condition: None,
    }
}

pub(super) fn canary(name: &str, node: &str, ip: &[&str]) -> Canary {
    let mut pod = pod(name, ip);
    pod.namespace = "sealroom-system".to_owned();
    pod.labels = [("app".to_owned(), "canary".to_owned())].into();
    Canary {
        uid: name.to_owned(),
        pod,
        node: node.to_owned(),
        ready: true,
    }
}

pub(super) fn shared() -> Infrastructure {
    let found = |ips: &[&str]| {
        ServiceAddresses::Found(
            ips.iter()
                .map(|ip| ip.parse().expect("an address"))
                .collect(),
        )
    };
    Infrastructure {
        canaries: vec![
            canary("canary-1", "node-1", &["10.0.0.9", "fd00::9"]),
            canary("canary-2", "node-2", &["10.0.1.9", "fd00:1::9"]),
        ],
        canary_service: found(&["10.96.0.9", "fd96::9"]),
        dns: found(&["10.96.0.10", "fd96::10"]),
        api: found(&["10.96.0.1"]),
    }
}

/// What the object declares.
#[derive(Clone)]
pub(super) struct OneOwner(pub Vec<Policy>);

impl Owners for OneOwner {
    fn owner(&self, uid: &str) -> Option<Owner> {
        (uid == "owner").then(|| Owner {
            reference: ObjectReference {
                name: Some("assistant".to_owned()),
                ..Default::default()
            },
            declared: Declared {
                policies: self.0.clone(),
            },
            own_node: None,
        })
    }
}

pub(super) struct Gate {
    pub machine: Machine,
    pub runtime_ran: bool,
    pub runtime_fault: Option<RuntimeFault>,
    /// No challenge reaches it.
    pub deaf: bool,
    pub challenges: Vec<Instant>,
    /// Challenges that it refused with 409.
    pub conflicts: usize,
}

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
    pub actions: Vec<Action>,
    pub last: Option<Begun>,
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
            actions: Vec::new(),
            last: None,
        };
        sim.pods(pods);
        sim
    }

    pub(super) fn pods(&mut self, pods: Vec<SealedPod>) {
        for pod in &pods {
            self.gates.entry(pod.uid.clone()).or_insert_with(|| Gate {
                machine: machine(&pod.uid),
                runtime_ran: false,
                runtime_fault: None,
                deaf: false,
                challenges: Vec::new(),
                conflicts: 0,
            });
        }
        self.view.pods = pods;
    }

    /// Ends the gate of the first pod and starts it anew; the pod's status shows both.
    pub(super) fn restart_gate(&mut self) {
        let pod = &mut self.view.pods[0];
        let uid = pod.uid.clone();
        pod.gate_running = false;
        self.step();
        self.gates.get_mut(&uid).expect("a gate").machine = machine(&uid);
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
        let gate = self.gates.get_mut(&begun.uid).expect("a gate");
        let mut heard = Vec::new();
        let answer = if gate.deaf {
            Err("no connection".to_owned())
        } else {
            gate.challenges.push(now);
            // As the driver's HTTP side does it.
            let mut challenge = begun.challenge.clone();
            let conflict = gate.machine.conflict();
            if challenge.session != Some(conflict.session) {
                let refused = gate.machine.begin(challenge.clone(), now);
                assert_eq!(refused.err(), Some(Refused::Session));
                gate.conflicts += 1;
                challenge.session = Some(conflict.session);
            }
            // Time here runs faster than the clock that another operator numbers by.
            if challenge.seq <= conflict.last {
                challenge.seq = conflict.last + 1;
            }
            let round = gate
                .machine
                .begin(challenge, now)
                .expect("a good challenge");
            let mut observed = Vec::new();
            for target in &begun.challenge.targets {
                let out = (self.leaks)(target);
                if out && target.name.starts_with("canary/") {
                    heard.push(target.clone());
                }
                observed.push(if out && !self.one_way {
                    Observation::Connected
                } else {
                    Observation::Silence { waited_ms: 1000 }
                });
            }
            gate.machine.finish(round, &observed, now);
            Ok(report(gate, now))
        };
        self.last = Some(begun.clone());
        let actions = self.planner.finished(Finished { begun, answer }, now);
        self.take(actions);
        for target in heard {
            let canaries = self.view.shared.canaries.clone();
            let canary = canaries
                .iter()
                .find(|one| one.pod.addresses.contains(&target.addr.ip()));
            let from = "192.0.2.77".parse().expect("an address behind some NAT");
            let seen = Seen {
                id: 1,
                nonce: nonce.clone(),
                from,
                proto: target.proto,
            };
            let actions = self.planner.seen(canary.expect("a canary"), &[seen], now);
            self.take(actions);
        }
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Publish(seal) => {
                    self.seals.insert(seal.uid.clone(), *seal);
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

fn machine(uid: &str) -> Machine {
    let config = GateConfig {
        when_stale: WhenStale::Serve,
        grace: Duration::from_secs(30),
        own_node: OwnNode::Report,
    };
    Machine::new(config, uid, Session::random())
}

fn report(gate: &Gate, now: Instant) -> Report {
    Report {
        locks: vec!["Kernel".to_owned()],
        runtime_ran: gate.runtime_ran,
        runtime_fault: gate.runtime_fault,
        ..gate.machine.report(now)
    }
}
