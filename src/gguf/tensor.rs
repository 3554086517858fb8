//! How many bytes a tensor takes.

use super::GgufError;

/// Elements and bytes of one block by ggml type number (ggml, `ggml.h` and `type_traits`).
///
/// `None` for types that are unknown or were removed.
fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        39 => (32, 17),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        35 => (256, 66),
        _ => return None,
    })
}

/// Bytes of a tensor of these dimensions.
///
/// `None` for a type that is not in the table: newer engines add types.
pub(super) fn bytes(kind: u32, dimensions: &[u64]) -> Result<Option<u64>, GgufError> {
    let elements = dimensions
        .iter()
        .try_fold(1_u64, |product, dimension| product.checked_mul(*dimension))
        .ok_or(GgufError::Invalid("a tensor's dimensions overflow"))?;
    let Some((per_block, block_bytes)) = block(kind) else {
        return Ok(None);
    };
    if dimensions.first().is_some_and(|row| row % per_block != 0) {
        return Err(GgufError::Invalid(
            "a tensor's row is no whole number of blocks",
        ));
    }
    (elements / per_block)
        .checked_mul(block_bytes)
        .map(Some)
        .ok_or(GgufError::Invalid("a tensor's size overflows"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::f32(0, &[4, 2], Some(32))]
    #[case::q4_1(3, &[576, 49_152], Some(576 * 49_152 / 32 * 20))]
    #[case::q4_k(12, &[256, 3], Some(432))]
    #[case::unknown(999, &[7], None)]
    fn counts(#[case] kind: u32, #[case] dimensions: &[u64], #[case] expected: Option<u64>) {
        assert_eq!(bytes(kind, dimensions).unwrap(), expected);
    }

    #[test]
    fn refuses_overflow_and_broken_blocks() {
        assert!(bytes(0, &[u64::MAX, 2]).is_err());
        assert!(bytes(0, &[u64::MAX / 2]).is_err());
        assert!(bytes(2, &[33]).is_err());
    }
}
