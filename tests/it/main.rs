//! The one integration-test binary: rooms driven from outside.

mod pull;
