//! Names that nobody can guess: who knows one was given it.

/// A new one: 256 random bits in 64 hexadecimal digits.
#[must_use]
pub fn secret() -> String {
    format!(
        "{:032x}{:032x}",
        rand::random::<u128>(),
        rand::random::<u128>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another_one_of_the_same_length() {
        let (one, two) = (secret(), secret());
        assert_ne!(one, two);
        assert_eq!((one.len(), two.len()), (64, 64));
        assert_ne!(one[..32], one[32..], "both halves are random");
    }
}
