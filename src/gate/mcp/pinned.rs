//! Whether a server's tools are those of the pin: pure.
//!
//! Tools that once were the pinned ones and then are others stay out of service for as long as this gate runs, whatever
//! the server says later: what may turn back may turn again. An error instead of a list is nothing of that kind, see
//! [`super::unlisted`].

use std::time::Instant;

use crate::mcp::params::Annotated;
use crate::mcp::pin::{NoInventory, printable};
use crate::mcp::{Hash, Inventory};
use crate::seal::wire::{Pin, Tools};

/// Longest description of a drift in characters.
const MAX_DRIFT: usize = 512;

/// What is known about the tools.
#[derive(Clone, Debug, Default)]
pub struct Pinned {
    pub(super) pin: Option<Hash>,
    /// The last list.
    seen: Option<Inventory>,
    /// The list that was as the pin says, or without a pin the first.
    good: Option<Inventory>,
    /// What is wrong, while it is.
    drift: Option<String>,
    /// It stays wrong.
    sticks: bool,
    /// Since when there are errors instead of a list.
    pub(super) unlisted: Option<Instant>,
}

impl Pinned {
    /// With that pin, or with none.
    #[must_use]
    pub fn new(pin: Option<Hash>) -> Self {
        Self {
            pin,
            ..Self::default()
        }
    }

