//! What an engine prints.
//!
//! Until it listens it knows no prompt, and its lines say why it does not come up: they pass, bounded, as JSON
//! on stderr. Afterwards they could hold prompts, so they are counted and dropped, unless the object asks for them:
//! then they pass at the same rate, and the status lists them as a way out.

use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::engine::Printed;

/// Longest part of a line that passes, in bytes.
pub const MAX_LINE: usize = 512;
/// Most lines of one engine that pass before it listens.
pub const MAX_LINES: u32 = 200;
/// Most lines that pass within a second.
pub const MAX_RATE: u32 = 50;

/// What may still pass of one engine's output.
#[derive(Debug)]
pub struct Output {
    /// It may know a prompt.
    listens: AtomicBool,
    /// What becomes of its lines then.
    printed: Printed,
    /// Bytes that were read and did not pass.
    dropped: AtomicU64,
    budget: Mutex<Budget>,
}

#[derive(Debug)]
struct Budget {
    lines: u32,
    second: Instant,
    in_second: u32,
}

impl Output {
    /// For an engine that starts now.
    #[must_use]
    pub fn new(printed: Printed, now: Instant) -> Self {
        Self {
            listens: AtomicBool::new(false),
            printed,
            dropped: AtomicU64::new(0),
            budget: Mutex::new(Budget {
                lines: 0,
                second: now,
                in_second: 0,
            }),
        }
    }

    /// From here on nothing passes that the object did not ask for.
    pub fn listens(&self) {
        self.listens.store(true, Ordering::SeqCst);
    }

    /// Bytes that did not pass.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn is_shut(&self) -> bool {
        self.printed == Printed::Drop && self.listens.load(Ordering::SeqCst)
    }

    /// The part of `line` that passes, if any.
    pub fn admit(&self, line: &[u8], now: Instant) -> Option<String> {
        // The log of a container that serves is rotated by the kubelet; only how fast it grows is bounded.
        let most = if self.listens.load(Ordering::SeqCst) {
            u32::MAX
        } else {
            MAX_LINES
        };
        let passes = !self.is_shut()
            && self
                .budget
                .lock()
                .is_ok_and(|mut budget| budget.take(most, now));
        if !passes {
            self.drop_bytes(line.len());
            return None;
        }
        let part = &line[..line.len().min(MAX_LINE)];
        self.drop_bytes(line.len() - part.len());
        Some(String::from_utf8_lossy(part).into_owned())
    }

    fn drop_bytes(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Reads a pipe to its end. A line's memory is bounded by [`MAX_LINE`], however long it is.
    pub async fn follow(&self, from: OwnedFd) {
        let Ok(mut from) = pipe::Receiver::from_owned_fd(from) else {
            return;
        };
        let mut chunk = [0u8; 4096];
        let mut line = Vec::with_capacity(MAX_LINE);
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            if self.is_shut() {
                self.drop_bytes(count + line.len());
                line.clear();
                continue;
            }
            for byte in &chunk[..count] {
                if *byte == b'\n' {
                    self.print(&line);
                    line.clear();
                } else if line.len() < MAX_LINE {
                    line.push(*byte);
                } else {
                    self.drop_bytes(1);
                }
            }
        }
        if !line.is_empty() {
            self.print(&line);
        }
    }

    fn print(&self, line: &[u8]) {
        if let Some(text) = self.admit(line, Instant::now()) {
            tracing::info!(kind = "engine", line = text, "engine output");
        }
    }
}

impl Budget {
    fn take(&mut self, most: u32, now: Instant) -> bool {
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.in_second = 0;
        }
        if self.lines >= most || self.in_second >= MAX_RATE {
            return false;
        }
        self.lines = self.lines.saturating_add(1);
        self.in_second += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_once_it_listens() {
        let now = Instant::now();
        let output = Output::new(Printed::Drop, now);
        assert_eq!(output.admit(b"loading", now).as_deref(), Some("loading"));
        output.listens();
        assert_eq!(output.admit(b"a prompt", now), None);
        assert_eq!(output.dropped(), 8);
    }

    #[test]
    fn what_is_asked_for_passes_at_the_same_rate() {
        let begun = Instant::now();
        let output = Output::new(Printed::Log, begun);
        output.listens();
        let mut all = 0;
        for second in 0..10 {
            let now = begun + Duration::from_secs(second);
            let long = [b'x'; 600];
            while let Some(line) = output.admit(&long, now) {
                assert_eq!(line.len(), MAX_LINE);
                all += 1;
            }
        }
        assert_eq!(all, 10 * MAX_RATE, "more than may pass before it listens");
        assert_eq!(output.dropped(), u64::from(all) * 88 + 10 * 600);
    }

    #[test]
    fn lines_are_cut_and_counted() {
        let now = Instant::now();
        let output = Output::new(Printed::Drop, now);
        assert_eq!(
            output.admit(&[b'x'; 600], now).map(|line| line.len()),
            Some(MAX_LINE)
        );
        let passed = (1..)
            .take_while(|_| output.admit(b"y", now).is_some())
            .count();
        assert_eq!(passed, 49, "50 in the first second");
        let mut all = 50;
        for second in 1..100 {
            let now = now + Duration::from_secs(second);
            while output.admit(b"y", now).is_some() {
                all += 1;
            }
        }
        assert_eq!(all, MAX_LINES);
    }
}
