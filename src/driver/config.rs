//! What the driver is told when it starts.

use std::time::Duration;

/// Which Service, by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The ports on which the other processes listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WirePorts {
    /// The gate's admin port.
    pub gate_admin: u16,
    /// Where canaries and their Service answer nonces, TCP and UDP.
    pub canary: u16,
    /// Where canaries take orders.
    pub canary_control: u16,
}

impl Default for WirePorts {
    fn default() -> Self {
        Self {
            gate_admin: 8081,
            canary: 8080,
            canary_control: 8081,
        }
    }
}

/// The driver's settings. Only [`run`](super::run()) needs the signing key, so it is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Time between two rounds of a proven pod (`seal.roundSeconds`).
    pub round: Duration,
    /// Rounds for which a proof is valid (`seal.validityRounds`).
    pub validity_rounds: u32,
    /// Most challenges a second (`seal.maxChallengesPerSecond`); rounds get longer rather than more.
    pub max_per_second: u32,
    /// Time between two rounds of a pod that is not proven. Five rounds must begin over at least three
    /// seconds, so four of these are a little more than that.
    pub tick: Duration,
    /// Longest time between two rounds of a pod whose rounds keep failing.
    pub max_back_off: Duration,
    /// Ports of the others.
    pub ports: WirePorts,
    /// The canaries' Service.
    pub canary_service: Option<ServiceName>,
    /// The cluster's DNS Service; `None` where there is none.
    pub dns_service: Option<ServiceName>,
    /// The API server's Service.
    pub api_service: Option<ServiceName>,
}

impl Default for Config {
    fn default() -> Self {
        let service = |namespace: &str, name: &str| {
            Some(ServiceName {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            })
        };
        Self {
            round: Duration::from_secs(30),
            validity_rounds: 3,
            max_per_second: 200,
            tick: Duration::from_millis(760),
            max_back_off: Duration::from_secs(10),
            ports: WirePorts::default(),
            canary_service: service("sealroom-system", "sealroom-canary"),
            dns_service: service("kube-system", "kube-dns"),
            api_service: service("default", "kubernetes"),
        }
    }
}
