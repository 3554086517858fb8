//! What arrived at the outside host, counted by nftables before anything could drop it.

use std::net::IpAddr;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cluster::Cluster;

/// Packets of one kind that arrived outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Who sent them: the pod itself, since nothing masquerades on the way.
    pub source: IpAddr,
    /// Which of the host's addresses they were sent to.
    pub destination: IpAddr,
    /// Protocol by name or number: `tcp`, `udp`, `icmp`, `ipv6-icmp`, `47`.
    pub protocol: String,
    /// Destination port, for protocols that have one.
    pub port: Option<u16>,
    /// How many packets.
    pub packets: u64,
    /// How many bytes, with their IP headers.
    pub bytes: u64,
}

/// Reads the counters, sorted.
///
/// # Errors
/// When the host is not there or the counters cannot be read.
pub async fn read(cluster: &Cluster) -> Result<Vec<Seen>> {
    let output = cluster
        .outside(&[
            "nft",
            "--json",
            "--numeric",
            "list",
            "table",
            "inet",
            "sealroom",
        ])
        .await?;
    parse(&output.stdout)
}

/// Reads what `nft --json list table` prints.
///
/// # Errors
/// When it is not of that shape: a counter that is not understood must not be taken for none.
pub fn parse(json: &str) -> Result<Vec<Seen>> {
    let listing: Value = serde_json::from_str(json).context("failed to parse the counters")?;
    let objects = listing["nftables"]
        .as_array()
        .context("failed to find the counters' table")?;
    let sets: Vec<&Value> = objects
        .iter()
        .map(|o| &o["set"])
        .filter(|s| s.is_object())
        .collect();
    anyhow::ensure!(
        sets.len() == 4,
        "failed to find the four sets of counters, there are {}",
        sets.len()
    );
    let mut seen = Vec::new();
    for set in sets {
        for element in set["elem"].as_array().into_iter().flatten() {
            let entry = one(&element["elem"])
                .with_context(|| format!("failed to read the counter {element}"))?;
            seen.push(entry);
        }
    }
    seen.sort();
    Ok(seen)
}

/// One element of a set.
fn one(element: &Value) -> Option<Seen> {
    let key = element["val"]["concat"].as_array()?;
    let address = |i: usize| key.get(i)?.as_str()?.parse::<IpAddr>().ok();
    let protocol = match key.get(2)? {
        Value::String(name) => name.clone(),
        number => number.as_u64()?.to_string(),
    };
    let protocol = match protocol.as_str() {
        "1" => "icmp".to_owned(),
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "58" => "ipv6-icmp".to_owned(),
        "132" => "sctp".to_owned(),
        _ => protocol,
    };
    let port = match key.get(3) {
        Some(port) => Some(u16::try_from(port.as_u64()?).ok()?),
        None => None,
    };
    Some(Seen {
        source: address(0)?,
        destination: address(1)?,
        protocol,
        port,
        packets: element["counter"]["packets"].as_u64()?,
        bytes: element["counter"]["bytes"].as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(elements: &str) -> String {
        let empty =
            r#"{"set":{"name":"seen6"}},{"set":{"name":"other4"}},{"set":{"name":"other6"}}"#;
        format!(
            r#"{{"nftables":[{{"metainfo":{{}}}},{{"set":{{"name":"seen4","elem":[{elements}]}}}},{empty}]}}"#
        )
    }

    #[test]
    fn reads_elements_with_and_without_ports() {
        let json = listing(
            r#"{"elem":{"val":{"concat":["10.244.0.7","172.31.9.10","tcp",9000]},"counter":{"packets":3,"bytes":180}}},
               {"elem":{"val":{"concat":["fd10:244::7","fd31:9::10",58]},"counter":{"packets":1,"bytes":104}}}"#,
        );
        let seen = parse(&json).unwrap();
        assert_eq!(seen.len(), 2);
        assert_eq!(
            (seen[0].protocol.as_str(), seen[0].port, seen[0].packets),
            ("tcp", Some(9000), 3)
        );
        assert_eq!(
            (seen[1].protocol.as_str(), seen[1].port),
            ("ipv6-icmp", None)
        );
    }

    #[test]
    fn no_elements_are_no_packets() {
        assert_eq!(parse(&listing("")).unwrap(), []);
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_not_zero() {
        for bad in ["{}", r#"{"nftables":[]}"#, "nothing"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&listing(r#"{"elem":{"val":"10.0.0.1"}}"#)).is_err());
    }
}
