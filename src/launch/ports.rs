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

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rules hold for this thread and all that it starts.
    Holds,
    /// There are none, and why.
    Not(String),
}

/// Restricts this thread, and so every thread and process that it starts, to `port`, the kernel's range of ports
/// and the dynamic ports.
///
/// A kernel without it, or with a range that begins too low, is [`Outcome::Not`].
///
/// # Errors
/// The kernel has it and did not take the rules.
pub fn restrict(port: u16) -> Result<Outcome, RulesetError> {
    let text = fs::read_to_string(RANGE).unwrap_or_default();
    let Some(range) = open(&text) else {
        let why = format!(
            "the kernel's range of ports is not above {FIRST}: {}",
            text.trim()
        );
        return Ok(Outcome::Not(why));
    };
    let tcp: BitFlags<AccessNet> = AccessNet::BindTcp | AccessNet::ConnectTcp;
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(tcp)
        .and_then(Ruleset::create);
    let mut rules = match made {
        Ok(rules) => rules,
        Err(error) => return Ok(Outcome::Not(error.to_string())),
    };
    // 0 asks the kernel for a port of its range.
    rules = rules.add_rule(NetPort::new(0, AccessNet::BindTcp))?;
    for open in std::iter::once(port).chain(range) {
        rules = rules.add_rule(NetPort::new(open, tcp))?;
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
