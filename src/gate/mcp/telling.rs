//! A child of the older era is asked to tell of a resource: once for all who want to hear of it, and until nobody does.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use super::call::Said;
use super::child::{Child, Gone};
use super::hello::own;
use super::interests::{Tells, Turn};
use super::subscribed::TooMany;
use crate::mcp::{Era, Object};

/// For a child to answer, and for whoever asks it the same at the moment to have an answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a child does not tell.
#[derive(Debug)]
pub enum NotTold {
    /// It is to tell of too much already.
    TooMany(TooMany),
    /// It refuses, in these words.
    Refused(Said),
    /// It ended, or took too long.
    Silent,
}

/// One more wants to hear of it, until it leaves.
///
/// # Errors
/// [`NotTold`]; there is nothing to leave then.
pub async fn want(
    child: Arc<Child>,
    caller: Option<Arc<str>>,
    uri: Arc<str>,
) -> Result<(), NotTold> {
    let turn = child.interests().want(caller.as_ref(), &uri);
    let turn = turn.map_err(NotTold::TooMany)?;
    let told = begin(&child, &turn, &uri).await;
    match &told {
        Ok(()) => {}
        // Whoever asks has waited long enough already.
        Err(NotTold::Silent) => {
            tokio::spawn(leave(child, caller, uri));
        }
        Err(_) => leave(child, caller, uri).await,
    }
    told
}

async fn begin(child: &Arc<Child>, turn: &Turn, uri: &str) -> Result<(), NotTold> {
    let tells = timeout(PATIENCE, turn.lock()).await;
    let mut tells = tells.map_err(|_| NotTold::Silent)?;
    if *tells == Tells::Yes {
        return Ok(());
    }
    let asked = ask(child, "resources/subscribe", uri).await;
    *tells = match &asked {
        Ok(()) => Tells::Yes,
        Err(NotTold::Refused(_)) => Tells::No,
        // It may have read the question all the same.
        Err(NotTold::Silent | NotTold::TooMany(_)) => Tells::Perhaps,
    };
    asked
}

/// One that wanted to hear of it no longer does. The last one tells the child.
pub async fn leave(child: Arc<Child>, caller: Option<Arc<str>>, uri: Arc<str>) {
    let turn = child.interests().leave(caller.as_ref(), &uri);
    let Some(turn) = turn else { return };
    let mut tells = turn.lock().await;
    // Somebody may want it again by now.
    if child.interests().is_wanted(&uri) {
        return;
    }
    if std::mem::take(&mut *tells) != Tells::No {
        let _ = ask(&child, "resources/unsubscribe", &uri).await;
    }
    child.interests().forget(&uri);
}

/// [`want`] for several at once: those of which the child tells.
pub async fn want_all(
    child: &Arc<Child>,
    caller: Option<&Arc<str>>,
    uris: &[Arc<str>],
) -> Vec<Arc<str>> {
    let mut asked = Vec::new();
    for uri in uris {
        asked.push(want(Arc::clone(child), caller.cloned(), Arc::clone(uri)));
    }
    let told = join_all(asked).await;
    let told = uris.iter().zip(told).filter(|(_, told)| told.is_ok());
    told.map(|(uri, _)| Arc::clone(uri)).collect()
}

/// [`leave`] for several at once.
pub async fn leave_all(child: &Arc<Child>, caller: Option<&Arc<str>>, uris: &[Arc<str>]) {
    let mut left = Vec::new();
    for uri in uris {
        left.push(leave(Arc::clone(child), caller.cloned(), Arc::clone(uri)));
    }
    join_all(left).await;
}

