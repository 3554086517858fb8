//! The command line, as people and scripts call it.

mod audit;
mod audit_follow;
mod audit_mcp;
mod status;
