//! What tenants and others try.

mod children;
mod connections;
mod pods;
mod statuses;
mod templates;

use super::attempt::{Attempt, Call, Who};
use super::world::World;

/// Who, what in words, the request, and a part of what its refusal says.
type Row = (Who, &'static str, Call, &'static str);

/// Every attempt.
pub fn table(world: &World) -> Vec<Attempt> {
    let mut all = pods::table(world);
    all.extend(templates::table());
    all.extend(statuses::table(world));
    all.extend(children::table(world));
    all.extend(connections::table(world));
    all.into_iter().map(Attempt::from).collect()
}
