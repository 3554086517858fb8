//! What became of a Job: read from the Job and its pods, pure.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::build::job::CONTAINER;
use crate::api::Reason;
use crate::pull::TerminationMessage;

/// The state of a Job.
#[derive(Clone, Debug)]
pub enum JobState {
    /// It works or waits for its pod.
    Running {
        /// Where `/progress` answers, once the container runs.
        address: Option<String>,
        /// What holds it up, in the kubelet's or scheduler's one word.
        trouble: Option<(Reason, String)>,
    },
    /// It ended with a result.
    Succeeded(Box<TerminationMessage>),
    /// It ended well and the pod that knows the result is gone: a second run finds its work done.
    Lost,
    /// It ended without one that counts.
    Failed {
        /// Why.
        reason: Reason,
        /// For people.
        message: String,
        /// When, by the API server's clock.
        at: Option<Timestamp>,
    },
}

/// Looks at a Job and the pods of its making; others' words count for nothing.
#[must_use]
pub fn inspect(job: &Job, pods: &[std::sync::Arc<Pod>]) -> JobState {
    let uid = job.uid().unwrap_or_default();
    let mut own: Vec<&Pod> = pods
        .iter()
        .map(|pod| &**pod)
        .filter(|pod| pod.owner_references().iter().any(|owner| owner.uid == uid))
        .collect();
    own.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let message = own.iter().rev().find_map(|pod| termination_message(pod));
    match ended(job) {
        Some((true, _)) => match message {
            Some(message) if message.artifact.is_some() => JobState::Succeeded(Box::new(message)),
            _ => JobState::Lost,
        },
        Some((false, at)) => {
            let (reason, text) = message
                .map(|message| (Reason::parse(&message.reason), message.message))
                .unwrap_or_default();
            JobState::Failed {
                reason: reason.unwrap_or(Reason::JobFailed),
                message: if text.is_empty() {
                    format!("Job {} failed without a result", job.name_any())
                } else {
                    text.chars().filter(|c| !c.is_control()).take(512).collect()
                },
                at,
            }
        }
        None => {
            let newest = own.last().copied();
            JobState::Running {
                address: newest.and_then(address),
                trouble: newest.and_then(trouble),
            }
        }
    }
}

/// Whether the Job is complete (true) or failed (false), and since when.
fn ended(job: &Job) -> Option<(bool, Option<Timestamp>)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions
        .iter()
        .find(|c| c.status == "True" && (c.type_ == "Complete" || c.type_ == "Failed"))?;
    let at = condition.last_transition_time.as_ref().map(|time| time.0);
    Some((condition.type_ == "Complete", at))
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == CONTAINER)
}

fn termination_message(pod: &Pod) -> Option<TerminationMessage> {
    let state = container(pod)?.state.as_ref()?;
    let text = state.terminated.as_ref()?.message.as_deref()?;
    // The kubelet cuts longer ones; whoever wrote more is not our writer.
    (text.len() <= 4_096)
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

fn address(pod: &Pod) -> Option<String> {
    container(pod)?.state.as_ref()?.running.as_ref()?;
    pod.status.as_ref()?.pod_ip.clone()
}

fn trouble(pod: &Pod) -> Option<(Reason, String)> {
    let status = pod.status.as_ref()?;
    let scheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == "PodScheduled");
    if let Some(condition) = scheduled
        && condition.status == "False"
    {
        let text = condition.message.as_deref().unwrap_or_default();
        // In the words of the scheduler since 1.37, and of those before. What else passes by itself is no mismatch.
        let elsewhere = [
            "PersistentVolume's node affinity",
            "volume node affinity conflict",
        ];
        let elsewhere = elsewhere.iter().any(|words| text.contains(words));
        let passes = ["Insufficient", "unschedulable", "not-ready"];
        let elsewhere = elsewhere && !passes.iter().any(|word| text.contains(word));
        return Some(if elsewhere {
            let cure = "the volume lies on a node where spec.scheduling does not let the pod run: change one of them";
            (Reason::ClaimNodeMismatch, cure.to_owned())
        } else {
            (
                Reason::Progressing,
                format!("pod {} cannot be scheduled yet", pod.name_any()),
            )
        });
    }
    let reason = container(pod)?
        .state
        .as_ref()?
        .waiting
        .as_ref()?
        .reason
        .as_deref()?;
    // One CamelCase word of the kubelet's, never its text.
    let word = reason.len() <= 64 && reason.chars().all(char::is_alphanumeric);
    let starting = ["ContainerCreating", "PodInitializing"].contains(&reason);
    (word && !starting).then(|| {
        (
            Reason::Progressing,
            format!("pod {} waits: {reason}", pod.name_any()),
        )
    })
}

#[cfg(test)]
#[path = "job_state_tests.rs"]
mod tests;
