//! What clients are told of a server's tools: those that they may call, and no others than the pinned ones.
//!
//! That the gate has looked at the tools itself is not enough: a server can tell the gate's question from a client's. So
//! what passes is compared too.

use std::sync::Arc;

use serde_json::json;

use super::house::House;
use crate::mcp::error::{INTERNAL, REFUSED};
use crate::mcp::object::is_disguised;
use crate::mcp::{Kind, Message, Policy, RpcError};

/// What decides about lists of tools.
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
        self.policy == Policy::All && !self.house.is_pinned()
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
        if !self.house.shows(tools.get()) {
            let error = RpcError::new(REFUSED, "the server's tools are not the pinned ones");
            return error.with(json!({"reason": "ToolsDrift"})).message(&id);
        }
        message.body.put("result", &self.policy.filter(result));
        message
    }
}
