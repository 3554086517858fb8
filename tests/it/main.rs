//! The integration tests: one binary.

mod policy;
