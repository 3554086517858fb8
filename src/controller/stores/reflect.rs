//! The reflector of one kind: prune, store, then wake.

use std::fmt::Debug;
use std::hash::Hash;

use futures::{Stream, StreamExt};
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::controller::trigger::{Wake, Wakes};

/// Starts reflectors, each in a task of its own.
pub(super) struct Reflectors<'a> {
    pub(super) client: &'a Client,
    pub(super) wakes: Wakes,
    pub(super) tasks: &'a mut JoinSet<()>,
}

impl Reflectors<'_> {
    /// Starts the one of a kind. `wake` is told whether the object is there or was deleted, and says who is to look.
    pub(super) fn start<K, F>(&mut self, config: &watcher::Config, writer: Writer<K>, wake: F)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        K::DynamicType: Eq + Hash,
        F: Fn(&Wakes, bool, &K) -> Vec<Wake> + Send + 'static,
    {
        let stream = watcher(Api::<K>::all(self.client.clone()), config.clone())
            .default_backoff()
            .modify(prune)
            .reflect(writer);
        let wakes = self.wakes.clone();
        self.tasks.spawn(async move {
            drive(stream, wakes, wake).await;
            tracing::error!(kind = %K::kind(&()), "a watch ended");
        });
    }
}

async fn drive<K, F>(stream: impl Stream<Item = watcher::Result<Event<K>>>, wakes: Wakes, wake: F)
where
    K: Resource<DynamicType = ()>,
    F: Fn(&Wakes, bool, &K) -> Vec<Wake>,
{
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        let woken = match &event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => wake(&wakes, true, object),
            Ok(Event::Delete(object)) => wake(&wakes, false, object),
            Ok(Event::Init) => continue,
            // What was deleted while the watch was down has no event of its own.
            Ok(Event::InitDone) => wakes.everything(),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "a watch failed, it is started again");
                continue;
            }
        };
        wakes.send(woken).await;
    }
}

/// Drops what nobody here reads and what makes up most of an object's size.
fn prune<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = object.meta_mut().annotations.as_mut() {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}
