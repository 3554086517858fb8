//! Types of cached keys and values.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Element type of the cache, by the names of llama-server's `--cache-type-k` and `-v`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KvType {
    /// 4 bytes an element.
    F32,
    /// 2 bytes an element.
    #[default]
    F16,
    /// 2 bytes an element.
    Bf16,
    /// 1.0625 bytes an element.
    #[serde(rename = "q8_0")]
    Q8_0,
    /// 0.75 bytes an element.
    #[serde(rename = "q5_1")]
    Q5_1,
    /// 0.6875 bytes an element.
    #[serde(rename = "q5_0")]
    Q5_0,
    /// 0.625 bytes an element.
    #[serde(rename = "q4_1")]
    Q4_1,
    /// 0.5625 bytes an element.
    #[serde(rename = "q4_0")]
    Q4_0,
    /// 0.5625 bytes an element.
    #[serde(rename = "iq4_nl")]
    Iq4Nl,
}

/// The text is no [`KvType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "failed to parse cache type: expected f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0 or iq4_nl"
)]
pub struct KvTypeError;

impl KvType {
    const ALL: [(Self, &'static str, u64); 9] = [
        (Self::F32, "f32", 128),
        (Self::F16, "f16", 64),
        (Self::Bf16, "bf16", 64),
        (Self::Q8_0, "q8_0", 34),
        (Self::Q5_1, "q5_1", 24),
        (Self::Q5_0, "q5_0", 22),
        (Self::Q4_1, "q4_1", 20),
        (Self::Q4_0, "q4_0", 18),
        (Self::Iq4Nl, "iq4_nl", 18),
    ];

    /// The name that llama-server takes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or("f16", |(_, name, _)| name)
    }

    /// Bytes of 32 elements.
    pub(super) fn bytes_per_32(self) -> u64 {
        Self::ALL
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or(128, |(.., bytes)| *bytes)
    }
}

impl FromStr for KvType {
    type Err = KvTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .find(|(_, name, _)| *name == text)
            .map(|(kind, ..)| *kind)
            .ok_or(KvTypeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("f16", KvType::F16)]
    #[case("q8_0", KvType::Q8_0)]
    #[case("iq4_nl", KvType::Iq4Nl)]
    fn names_agree_with_serde(#[case] name: &str, #[case] kind: KvType) {
        assert_eq!(name.parse(), Ok(kind));
        assert_eq!(kind.as_str(), name);
        assert_eq!(serde_json::to_value(kind).unwrap(), name);
    }
}
