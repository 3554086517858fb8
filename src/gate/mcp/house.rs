//! Starts children, and has one of the gate's own: by it the gate knows whether the server is alive, and what is in
//! [`super::known`]. Where one child is for all, this is it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::call::Said;
use super::child::{Child, Gone, Limits};
use super::hello::{NoHello, greet, own};
use super::known::Known;
use super::live::Live;
use super::pinned::Pinned;
use super::places::{NoPlace, Place, Places};
use crate::gate::core::Core;
use crate::mcp::pages::Pages;
use crate::mcp::pin::NoInventory;
use crate::mcp::{Askable, Era, Inventory, tasks};

/// For all pages of `tools/list`, while the server answers that it lives.
pub const LIST: Duration = Duration::from_secs(30);
/// Between two looks for a child of the gate's own.
const LOOK: Duration = Duration::from_millis(250);

/// Most resources that all sessions together subscribe to: each is an open request at the server.
const SUBSCRIPTIONS: usize = 1024;

/// One child for all clients, or one for each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum Isolation {
    /// A child for each session.
    PerSession,
    /// One child for all.
    Shared,
}

/// Whose child it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The gate's own, one at a time: it takes no place, or nobody would know the server any more when all are taken.
    Gate,
    /// A client's, which has one.
    Client,
}

