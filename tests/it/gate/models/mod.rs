//! The models that a pod's program asks through the gate, with a model played by the test.

mod asks;
mod away;
mod played;
mod pod;
mod streams;
mod tls;
