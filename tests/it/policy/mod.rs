//! The driver against gates and canaries over real sockets.

mod driver;
mod edge;
mod peers;
mod world;
