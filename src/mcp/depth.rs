//! How deep a JSON text is nested, before anybody reads it by recursion.

/// The deepest text that passes: parsers of children often recurse, and some end at a few hundred.
pub const MAX: usize = 128;

/// Whether `text` nests at most `most` objects and lists. A text that is no JSON may get either answer.
#[must_use]
pub fn within(text: &[u8], most: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::flat(r#"{"a":1}"#, 1, true)]
    #[case::one_too_many(r#"{"a":[1]}"#, 1, false)]
    #[case::side_by_side("[[],[],[]]", 2, true)]
    #[case::in_a_string(r#"{"a":"[[[[\"[["}"#, 1, true)]
    #[case::an_escaped_backslash(r#"{"a":"\\","b":[[1]]}"#, 2, false)]
    fn depth_is_counted(#[case] text: &str, #[case] most: usize, #[case] fits: bool) {
        assert_eq!(within(text.as_bytes(), most), fits);
    }
}
