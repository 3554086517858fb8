//! The two eras of the protocol: with a handshake and sessions, and stateless.

use serde::{Deserialize, Serialize};

/// The stateless revision.
pub const MODERN: &str = "2026-07-28";
/// The newest revision with a handshake.
pub const LATEST_LEGACY: &str = "2025-11-25";
/// The revision that a client speaks who sends no header field about it.
pub const UNSAID: &str = "2025-03-26";
/// The revisions with a handshake.
pub const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", LATEST_LEGACY];

/// How a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Era {
    /// 2025-11-25 and before: `initialize`, then a session.
    Legacy,
    /// 2026-07-28: every request stands for itself.
    Modern,
}

/// A revision that the gate speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(&'static str);

impl Version {
    /// Reads one; `None` where the gate does not speak it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = LEGACY.iter().chain([&MODERN]);
        known.copied().find(|known| *known == text).map(Self)
    }

    /// The newest with a handshake.
    #[must_use]
    pub fn latest_legacy() -> Self {
        Self(LATEST_LEGACY)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Its era.
    #[must_use]
    pub fn era(self) -> Era {
        if self.0 == MODERN {
            Era::Modern
        } else {
            Era::Legacy
        }
    }

    /// All of them, the newest first: what the gate says that it supports.
    #[must_use]
    pub fn all() -> Vec<&'static str> {
        std::iter::once(MODERN)
            .chain(LEGACY.into_iter().rev())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("2026-07-28", Some(Era::Modern))]
    #[case("2025-11-25", Some(Era::Legacy))]
    #[case("2024-11-05", Some(Era::Legacy))]
    #[case("2026-07-29", None)]
    #[case("", None)]
    fn versions(#[case] text: &str, #[case] era: Option<Era>) {
        assert_eq!(Version::parse(text).map(Version::era), era);
    }
}