    /// Whether somebody has to look at the tools of every child.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.pin.is_some()
    }

    /// Takes a whole list, or that there is none, or none that can be read.
    pub fn sees(&mut self, list: Result<Inventory, NoInventory>, now: Instant) {
        let list = match list {
            Ok(list) => list,
            Err(NoInventory::Refused) => {
                self.unlisted.get_or_insert(now);
                return;
            }
            Err(why @ NoInventory::Form(_)) => {
                if self.pin.is_some() {
                    self.drifts(printable(&why.to_string(), MAX_DRIFT));
                }
                return;
            }
        };
        self.unlisted = None;
        match self.pin {
            Some(pin) if list.hash() != pin => {
                let what = match &self.good {
                    Some(good) => list.changes(good),
                    None => list.instead(),
                };
                self.drifts(what);
            }
            _ => {
                self.good = Some(list.clone());
                if !self.sticks {
                    self.drift = None;
                }
            }
        }
        self.seen = Some(list);
    }

    /// A client is to be shown these: all of the tools, or some. False where one of them is not as the pin says.
    #[must_use]
    pub fn shows(&mut self, page: Result<Inventory, NoInventory>) -> bool {
        if self.pin.is_none() {
            return true;
        }
        let Some(good) = &self.good else {
            return false;
        };
        let what = match page {
            Ok(page) => page.strangers(good),
            Err(why) => Some(printable(&why.to_string(), MAX_DRIFT)),
        };
        let fine = what.is_none();
        if let Some(what) = what {
            self.drifts(what);
        }
        fine
    }

    fn drifts(&mut self, what: String) {
        if !self.sticks {
            self.drift = Some(what);
        }
        self.sticks |= self.good.is_some();
    }

    /// What is wrong.
    #[must_use]
    pub fn drift(&self) -> Option<&str> {
        self.drift.as_deref()
    }

    /// For the operator.
    #[must_use]
    pub fn pin(&self, now: Instant) -> Pin {
        match (&self.drift, &self.seen) {
            (Some(_), _) => Pin::Drift,
            (None, Some(_)) if !self.is_unlisted(now) => Pin::Ok,
            (None, _) => Pin::Unknown,
        }
    }

    /// The tools for the operator.
    #[must_use]
    pub fn tools(&self) -> Option<Tools> {
        self.seen.as_ref().map(|list| Tools {
            count: u32::try_from(list.len()).unwrap_or(u32::MAX),
            hash: list.hash().to_string(),
        })
    }

    /// What clients repeat of the arguments of the tool of that name.
    #[must_use]
    pub fn annotated(&self, name: &str) -> Vec<Annotated> {
        let seen = self.seen.as_ref();
        seen.map(|list| list.annotated(name)).unwrap_or_default()
    }

    /// Whether a client may call a tool of that name: with a pin one of the pinned ones, and no other that the server
    /// would carry out though it lists none such.
    #[must_use]
    pub fn lets(&self, name: &str) -> bool {
        self.pin.is_none() || self.good.as_ref().is_some_and(|good| good.has(name))
    }

    /// Whether the server has a tool of that name: only then the audit repeats it.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.seen.as_ref().is_some_and(|list| list.has(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Inventory {
        let mut list = Inventory::default();
        let tools: Vec<_> = names
            .iter()
            .map(|name| format!(r#"{{"name":"{name}"}}"#))
            .collect();
        list.add(&format!("[{}]", tools.join(","))).unwrap();
        list
    }

    #[test]
    fn without_a_pin_tools_may_change() {
        let mut pinned = Pinned::new(None);
        let now = Instant::now();
        assert_eq!(pinned.pin(now), Pin::Unknown);
        pinned.sees(Ok(list(&["a"])), now);
        pinned.sees(Ok(list(&["a", "b"])), now);
        assert_eq!((pinned.pin(now), pinned.drift()), (Pin::Ok, None));
        assert_eq!(pinned.tools().unwrap().count, 2);
        assert!(pinned.has("b") && !pinned.has("c"));
    }

    #[test]
    fn tools_that_are_not_there_yet_may_come() {
        let mut pinned = Pinned::new(Some(list(&["a", "b"]).hash()));
        let now = Instant::now();
        pinned.sees(Ok(list(&["a"])), now);
        assert_eq!(pinned.pin(now), Pin::Drift);
        assert!(
            pinned
                .drift()
                .unwrap()
                .starts_with("the server offers 1 tools")
        );
        pinned.sees(Ok(list(&["b", "a"])), now);
        assert_eq!(pinned.pin(now), Pin::Ok);
    }

    #[test]
    fn tools_that_have_changed_stay_out() {
        let mut pinned = Pinned::new(Some(list(&["a"]).hash()));
        let now = Instant::now();
        pinned.sees(Ok(list(&["a"])), now);
        pinned.sees(Ok(list(&["a", "b"])), now);
        assert_eq!(pinned.drift(), Some("b is new"));
        pinned.sees(Ok(list(&["a"])), now);
        assert_eq!(
            (pinned.pin(now), pinned.drift()),
            (Pin::Drift, Some("b is new"))
        );
    }

    #[test]
    fn clients_are_shown_the_pinned_tools_or_none() {
        let mut pinned = Pinned::new(Some(list(&["a", "b"]).hash()));
        let now = Instant::now();
        assert!(!pinned.shows(Ok(list(&["a"]))), "nothing is known yet");
        pinned.sees(Ok(list(&["a", "b"])), now);
        assert!(pinned.shows(Ok(list(&["b"]))) && pinned.shows(Ok(list(&[]))));
        assert_eq!(pinned.pin(now), Pin::Ok);
        assert!(!pinned.shows(Ok(list(&["b", "c"]))));
        assert_eq!(
            (pinned.pin(now), pinned.drift()),
            (Pin::Drift, Some("c is new"))
        );
        pinned.sees(Ok(list(&["a", "b"])), now);
        assert_eq!(
            pinned.pin(now),
            Pin::Drift,
            "what the gate is told changes nothing"
        );
    }

    #[test]
    fn with_a_pin_only_the_pinned_tools_are_called() {
        let mut pinned = Pinned::new(Some(list(&["a"]).hash()));
        assert!(!pinned.lets("a"), "nothing is known yet");
        let now = Instant::now();
        pinned.sees(Ok(list(&["a"])), now);
        assert!(pinned.lets("a") && !pinned.lets("backdoor"));
        pinned.sees(Ok(list(&["a", "backdoor"])), now);
        assert!(!pinned.lets("backdoor"), "what came later is not pinned");
        assert!(Pinned::new(None).lets("backdoor"));
    }

    #[test]
    fn a_list_that_cannot_be_read_is_not_the_pinned_one() {
        let mut pinned = Pinned::new(Some(list(&["a"]).hash()));
        let now = Instant::now();
        let unreadable = Inventory::default().add("7").map(|()| Inventory::default());
        pinned.sees(unreadable, now);
        assert_eq!(pinned.pin(now), Pin::Drift);
    }
}
