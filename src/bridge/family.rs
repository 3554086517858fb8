//! Who lives: the children, and by their marks all that they have started.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::launch::processes;

/// The variable by which a process is known as started by a child, or by what that has started.
pub const MARK: &str = "SEALROOM_CHILD";

/// The children of one lease.
#[derive(Debug)]
pub struct Family {
    members: Mutex<HashMap<Pid, Member>>,
    places: Arc<Semaphore>,
    end: CancellationToken,
}

#[derive(Debug)]
struct Member {
    mark: String,
    ended: CancellationToken,
}

impl Family {
    /// Of at most this many at once.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            members: Mutex::default(),
            places: Arc::new(Semaphore::new(most)),
            end: CancellationToken::new(),
        }
    }

    fn members(&self) -> MutexGuard<'_, HashMap<Pid, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more, once there is one.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// One more, known by `mark`; the token tells its end.
    #[must_use]
    pub fn join(&self, pid: Pid, mark: String) -> CancellationToken {
        let ended = CancellationToken::new();
        let member = Member {
            mark,
            ended: ended.clone(),
        };
        self.members().insert(pid, member);
        ended
    }

    /// Takes the dead. What a child leaves behind ends with it: first its group, which no later process can have
    /// taken yet, then by their marks those that left the group.
    pub fn reaped(&self, dead: &[(Pid, i32)]) {
        let mut members = self.members();
        let mut left = false;
        for (pid, code) in dead {
            if let Some(member) = members.remove(pid) {
                let _ = killpg(*pid, Signal::SIGKILL);
                member.ended.cancel();
                tracing::info!(pid = pid.as_raw(), code, "a child ended");
                left = true;
            }
        }
        if left {
            let live: Vec<_> = members
                .iter()
                .map(|(pid, member)| (*pid, member.mark.as_str()))
                .collect();
            processes::kill_strays(MARK, &live);
        }
    }

    /// All were killed and reaped by somebody else: whoever waits for the end of one hears of it, and signals no number
    /// that may be another process's by now.
    pub fn gone(&self) {
        for (_, member) in self.members().drain() {
            member.ended.cancel();
        }
    }

    /// Whether nobody lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// Asks all to end.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// Ends when all are asked to.
    pub async fn told_to_end(&self) {
        self.end.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_for_one_hears_that_all_are_gone() {
        let family = Family::new(2);
        // Nobody's number: nothing is signalled here.
        let ended = family.join(Pid::from_raw(i32::MAX), "mark".to_owned());
        assert!(!ended.is_cancelled());
        family.gone();
        assert!(ended.is_cancelled() && family.is_empty());
    }
}
