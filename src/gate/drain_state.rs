//! How far a drain is, and whose it is: pure.

/// How far the drain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drain {
    /// Nobody asked for it.
    No,
    /// Not ready any more: requests that still arrive are served, and their connections told to end.
    LameDuck,
    /// New requests are refused, except the next one over a connection that could not be told to end; those that wait
    /// for a slot wait on.
    Refusing,
    /// Those that wait are refused too: the time that is left is for those under way.
    Emptying,
    /// Nothing is under way.
    Done,
}

/// Who asked for a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainFor {
    /// The pod ends.
    Pod,
    /// The runtime container ends; another launch may come.
    Runtime,
}

/// Which drain it is: whoever moves one on says which, so that a drain that is over moves no other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainNumber(u64);

/// The drain of one gate.
#[derive(Clone, Copy, Debug)]
pub struct DrainState {
    /// How far it is.
    pub stage: Drain,
    by: DrainFor,
    /// Of the drain that goes on, or was the last one.
    number: DrainNumber,
}

impl Default for DrainState {
    fn default() -> Self {
        Self {
            stage: Drain::No,
            by: DrainFor::Pod,
            number: DrainNumber(0),
        }
    }
}

impl DrainState {
    /// Begins a drain; `None` where one goes on already. The pod's end outlives the runtime's, whichever began.
    pub fn begin(&mut self, by: DrainFor) -> Option<DrainNumber> {
        if self.stage != Drain::No {
            if by == DrainFor::Pod {
                self.by = by;
            }
            return None;
        }
        *self = Self {
            stage: Drain::LameDuck,
            by,
            number: DrainNumber(self.number.0 + 1),
        };
        Some(self.number)
    }

    /// Moves this drain on, never back; false when it is over.
    pub fn advance(&mut self, number: DrainNumber, to: Drain) -> bool {
        let goes_on = self.stage != Drain::No && self.number == number;
        if goes_on {
            self.stage = self.stage.max(to);
        }
        goes_on
    }

    /// The launch is gone: a drain for its sake is over.
    pub fn launch_gone(&mut self) {
        if self.by == DrainFor::Runtime {
            self.stage = Drain::No;
            self.by = DrainFor::Pod;
        }
    }
}
