//! Who is due, within the rate that the operator may send at.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::driver::view::PodKind;
use crate::seal::wire::State;

use super::{Planner, track::Track};

/// Rounds of one pod under way at once: the gate takes eight, an alarm must find room.
const MAX_IN_FLIGHT: usize = 6;
/// A round that would be due this soon is begun now: ticks are not exact.
const SLACK: Duration = Duration::from_millis(50);

/// Who gets what now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Pods that must hear at once that they are open; no control is waited for.
    pub alarms: Vec<String>,
    /// Pods whose round begins with its controls.
    pub rounds: Vec<String>,
}

/// A token bucket: `rate` challenges a second, no more than one second's at once, or one.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(super) fn new(rate: f64, now: Instant) -> Self {
        Self {
            rate,
            tokens: rate.max(1.0),
            filled: now,
        }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.rate.max(1.0));
        self.filled = now;
    }

    fn holds_one(&self) -> bool {
        self.tokens >= 1.0
    }

    fn take(&mut self) -> bool {
        let enough = self.holds_one();
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

impl Planner {
    /// Takes those who are due, alarms first, and among alarms as among rounds who has been due for longest. What
    /// the rate does not allow now stays due, and so do all rounds while the canaries have no `room` for another
    /// order.
    pub fn due(&mut self, now: Instant, room: bool) -> Due {
        self.bucket.fill(now);
        self.alarms.fill(now);
        let period = self.period();
        let mut alarms = self.oldest_first(|track| track.alarm_due(now));
        alarms.retain(|_| self.bucket.holds_one() && self.alarms.take() && self.bucket.take());
        for uid in &alarms {
            if let Some(track) = self.tracks.get_mut(uid) {
                track.alarm_begins(now, self.config.tick, self.config.max_back_off);
            }
        }
        let mut due = Due {
            alarms,
            rounds: Vec::new(),
        };
        if !room {
            return due;
        }
        let mut rounds = self.oldest_first(|track| track.round_due(now));
        rounds.retain(|_| self.bucket.take());
        for uid in &rounds {
            if let Some(track) = self.tracks.get_mut(uid) {
                track.in_flight += 1;
                let wait = interval(track, period, self.config.tick, self.config.max_back_off);
                track.next_due = now + wait;
            }
        }
        due.rounds = rounds;
        due
    }

    /// Those that are due, who has been so for longest first.
    fn oldest_first(&self, due: impl Fn(&Track) -> Option<Instant>) -> Vec<String> {
        let tracks = self.tracks.iter();
        let mut waiting: Vec<(Instant, &String)> = tracks
            .filter_map(|(uid, track)| Some((due(track)?, uid)))
            .collect();
        waiting.sort();
        waiting.into_iter().map(|(_, uid)| uid.clone()).collect()
    }
}

impl Track {
    fn deliverable(&self) -> bool {
        self.pod.kind == PodKind::Gated
            && self.pod.gate_running
            && !self.pod.pod.addresses.is_empty()
    }

    /// Since when its next round has been due.
    fn round_due(&self, now: Instant) -> Option<Instant> {
        let due = self.in_flight < MAX_IN_FLIGHT && self.next_due <= now + SLACK;
        (due && self.altered.is_none() && self.deliverable()).then_some(self.next_due)
    }

    /// Since when its next alarm has been due.
    fn alarm_due(&self, now: Instant) -> Option<Instant> {
        self.alarm.filter(|at| *at <= now && self.deliverable())
    }

    /// An alarm is repeated at the next tick unless it was delivered; of an altered pod less and less often, because its
    /// gate may never answer, the pod may stay for days, and all pods share the rate.
    fn alarm_begins(&mut self, now: Instant, tick: Duration, most: Duration) {
        let unheard = if self.altered.is_some() {
            self.unheard
        } else {
            0
        };
        self.alarm = Some(now + back_off(unheard, tick, most));
        self.alarmed = Some(now);
    }

    /// An alarm at the next tick: each one carries a nonce that may get out again, and would raise the next.
    pub(super) fn alarm_again(&mut self, now: Instant, tick: Duration) {
        let next = self.alarmed.map_or(now, |last| now.max(last + tick));
        self.alarm = Some(self.alarm.map_or(next, |alarm| alarm.min(next)));
    }
}

/// Time from this round's beginning to the next one's.
fn interval(track: &Track, period: Duration, tick: Duration, most: Duration) -> Duration {
    let proven = track
        .report
        .as_ref()
        .is_some_and(|report| report.state == State::Proven);
    if track.bad == 0 {
        return if proven { period } else { tick };
    }
    let wait = back_off(track.bad, tick, most);
    if proven {
        wait.max(most / 4).min(period)
    } else {
        wait
    }
}

/// Two rounds overlap, so each failure is known only after the next has begun: doubled at every second.
fn back_off(failures: u32, tick: Duration, most: Duration) -> Duration {
    tick.saturating_mul(1 << (failures / 2).min(5)).min(most)
}

/// The first round after the proof comes between half a period and a whole one, by the pod's UID: so pods
/// that were proven together do not stay together.
pub(super) fn stagger(uid: &str, period: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let share = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
    period / 2 + period / 2 * share / 1000
}
