//! What the planner decided, done at the board and at the API server.

use std::time::Duration;

use tokio::time::timeout;

use crate::driver::cluster::{Cluster, ClusterError};
use crate::driver::planner::Action;

use super::{Driver, Message};

/// For one write.
const WRITE: Duration = Duration::from_secs(10);

impl<C: Cluster> Driver<C> {
    pub(super) fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            let (cluster, sender) = (self.cluster.clone(), self.sender.clone());
            match action {
                Action::Publish(seal) => self.board.publish(*seal),
                Action::Forget { uid } => self.board.forget(&uid),
                Action::Condition(condition) => {
                    let uid = condition.uid.clone();
                    self.tasks.spawn(async move {
                        let done = match timeout(WRITE, cluster.condition(condition)).await {
                            Ok(Ok(())) => true,
                            Ok(Err(ClusterError::Gone)) => false,
                            Ok(Err(error)) => {
                                tracing::warn!(%error, "the condition of a pod was not written");
                                false
                            }
                            Err(_) => {
                                tracing::warn!("the API server did not answer a pod's condition");
                                false
                            }
                        };
                        let _ = sender.send(Message::ConditionWritten { uid, done }).await;
                    });
                }
                Action::Delete {
                    namespace,
                    name,
                    uid,
                    grace,
                } => {
                    tracing::warn!(namespace, pod = name, "deleting a pod that is open");
                    self.tasks.spawn(async move {
                        let done = cluster.delete(namespace, name, uid.clone(), grace);
                        match timeout(WRITE, done).await {
                            Ok(Ok(()) | Err(ClusterError::Gone)) => return,
                            Ok(Err(error)) => {
                                tracing::warn!(%error, "an open pod was not deleted");
                            }
                            Err(_) => {
                                tracing::warn!("the API server did not answer a deletion");
                            }
                        }
                        let _ = sender.send(Message::DeleteFailed { uid }).await;
                    });
                }
                Action::Event {
                    regarding,
                    reason,
                    note,
                } => {
                    tracing::warn!(reason = reason.as_str(), note, "a pod is open");
                    self.tasks.spawn(async move {
                        let told = cluster.event(*regarding, reason, note);
                        match timeout(WRITE, told).await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => tracing::warn!(%error, "an Event was not written"),
                            Err(_) => tracing::warn!("the API server did not answer an Event"),
                        }
                    });
                }
            }
        }
    }
}
