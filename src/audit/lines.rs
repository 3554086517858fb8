//! Lines out of what comes in pieces.

/// Longest line that is kept whole, in bytes without its end. A gate's are a hundred times shorter.
pub const MAX_LINE: usize = 256 * 1024;

/// A line without its `\n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The first [`MAX_LINE`] of its bytes.
    pub bytes: &'a [u8],
    /// Whether these are all.
    pub whole: bool,
}

/// Puts pieces together. Holds at most one line, and of that at most [`MAX_LINE`].
#[derive(Clone, Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    cut: bool,
}

impl Lines {
    /// Takes the next piece, and hands over each line that ends in it.
    ///
    /// # Errors
    /// The first of `each`; what follows in the piece is lost.
    pub fn take<E>(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.keep(end);
                    self.hand_over(&mut each)?;
                }
                None => self.keep(part),
            }
        }
        Ok(())
    }

    /// Nothing more comes: hands over what is there of a line without an end.
    ///
    /// # Errors
    /// That of `each`.
    pub fn finish<E>(&mut self, each: impl FnOnce(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.begun.is_empty() {
            return Ok(());
        }
        self.hand_over(each)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE - self.begun.len();
        self.cut |= bytes.len() > room;
        self.begun
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn hand_over<E>(&mut self, each: impl FnOnce(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let line = Line {
            bytes: &self.begun,
            whole: !self.cut,
        };
        let given = each(line);
        self.begun.clear();
        self.cut = false;
        given
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The lines of these pieces: their text, and whether it is whole.
    fn lines(pieces: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        let mut each = |line: Line<'_>| {
            got.push((line.bytes.to_vec(), line.whole));
            Ok::<_, Infallible>(())
        };
        for piece in pieces {
            lines.take(piece, &mut each).unwrap();
        }
        lines.finish(&mut each).unwrap();
        got
    }

    #[rstest::rstest]
    #[case::nothing(&[], &[])]
    #[case::one(&["one\n"], &["one"])]
    #[case::several(&["one\n\ntwo\n"], &["one", "", "two"])]
    #[case::in_pieces(&["o", "ne", "\ntw", "", "o\n"], &["one", "two"])]
    #[case::without_an_end(&["one\ntw", "o"], &["one", "two"])]
    fn pieces_become_lines(#[case] pieces: &[&str], #[case] expected: &[&str]) {
        let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|line| (line.as_bytes().to_vec(), true))
            .collect();
        assert_eq!(lines(&pieces), expected);
    }

    #[test]
    fn of_a_line_that_is_too_long_the_beginning_is_kept() {
        let most = vec![b'x'; MAX_LINE];
        let [whole, cut] = [true, false].map(|whole| (most.clone(), whole));
        assert_eq!(lines(&[&most, b"\n"]), [whole]);
        let next = (b"next".to_vec(), true);
        let long: &[&[u8]] = &[b"x", &most, &most, b"\nnext\n"];
        assert_eq!(lines(long), [cut, next]);
    }

    #[test]
    fn what_follows_a_failure_is_given_up() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"one\ntwo\n", |_| Err("full")), Err("full"));
        let mut got = Vec::new();
        let taken = lines.take(b"three\n", |line| {
            got.extend_from_slice(line.bytes);
            Ok::<_, Infallible>(())
        });
        assert_eq!((taken, got), (Ok(()), b"three".to_vec()));
    }
}
