//! Who may reach the server's pods, and whom they may reach.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::super::bind::Binding;
use super::super::way::Way;
use crate::api::McpServer;
use crate::api::mcp_server::{Egress, EgressPort};
use crate::controller::config::Config;
use crate::controller::names::{child_meta, edge_policy, uid};
use crate::controller::serving::edge;

/// MCP for the declared clients, the metrics for the platform's scrapers; out to the pods of each model that is bound,
/// and to what the object declares.
#[must_use]
pub fn build(object: &McpServer, bindings: &[Binding], config: &Config) -> NetworkPolicy {
    let ways = bindings
        .iter()
        .filter_map(|binding| binding.way.as_ref().ok());
    let mut egress: Vec<NetworkPolicyEgressRule> = ways.map(to_model).collect();
    egress.extend(object.spec.egress.iter().map(declared));
    NetworkPolicy {
        metadata: child_meta(object, edge_policy(&object.name_any()), "seal"),
        spec: Some(NetworkPolicySpec {
            ingress: Some(edge::inward(&object.spec.access.from, config)),
            egress: Some(egress),
            ..edge::closed(uid(object))
        }),
    }
}

fn to_model(way: &Way) -> NetworkPolicyEgressRule {
    let namespace = [(
        "kubernetes.io/metadata.name".to_owned(),
        way.namespace.clone(),
    )];
    let peer = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(namespace.into()),
            ..LabelSelector::default()
        }),
        pod_selector: Some(edge::labelled(&way.labels)),
        ip_block: None,
    };
    NetworkPolicyEgressRule {
        to: Some(vec![peer]),
        ports: Some(vec![NetworkPolicyPort {
            port: Some(way.port.clone()),
            protocol: Some("TCP".to_owned()),
            end_port: None,
        }]),
    }
}

fn declared(egress: &Egress) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(egress.to.clone()),
        ports: Some(egress.ports.iter().map(EgressPort::to_policy).collect()),
    }
}

/// Every declared way in and out, in words.
#[must_use]
pub fn exits(object: &McpServer, bindings: &[Binding], config: &Config) -> Vec<String> {
    let mut out = Vec::new();
    for binding in bindings {
        if let Ok(way) = &binding.way {
            let port = number_or_name(&way.port);
            out.push(format!("out {port}/TCP to the pods of {}", binding.target));
        }
    }
    for egress in &object.spec.egress {
        let ports: Vec<String> = egress.ports.iter().map(port_text).collect();
        out.extend(
            (egress.to.iter())
                .map(|peer| format!("out {} to {}", ports.join(","), edge::peer_text(peer))),
        );
    }
    edge::listed(edge::inward_exits(&object.spec.access.from, config), out)
}

fn port_text(port: &EgressPort) -> String {
    let first = number_or_name(&port.port);
    let last = port.end_port.map(|last| format!("-{last}"));
    let protocol = port.protocol.as_str();
    format!("{first}{}/{protocol}", last.unwrap_or_default())
}

fn number_or_name(port: &IntOrString) -> String {
    match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    }
}
