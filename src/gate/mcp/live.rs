//! A child that has been greeted.

use std::sync::Arc;

use super::child::Child;
use super::hello::Hello;
use super::places::Place;

/// A child, what it said of itself, and its place among all.
#[derive(Debug)]
pub struct Live {
    /// It.
    pub child: Arc<Child>,
    /// Its first words.
    pub hello: Hello,
    /// Free again when the last owner goes; the gate's own takes none.
    pub place: Option<Place>,
}
