//! What a client wants to hear of goes with it from one child of the older era to the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::child::Child;
use super::house::House;
use super::live::Live;
use super::stateless::Stateless;
use super::telling::{leave_all, want_all};
use crate::mcp::Askable;

/// For a child that answers nothing to be seen to have ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Whose child a client is served by.
pub enum Home {
    /// The gate's own, which all share.
    Shared(Arc<House>),
    /// That of a caller without a session, for clients that can be asked this.
    Own(Arc<Stateless>, String, Askable),
}

/// What a client wants to hear of.
pub struct Follow {
    /// From whose child.
    pub home: Home,
    /// As whose it is counted; sessions have bounds of their own.
    pub caller: Option<Arc<str>>,
    /// The resources; none where it hears of lists alone.
    pub uris: Vec<Arc<str>>,
    /// Its client wants no more.
    pub until: CancellationToken,
}

/// A later child does not tell of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl Follow {
    /// Until its client wants no more. The first child tells of all of it already; `moved` hears of each later one that
    /// does.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn run(&self, first: Arc<Live>, moved: impl Fn(&Arc<Child>)) -> Result<(), Lost> {
        let mut live = first;
        loop {
            if self.stays(live).await {
                return Ok(());
            }
            live = loop {
                let next = tokio::select! {
                    () = self.until.cancelled() => return Ok(()),
                    next = self.home.next(self.uris.is_empty()) => next,
                };
                if self.moves(&next.child).await? {
                    break next;
                }
            };
            // Who wants no more hears no more; the child is told so next.
            if !self.until.is_cancelled() {
                moved(&live.child);
            }
        }
    }

    /// Until its client wants no more, of which the child is told, or until that ends; whether it was the client.
    async fn stays(&self, live: Arc<Live>) -> bool {
        let ended = live.child.ended();
        let child = Arc::downgrade(&live.child);
        // A child ends when its owners give it up. Nobody who only listens keeps it from that.
        drop(live);
        tokio::select! {
            () = ended.cancelled() => return false,
            () = self.until.cancelled() => {}
        }
        if let Some(child) = child.upgrade() {
            leave_all(&child, self.caller.as_ref(), &self.uris).await;
        }
        true
    }

    /// Whether this child tells of all of it; false where it has ended meanwhile.
    async fn moves(&self, child: &Arc<Child>) -> Result<bool, Lost> {
        let told = want_all(child, self.caller.as_ref(), &self.uris).await;
        if told.len() == self.uris.len() {
            return Ok(true);
        }
        leave_all(child, self.caller.as_ref(), &told).await;
        let ended = child.ended();
        match timeout(LAST_WORDS, ended.cancelled()).await {
            Ok(()) => Ok(false),
            Err(_) => Err(Lost),
        }
    }
}

impl Home {
    /// The next child. The gate's own is had anew by its keeper; that of a caller here, since its client sends no request
    /// that would. Where it hears of lists alone, it has none to lose until it sends one.
    async fn next(&self, lists_alone: bool) -> Arc<Live> {
        match self {
            Self::Shared(house) => house.next().await,
            Self::Own(stateless, caller, askable) if lists_alone => {
                stateless.served(caller, askable).await
            }
            Self::Own(stateless, caller, askable) => stateless.next(caller, askable).await,
        }
    }
}
