//! The edges of an object's pods, as a NetworkPolicy and in words.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use kube::{Resource, ResourceExt};

use crate::controller::apply::{Ack, Compare};
use crate::controller::config::Config;
use crate::controller::context::Context;
use crate::controller::names::{OWNER_UID, uid};
use crate::controller::outcome::Outcome;
use crate::controller::sealed_policy::port;
use crate::controller::stores::lookup;

/// Most characters of a peer, lines of a status, and characters of a line, as the schema bounds them.
const LONGEST: usize = 256;
const LINES: usize = 64;
const LONGEST_LINE: usize = 512;
/// Most ways out of one object: each has its line.
pub const MAX_OUT: usize = 48;

/// The pods that work for the object of this UID, and no way in or out.
#[must_use]
pub fn closed(owner_uid: &str) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(labelled(&owner(owner_uid))),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        ingress: Some(Vec::new()),
        egress: Some(Vec::new()),
    }
}

/// Writes the edges of an object's pods. What others add to them would open a way: it goes.
///
/// # Errors
/// How the pass ends.
pub async fn apply<K>(this: &K, wanted: &NetworkPolicy, ctx: &Context) -> Result<Ack, Outcome>
where
    K: Resource<DynamicType = ()>,
{
    let namespace = this.namespace().unwrap_or_default();
    let there = lookup(&ctx.stores.network_policies, &namespace, &wanted.name_any());
    let owner = Some(uid(this));
    let written = ctx
        .applier
        .apply(wanted, there, owner, Compare::WholeSpec)
        .await?;
    Ok(written)
}

/// The label of the pods that work for an object: only templates of the operator carry it.
#[must_use]
pub fn owner(uid: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(OWNER_UID.to_owned(), uid.to_owned())])
}

/// Selects by labels.
#[must_use]
pub fn labelled(labels: &BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels.clone()),
        ..LabelSelector::default()
    }
}

/// The API for `from`, the metrics for the platform's scrapers. A rule without peers would let everybody in: nobody
/// means no rule.
#[must_use]
pub fn inward(from: &[NetworkPolicyPeer], config: &Config) -> Vec<NetworkPolicyIngressRule> {
    let rule = |peers: &[NetworkPolicyPeer], at: i32| {
        (!peers.is_empty()).then(|| NetworkPolicyIngressRule {
            from: Some(peers.to_vec()),
            ports: Some(vec![port(at)]),
        })
    };
    [(from, 8080), (config.metrics_from.as_slice(), 8082)]
        .into_iter()
        .filter_map(|(peers, at)| rule(peers, at))
        .collect()
}

/// The same in words, and the way in that every sealed pod has.
#[must_use]
pub fn inward_exits(from: &[NetworkPolicyPeer], config: &Config) -> Vec<String> {
    let mut exits = vec!["in 8081/TCP from operator and canaries".to_owned()];
    for (port, peers) in [(8080, from), (8082, config.metrics_from.as_slice())] {
        exits.extend(
            peers
                .iter()
                .map(|peer| format!("in {port}/TCP from {}", peer_text(peer))),
        );
    }
    exits
}

/// The ways in and every way out, as many as a status holds. Of more ways in the last line says how many there are.
#[must_use]
pub fn listed(mut inward: Vec<String>, out: Vec<String>) -> Vec<String> {
    let room = LINES.saturating_sub(out.len());
    if inward.len() > room {
        let left_out = inward.len() + 1 - room;
        inward.truncate(room.saturating_sub(1));
        inward.push(format!(
            "in from {left_out} more peers: look at the NetworkPolicy"
        ));
    }
    let all = inward.into_iter().chain(out);
    all.map(|line| shortened(line, LONGEST_LINE)).collect()
}

/// A peer as it is written.
#[must_use]
pub fn peer_text(peer: &NetworkPolicyPeer) -> String {
    shortened(serde_json::to_string(peer).unwrap_or_default(), LONGEST)
}

/// What is cut says so.
fn shortened(text: String, most: usize) -> String {
    if text.chars().count() <= most {
        return text;
    }
    let kept = text.chars().take(most - 1);
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_out_is_listed_and_what_is_left_out_is_counted() {
        let lines = |word: &str, count: usize| vec![format!("{word} x"); count];
        let few = listed(lines("in", 2), lines("out", 1));
        assert_eq!(few, ["in x", "in x", "out x"]);
        let many = listed(lines("in", 100), lines("out", MAX_OUT));
        assert_eq!(many.len(), LINES);
        assert_eq!(many.iter().filter(|line| *line == "out x").count(), MAX_OUT);
        assert_eq!(many[15], "in from 85 more peers: look at the NetworkPolicy");
        let long = listed(Vec::new(), vec!["x".repeat(600)]);
        assert_eq!(long[0].chars().count(), LONGEST_LINE);
        assert!(long[0].ends_with('…'));
    }
}
