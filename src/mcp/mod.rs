//! The Model Context Protocol as the gate sees it: heads of messages, eras, the tools filter and the pin. Pure: no
//! socket, no clock.
//!
//! What passes is looked at as little as it can be: [`Object`] keeps the text of every member that nobody asks for, so
//! that fields of which this code knows nothing arrive as they were sent.

pub mod asks;
pub mod canon;
pub mod changes;
pub mod depth;
pub mod era;
pub mod error;
pub mod filter;
pub mod glance;
pub mod hash;
pub mod id;
pub mod level;
pub mod message;
pub mod method;
pub mod object;
pub mod pages;
pub mod params;
pub mod pin;
pub mod retry;
pub mod tasks;
pub mod tools;
pub mod translate;

pub use asks::Askable;
pub use era::{Era, LATEST_LEGACY, MODERN, Version};
pub use error::RpcError;
pub use filter::Filter;
pub use hash::Hash;
pub use id::Id;
pub use level::Level;
pub use message::{CANCELLED, Kind, LOG, Malformed, Message, TOOLS_CHANGED};
pub use object::Object;
pub use pin::Inventory;
pub use tools::Policy;
