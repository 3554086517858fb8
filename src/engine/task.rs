//! What one model does.

use serde::{Deserialize, Serialize};

use super::Mode;

/// What one model is served for, and in which words it is spoken to. Of several models of one engine it is each one's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Task {
    /// What it is served for.
    #[serde(default, skip_serializing_if = "Mode::is_default")]
    pub mode: Mode,
    /// A chat template in the engine's own language, instead of the one that the model's leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Texts that end an answer, beside those of the template's family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
}

impl Task {
    /// Whether it is what holds where nothing is written.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
