//! What applications see through the official clients, which come as their registries ship them.

use super::{Case, Needs};

mod apps;
mod authority;
mod phrase;
mod place;
mod private;
mod provider;
mod search;

pub(super) use authority::Authority;
pub(super) use place::Place;

/// Those that wait. What the first makes the others use.
pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "clients/the_official_clients_work_unchanged",
            needs,
            run: |s| Box::pin(apps::unchanged(s)),
        },
        Case {
            name: "clients/certificates_keys_and_tokens_change_while_it_serves",
            needs,
            run: |s| Box::pin(private::changes(s)),
        },
    ]
}

/// What was written down, when the others are over: it takes away what they used.
pub(super) fn written() -> Vec<Case> {
    vec![Case {
        name: "clients/nothing_of_a_request_is_written_down",
        needs: Needs::BothLocks,
        run: |s| Box::pin(phrase::nowhere(s)),
    }]
}
