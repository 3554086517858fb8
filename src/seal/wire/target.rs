//! What is probed, and beside which control.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The transport that a probe uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Proto {
    /// A connect.
    Tcp,
    /// A datagram that asks for an answer.
    Udp,
}

/// What listens at a target, and so what a probe says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TargetKind {
    /// A canary: `sealroom-nonce <nonce>\n`, answered by `seen <nonce>\n` over either transport.
    Canary,
    /// Cluster DNS: a query that the server answers by itself over UDP, a connect over TCP.
    Dns,
    /// A TCP connect, or a UDP datagram with the canary's text, and nothing else.
    Dial,
}

/// How a control in the same round went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Control {
    /// Somebody who may reach the target did, `rtt` microseconds for a round trip.
    Ok {
        /// Round trip in microseconds, at least 1.
        rtt_micros: u32,
    },
    /// Nobody reached the target.
    Failed,
    /// There is no control for this target: a tripwire.
    None,
}

/// One address to probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// A stable name such as `canary/other-node/tcp4`, at most 63 characters.
    pub name: String,
    /// Required targets need their control; tripwires only convict.
    pub required: bool,
    /// What listens there.
    pub kind: TargetKind,
    /// Address and port.
    pub addr: SocketAddr,
    /// Transport.
    pub proto: Proto,
    /// Its control of this round.
    pub control: Control,
}
