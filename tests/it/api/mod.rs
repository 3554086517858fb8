//! Against a real kube-apiserver and etcd: what the schema refuses, and the operator's binary at work.
//!
//! `KUBE_APISERVER_BIN` and `ETCD_BIN` name the programs. Without them these tests say so and pass, unless
//! `SEALROOM_REQUIRE_APISERVER=1`.

mod adapters;
mod altered;
mod anew;
mod chart;
mod drift;
mod examples;
mod guard;
mod kubelet;
mod mcp;
mod mcp_missing;
mod mcp_schema;
mod monitoring;
mod nodes;
mod operator;
mod restricted;
mod schema;
pub mod server;
mod several;
mod strict;
mod template;
