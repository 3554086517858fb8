//! The one integration-test binary: rooms driven from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod api;
mod bridge;
mod canary;
mod cli;
mod gate;
mod launch;
mod mcp;
mod monitoring;
mod policy;
mod ports;
mod pull;
mod rooms;
