//! An MCP server in sealed pods, with the model that it is bound to, as clients, operators and attackers see them.

use super::{Case, Needs};

mod attack;
mod away;
mod changes;
mod circle;
mod dialled;
mod examples;
mod fail;
mod hole;
mod kinds;
mod mounted;
mod musl;
mod pin;
mod place;
mod reach;
mod rollout;
mod seen;
mod service;
mod session;

pub(super) use place::Place;

/// In this order: what the first makes the others use.
pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "mcp/an_official_client_reaches_a_server_that_asks_its_model",
            needs,
            run: |s| Box::pin(reach::reaches(s)),
        },
        Case {
            name: "mcp/the_model_calls_a_tool_that_asks_the_model",
            needs,
            run: |s| Box::pin(circle::whole(s)),
        },
        Case {
            name: "mcp/a_server_that_turns_on_its_bridge_gains_nothing",
            needs,
            run: |s| Box::pin(attack::gains_nothing(s)),
        },
        Case {
            name: "mcp/a_server_asks_any_service_and_no_pod_beside_it",
            needs,
            run: |s| Box::pin(service::asked(s)),
        },
        Case {
            name: "mcp/a_model_of_another_namespace_is_asked_once_it_lets_the_server_in",
            needs,
            run: |s| Box::pin(away::let_in(s)),
        },
        Case {
            name: "mcp/a_servers_pods_outlive_its_models_key_and_its_model",
            needs,
            run: |s| Box::pin(changes::outlived(s)),
        },
        Case {
            name: "mcp/a_server_whose_processes_are_killed_comes_back",
            needs,
            run: |s| Box::pin(fail::killed(s)),
        },
        Case {
            name: "mcp/servers_of_three_libraries_answer_over_stdio_and_http",
            needs,
            run: |s| Box::pin(kinds::answer(s)),
        },
        Case {
            name: "mcp/tools_that_are_not_the_pinned_ones_are_out_of_service",
            needs,
            run: |s| Box::pin(pin::drifts(s)),
        },
    ]
}

/// Servers of their own, beside those that others look at.
pub(super) fn lives() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "mcp/a_server_without_memory_comes_back",
            needs,
            run: |s| Box::pin(fail::exhausted(s)),
        },
        Case {
            name: "mcp/a_rollout_drops_no_stateless_call",
            needs,
            run: |s| Box::pin(rollout::drops_nothing(s, &rollout::ALONE)),
        },
        Case {
            name: "mcp/a_rollout_of_two_pods_over_http_drops_no_stateless_call",
            needs,
            run: |s| Box::pin(rollout::drops_nothing(s, &rollout::PAIR)),
        },
        Case {
            name: "mcp/a_session_stays_with_its_pod",
            needs,
            run: |s| Box::pin(session::stays(s)),
        },
        Case {
            name: "mcp/a_client_of_a_server_on_musl_hears_on_while_anothers_child_takes_too_much",
            needs,
            run: |s| Box::pin(musl::tells(s)),
        },
    ]
}

/// Needs nothing of the others.
pub(super) fn examples() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "mcp/the_examples_read_their_claim_and_reach_their_database",
            needs,
            run: |s| Box::pin(examples::hold(s)),
        },
        Case {
            name: "mcp/the_example_of_ones_own_server_is_built_and_asked",
            needs,
            run: |s| Box::pin(examples::answers(s)),
        },
    ]
}

/// Lets packets out, and takes away what the others made.
pub(super) fn loud() -> Vec<Case> {
    vec![Case {
        name: "mcp/a_server_that_calls_home_is_out_of_service_while_there_is_a_hole",
        needs: Needs::BothLocks,
        run: |s| Box::pin(hole::caught(s)),
    }]
}
