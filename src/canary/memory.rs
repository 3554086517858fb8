//! The nonces that were heard, as many as fit.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::seal::check::is_control;
use crate::seal::wire::{Proto, Seen, SeenReport, VERSION};

/// Nonces that are remembered; the oldest goes first.
pub const CAPACITY: usize = 4096;

/// What was heard, oldest first, ids without gaps.
#[derive(Debug)]
pub struct Memory {
    next_id: u64,
    seen: VecDeque<Seen>,
}

impl Memory {
    /// Ids begin at the microsecond of now, so that whoever asks a restarted canary with an id of its earlier
    /// life misses nothing.
    pub fn starting_now() -> Self {
        let micros = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_micros());
        Self::starting_at(u64::try_from(micros).unwrap_or(1).max(1))
    }

    fn starting_at(next_id: u64) -> Self {
        Self {
            next_id,
            seen: VecDeque::new(),
        }
    }

    /// Remembers a nonce; one that is repeated in the same way takes no place, nor does one of a control. There are hundreds
    /// of those a second while many pods start, and they would push out what convicts somebody.
    pub fn remember(&mut self, nonce: &str, from: IpAddr, proto: Proto) {
        if is_control(nonce) {
            return;
        }
        let known = |seen: &Seen| seen.nonce == nonce && seen.from == from && seen.proto == proto;
        // Repetitions come within a round; a look at the newest few keeps this cheap.
        if self.seen.iter().rev().take(64).any(known) {
            return;
        }
        if self.seen.len() == CAPACITY {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen {
            id: self.next_id,
            nonce: nonce.to_owned(),
            from,
            proto,
        });
        self.next_id += 1;
    }

    /// What was heard after `since`. An id that this canary has not reached yet is another life's: then
    /// everything counts as after it.
    pub fn since(&self, canary_uid: &str, since: u64) -> SeenReport {
        let since = if since < self.next_id { since } else { 0 };
        let oldest = self.seen.front().map_or(self.next_id, |seen| seen.id);
        SeenReport {
            v: VERSION,
            canary_uid: canary_uid.to_owned(),
            next: self.next_id - 1,
            lost: self.seen.len() == CAPACITY && since + 1 < oldest,
            seen: self
                .seen
                .iter()
                .filter(|seen| seen.id > since)
                .cloned()
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::check::{control_nonce, new_nonce};

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

    fn ids(report: &SeenReport) -> Vec<u64> {
        report.seen.iter().map(|seen| seen.id).collect()
    }

    #[test]
    fn asking_on_gives_only_what_is_new() {
        let mut memory = Memory::starting_at(100);
        assert_eq!(
            (memory.since("c", 0).next, memory.since("c", 0).lost),
            (99, false)
        );
        memory.remember("a", FROM, Proto::Tcp);
        memory.remember("a", FROM, Proto::Udp);
        let first = memory.since("c", 0);
        assert_eq!((ids(&first), first.next), (vec![100, 101], 101));
        memory.remember("b", FROM, Proto::Tcp);
        assert_eq!(ids(&memory.since("c", first.next)), [102]);
        assert!(memory.since("c", 102).seen.is_empty());
    }

    #[test]
    fn repetition_takes_no_place() {
        let mut memory = Memory::starting_at(1);
        for _ in 0..3 {
            memory.remember("a", FROM, Proto::Udp);
        }
        assert_eq!(ids(&memory.since("c", 0)), [1]);
    }

    #[test]
    fn controls_take_no_place() {
        let mut memory = Memory::starting_at(1);
        let pods = new_nonce();
        memory.remember(&pods, FROM, Proto::Tcp);
        for _ in 0..2 * CAPACITY {
            memory.remember(&control_nonce(), FROM, Proto::Tcp);
        }
        let report = memory.since("c", 0);
        assert_eq!((ids(&report), report.lost), (vec![1], false));
        assert_eq!(report.seen[0].nonce, pods);
    }

    #[test]
    fn a_restart_hides_nothing() {
        let mut memory = Memory::starting_at(500);
        memory.remember("a", FROM, Proto::Tcp);
        // An id of an earlier life, and one of a life whose clock ran ahead.
        assert_eq!(ids(&memory.since("c", 77)), [500]);
        assert_eq!(ids(&memory.since("c", 9_999)), [500]);
    }

    #[test]
    fn a_flood_is_bounded_and_admitted() {
        let mut memory = Memory::starting_at(1);
        for at in 0..CAPACITY + 1 {
            memory.remember(&format!("f{at:031x}"), FROM, Proto::Tcp);
        }
        let all = memory.since("c", 0);
        assert_eq!(
            (all.seen.len(), all.seen[0].id, all.lost),
            (CAPACITY, 2, true)
        );
        assert!(!memory.since("c", 1).lost, "nothing after 1 was forgotten");
    }
}
