//! What a client's own child says beside answers, until it ends; and its end, where it answers nothing any more.

use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::LOOK;
use super::call::Said;
use super::hello::{self, NoHello, own};
use super::house::{House, NoChild};
use super::keeper::INSPECT_SOON;
use super::live::Live;
use super::unlisted::UNLISTED;
use super::watch::{Do, Patience, Signs, Watch};
use crate::mcp::Object;

/// Gives `hears` what the child says, looks at its tools when it says that they changed, one look at a time, however often
/// it says so, and ends it when it hangs.
pub async fn attend(
    live: Weak<Live>,
    mut loose: mpsc::Receiver<Said>,
    house: Arc<House>,
    hears: impl Fn(&Arc<Live>, Said) + Send,
) {
    let Some(changed) = live.upgrade().map(|live| live.child.changed()) else {
        return;
    };
    let heard = async {
        while let Some(said) = loose.recv().await {
            let Some(live) = live.upgrade() else { return };
            hears(&live, said);
        }
    };
    let looks = async {
        loop {
            changed.notified().await;
            if house.known.is_pinned() {
                look(&live, &house).await;
            }
        }
    };
    tokio::select! {
        () = heard => {}
        () = looks => {}
        () = watch(&live, &house) => {}
    }
}

/// Looks at the tools of a child that were the pinned ones and have changed. What it has to say is in the house then. One
/// that gives errors instead, or answers others and not this, is asked again, and ended when it does so for as long as a
/// server may.
async fn look(live: &Weak<Live>, house: &House) {
    let begun = Instant::now();
    while let Some(live) = live.upgrade() {
        let before = live.child.heard();
        let refuses = match house.inspect(&live).await {
            Err(NoChild::Unlisted) => true,
            // One that answers nobody may be busy.
            Err(NoChild::Hello(NoHello::Slow)) => live.child.heard() > before,
            _ => return,
        };
        if refuses && begun.elapsed() >= UNLISTED {
            tracing::warn!("a client's child does not list its tools, and is ended");
            return live.child.give_up();
        }
        drop(live);
        sleep(INSPECT_SOON).await;
    }
}

/// Until the child hangs, and is ended for that: whoever waits for it hears so, and nothing is run again.
async fn watch(live: &Weak<Live>, house: &House) {
    let patience = Patience {
        call: house.silence,
        client: house.config.idle,
    };
    let mut watch = Watch::new(patience, Instant::now());
    loop {
        sleep(LOOK).await;
        let Some(live) = live.upgrade() else { return };
        let signs = Signs {
            heard: live.child.heard() + live.child.talked(),
            needed: live.child.under_way() > 0,
            waits: live.child.waits(),
        };
        match watch.look(signs, Instant::now()) {
            Do::Nothing => {}
            Do::Ask => {
                let era = live.hello.era;
                live.child
                    .ping(own(era, hello::ping(era), Object::default()));
            }
            Do::End => {
                tracing::warn!("a client's child hangs, and is ended");
                return live.child.give_up();
            }
        }
    }
}
