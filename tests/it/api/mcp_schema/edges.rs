//! Ways out that a server declares, and names for addresses.

use serde_json::{Value, json};

use super::Refused;

fn egress(port: Value) -> Value {
    json!({ "spec.egress": [{ "to": [{ "podSelector": {} }], "ports": [port] }] })
}

pub fn refused() -> Vec<Refused> {
    vec![
        (egress(json!({ "protocol": "TCP" })), "port: Required value"),
        (
            egress(json!({ "port": 53, "protocol": "UDP" })),
            "DNS leads out of the cluster",
        ),
        (
            egress(json!({ "port": 1, "endPort": 100 })),
            "DNS leads out of the cluster",
        ),
        (
            egress(json!({ "port": "dns" })),
            "DNS leads out of the cluster",
        ),
        (egress(json!({ "port": 0 })), "from 1 to 65535"),
        (
            egress(json!({ "port": 90, "endPort": 80 })),
            "the last of a range",
        ),
        (
            json!({ "spec.egress": [{ "to": [], "ports": [{ "port": 1 }] }] }),
            "at least 1 items",
        ),
        (
            json!({ "spec.egress": [{ "to": [{ "ipBlock": { "cidr": "192.0.2.40" } }], "ports": [{ "port": 1 }] }] }),
            "write an address block",
        ),
        (
            json!({ "spec.hostAliases": [{ "ip": "${RECORDS_DB_ADDRESS}", "hostnames": ["db"] }] }),
            "write an IP address",
        ),
    ]
}

pub fn taken() -> Vec<Value> {
    vec![
        egress(json!({ "port": 5432 })),
        egress(json!({ "port": 8000, "endPort": 8010 })),
        json!({ "spec.egress": [{ "to": [
            { "ipBlock": { "cidr": "192.0.2.0/24", "except": ["192.0.2.9/32"] } },
            { "ipBlock": { "cidr": "2001:db8::/64" } },
        ], "ports": [{ "port": 5432 }] }] }),
        json!({ "spec.hostAliases": [{ "ip": "2001:db8::40", "hostnames": ["db"] }] }),
    ]
}
