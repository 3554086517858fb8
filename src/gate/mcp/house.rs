//! Starts children, and keeps one of the gate's own: by it the gate knows whether the server is alive, who it is and
//! which tools it has. Where one child is for all, this is it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::call::Said;
use super::child::{Child, Gone, Limits};
use super::hello::{Hello, NoHello, greet, own};
use super::live::{Live, Place};
use super::pinned::Pinned;
use crate::gate::core::Core;
use crate::mcp::pages::Pages;
use crate::mcp::params::Annotated;
use crate::mcp::pin::NoInventory;
use crate::mcp::{Askable, Era, Inventory};
use crate::seal::wire::Mcp;

/// For all pages of `tools/list`.
const LIST: Duration = Duration::from_secs(30);
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
    /// The gate's own, one at a time: its place is always free, or nobody would know the server any more.
    Gate,
    /// A client's, which takes one of the other places.
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
    /// All places are taken.
    #[error("there are as many children as there may be")]
    Full,
    /// The bridge is not there.
    #[error("failed to reach the bridge: {0}")]
    Bridge(#[from] io::Error),
    /// It gave no hello.
    #[error(transparent)]
    Hello(#[from] NoHello),
    /// Its tools are not the pinned ones.
    #[error("its tools are not the pinned ones")]
    Drift,
}

impl From<Gone> for NoChild {
    fn from(gone: Gone) -> Self {
        Self::Hello(NoHello::Gone(gone))
    }
}

/// A greeted child, and what it says beside answers.
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
    places: Arc<Semaphore>,
    /// Of all sessions, at a server that takes a request for each.
    pub subscriptions: Arc<Semaphore>,
    /// The gate's own child.
    own: watch::Sender<Option<Arc<Live>>>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// The era of the program, once a child of it has answered, and whether it takes `initialize`.
    era: Option<(Era, bool)>,
    hello: Option<Hello>,
    pinned: Pinned,
}

impl House {
    /// Without any child yet.
    #[must_use]
    pub fn new(config: Config, core: Arc<Core>, limits: Limits, pinned: Pinned) -> Self {
        let known = Known {
            era: None,
            hello: None,
            pinned,
        };
        Self {
            places: Arc::new(Semaphore::new(config.max_children.saturating_sub(1))),
            subscriptions: Arc::new(Semaphore::new(SUBSCRIPTIONS)),
            config,
            core,
            limits,
            own: watch::Sender::new(None),
            known: Mutex::new(known),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
            self.known().hello = Some(live.hello.clone());
        }
        self.own.send_replace(live);
        self.report();
    }

    /// The era of the program, and whether it takes `initialize`.
    #[must_use]
    pub fn era(&self) -> Option<(Era, bool)> {
        self.known().era
    }

    /// Whether the server has a tool of that name.
    #[must_use]
    pub fn has_tool(&self, name: &str) -> bool {
        self.known().pinned.has(name)
    }

    /// What clients repeat of the arguments of the tool of that name.
    #[must_use]
    pub fn annotated(&self, name: &str) -> Vec<Annotated> {
        self.known().pinned.annotated(name)
    }

    /// Whether every child's tools are looked at.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.known().pinned.is_pinned()
    }

    /// The server says who it is.
    pub fn says(&self, hello: Hello) {
        self.known().hello = Some(hello);
        self.report();
    }

    /// The server's tools are these, or cannot be read; whether they are others than the pinned ones.
    pub fn sees(&self, list: Result<Inventory, NoInventory>) -> bool {
        let drifts = {
            let mut known = self.known();
            known.pinned.sees(list);
            known.pinned.drift().is_some()
        };
        self.report();
        drifts
    }

    /// A client is to be shown these tools, the text of a list: whether it may see them.
    #[must_use]
    pub fn shows(&self, tools: &str) -> bool {
        if !self.is_pinned() {
            return true;
        }
        let mut page = Inventory::default();
        let read = page.add(tools).map(|()| page);
        let fine = self.known().pinned.shows(read);
        if !fine {
            self.report();
        }
        fine
    }

    /// Whether the tools are not the pinned ones.
    #[must_use]
    pub fn drifts(&self) -> bool {
        self.known().pinned.drift().is_some()
    }

    fn report(&self) {
        let (report, drift) = {
            let known = self.known();
            let report = Mcp {
                server: known.hello.as_ref().map(Hello::info),
                tools: known.pinned.tools(),
                pin: known.pinned.pin(),
                drift: known.pinned.drift().unwrap_or_default().to_owned(),
            };
            let drift = known
                .pinned
                .drift()
                .map(|what| format!("ToolsDrift: {what}"));
            (report, drift)
        };
        self.core.mcp(report, drift);
    }

    /// A connection of its own to the bridge, and so a child.
    ///
    /// # Errors
    /// [`NoChild`].
    pub async fn connect(
        &self,
        owner: Owner,
    ) -> Result<(Arc<Child>, mpsc::Receiver<Said>, Place), NoChild> {
        let place = match owner {
            Owner::Gate => None,
            Owner::Client => {
                let place = Arc::clone(&self.places).try_acquire_owned();
                Some(place.map_err(|_| NoChild::Full)?)
            }
        };
        let (child, loose) =
            Child::connect(&self.config.socket, self.limits.clone(), owner).await?;
        Ok((child, loose, place))
    }

    /// A child that the gate has greeted, for clients that can be asked this.
    ///
    /// # Errors
    /// [`NoChild`].
    pub async fn start(&self, owner: Owner, askable: &Askable) -> Result<Started, NoChild> {
        let known = self.era().map(|(era, _)| era);
        let (child, loose, place) = self.connect(owner).await?;
        let greeted = greet(&child, known, askable).await;
        let (child, loose, place, hello) = match greeted {
            Ok(hello) => (child, loose, place, hello),
            // Some servers end on a first word that they do not know.
            Err(NoHello::Gone(_)) if known.is_none() => {
                drop((child, loose, place));
                let (child, loose, place) = self.connect(owner).await?;
                let hello = greet(&child, Some(Era::Legacy), askable).await?;
                (child, loose, place, hello)
            }
            Err(error) => return Err(error.into()),
        };
        self.known().era = Some((hello.era, hello.legacy));
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
    /// It ended or took too long, or its tools are not the pinned ones.
    pub async fn inspect(&self, live: &Live) -> Result<(), NoChild> {
        let list = timeout(LIST, list(live)).await;
        let list = list.map_err(|_| NoHello::Slow)??;
        if self.sees(list) {
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
        let said = live.child.call(request).await?.answer().await?;
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
            let house = Self::new(config, Arc::new(core), limits, Pinned::new(None));
            (house, bridge)
        }
    }

    #[tokio::test]
    async fn clients_cannot_take_the_place_of_the_gates_own_child() {
        let dir = tempfile::tempdir().unwrap();
        let (house, _bridge) = House::sample(dir.path(), 2, Duration::from_secs(1));
        let one = house.connect(Owner::Client).await;
        let full = house.connect(Owner::Client).await;
        assert!(one.is_ok() && matches!(full, Err(NoChild::Full)));
        assert!(house.connect(Owner::Gate).await.is_ok());
        drop(one);
        assert!(house.connect(Owner::Client).await.is_ok());
    }
}
