//! What lets a request in: the seal, the pin, the policy, and a place among all requests.

use std::time::Instant;

use http::StatusCode;

use super::answers::{Denied, draining, unavailable};
use super::front::Front;
use crate::gate::answer::Refusal;
use crate::gate::budgets::{Standing, till};
use crate::gate::callers::Caller;
use crate::gate::core::InFlight;
use crate::gate::queue::{NoSlot, Slot};
use crate::mcp::error::{INVALID_PARAMS, NO_METHOD};
use crate::mcp::message::is_meta_plain;
use crate::mcp::{Kind, Message, RpcError, method};

/// The entrance of a message, held until its call has ended; only what asks for an answer has a slot.
pub type Held = (InFlight, Option<Slot>);

impl Front {
    /// Whether the pod is proven sealed.
    ///
    /// # Errors
    /// 503, with the word of the condition `Sealed`.
    pub fn sealed(&self) -> Result<(), Refusal> {
        self.core.admits().map_err(|reason| {
            let message = format!("the server is shut: its pod is not proven sealed ({reason})");
            unavailable(&reason, &message).retry(5)
        })
    }

    /// Whether the tools are the pinned ones.
    ///
    /// # Errors
    /// 503.
    pub fn fitting(&self) -> Result<(), Refusal> {
        let obstacle = self.core.obstacle();
        obstacle.map_or(Ok(()), |what| {
            Err(unavailable("ToolsDrift", &what).retry(60))
        })
    }

    /// Whether children can be asked now.
    ///
    /// # Errors
    /// 503.
    pub fn ready(&self) -> Result<(), Refusal> {
        if self.core.runtime().warm {
            return Ok(());
        }
        Err(unavailable("NotReady", "the server does not answer now"))
    }

    /// A place among the requests that are under way, once there is one; only then the request counts in its caller's
    /// budgets.
    ///
    /// # Errors
    /// 429 where a budget is spent or there is no place, 503 where the pod serves no more meanwhile.
    pub async fn let_in(&self, caller: &Caller, standing: &mut Standing) -> Result<Slot, Denied> {
        let purse = till::admit(self.budgets.as_ref(), caller, &self.metrics, standing)?;
        let slot = self.slot().await;
        if slot.is_ok() {
            drop(purse.map(|purse| purse.let_in(Instant::now())));
        } else {
            till::give_back(purse, standing);
        }
        slot
    }

    async fn slot(&self) -> Result<Slot, Denied> {
        let Some(slot) = self.core.while_serving(self.queue.enter()).await else {
            self.sealed()?;
            return Err(draining().into());
        };
        let slot = slot.map_err(|why| self.no_slot(why))?;
        // The wait may have outlasted the proof, or the tools.
        self.sealed()?;
        self.fitting()?;
        Ok(slot)
    }

    fn no_slot(&self, why: NoSlot) -> Refusal {
        self.metrics
            .no_slot(why, "server", self.queue.retry_after())
    }

    /// Refuses a call that the policy or the pin does not allow, as if there were no such tool, and a method that only a
    /// reader who takes any case would find.
    ///
    /// # Errors
    /// 200 or 400 with an error of JSON-RPC.
    pub fn allows(&self, message: &Message) -> Result<(), Denied> {
        let Kind::Request { id, method } = &message.kind else {
            return Ok(());
        };
        let invalid = |text: &str| {
            let error = RpcError::new(INVALID_PARAMS, text);
            Denied::rpc(StatusCode::OK, error).to(id)
        };
        let params = message.params();
        let params =
            params.map_err(|_| invalid("params is no object in which every name comes once"))?;
        if !is_meta_plain(&params) {
            return Err(invalid(
                "params._meta is no object in which every name comes once",
            ));
        }
        if method::is_of_tools_disguised(method) {
            let error = RpcError::new(NO_METHOD, "Method not found");
            return Err(Denied::rpc(StatusCode::BAD_REQUEST, error).to(id));
        }
        if method != "tools/call" {
            return Ok(());
        }
        let name = params.text("name");
        let name = name.ok_or_else(|| invalid("params.name is no text"))?;
        if self.shown.allows(&name) {
            return Ok(());
        }
        Err(invalid("there is no such tool here"))
    }
}
