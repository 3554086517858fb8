//! PID 1 of the runtime container: locks itself, runs the engine while the gate says sealed.
