//! Which run of a gate a challenge is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::check::is_nonce;

/// One run of a gate, from its start to its end: 128 random bits, as 32 lower-case hex digits in JSON.
///
/// No secret: whoever reads a report knows it. It only has to be new at each start, so that nothing that was
/// signed for an earlier run is for this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Session(u128);

/// Why a text is no [`Session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse session: expected 32 lower-case hex digits")]
pub struct SessionError;

impl Session {
    /// A new one from the kernel's random numbers.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Session {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The parser alone would take a sign and upper case, so that one session had several names.
        if !is_nonce(text) {
            return Err(SessionError);
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| SessionError)
    }
}

impl TryFrom<String> for Session {
    type Error = SessionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Session> for String {
    fn from(session: Session) -> Self {
        session.to_string()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_session_is_32_digits_and_new_each_time() {
        let (one, other) = (Session::random(), Session::random());
        assert_ne!(one, other);
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_eq!(Session(7).to_string(), format!("{:032}", 7));
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(text, format!("\"{one}\""));
        assert_eq!(serde_json::from_str::<Session>(&text).unwrap(), one);
    }

    #[rstest]
    #[case::empty("")]
    #[case::short("0123456789abcdef0123456789abcde")]
    #[case::long("0123456789abcdef0123456789abcdef0")]
    #[case::upper("0123456789ABCDEF0123456789abcdef")]
    #[case::sign("+123456789abcdef0123456789abcdef")]
    #[case::other("g123456789abcdef0123456789abcdef")]
    fn anything_else_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<Session>(), Err(SessionError));
        assert!(serde_json::from_value::<Session>(text.into()).is_err());
    }
}
