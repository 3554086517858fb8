//! What a client's own child says beside answers, until it ends.

use std::sync::{Arc, Weak};

use tokio::sync::mpsc;

use super::call::Said;
use super::house::House;
use super::live::Live;

/// Gives `hears` what the child says, and looks at its tools when it says that they changed: one look at a time, however
/// often it says so.
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
            if let Some(live) = live.upgrade().filter(|_| house.is_pinned()) {
                // What it has to say is in the house then.
                let _ = house.inspect(&live).await;
            }
        }
    };
    tokio::select! {
        () = heard => {}
        () = looks => {}
    }
}
