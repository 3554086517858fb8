//! Requests that the engine has: each tells once what became of it, however it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::StatusCode;

use super::audit::Outcome;
use super::doubts::{Doubts, End, Limits, Next};

/// What requests show of the engine, for those who send them and for who asks it.
#[derive(Clone, Debug)]
pub struct Asks(Arc<Mutex<Doubts>>);

impl Asks {
    /// None yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Doubts::new(limits, Instant::now()))))
    }

    fn doubts(&self) -> MutexGuard<'_, Doubts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request for this model goes to the engine now.
    #[must_use]
    pub fn begin(&self, model: &str) -> Asked {
        self.doubts().begins();
        Asked {
            asks: self.clone(),
            model: model.to_owned(),
            owed: Some(Instant::now()),
            good: false,
            end: None,
        }
    }

    /// What is to be done about the engine.
    #[must_use]
    pub fn next(&self) -> Next {
        self.doubts().next(Instant::now())
    }

    /// Its question was answered rightly, or reached nobody.
    pub fn answered(&self, rightly: bool) {
        self.doubts().answered(rightly);
    }

    /// Another engine runs, or this one is asked again anyway.
    pub fn forget(&self) {
        self.doubts().forget();
    }
}

/// A request that the engine has. Its client went, unless something else is said of its end.
#[derive(Debug)]
pub struct Asked {
    asks: Asks,
    model: String,
    /// Since when the engine owes something, while it does.
    owed: Option<Instant>,
    /// The answer is no error.
    good: bool,
    end: Option<End>,
}

impl Asked {
    /// The answer's head is there. Of a good answer that is nothing yet: an engine that hangs may send it.
    pub fn replied(&mut self, status: StatusCode) {
        self.good = status.is_success();
        self.owed = None;
    }

    /// Some of the answer is there.
    pub fn heard(&mut self) {
        self.owed = None;
        if self.good {
            self.asks.doubts().hears(Instant::now());
        }
    }

    /// The client would read more, and nothing is there.
    pub fn waits(&mut self) {
        self.owed.get_or_insert_with(Instant::now);
    }

    /// The whole answer is there.
    pub fn ended(&mut self) {
        self.end = Some(if self.good { End::Good } else { End::Refused });
    }

    /// There is none, or it broke off.
    pub fn failed(&mut self, outcome: Outcome) {
        self.end = Some(End::of(outcome));
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let end = self.end.unwrap_or(End::Gone(self.owed));
        self.asks.doubts().ends(&self.model, end, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks() -> Asks {
        Asks::new(Limits {
            in_vain: std::time::Duration::ZERO,
            ..Limits::default()
        })
    }

    #[rstest::rstest]
    #[case::nothing_came(|_: &mut Asked| {}, true)]
    #[case::all_came(|asked: &mut Asked| { asked.replied(StatusCode::OK); asked.ended(); }, false)]
    #[case::an_error(|asked: &mut Asked| { asked.replied(StatusCode::BAD_REQUEST); asked.ended(); }, false)]
    #[case::some_came(|asked: &mut Asked| asked.replied(StatusCode::OK), false)]
    #[case::some_came_and_no_more(|asked: &mut Asked| { asked.replied(StatusCode::OK); asked.waits(); }, true)]
    #[case::more_came(|asked: &mut Asked| { asked.replied(StatusCode::OK); asked.waits(); asked.heard(); }, false)]
    #[case::it_broke_off(|asked: &mut Asked| { asked.replied(StatusCode::OK); asked.failed(Outcome::UpstreamError); }, true)]
    fn ends_are_told(#[case] course: fn(&mut Asked), #[case] doubted: bool) {
        let asks = asks();
        // As many as it takes of either kind.
        for _ in 0..5 {
            let mut asked = asks.begin("chat");
            course(&mut asked);
        }
        assert_eq!(asks.next() != Next::Rest, doubted);
    }
}
