//! Content digests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A SHA-256 digest as OCI writes it: `sha256:` and 64 lower-case hex digits (OCI image spec, "Digests").
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Why a text is no [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse digest: expected sha256: and 64 lower-case hex digits")]
pub struct DigestError;

impl Digest {
    const PREFIX: &'static str = "sha256:";

    /// From the hash's 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut text = String::with_capacity(71);
        text.push_str(Self::PREFIX);
        for byte in bytes {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
        Self(text)
    }

    /// The 64 hex digits without the algorithm.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[Self::PREFIX.len()..]
    }

    /// `sha256:…`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix(Self::PREFIX).ok_or(DigestError)?;
        let fits = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(DigestError)
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::tag("latest")]
    #[case::other_algorithm("sha512:00")]
    #[case::upper_case("sha256:B179C9523D0E6A0F98A330C7562B682750A6F8C8C15E5BC70EA373728110DB53")]
    #[case::short("sha256:b179")]
    #[case::path("sha256:../../../../../../../../../../../../../../../../../../../../../../../a")]
    fn refuses(#[case] text: &str) {
        assert_eq!(text.parse::<Digest>(), Err(DigestError));
    }

    #[test]
    fn bytes_and_text_agree() {
        let digest = Digest::from_bytes(&[0xb1; 32]);
        assert_eq!(digest.as_str().parse::<Digest>(), Ok(digest.clone()));
        assert_eq!(digest.hex(), "b1".repeat(32));
    }
}
