//! What clients are told of a server's tools, and which they may call: those that the policy allows, and no others than
//! the pinned ones.
//!
//! That the gate has looked at the tools itself is not enough: a server can tell the gate's question from a client's. So
//! what passes is compared too.

use std::sync::Arc;

use serde_json::json;

use super::house::House;
use crate::mcp::error::{INTERNAL, REFUSED};
use crate::mcp::object::is_disguised;
use crate::mcp::{Kind, Message, Policy, RpcError};

/// What the audit has in the place of a tool's name that nobody lists. A tool of that very name is taken for one of them.
pub const UNLISTED: &str = "(unlisted)";

/// What decides about lists and calls of tools.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Which tools there are for clients.
    pub policy: Policy,
    /// Where the pin is.
    pub house: Arc<House>,
}

impl Shown {
    /// Whether answers pass without a look.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.policy == Policy::All && !self.house.known.is_pinned()
    }

    /// Whether a client may call a tool of that name. Where there is a pin, it must be one of the pinned ones: a server
    /// may carry out what it does not list, and what nobody has looked at is not pinned.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        self.policy.allows(name) && self.house.known.lets(name)
    }

    /// What the audit says of a call of that name. A name that neither the server lists nor the policy is its client's
    /// own text and could hold anything, so it is only said that it is such a one.
    #[must_use]
    pub fn called(&self, name: String) -> String {
        if self.house.known.has_tool(&name) || self.policy.lists(&name) {
            return name;
        }
        UNLISTED.to_owned()
    }

    /// An answer as its client may read it: one that lists tools without those that nobody may call. What cannot be read
    /// here, or only by somebody who takes any case, is no answer.
    #[must_use]
    pub fn answer(&self, mut message: Message) -> Message {
        let Kind::Response { id } = message.kind.clone() else {
            return message;
        };
        if self.is_everything() || !message.body.has("result") {
            return message;
        }
        let Some(result) = (message.body.object("result")).filter(|result| {
            !result
                .members()
                .any(|(name, _)| is_disguised(name, &["tools"]))
        }) else {
            return RpcError::new(INTERNAL, "the server's answer cannot be read").message(&id);
        };
        let Some(tools) = result.get("tools") else {
            return message;
        };
        if !self.house.known.shows(tools.get()) {
            let error = RpcError::new(REFUSED, "the server's tools are not the pinned ones");
            return error.with(json!({"reason": "ToolsDrift"})).message(&id);
        }
        message.body.put("result", &self.policy.filter(result));
        message
    }
}
