//! What is proven about an object's pods, as its status says it.

use crate::api::Reason;
use crate::api::model_deployment::PolicyRef;

use super::conditions::Truth;

/// The condition `Sealed` and what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealView {
    /// Its value.
    pub truth: Truth,
    /// Its reason.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// Locks that hold in every pod.
    pub locks: Vec<String>,
    /// The policies that were evaluated.
    pub policies: Vec<PolicyRef>,
    /// What is not tested or not evaluated.
    pub not_evaluated: Vec<String>,
}

impl Default for SealView {
    fn default() -> Self {
        Self {
            truth: Truth::Unknown,
            reason: Reason::Proving,
            message: "no pod is proven yet".to_owned(),
            locks: Vec::new(),
            policies: Vec::new(),
            not_evaluated: Vec::new(),
        }
    }
}
