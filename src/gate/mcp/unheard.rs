//! A question of a server that waits for its client to read it. One that goes before anybody has read it is answered all
//! the same: a server waits for that, and it may ask so much at once and no more.

use std::fmt;

/// What happens when nobody will read it.
pub struct Unheard(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Unheard {
    /// Dropped before it was [`Self::heard`], it does this.
    #[must_use]
    pub fn new(lost: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(lost)))
    }

    /// Its client has read it.
    pub fn heard(mut self) {
        self.0 = None;
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        if let Some(lost) = self.0.take() {
            lost();
        }
    }
}

impl fmt::Debug for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unheard").finish_non_exhaustive()
    }
}
