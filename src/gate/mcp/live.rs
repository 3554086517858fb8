//! A child that has been greeted.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::child::Child;
use super::hello::Hello;

/// A place among the clients' children; the gate's own takes none.
pub type Place = Option<OwnedSemaphorePermit>;

/// A child, what it said of itself, and its place among all.
#[derive(Debug)]
pub struct Live {
    /// It.
    pub child: Arc<Child>,
    /// Its first words.
    pub hello: Hello,
    /// Free again when the last owner goes.
    pub place: Place,
}
