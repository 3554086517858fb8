//! Every declared way in and out of a serving pod, in words.

use crate::api::ModelDeployment;
use crate::controller::config::Config;

const LONGEST: usize = 256;

/// One line each. There is no way out: a line that begins with `out` would be one.
#[must_use]
pub fn of(object: &ModelDeployment, config: &Config) -> Vec<String> {
    let peers = |port: u16, peers: &[k8s_openapi::api::networking::v1::NetworkPolicyPeer]| {
        peers
            .iter()
            .map(|peer| {
                let text = serde_json::to_string(peer).unwrap_or_default();
                let text: String = text.chars().take(LONGEST).collect();
                format!("in {port}/TCP from {text}")
            })
            .collect::<Vec<_>>()
    };
    let mut exits = vec!["in 8081/TCP from operator and canaries".to_owned()];
    exits.extend(peers(8080, &object.spec.access.from));
    exits.extend(peers(8082, &config.metrics_from));
    exits.truncate(64);
    exits
}
