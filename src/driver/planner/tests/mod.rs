//! The planner against the gate's real state machine, in simulated time.

mod scheduling;
mod sim;
mod verdicts;
