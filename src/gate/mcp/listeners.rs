//! Subscriptions of clients of the stateless era, where the server is of the other and has none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::modern::subscribed;
use super::outbox::Outbox;
use crate::mcp::{Id, Message, Object, TOOLS_CHANGED};

/// Most of them.
const MAX: usize = 4096;

/// All of them.
#[derive(Debug, Default)]
pub struct Listeners(Mutex<Vec<Listener>>);

#[derive(Debug)]
struct Listener {
    id: Id,
    methods: Vec<&'static str>,
    outbox: Weak<Outbox>,
}

/// What a filter names, and what is then heard.
const KINDS: [(&str, &str); 3] = [
    ("toolsListChanged", TOOLS_CHANGED),
    ("promptsListChanged", "notifications/prompts/list_changed"),
    (
        "resourcesListChanged",
        "notifications/resources/list_changed",
    ),
];

impl Listeners {
    fn all(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more, which hears at once what it will hear: list changes. Updates of resources are not among them.
    pub fn add(&self, id: &Id, params: &Object, outbox: &Arc<Outbox>) {
        let wanted = params.object("notifications").unwrap_or_default();
        let agreed = KINDS
            .iter()
            .filter(|(name, _)| wanted.read(name) == Some(true));
        let agreed: Vec<_> = agreed.collect();
        let said = agreed
            .iter()
            .fold(Object::default(), |said, (name, _)| said.with(name, &true));
        let params = subscribed(Object::default().with("notifications", &said), id);
        let method = "notifications/subscriptions/acknowledged";
        outbox.push(Message::notification(method, &params).into());
        let mut all = self.all();
        all.retain(|listener| listener.outbox.strong_count() > 0);
        if all.len() < MAX {
            all.push(Listener {
                id: id.clone(),
                methods: agreed.iter().map(|(_, method)| *method).collect(),
                outbox: Arc::downgrade(outbox),
            });
        }
    }

    /// The server's child said this.
    pub fn hear(&self, method: &str, message: &Message) {
        let mut all = self.all();
        all.retain(|listener| {
            let Some(outbox) = listener.outbox.upgrade() else {
                return false;
            };
            if listener.methods.contains(&method) {
                let params = subscribed(message.params().unwrap_or_default(), &listener.id);
                outbox.push(Message::notification(method, &params).into());
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::mcp::outbox::CALL;

    #[tokio::test]
    async fn a_listener_hears_what_it_asked_for() {
        let listeners = Listeners::default();
        let outbox = Arc::new(Outbox::new(CALL));
        let filter = r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourceSubscriptions":["a"]}}"#;
        let filter = Object::parse(filter.as_bytes()).unwrap();
        listeners.add(&Id::number(7), &filter, &outbox);
        for method in [
            "notifications/prompts/list_changed",
            "notifications/tools/list_changed",
        ] {
            listeners.hear(method, &Message::notification(method, &Object::default()));
        }
        let texts = [
            outbox.after(0).await.unwrap().text,
            outbox.after(1).await.unwrap().text,
        ];
        assert_eq!(
            texts[0],
            r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#
        );
        assert_eq!(
            texts[1],
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#
        );
        assert_eq!(outbox.read_up_to(), 2);
    }
}
