//! Lines of a child: bounded, and each read once.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The next line without its end; `None` at the end of the stream. What follows the last `\n` is no line.
///
/// # Errors
/// Reading fails, or the line is longer than `most` bytes (`InvalidData`): then nobody can tell whose answer it was.
pub async fn next<R: AsyncBufRead + Unpin>(
    from: &mut R,
    most: usize,
) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let there = from.fill_buf().await?;
        if there.is_empty() {
            return Ok(None);
        }
        let end = there.iter().position(|byte| *byte == b'\n');
        let part = &there[..end.unwrap_or(there.len())];
        if line.len() + part.len() > most {
            let message = format!("a line is longer than {most} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        line.extend_from_slice(part);
        let taken = part.len() + usize::from(end.is_some());
        from.consume(taken);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_one_by_one_and_long_ones_end_it() {
        let mut from =
            tokio::io::BufReader::with_capacity(3, &b"one\n\nfive5\nfour is too long\n"[..]);
        let mut seen = Vec::new();
        let end = loop {
            match next(&mut from, 5).await {
                Ok(Some(line)) => seen.push(line),
                Ok(None) => panic!(),
                Err(error) => break error,
            }
        };
        assert_eq!(seen, [b"one".to_vec(), Vec::new(), b"five5".to_vec()]);
        assert_eq!(end.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn half_a_line_at_the_end_is_none() {
        let mut from = &b"one\ntw"[..];
        assert_eq!(next(&mut from, 9).await.unwrap(), Some(b"one".to_vec()));
        assert_eq!(next(&mut from, 9).await.unwrap(), None);
    }
}
