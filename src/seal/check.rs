//! What an order may hold, whoever signed it.
//!
//! A signature says who wrote; these limits keep a mistake of the writer from becoming work without end.

use super::wire::{Challenge, Closure, ControlOrder, Target, VERSION};

/// Most targets of a [`Challenge`].
pub const MAX_TARGETS: usize = 64;
/// Most gates of a [`ControlOrder`].
pub const MAX_GATES: usize = 512;
/// Most targets of a [`ControlOrder`].
pub const MAX_CONTROL_TARGETS: usize = 32;
/// Longest name of a target, in bytes.
pub const MAX_NAME: usize = 63;
/// Longest detail of a closure or an opening, in characters.
pub const MAX_DETAIL: usize = 1024;

/// Why an order is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Another version of the wire.
    #[error("failed to read order: version {0} is not supported")]
    Version(u8),
    /// Not 32 lower-case hex digits.
    #[error("failed to read order: the nonce is not 32 lower-case hex digits")]
    Nonce,
    /// More targets than allowed.
    #[error("failed to read order: too many targets")]
    Targets,
    /// More gates than allowed.
    #[error("failed to read order: too many gates")]
    Gates,
    /// A name is empty, long, or not of printable ASCII.
    #[error("failed to read order: a target's name is not 1 to 63 printable ASCII characters")]
    Name,
    /// Port 0, or an address that is nobody's.
    #[error("failed to read order: a target's address cannot be dialled")]
    Address,
    /// A detail is too long.
    #[error("failed to read order: a detail is longer than 1,024 characters")]
    Detail,
}

/// True for what a canary remembers: 32 lower-case hex digits.
#[must_use]
pub fn is_nonce(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// How the nonce of a control begins.
const CONTROL: &str = "00000000";

/// A new nonce for a challenge, from the kernel's random numbers. It never looks like that of a control.
#[must_use]
pub fn new_nonce() -> String {
    format!("{:032x}", rand::random::<u128>() | 1 << 127)
}

/// A new nonce for a control, which belongs to no pod.
#[must_use]
pub fn control_nonce() -> String {
    format!("{CONTROL}{:024x}", rand::random::<u128>() >> 32)
}

/// Whether hearing that nonce convicts nobody.
#[must_use]
pub fn is_control(nonce: &str) -> bool {
    nonce.starts_with(CONTROL)
}

fn targets(targets: &[Target], most: usize) -> Result<(), Malformed> {
    if targets.len() > most {
        return Err(Malformed::Targets);
    }
    for target in targets {
        let graphic = target.name.bytes().all(|b| b.is_ascii_graphic());
        if target.name.is_empty() || target.name.len() > MAX_NAME || !graphic {
            return Err(Malformed::Name);
        }
        // Connecting to the unspecified address reaches the own host: it would convict the innocent.
        if target.addr.port() == 0 || target.addr.ip().is_unspecified() {
            return Err(Malformed::Address);
        }
    }
    Ok(())
}

impl Challenge {
    /// Says whether the order keeps to the limits.
    ///
    /// # Errors
    /// The first limit that it breaks.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.v != VERSION {
            return Err(Malformed::Version(self.v));
        }
        if !is_nonce(&self.nonce) {
            return Err(Malformed::Nonce);
        }
        let long = |text: &str| text.chars().count() > MAX_DETAIL;
        let closure_long = matches!(&self.closure, Closure::Widened { detail } if long(detail));
        let open_long = self
            .open
            .as_ref()
            .is_some_and(|open| long(&open.detail) || open.reason.len() > MAX_NAME);
        if closure_long || open_long {
            return Err(Malformed::Detail);
        }
        targets(&self.targets, MAX_TARGETS)
    }
}

impl ControlOrder {
    /// Says whether the order keeps to the limits.
    ///
    /// # Errors
    /// The first limit that it breaks.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.v != VERSION {
            return Err(Malformed::Version(self.v));
        }
        if self.gates.len() > MAX_GATES {
            return Err(Malformed::Gates);
        }
        if self
            .gates
            .iter()
            .any(|gate| gate.port() == 0 || gate.ip().is_unspecified())
        {
            return Err(Malformed::Address);
        }
        targets(&self.targets, MAX_CONTROL_TARGETS)
    }
}

#[cfg(test)]
mod tests;
