//! launch as a process, from outside.

mod bed;

mod lease;
mod lock;
mod streams;
