//! What is known of the server, whichever child said it: its era, who it says it is, its tools. The gate's reports hear
//! of each change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::hello::Hello;
use super::pinned::Pinned;
use crate::gate::core::Core;
use crate::mcp::params::Annotated;
use crate::mcp::pin::NoInventory;
use crate::mcp::{Era, Inventory};
use crate::seal::wire::Mcp;

/// It, for as long as the gate runs.
#[derive(Debug)]
pub struct Known {
    core: Arc<Core>,
    facts: Mutex<Facts>,
}

#[derive(Debug)]
struct Facts {
    /// The era of the program, once a child of it has answered, and whether it takes `initialize`.
    era: Option<(Era, bool)>,
    hello: Option<Hello>,
    pinned: Pinned,
}

impl Known {
    /// Nothing yet; its tools are to be the pinned ones.
    #[must_use]
    pub fn new(core: Arc<Core>, pinned: Pinned) -> Self {
        let facts = Facts {
            era: None,
            hello: None,
            pinned,
        };
        Self {
            core,
            facts: Mutex::new(facts),
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The era of the program, and whether it takes `initialize`.
    #[must_use]
    pub fn era(&self) -> Option<(Era, bool)> {
        self.facts().era
    }

    /// A child of the program has answered so.
    pub fn greeted(&self, hello: &Hello) {
        self.facts().era = Some((hello.era, hello.legacy));
    }

    /// The server says who it is.
    pub fn says(&self, hello: Hello) {
        self.facts().hello = Some(hello);
        self.report();
    }

    /// Whether it has a tool of that name.
    #[must_use]
    pub fn has_tool(&self, name: &str) -> bool {
        self.facts().pinned.has(name)
    }

    /// Whether a client may call a tool of that name: with a pin one of the pinned ones only.
    #[must_use]
    pub fn lets(&self, name: &str) -> bool {
        self.facts().pinned.lets(name)
    }

    /// What clients repeat of the arguments of the tool of that name.
    #[must_use]
    pub fn annotated(&self, name: &str) -> Vec<Annotated> {
        self.facts().pinned.annotated(name)
    }

    /// Whether every child's tools are looked at.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.facts().pinned.is_pinned()
    }

    /// Its tools are these, or it gave an error, or what cannot be read; whether they are others than the pinned ones.
    pub fn sees(&self, list: Result<Inventory, NoInventory>) -> bool {
        let drifts = {
            let mut facts = self.facts();
            facts.pinned.sees(list, Instant::now());
            facts.pinned.drift().is_some()
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
        let fine = self.facts().pinned.shows(read);
        if !fine {
            self.report();
        }
        fine
    }

    /// After an error instead of a list: whether what runs may go on as it was. `listed` says whether it has listed its
    /// tools before.
    #[must_use]
    pub fn bears(&self, listed: bool) -> bool {
        self.facts().pinned.bears(listed, Instant::now())
    }

    /// Whether the tools are not the pinned ones.
    #[must_use]
    pub fn drifts(&self) -> bool {
        self.facts().pinned.drift().is_some()
    }

    fn report(&self) {
        let (report, drift) = {
            let facts = self.facts();
            let drift = facts.pinned.drift();
            let report = Mcp {
                server: facts.hello.as_ref().map(Hello::info),
                tools: facts.pinned.tools(),
                pin: facts.pinned.pin(Instant::now()),
                drift: drift.unwrap_or_default().to_owned(),
            };
            (report, drift.map(|what| format!("ToolsDrift: {what}")))
        };
        self.core.mcp(report, drift);
    }
}
