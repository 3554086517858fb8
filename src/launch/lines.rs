//! Lines of bounded length from a stream, one after the other.

use std::io;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Reads lines; dropping the future of [`LineReader::next`] loses nothing.
#[derive(Debug)]
pub struct LineReader<R> {
    from: R,
    buffer: Vec<u8>,
    limit: usize,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Lines of at most `limit` bytes without their end.
    pub fn new(from: R, limit: usize) -> Self {
        Self {
            from,
            buffer: Vec::with_capacity(limit),
            limit,
        }
    }

    /// The next line without its `\n`; `None` at the end of the stream. What follows the last `\n` is no line.
    ///
    /// # Errors
    /// Reading fails, or a line is too long (`InvalidData`).
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return Ok(Some(line));
            }
            if self.buffer.len() > self.limit {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "failed to read line: too long",
                ));
            }
            let room = self.limit + 1 - self.buffer.len();
            let mut from = (&mut self.from).take(room as u64);
            if from.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Writes `message` as one line of JSON.
///
/// # Errors
/// Writing fails.
pub async fn say<W: AsyncWrite + Unpin>(to: &mut W, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_one_by_one_and_long_ones_are_refused() {
        let mut lines = LineReader::new(&b"one\n\nthree\nfour is too long\n"[..], 5);
        assert_eq!(lines.next().await.unwrap(), Some(b"one".to_vec()));
        assert_eq!(lines.next().await.unwrap(), Some(Vec::new()));
        assert_eq!(lines.next().await.unwrap(), Some(b"three".to_vec()));
        assert_eq!(
            lines.next().await.unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[tokio::test]
    async fn a_half_line_at_the_end_is_no_line() {
        let mut lines = LineReader::new(&b"one\ntw"[..], 5);
        assert_eq!(lines.next().await.unwrap(), Some(b"one".to_vec()));
        assert_eq!(lines.next().await.unwrap(), None);
    }
}
