//! What a probe means: the truth table of the enforcement proof.
//!
//! | observed | tripwire | required, control ok | required, control failed or none |
//! |---|---|---|---|
//! | connected, answered | reached | reached | reached |
//! | silence, long enough | blocked | blocked | unknown |
//! | silence, too short | unknown | unknown | unknown |
//! | unreachable, denied | blocked | blocked | unknown |
//! | refused | unknown, blocked with a control | blocked | unknown |
//! | any other error | unknown | unknown | unknown |
//!
//! A refusal is blocked only beside a control that connected: some CNIs reject instead of dropping, and the
//! listener did not see the probe. Whether a canary saw it nevertheless is the operator's knowledge: it
//! orders the opening.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::probe::Observation;
use super::wire::{Closure, Control, Target, TargetReport, Verdict};

/// Shortest silence that counts.
pub const MIN_WAIT: Duration = Duration::from_secs(1);
/// Longest silence that is waited for.
pub const MAX_WAIT: Duration = Duration::from_secs(5);
/// Round trips of the control that a silence must last.
const ROUND_TRIPS: u32 = 10;

/// How long nothing must come from a target before that is silence.
#[must_use]
pub fn required_wait(control: Control) -> Duration {
    match control {
        Control::Ok { rtt_micros } => Duration::from_micros(u64::from(rtt_micros))
            .saturating_mul(ROUND_TRIPS)
            .clamp(MIN_WAIT, MAX_WAIT),
        Control::Failed | Control::None => MIN_WAIT,
    }
}

/// The verdict on one target and its reason in a few words, none of them written by a peer.
#[must_use]
pub fn verdict(target: &Target, observation: &Observation) -> (Verdict, String) {
    let detail = observation.to_string();
    let control = matches!(target.control, Control::Ok { .. });
    let found = match observation {
        Observation::Connected | Observation::Answered => return (Verdict::Reached, detail),
        Observation::Silence { waited_ms } => {
            u128::from(*waited_ms) >= required_wait(target.control).as_millis()
        }
        Observation::Unreachable | Observation::Denied => true,
        Observation::Refused => control,
        Observation::Error(_) => false,
    };
    if target.required && !control {
        let why = control_name(target.control);
        return (Verdict::Unknown, format!("{detail}, control {why}"));
    }
    if found {
        (Verdict::Blocked, detail)
    } else {
        (Verdict::Unknown, detail)
    }
}

/// The verdict as a line of a report.
#[must_use]
pub fn report(target: &Target, observation: &Observation) -> TargetReport {
    let (verdict, detail) = verdict(target, observation);
    TargetReport {
        name: target.name.clone(),
        required: target.required,
        addr: target.addr.to_string(),
        proto: target.proto,
        family: family(target.addr).to_owned(),
        verdict,
        control: control_name(target.control).to_owned(),
        detail,
    }
}

/// `ok`, `failed` or `none`.
#[must_use]
pub fn control_name(control: Control) -> &'static str {
    match control {
        Control::Ok { .. } => "ok",
        Control::Failed => "failed",
        Control::None => "none",
    }
}

/// `equal`, `widened` or `unknown`.
#[must_use]
pub fn closure_name(closure: &Closure) -> &'static str {
    match closure {
        Closure::Equal => "equal",
        Closure::Widened { .. } => "widened",
        Closure::Unknown => "unknown",
    }
}

/// `IPv4` or `IPv6`; an IPv4 address mapped into IPv6 leaves the host as IPv4.
#[must_use]
pub fn family(addr: SocketAddr) -> &'static str {
    match addr.ip().to_canonical() {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}

#[cfg(test)]
mod tests;
