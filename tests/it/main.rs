//! The one integration-test binary: rooms driven from outside.

// The helpers of tests may stop a test as its own lines may; clippy.toml allows that in `#[test]` only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod canary;
mod gate;
mod launch;
mod pull;
