//! Lines of a child: bounded, each read once, and long ones only where there is memory for them.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::budget::{Budget, Growing, Share};
use crate::mcp::glance::Glance;

/// What a line may have without a share of the memory: with as many children as there may be this is a sixteenth of
/// the container's.
pub const OWN: usize = 64 * 1024;

/// A line without its end.
#[derive(Debug)]
pub enum Taken {
    /// All of it, with its share of the memory where it is a long one.
    Whole(Vec<u8>, Option<Share>),
    /// There was no memory for it: what is known of it, and how long it is.
    Skipped(Glance, usize),
}

/// The lines of one child.
#[derive(Debug)]
pub struct Lines<R> {
    from: R,
    most: usize,
    budget: Arc<Budget>,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// None is longer than `most` bytes.
    #[must_use]
    pub fn new(from: R, most: usize, budget: Arc<Budget>) -> Self {
        Self { from, most, budget }
    }

    /// The next one; `None` at the end of the stream. What follows the last `\n` is no line.
    ///
    /// # Errors
    /// Reading fails, or the line is longer than it may be (`InvalidData`): then nobody can tell whose answer it was.
    pub async fn next(&mut self) -> io::Result<Option<Taken>> {
        let mut share = Growing::new(Arc::clone(&self.budget));
        let mut whole = Vec::new();
        let mut skipped: Option<Glance> = None;
        let mut length = 0;
        loop {
            let there = self.from.fill_buf().await?;
            if there.is_empty() {
                return Ok(None);
            }
            let end = there.iter().position(|byte| *byte == b'\n');
            let part = &there[..end.unwrap_or(there.len())];
            length += part.len();
            if length > self.most {
                let message = format!("a line is longer than {} bytes", self.most);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            if skipped.is_none() && length > OWN && !share.reach(length).await {
                skipped = Some(Glance::of(&std::mem::take(&mut whole)));
                share = Growing::new(Arc::clone(&self.budget));
            }
            match &mut skipped {
                None => whole.extend_from_slice(part),
                Some(skipped) => skipped.push(part),
            }
            let taken = part.len() + usize::from(end.is_some());
            self.from.consume(taken);
            if end.is_some() {
                return Ok(Some(match skipped {
                    None => Taken::Whole(whole, share.into_share()),
                    Some(skipped) => Taken::Skipped(skipped, length),
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;
    use crate::mcp::Id;
    use crate::mcp::glance::Head;

    fn lines<R: AsyncBufRead + Unpin>(from: R, most: usize, budget: usize) -> Lines<R> {
        Lines::new(from, most, Arc::new(Budget::new(budget)))
    }

    fn whole(line: Option<Taken>) -> Option<Vec<u8>> {
        line.map(|line| match line {
            Taken::Whole(line, _) => line,
            Taken::Skipped(..) => panic!("skipped"),
        })
    }

    #[tokio::test]
    async fn lines_come_one_by_one_and_long_ones_end_it() {
        let from = BufReader::with_capacity(3, &b"one\n\nfive5\nfour is too long\n"[..]);
        let mut lines = lines(from, 5, 0);
        let mut seen = Vec::new();
        let end = loop {
            match lines.next().await {
                Ok(line) => seen.push(whole(line).unwrap()),
                Err(error) => break error,
            }
        };
        assert_eq!(seen, [b"one".to_vec(), Vec::new(), b"five5".to_vec()]);
        assert_eq!(end.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn half_a_line_at_the_end_is_none() {
        let mut lines = lines(&b"one\ntw"[..], 9, 0);
        assert_eq!(whole(lines.next().await.unwrap()), Some(b"one".to_vec()));
        assert_eq!(whole(lines.next().await.unwrap()), None);
    }

    /// A line of `length` bytes that answers `id`, and a short one.
    fn text(id: u64, length: usize) -> Vec<u8> {
        let begin = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":""#);
        let padding = "x".repeat(length - begin.len() - 2);
        format!("{begin}{padding}\"}}\nshort\n").into_bytes()
    }

    #[tokio::test]
    async fn a_long_line_is_counted_while_it_comes_and_skipped_where_there_is_no_room() {
        let text = text(7, 4 * OWN);
        let budget = Arc::new(Budget::new(6 * OWN));
        let from = BufReader::with_capacity(OWN / 2, &text[..]);
        let mut one = Lines::new(from, 8 * OWN, Arc::clone(&budget));
        let Some(Taken::Whole(line, Some(share))) = one.next().await.unwrap() else {
            panic!("expected all of it with a share");
        };
        assert_eq!(line.len(), 4 * OWN);
        assert!(budget.try_take(3 * OWN).is_none());
        let from = BufReader::with_capacity(OWN / 2, &text[..]);
        let mut other = Lines::new(from, 8 * OWN, Arc::clone(&budget));
        let Some(Taken::Skipped(skipped, length)) = other.next().await.unwrap() else {
            panic!("expected to skip it");
        };
        assert_eq!(length, 4 * OWN);
        assert_eq!(skipped.head(), Some(Head::Answer(Id::number(7))));
        // It holds nothing, and the next line is whole.
        let free = budget.try_take(2 * OWN);
        assert!(free.is_some());
        assert_eq!(whole(other.next().await.unwrap()), Some(b"short".to_vec()));
        drop((share, free));
        assert!(budget.try_take(6 * OWN).is_some());
    }
}
