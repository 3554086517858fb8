//! The slots before the engine, and the bounded queue for them: first come, first served.
//!
//! A request comes here with its body read, so that a slow body holds neither a slot nor a place; what it holds of
//! the bodies' memory it keeps while it waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Longest time that a refused client is told to stay away in seconds: official clients wait no longer for a retry.
const LONGEST_RETRY: u64 = 60;

/// How much may be under way and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Requests that the engine has at once.
    pub concurrent: usize,
    /// Requests that wait for it.
    pub queued: usize,
    /// For the wait.
    pub patience: Duration,
}

impl Config {
    /// Connections that clients may hold at once: twice what is under way and waits, and some more.
    #[must_use]
    pub fn connections(&self) -> usize {
        2 * (self.concurrent + self.queued) + 64
    }

    /// Requests that clients may have at once, those included that are refused in the end: one on each connection of
    /// HTTP/1, and as many streams of HTTP/2 as there may be connections.
    #[must_use]
    pub fn requests(&self) -> usize {
        2 * self.connections()
    }
}

/// Slots and queue.
#[derive(Debug)]
pub struct Queue {
    config: Config,
    /// Tokio gives permits in the order in which they were asked for, and none past those who wait.
    slots: Arc<Semaphore>,
    places: Arc<Semaphore>,
    pace: Arc<Pace>,
    waiting: Gauge,
}

/// Why a request gets no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSlot {
    /// All slots and places are taken.
    Full,
    /// No slot became free in time.
    TimedOut,
}

/// A slot, free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
    since: Instant,
    pace: Arc<Pace>,
}

/// A place in the queue, free again when this is dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    waiting: Gauge,
}

/// How long requests hold their slots, in milliseconds: a mean in which the newest counts an eighth.
#[derive(Debug, Default)]
struct Pace(AtomicU64);

impl Queue {
    /// With `waiting` as the number of those in the queue.
    #[must_use]
    pub fn new(config: Config, waiting: Gauge) -> Self {
        Self {
            config,
            slots: Arc::new(Semaphore::new(config.concurrent)),
            places: Arc::new(Semaphore::new(config.queued)),
            pace: Arc::default(),
            waiting,
        }
    }

    /// Whether a request that came now would be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.slots.available_permits() == 0 && self.places.available_permits() == 0
    }

    /// Waits for a slot. Whoever drops this leaves the queue.
    ///
    /// # Errors
    /// [`NoSlot`].
    pub async fn enter(&self) -> Result<Slot, NoSlot> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(self.slot(permit));
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let _place = Place::new(place.map_err(|_| NoSlot::Full)?, &self.waiting);
        let slot = Arc::clone(&self.slots).acquire_owned();
        match timeout(self.config.patience, slot).await {
            Ok(Ok(permit)) => Ok(self.slot(permit)),
            _ => Err(NoSlot::TimedOut),
        }
    }

    /// In how many seconds a place may be free, as requests went lately.
    #[must_use]
    pub fn retry_after(&self) -> u32 {
        self.pace.seconds_between(self.config.concurrent)
    }

    fn slot(&self, permit: OwnedSemaphorePermit) -> Slot {
        Slot {
            _permit: permit,
            since: Instant::now(),
            pace: Arc::clone(&self.pace),
        }
    }
}

impl Place {
    fn new(permit: OwnedSemaphorePermit, waiting: &Gauge) -> Self {
        waiting.inc();
        Self {
            _permit: permit,
            waiting: waiting.clone(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.dec();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pace.held(self.since.elapsed());
    }
}

impl Pace {
    fn held(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let blend = |mean: u64| match mean {
            0 => Some(time),
            mean => Some((mean - mean / 8).saturating_add(time / 8)),
        };
        let _ = (self.0).fetch_update(Ordering::Relaxed, Ordering::Relaxed, blend);
    }

    /// Between two slots that become free of `slots`.
    fn seconds_between(&self, slots: usize) -> u32 {
        let millis = self.0.load(Ordering::Relaxed);
        let slots = (slots as u64).max(1);
        let seconds = millis.div_ceil(1_000 * slots).clamp(1, LONGEST_RETRY);
        u32::try_from(seconds).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn queue(concurrent: usize, queued: usize, patience: Duration) -> Queue {
        let config = Config {
            concurrent,
            queued,
            patience,
        };
        Queue::new(config, Gauge::default())
    }

    #[tokio::test]
    async fn those_who_wait_come_in_their_order() {
        let queue = Arc::new(queue(1, 2, LONG));
        let held = queue.enter().await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..2 {
            let (queue, order) = (Arc::clone(&queue), Arc::clone(&order));
            tasks.spawn(async move {
                let slot = queue.enter().await.unwrap();
                order.lock().unwrap().push(number);
                drop(slot);
            });
            tokio::task::yield_now().await;
        }
        assert_eq!(queue.waiting.get(), 2);
        assert!(queue.is_full());
        assert_eq!(queue.enter().await.unwrap_err(), NoSlot::Full);
        drop(held);
        while tasks.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), [0, 1]);
        assert_eq!(queue.waiting.get(), 0);
    }

    /// As much as the schemas allow: 1,024 at once, and 512 that wait.
    #[test]
    fn what_clients_may_have_at_once_is_bounded() {
        let most = Config {
            concurrent: 1_024,
            queued: 512,
            patience: LONG,
        };
        assert_eq!(most.connections(), 3_136);
        assert_eq!(most.requests(), 6_272);
    }

    #[tokio::test]
    async fn patience_ends_and_the_place_is_free() {
        let queue = queue(1, 1, Duration::from_millis(20));
        let _held = queue.enter().await.unwrap();
        assert_eq!(queue.enter().await.unwrap_err(), NoSlot::TimedOut);
        assert_eq!(queue.waiting.get(), 0);
        assert!(!queue.is_full());
    }

    #[tokio::test]
    async fn whoever_goes_leaves_the_place() {
        let queue = queue(1, 1, LONG);
        let held = queue.enter().await.unwrap();
        assert!(
            timeout(Duration::from_millis(20), queue.enter())
                .await
                .is_err()
        );
        assert_eq!(queue.waiting.get(), 0);
        drop(held);
        assert!(queue.enter().await.is_ok());
    }

    #[rstest::rstest]
    #[case::nothing_known(&[], 1, 1)]
    #[case::quick(&[20], 1, 1)]
    #[case::one_slot(&[8_000], 1, 8)]
    #[case::four_slots(&[8_000], 4, 2)]
    #[case::rounded_up(&[8_001], 4, 3)]
    #[case::never_too_long(&[3_600_000], 1, 60)]
    #[case::the_newest_counts_an_eighth(&[8_000, 16_000], 1, 9)]
    fn a_retry_follows_the_pace(#[case] held: &[u64], #[case] slots: usize, #[case] seconds: u32) {
        let pace = Pace::default();
        for millis in held {
            pace.held(Duration::from_millis(*millis));
        }
        assert_eq!(pace.seconds_between(slots), seconds);
    }
}
