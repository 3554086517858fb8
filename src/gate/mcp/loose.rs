//! What the gate's own child says that belongs to no call: it goes to those whom it concerns.

use std::sync::Arc;

use super::call::Said;
use super::listeners::Listeners;
use super::live::Live;
use super::sessions::Sessions;
use super::subscriptions::list_changes;
use crate::mcp::filter::{UPDATED, is_of_list};
use crate::mcp::{Message, Object};

/// Who hears of it.
#[derive(Debug)]
pub struct Loose {
    /// The sessions, where they share this child.
    pub sessions: Option<Arc<Sessions>>,
    /// Clients without a session.
    pub listeners: Arc<Listeners>,
}

impl Loose {
    /// The child said this. What a server logs could be about another client, and is dropped.
    pub fn hears(&self, live: &Live, said: &Said) {
        let Some(method) = said.message.method() else {
            return;
        };
        // What MCP gives it to say goes on, and nothing else: every session keeps a copy.
        let (uri, params) = match method {
            _ if is_of_list(method) => {
                self.listeners.hear(&live.child, method);
                (None, Object::default())
            }
            UPDATED => {
                self.listeners.updated(&live.child, &said.message);
                let params = said.message.params().unwrap_or_default();
                let Some(uri) = params.text("uri") else {
                    return;
                };
                let params = Object::default().with("uri", &uri);
                (Some(uri), params)
            }
            _ => return,
        };
        self.tell(&Message::notification(method, &params), uri.as_deref());
    }

    /// What has changed of the child's lists unheard nobody knows, so all of them may have. Clients without a session
    /// are told so where they get the child.
    pub fn lists_may_have_changed(&self, live: &Live) {
        for (method, params) in list_changes(live).all() {
            self.tell(&Message::notification(method, &params), None);
        }
    }

    /// Tells all sessions that share the child, or those that want to hear of this resource.
    fn tell(&self, change: &Message, uri: Option<&str>) {
        for session in self.sessions.iter().flat_map(|sessions| sessions.every()) {
            if uri.is_none_or(|uri| session.is_subscribed(uri)) {
                session.standing.push(change.clone().into());
            }
        }
    }
}