/// How children are had.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the bridge listens.
    pub socket: PathBuf,
    /// For whom a child is.
    pub isolation: Isolation,
    /// Most children at once, the gate's own included.
    pub max_children: usize,
    /// A session that was not used for so long ends.
    pub idle: Duration,
    /// Between two looks at tools that said nothing about a change, where it is not the usual time.
    pub inspect: Option<Duration>,
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum NoChild {
    /// It has no place.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    /// The bridge is not there.
    #[error("failed to reach the bridge: {0}")]
    Bridge(#[from] io::Error),
    /// It gave no hello.
    #[error(transparent)]
    Hello(#[from] NoHello),
    /// Its tools are not the pinned ones.
    #[error("its tools are not the pinned ones")]
    Drift,
    /// It gave an error instead of its tools, or there was no memory for them.
    #[error("it gave an error instead of its tools")]
    Unlisted,
}

impl From<Gone> for NoChild {
    fn from(gone: Gone) -> Self {
        Self::Hello(NoHello::Gone(gone))
    }
}

/// A child, and what it says beside answers.
pub type Connected = (Arc<Child>, mpsc::Receiver<Said>);
/// The same of one that was greeted.
pub type Started = (Arc<Live>, mpsc::Receiver<Said>);

/// The children, as far as all need to know of them.
#[derive(Debug)]
pub struct House {
    /// How they are had.
    pub config: Config,
    /// The gate's knowledge.
    pub core: Arc<Core>,
    /// What they may hold.
    pub limits: Limits,
    /// For clients' children.
    pub places: Arc<Places>,
    /// What all of them have said of the server.
    pub known: Known,
    /// Of all sessions, at a server that takes a request for each.
    pub subscriptions: Arc<Semaphore>,
    /// How long a client's child may be silent while somebody waits for it: as long as one call may take.
    pub silence: Duration,
    /// The gate's own child.
    own: watch::Sender<Option<Arc<Live>>>,
}

impl House {
    /// Without any child yet; one call may take as long as `silence`.
    #[must_use]
    pub fn new(
        config: Config,
        core: Arc<Core>,
        limits: Limits,
        pinned: Pinned,
        silence: Duration,
    ) -> Self {
        Self {
            places: Arc::new(Places::new(config.max_children.saturating_sub(1))),
            known: Known::new(Arc::clone(&core), pinned),
            subscriptions: Arc::new(Semaphore::new(SUBSCRIPTIONS)),
            config,
            core,
            limits,
            silence,
            own: watch::Sender::new(None),
        }
    }

    /// The gate's own child, while it lives.
    #[must_use]
    pub fn own(&self) -> Option<Arc<Live>> {
        self.own.borrow().clone()
    }

    /// The gate's own child, as soon as one lives whose clients are let in: its tools are looked at first.
    pub async fn next(&self) -> Arc<Live> {
        loop {
            let own = self.own().filter(|live| !live.child.is_over());
            if let Some(live) = own
                && self.core.runtime().warm
                && self.core.obstacle().is_none()
            {
                return live;
            }
            sleep(LOOK).await;
        }
    }

    /// The gate's own child is another one, or none.
    pub fn move_in(&self, live: Option<Arc<Live>>) {
        if let Some(live) = &live {
            self.known.says(live.hello.clone());
        }
        self.own.send_replace(live);
    }

    /// A connection of its own to the bridge, and so a child. Without a place it is the gate's own.
    ///
    /// # Errors
    /// [`NoChild`].
    pub async fn connect(&self, place: Option<&Place>) -> Result<Connected, NoChild> {
        let owner = match place {
            None => Owner::Gate,
            Some(_) => Owner::Client,
        };
        Ok(Child::connect(&self.config.socket, self.limits.clone(), owner).await?)
    }

    /// A child that the gate has greeted, for clients that can be asked this. Without a place it is the gate's own.
    ///
    /// # Errors
    /// [`NoChild`].
    pub async fn start(&self, place: Option<Place>, askable: &Askable) -> Result<Started, NoChild> {
        let known = self.known.era().map(|(era, _)| era);
        let (child, loose) = self.connect(place.as_ref()).await?;
        let (child, loose, mut hello) = match greet(&child, known, askable).await {
            Ok(hello) => (child, loose, hello),
            // Some servers end on a first word that they do not know.
            Err(NoHello::Gone(_)) if known.is_none() => {
                drop((child, loose));
                let (child, loose) = self.connect(place.as_ref()).await?;
                let hello = greet(&child, Some(Era::Legacy), askable).await?;
                (child, loose, hello)
            }
            Err(error) => return Err(error.into()),
        };
        self.known.greeted(&hello);
        if self.config.isolation == Isolation::Shared {
            hello.result = tasks::without(hello.result);
        }
        let live = Live {
            child,
            hello,
            place,
        };
        Ok((Arc::new(live), loose))
    }

    /// Asks a child for its tools, and compares.
    ///
    /// # Errors
    /// It ended or took too long, its tools are not the pinned ones, or it gave an error: then only the gate's own child
    /// says something of the server, and one client's says nothing of all others.
    pub async fn inspect(&self, live: &Live) -> Result<(), NoChild> {
        let list = timeout(LIST, list(live)).await;
        let list = list.map_err(|_| NoHello::Slow)??;
        let refused = matches!(list, Err(NoInventory::Refused));
        if refused && live.place.is_some() {
            return Err(NoChild::Unlisted);
        }
        let drifts = self.known.sees(list);
        if refused {
            Err(NoChild::Unlisted)
        } else if drifts {
            Err(NoChild::Drift)
        } else {
            Ok(())
        }
    }
}

/// All tools of a child, page by page.
async fn list(live: &Live) -> Result<Result<Inventory, NoInventory>, NoChild> {
    let mut pages = Pages::default();
    if !live.hello.has_tools() {
        return Ok(Ok(Inventory::default()));
    }
    loop {
        let request = own(live.hello.era, "tools/list", pages.params());
        let said = live.child.list(request).await?.answer().await?;
        if let Some(list) = pages.take(&said.message) {
            return Ok(list);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::net::UnixListener;

    use super::*;
    use crate::gate::mcp::budget::Budget;
    use crate::gate::mcp::places::Whose;
    use crate::seal::session::Session;
    use crate::seal::state::{Config as Seal, Machine, OwnNode, WhenStale};

    impl House {
        /// In which each caller has a child of its own, and the bridge, which the test plays.
        pub(crate) fn sample(
            dir: &Path,
            max_children: usize,
            idle: Duration,
        ) -> (Self, UnixListener) {
            let config = Config {
                socket: dir.join("socket"),
                isolation: Isolation::PerSession,
                max_children,
                idle,
                inspect: None,
            };
            let bridge = UnixListener::bind(&config.socket).unwrap();
            let seal = Seal {
                when_stale: WhenStale::Serve,
                grace: Duration::ZERO,
                own_node: OwnNode::Report,
            };
            let core = Core::new(Machine::new(seal, "pod", Session::random()));
            let limits = Limits {
                line: 1024,
                budget: Arc::new(Budget::new(1024)),
            };
            let pinned = Pinned::new(None);
            let silence = Duration::from_secs(60);
            let house = Self::new(config, Arc::new(core), limits, pinned, silence);
            (house, bridge)
        }
    }

    #[tokio::test]
    async fn clients_cannot_take_the_place_of_the_gates_own_child() {
        let dir = tempfile::tempdir().unwrap();
        let (house, _bridge) = House::sample(dir.path(), 2, Duration::from_secs(1));
        let whose = Whose {
            caller: "ada",
            has_others: false,
            session: true,
        };
        let place = house.places.take(whose).unwrap();
        assert!(house.connect(Some(&place)).await.is_ok());
        assert!(house.places.take(whose).is_err());
        assert!(house.connect(None).await.is_ok());
    }
}
