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
            "1 for the state that the seal is in",
            None,
            MetricType::Gauge,
        )?;
        for pod in &pods {
            for (state, name) in State::NAMES {
                let gauge = ConstGauge::new(i64::from(state == state_of(pod)));
                let [namespace, pod] = labels(pod);
                let labels = [namespace, pod, ("state", name.to_owned())];
                gauge.encode(states.encode_family(&labels)?)?;
            }
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

/// What the operator knows goes before what the gate said last.
fn state_of(pod: &PodSeal) -> State {
    if pod.opening.is_some() {
        return State::Open;
    }
    pod.state.unwrap_or(State::Unproven)
}
