//! The planner against the gate's real state machine, in simulated time.

mod cluster;
mod gate;
mod outcome;
mod sim;

mod alarms;
mod altered;
mod conditions;
mod controls;
mod deletion;
mod proof;
mod reached;
mod scheduling;
mod widened;
