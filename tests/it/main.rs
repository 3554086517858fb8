//! The one integration-test binary: one link for all rooms.

mod gate;
mod launch;
