//! Which TCP ports an engine that keeps stream sockets may use, by Landlock (Linux 6.7, ABI 4).
//!
//! Landlock knows ports, no addresses. An engine of several processes talks with itself over ports that the kernel
//! chooses, so all of that range stays open, on whatever address; what is below it, where services listen, does not:
//! web servers, registries, DNS over TCP, the API server, the gate. That is a part of a lock, not one, and it has a
//! name of its own.

use std::fs;
use std::ops::RangeInclusive;

use landlock::{
    AccessNet, BitFlags, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus,
};

/// The lowest port that may stay open beside the engine's own.
pub const FIRST: u16 = 32_768;
/// From here on are the ports that an engine takes by itself when it cannot ask the kernel (RFC 6335, 6).
const DYNAMIC: u16 = 49_152;
/// Where the kernel takes ports from for whoever asks for any (ip(7)).
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The ports that stay open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// The port to listen on, where there is one; also open to connections.
    pub own: Option<u16>,
    /// Ports that may be connected to.
    pub connect: Vec<u16>,
    /// Also all that the kernel chooses, to listen on and to connect to.
    pub chosen: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rules hold for this thread and all that it starts.
    Holds,
    /// There are none, and why.
    Not(String),
}

/// Restricts this thread, and so every thread and process that it starts, to these ports: where chosen ones stay open,
/// these are the kernel's range of ports and the dynamic ports.
///
/// A kernel without it, or with a range that begins too low, is [`Outcome::Not`].
///
/// # Errors
/// The kernel has it and did not take the rules.
pub fn restrict(ports: &Open) -> Result<Outcome, RulesetError> {
    let text = fs::read_to_string(RANGE).unwrap_or_default();
    let range = open(&text);
    if ports.chosen && range.is_none() {
        let why = format!(
            "the kernel's range of ports is not above {FIRST}: {}",
            text.trim()
        );
        return Ok(Outcome::Not(why));
    }
    let tcp: BitFlags<AccessNet> = AccessNet::BindTcp | AccessNet::ConnectTcp;
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(tcp)
        .and_then(Ruleset::create);
    let mut rules = match made {
        Ok(rules) => rules,
        Err(error) => return Ok(Outcome::Not(error.to_string())),
    };
    if ports.chosen {
        // 0 asks the kernel for a port of its range.
        rules = rules.add_rule(NetPort::new(0, AccessNet::BindTcp))?;
    }
    let range = range.filter(|_| ports.chosen).into_iter().flatten();
    for open in ports.own.into_iter().chain(range) {
        rules = rules.add_rule(NetPort::new(open, tcp))?;
    }
    for port in &ports.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    let status = rules.restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Outcome::Holds,
        status => Outcome::Not(format!("{status:?}")),
    })
}

/// The ports that stay open, out of the kernel's own words; `None` where they would reach below [`FIRST`].
fn open(range: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = range.split_ascii_whitespace().map(str::parse::<u16>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    (first >= FIRST && last >= first).then(|| first.min(DYNAMIC)..=u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::default("32768\t60999\n", Some(32_768..=65_535))]
    #[case::high("50000 60000", Some(49_152..=65_535))]
    #[case::low("1024 65535", None)]
    #[case::one("32768", None)]
    #[case::backwards("60999 32768", None)]
    #[case::nothing("", None)]
    fn only_high_ports_stay_open(
        #[case] text: &str,
        #[case] expected: Option<RangeInclusive<u16>>,
    ) {
        assert_eq!(open(text), expected);
    }
}