async fn ask(child: &Arc<Child>, method: &str, uri: &str) -> Result<(), NotTold> {
    let request = own(Era::Legacy, method, Object::default().with("uri", uri));
    let answer = async { child.call(request).await?.answer().await };
    match timeout(PATIENCE, answer).await {
        Ok(Ok(said)) if said.message.body.has("error") => Err(NotTold::Refused(said)),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(Gone)) | Err(_) => Err(NotTold::Silent),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::sync::mpsc;

    use super::*;
    use crate::gate::mcp::budget::Budget;
    use crate::gate::mcp::child::Limits;
    use crate::gate::mcp::house::Owner;
    use crate::mcp::error::NO_RESOURCE;
    use crate::mcp::{Kind, Message, RpcError};

    struct Bed {
        child: Arc<Child>,
        /// What the child hears.
        hears: mpsc::UnboundedReceiver<String>,
    }

    /// A child that knows all resources but one.
    async fn bed() -> Bed {
        let limits = Limits {
            line: 1024,
            budget: Arc::new(Budget::new(1024 * 1024)),
        };
        let (child, _loose, stream) = Child::sample(limits, Owner::Gate).await;
        let (heard, hears) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let (from, mut to) = stream.into_split();
            let mut lines = BufReader::new(from).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let message = Message::parse(line.as_bytes()).unwrap();
                let Kind::Request { id, method } = message.kind.clone() else {
                    continue;
                };
                let uri = message.params().unwrap().text("uri").unwrap();
                let answer = if uri == "nowhere" {
                    RpcError::new(NO_RESOURCE, "nowhere").message(&id)
                } else {
                    Message::result(&id, &serde_json::json!({}))
                };
                let _ = heard.send(format!("{method} {uri}"));
                let mut line = answer.to_line();
                line.push(b'\n');
                to.write_all(&line).await.unwrap();
            }
        });
        Bed { child, hears }
    }

    fn uris(texts: &[&str]) -> Vec<Arc<str>> {
        texts.iter().map(|text| (*text).into()).collect()
    }

    impl Bed {
        /// All that the child was asked since this was asked last.
        fn asked(&mut self) -> Vec<String> {
            let heard = std::iter::from_fn(|| self.hears.try_recv().ok());
            let mut all: Vec<_> = heard.collect();
            all.sort();
            all
        }
    }

    #[tokio::test]
    async fn a_child_is_asked_once_and_until_nobody_wants_to_hear_of_it() {
        let mut bed = bed().await;
        let (ada, bob): (Arc<str>, Arc<str>) = ("ada".into(), "bob".into());
        let both = uris(&["a", "b"]);
        assert_eq!(want_all(&bed.child, Some(&ada), &both).await, both);
        assert_eq!(
            bed.asked(),
            ["resources/subscribe a", "resources/subscribe b"]
        );
        assert_eq!(want_all(&bed.child, Some(&bob), &both[..1]).await.len(), 1);
        assert!(bed.asked().is_empty());
        leave_all(&bed.child, Some(&ada), &both).await;
        assert_eq!(bed.asked(), ["resources/unsubscribe b"]);
        leave_all(&bed.child, Some(&bob), &both[..1]).await;
        assert_eq!(bed.asked(), ["resources/unsubscribe a"]);
        assert!(bed.child.interests().is_empty());
    }

    #[tokio::test]
    async fn what_the_child_refuses_does_not_hold() {
        let mut bed = bed().await;
        let held = want_all(&bed.child, None, &uris(&["a", "nowhere"])).await;
        assert_eq!(held, uris(&["a"]));
        leave_all(&bed.child, None, &held).await;
        let asked = bed.asked();
        assert_eq!(asked.len(), 3, "{asked:?}");
        assert!(!asked.contains(&"resources/unsubscribe nowhere".to_owned()));
        assert!(bed.child.interests().is_empty());
    }

    #[tokio::test]
    async fn whoever_comes_while_the_last_one_leaves_is_told_of_it() {
        let mut bed = bed().await;
        let one = uris(&["a"]);
        want_all(&bed.child, None, &one).await;
        for round in 0..20 {
            let (child, left) = (Arc::clone(&bed.child), one.clone());
            let leaves = tokio::spawn(async move { leave_all(&child, None, &left).await });
            if round % 2 == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(want_all(&bed.child, None, &one).await, one);
            leaves.await.unwrap();
            assert!(bed.child.interests().is_wanted("a"));
        }
        let heard = std::iter::from_fn(|| bed.hears.try_recv().ok());
        let heard: Vec<_> = heard.collect();
        assert!(heard.len() > 1, "nobody came while the last one left");
        assert_eq!(heard.last().unwrap(), "resources/subscribe a");
    }

    #[tokio::test]
    async fn a_child_that_has_ended_tells_of_nothing() {
        let bed = bed().await;
        bed.child.end();
        let held = want_all(&bed.child, None, &uris(&["a"])).await;
        assert!(held.is_empty());
        while !bed.child.interests().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}
