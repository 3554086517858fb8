//! The board as metrics.

use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::seal::wire::State;

use super::board::{Board, PodSeal};
use super::view::PodKind;

/// Reads the board at each scrape, so a pod that is gone leaves no series.
#[derive(Debug)]
pub struct BoardMetrics(pub Board);

impl Collector for BoardMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let mut pods = self.0.all();
        pods.retain(|pod| pod.kind == PodKind::Gated);
        let mut states = encoder.encode_descriptor(
            "sealroom_seal_state",
            "State of the seal: 0 unproven, 1 proven, 2 stale, 3 open",
            None,
            MetricType::Gauge,
        )?;
        for pod in &pods {
            let gauge = ConstGauge::new(state(pod));
            gauge.encode(states.encode_family(&labels(pod))?)?;
        }
        let mut times = encoder.encode_descriptor(
            "sealroom_seal_last_proven_timestamp_seconds",
            "Unix time at which the newest round that proved the seal began",
            None,
            MetricType::Gauge,
        )?;
        for pod in &pods {
            if let Some((_, wall)) = pod.last_proven {
                let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
                let gauge = ConstGauge::new(since.as_secs_f64());
                gauge.encode(times.encode_family(&labels(pod))?)?;
            }
        }
        Ok(())
    }
}

fn labels(pod: &PodSeal) -> [(&'static str, String); 2] {
    [
        ("namespace", pod.namespace.clone()),
        ("pod", pod.name.clone()),
    ]
}

fn state(pod: &PodSeal) -> i64 {
    if pod.opening.is_some() {
        return 3;
    }
    match pod.state {
        None | Some(State::Unproven) => 0,
        Some(State::Proven) => 1,
        Some(State::Stale) => 2,
        Some(State::Open) => 3,
    }
}
