//! Subscriptions of clients of the stateless era, where the server is of the other and has none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::child::Child;
use super::house::Owner;
use super::modern::subscribed;
use super::outbox::Outbox;
use crate::mcp::filter::{ACKNOWLEDGED, Filter, UPDATED};
use crate::mcp::{Id, Message, Object};

/// Most of them.
const MAX: usize = 4096;

/// All of them.
#[derive(Debug, Default)]
pub struct Listeners(Mutex<Vec<Listener>>);

#[derive(Debug)]
struct Listener {
    id: Id,
    filter: Filter,
    /// By which it is served, and from which it hears.
    child: Weak<Child>,
    outbox: Weak<Outbox>,
}

impl Listener {
    fn hears(&self, method: &str, params: Object) {
        if let Some(outbox) = self.outbox.upgrade() {
            let params = subscribed(params, &self.id);
            outbox.push(Message::notification(method, &params).into());
        }
    }
}

impl Listeners {
    fn all(&self) -> MutexGuard<'_, Vec<Listener>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|listener| listener.outbox.strong_count() > 0);
        all
    }

    /// One more, which hears at once what it will hear from this child. False where there are too many, and it will hear
    /// nothing.
    pub fn add(&self, id: &Id, filter: Filter, child: &Arc<Child>, outbox: &Arc<Outbox>) -> bool {
        let mut all = self.all();
        let fits = all.len() < MAX;
        let listener = Listener {
            id: id.clone(),
            filter: if fits { filter } else { Filter::default() },
            child: Arc::downgrade(child),
            outbox: Arc::downgrade(outbox),
        };
        // Under the lock: before anything else that it hears, and nothing after it is missed.
        let said = listener.filter.acknowledged();
        listener.hears(ACKNOWLEDGED, Object::default().with("notifications", &said));
        if fits {
            all.push(listener);
        }
        fits
    }

    /// This child said that a list changed. Those hear it whom it serves, and from the gate's own also those whom none
    /// serves at the moment. What else it said with that goes to nobody: each would keep a copy.
    pub fn hear(&self, child: &Arc<Child>, method: &str) {
        let gates = child.owner == Owner::Gate;
        let child = Arc::downgrade(child);
        let all = self.all();
        for listener in all.iter().filter(|one| one.filter.lists(method)) {
            let unserved = listener.child.strong_count() == 0;
            if listener.child.ptr_eq(&child) || (gates && unserved) {
                listener.hears(method, Object::default());
            }
        }
    }

    /// This child said that a resource changed. Nobody hears it who has not named that, or is served by another child.
    pub fn updated(&self, child: &Arc<Child>, message: &Message) {
        let params = message.params().unwrap_or_default();
        let Some(uri) = params.text("uri") else {
            return;
        };
        if !child.interests().is_wanted(&uri) {
            return;
        }
        let child = Arc::downgrade(child);
        let all = self.all();
        let named = |one: &&Listener| one.child.ptr_eq(&child) && one.filter.names(&uri);
        for listener in all.iter().filter(named) {
            listener.hears(UPDATED, Object::default().with("uri", &uri));
        }
    }

    /// One hears from this child now. What has changed since the last one ended nobody knows, so all of it may have.
    pub fn moves(&self, outbox: &Arc<Outbox>, child: &Arc<Child>) {
        let outbox = Arc::downgrade(outbox);
        let mut all = self.all();
        let one = all.iter_mut().find(|one| one.outbox.ptr_eq(&outbox));
        if let Some(one) = one {
            one.child = Arc::downgrade(child);
            for (method, params) in one.filter.all() {
                one.hears(method, params);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::gate::mcp::budget::Budget;
    use crate::gate::mcp::child::Limits;
    use crate::gate::mcp::outbox::CALL;
    use crate::mcp::TOOLS_CHANGED;

    fn filter(notifications: &str) -> Filter {
        let params = format!(r#"{{"notifications":{notifications}}}"#);
        Filter::of(&Object::parse(params.as_bytes()).unwrap())
    }

    async fn text(outbox: &Outbox, number: u64) -> String {
        let event = outbox.after(number - 1).await.unwrap();
        String::from_utf8(event.text.to_vec()).unwrap()
    }

    /// What it has heard, after the acknowledgment: the resources.
    async fn heard(outbox: &Arc<Outbox>) -> Vec<String> {
        outbox.close();
        let mut uris = Vec::new();
        let mut at = 1;
        while let Some(event) = outbox.after(at).await {
            at = event.number;
            let message = Message::parse(&event.text).unwrap();
            uris.push(message.params().unwrap().text("uri").unwrap());
        }
        uris
    }

    fn updated(uri: &str) -> Message {
        Message::notification(UPDATED, &Object::default().with("uri", uri))
    }

    async fn of(owner: Owner) -> Arc<Child> {
        let limits = Limits {
            line: 1024,
            budget: Arc::new(Budget::new(1024)),
        };
        let (child, ..) = Child::sample(limits, owner).await;
        child
    }

    /// A child that tells of these.
    async fn child(uris: &[&str]) -> Arc<Child> {
        let child = of(Owner::Client).await;
        for uri in uris {
            child.interests().want(None, &Arc::from(*uri)).unwrap();
        }
        child
    }

    #[tokio::test]
    async fn a_listener_hears_what_it_asked_for() {
        let listeners = Listeners::default();
        let outbox = Arc::new(Outbox::new(CALL));
        let filter = filter(r#"{"toolsListChanged":true,"promptsListChanged":false}"#);
        let child = child(&[]).await;
        assert!(listeners.add(&Id::number(7), filter, &child, &outbox));
        for method in ["notifications/prompts/list_changed", TOOLS_CHANGED] {
            listeners.hear(&child, method);
        }
        assert_eq!(
            text(&outbox, 1).await,
            r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#
        );
        assert_eq!(
            text(&outbox, 2).await,
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#
        );
        assert_eq!(outbox.read_up_to(), 2);
    }

    #[tokio::test]
    async fn a_list_change_goes_to_those_whom_that_child_serves() {
        let listeners = Listeners::default();
        let (one, other, gates) = (child(&[]).await, child(&[]).await, of(Owner::Gate).await);
        let outbox = Arc::new(Outbox::new(CALL));
        let filter = filter(r#"{"toolsListChanged":true}"#);
        assert!(listeners.add(&Id::number(7), filter, &one, &outbox));
        let mut at = 1;
        let mut heard = |child: &Arc<Child>| {
            listeners.hear(child, TOOLS_CHANGED);
            let event = outbox.after(at).now_or_never().flatten();
            at += u64::from(event.is_some());
            event.is_some()
        };
        assert!(heard(&one) && !heard(&other) && !heard(&gates));
        // Nobody else would tell.
        drop(one);
        assert!(!heard(&other) && heard(&gates));
        listeners.moves(&outbox, &other);
        assert!(heard(&gates), "that it moved");
        assert!(heard(&other) && !heard(&gates));
    }

    #[tokio::test]
    async fn an_update_goes_to_those_who_named_it_and_are_served_by_that_child() {
        let listeners = Listeners::default();
        let one = child(&["a", "b"]).await;
        let other = child(&["a"]).await;
        let add = |uris: &str, child: &Arc<Child>| {
            let outbox = Arc::new(Outbox::new(CALL));
            let filter = filter(&format!(r#"{{"resourceSubscriptions":{uris}}}"#));
            assert!(listeners.add(&Id::text("s"), filter, child, &outbox));
            outbox
        };
        let a = add(r#"["a"]"#, &one);
        let both = add(r#"["b","a"]"#, &one);
        let none = add("[]", &one);
        let elsewhere = add(r#"["a"]"#, &other);
        for uri in ["a", "b", "c"] {
            listeners.updated(&one, &updated(uri));
        }
        assert_eq!(
            text(&a, 2).await,
            r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a","_meta":{"io.modelcontextprotocol/subscriptionId":"s"}}}"#
        );
        assert_eq!(heard(&a).await, ["a"]);
        assert_eq!(heard(&both).await, ["a", "b"]);
        assert!(heard(&none).await.is_empty());
        assert!(heard(&elsewhere).await.is_empty());
    }

    #[tokio::test]
    async fn whoever_moves_to_another_child_hears_of_all_and_then_from_that() {
        let listeners = Listeners::default();
        let old = child(&["a", "b"]).await;
        let new = child(&["a", "b"]).await;
        let outbox = Arc::new(Outbox::new(CALL));
        let filter = filter(r#"{"resourceSubscriptions":["a","b"]}"#);
        assert!(listeners.add(&Id::number(7), filter, &old, &outbox));
        listeners.updated(&new, &updated("b"));
        listeners.moves(&outbox, &new);
        listeners.updated(&old, &updated("a"));
        listeners.updated(&new, &updated("b"));
        assert_eq!(heard(&outbox).await, ["a", "b", "b"]);
    }

    #[tokio::test]
    async fn one_too_many_is_told_that_it_hears_nothing() {
        let listeners = Listeners::default();
        let asked = filter(r#"{"toolsListChanged":true}"#);
        let child = child(&[]).await;
        let mut all = Vec::new();
        loop {
            let outbox = Arc::new(Outbox::new(CALL));
            let fits = listeners.add(&Id::number(7), asked.clone(), &child, &outbox);
            let said = text(&outbox, 1).await;
            assert_eq!(said.contains("toolsListChanged"), fits, "{said}");
            if !fits {
                break;
            }
            all.push(outbox);
        }
        assert_eq!(all.len(), MAX);
        all.pop();
        let outbox = Arc::new(Outbox::new(CALL));
        assert!(listeners.add(&Id::number(7), asked, &child, &outbox));
    }
}
