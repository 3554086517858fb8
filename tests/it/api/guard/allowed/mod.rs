//! What must go on with the guard.

mod cluster;
mod operator;
mod tenants;

use serde_json::Value;

use super::attempt::{Attempt, Call, Who};
use super::world::{TEAM, World};

/// Who, what in words, and the request.
type Row = (Who, &'static str, Call);

/// Every attempt; all must succeed.
pub fn table(world: &World) -> Vec<Attempt> {
    let mut all = cluster::table(world);
    all.extend(operator::table(world));
    all.extend(operator::storage(world));
    all.extend(tenants::table(world));
    all.into_iter().map(Attempt::from).collect()
}

fn core(plural: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{TEAM}/{plural}/{name}")
}

fn apps(plural: &str, name: &str) -> String {
    format!("/apis/apps/v1/namespaces/{TEAM}/{plural}/{name}")
}

fn renamed(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object["metadata"]["name"] = name.into();
    object
}
