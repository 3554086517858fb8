//! The life of the gate's own child: greeted, asked again and again whether it lives and which tools it has, and had
//! anew when it ends.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::call::Said;
use super::changes::Changes;
use super::hello::{self, NoHello, own};
use super::house::{House, NoChild};
use super::live::Live;
use super::loose::Loose;
use super::pace::Pace;
use crate::mcp::{Askable, Era, Kind, Object, TOOLS_CHANGED};
use crate::seal::lease::Runtime;
use crate::seal::wire::RuntimeFault;

/// Between two looks at the bridge.
const LOOK: Duration = Duration::from_millis(100);
/// Between two pings, and for the answer to one before the server counts as hung.
const PING: Duration = Duration::from_secs(3);
/// A child that gives no sign of life for this long is ended.
const HUNG: Duration = Duration::from_secs(60);
/// Between two looks at tools that said nothing about a change.
const INSPECT: Duration = Duration::from_secs(60);
/// The same while they are not the pinned ones.
pub const INSPECT_SOON: Duration = Duration::from_secs(3);

/// Why a child is gone, and what that says of the server.
type Why = (&'static str, Option<RuntimeFault>);
const ENDED: Why = ("it ended", Some(RuntimeFault::Ended));
const HANGS: Why = ("it hung", Some(RuntimeFault::Hangs));
const LEASE_ENDED: Why = ("the lease ended", None);

/// Looks after one child after the other, for ever.
pub async fn keep(house: Arc<House>, loose: Loose) {
    let mut pace = Pace::default();
    // There was another child before the next one.
    let mut later = false;
    loop {
        let view = house.core.runtime();
        if view.phase != Runtime::Running {
            pace = Pace::default();
            sleep(LOOK).await;
            continue;
        }
        // Nobody answers what it asks.
        let started = house.start(None, &Askable::default()).await;
        pace.tried(started.is_ok(), Instant::now().into());
        let fault = match started {
            Ok((live, said)) => {
                tracing::info!(era = ?live.hello.era, "the server said hello");
                let changes = Changes::new(&live, later);
                later = true;
                let (why, fault) = live_with(&house, live, said, view.run, changes, &loose).await;
                house.core.cooled(view.run);
                house.move_in(None);
                tracing::warn!(why, "the server's child is gone");
                fault
            }
            Err(error) => {
                tracing::warn!(%error, "failed to have a child");
                fault_of(&error)
            }
        };
        if fault == Some(RuntimeFault::Ended) {
            // The bridge is there: it had a child.
            house.core.sign_of_life();
        }
        sleep(pace.pause(Instant::now().into())).await;
        if let Some(fault) = fault {
            // Where it went with the lease, launch has said so by now.
            house.core.failed(view.run, fault);
        }
    }
}

/// What a child that did not come says of the server. Of the bridge launch tells.
fn fault_of(error: &NoChild) -> Option<RuntimeFault> {
    match error {
        NoChild::Hello(NoHello::Slow) => Some(RuntimeFault::Hangs),
        NoChild::Hello(_) => Some(RuntimeFault::Ended),
        NoChild::NoPlace(_) | NoChild::Bridge(_) | NoChild::Drift | NoChild::Unlisted => None,
    }
}

/// Until the child ends, with the reason.
async fn live_with(
    house: &Arc<House>,
    live: Arc<Live>,
    mut said: mpsc::Receiver<Said>,
    run: u64,
    mut changes: Changes,
    loose: &Loose,
) -> Why {
    house.core.sign_of_life();
    house.move_in(Some(Arc::clone(&live)));
    let mut inspected: Option<Instant> = None;
    // This child has said which tools it has.
    let mut listed = false;
    let mut sign = Instant::now();
    let mut changed = false;
    loop {
        if live.child.is_over() {
            return ENDED;
        }
        if house.core.runtime().run != run || house.core.runtime().phase != Runtime::Running {
            return LEASE_ENDED;
        }
        changes.subscribe(&live).await;
        let drifts = house.known.drifts();
        let usual = house.config.inspect.unwrap_or(INSPECT);
        let every = if drifts { INSPECT_SOON } else { usual };
        let due = changed || inspected.is_none_or(|at| at.elapsed() > every);
        let answered = if due {
            changed = false;
            inspected = Some(Instant::now());
            match inspect(house, &live, run).await {
                Ok(()) | Err(NoChild::Drift) => {
                    listed = true;
                    true
                }
                Err(NoChild::Unlisted) => {
                    // It answers, so it lives; it is asked again soon.
                    inspected = None;
                    sign = Instant::now();
                    house.known.bears(listed)
                }
                Err(_) if house.known.is_pinned() => {
                    // That it answers a ping says nothing of the pinned tools.
                    inspected = None;
                    false
                }
                Err(_) => ping(&live).await,
            }
        } else {
            ping(&live).await
        };
        if answered {
            sign = Instant::now();
            house.core.sign_of_life();
            house.core.warmed(run);
        } else if live.child.is_over() {
            return ENDED;
        } else {
            // The bridge is there; ending what hangs behind it is up to us. Before anything of it is remembered: a list
            // may take as long as a bridge may be silent.
            house.core.sign_of_life();
            house.core.troubled(run, RuntimeFault::Hangs);
            if sign.elapsed() > HUNG {
                // Whoever still waits for it hears so, and has the next one.
                live.child.give_up();
                return HANGS;
            }
        }
        let next = Instant::now() + PING;
        while !changed {
            if answered && changes.missed() {
                loose.lists_may_have_changed(&live);
                // What the gate has seen may be over, too, but not that of a child that tells from its first word on.
                changed = live.hello.era == Era::Modern;
                continue;
            }
            let heard = tokio::select! {
                heard = said.recv() => match heard {
                    Some(heard) => heard,
                    None => return ENDED,
                },
                Some(heard) = changes.next() => heard,
                () = sleep_until(next) => break,
            };
            changed = heard.message.method() == Some(TOOLS_CHANGED);
            answer(&live, &heard, loose);
        }
    }
}

/// What the child says that belongs to no call. What it asks nobody can answer: the gate has told it so.
fn answer(live: &Live, said: &Said, loose: &Loose) {
    match &said.message.kind {
        Kind::Request { id, method } => live.child.refuse(id, method),
        _ => loose.hears(live, said),
    }
}

/// Looks at the tools. A list may take longer than a server may be silent, so it is asked meanwhile whether it lives.
async fn inspect(house: &House, live: &Live, run: u64) -> Result<(), NoChild> {
    let mut listed = pin!(house.inspect(live));
    loop {
        let lives = tokio::select! {
            biased;
            listed = &mut listed => return listed,
            lives = async { sleep(PING).await; ping(live).await } => lives,
        };
        // The bridge is there.
        house.core.sign_of_life();
        if !lives && !live.child.is_over() {
            house.core.troubled(run, RuntimeFault::Hangs);
        }
    }
}

async fn ping(live: &Live) -> bool {
    let era = live.hello.era;
    let request = own(era, hello::ping(era), Object::default());
    let Ok(mut call) = live.child.call(request).await else {
        return false;
    };
    let before = live.child.heard();
    // Any answer shows that it lives, also one to somebody else: it may be busy.
    matches!(timeout(PING, call.answer()).await, Ok(Ok(_))) || live.child.heard() > before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::mcp::pace::BACK_OFF;

    #[tokio::test]
    async fn a_server_that_ends_at_once_is_had_anew_after_ever_longer_pauses() {
        let dir = tempfile::tempdir().unwrap();
        let (house, bridge) = House::sample(dir.path(), 2, Duration::from_secs(60));
        house.core.connected(&[]);
        house.core.says(Runtime::Running);
        let loose = Loose {
            sessions: None,
            listeners: Arc::default(),
        };
        let begun = Instant::now();
        let keeps = tokio::spawn(keep(Arc::new(house), loose));
        // Each try has two children: the server could be of either era.
        for pauses in [0, 1, 1 + 2] {
            for _ in 0..2 {
                drop(bridge.accept().await.unwrap());
            }
            let elapsed = begun.elapsed();
            assert!(elapsed >= pauses * BACK_OFF, "{pauses}: {elapsed:?}");
        }
        keeps.abort();
    }
}
