//! What a gate lacks to ask a model for its pod's program.

use serde::{Deserialize, Serialize};

/// What the gate needs to ask one model, and has not or cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lack {
    /// The port of 127.0.0.1 at which the gate offers the model: what tells it from the others of the pod.
    pub port: u16,
    /// What it is; `file` in the reports of gates that looked at nothing else.
    #[serde(alias = "file")]
    pub what: Need,
}

/// What a gate needs to ask a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Need {
    /// The file with the key that its requests carry.
    Key,
    /// The file with the certificates that its own is checked against.
    Ca,
    /// Somebody who takes connections at its address.
    Listener,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::now(r#"{"port":11500,"what":"key"}"#)]
    #[case::before(r#"{"port":11500,"file":"key"}"#)]
    fn gates_of_the_same_version_are_understood(#[case] text: &str) {
        let lack: Lack = serde_json::from_str(text).unwrap();
        assert_eq!((lack.port, lack.what), (11500, Need::Key));
    }
}
