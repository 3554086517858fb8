//! The one integration-test binary.

mod canary;
