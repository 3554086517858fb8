//! Logs as JSON lines on stderr, and the operator's metrics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts the log: JSON lines on stderr. `SEALROOM_LOG` holds levels by target, such as `warn,sealroom=debug`.
///
/// Libraries that could print addresses, headers or bodies stay at `warn` unless named in the variable.
pub fn init() {
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(std::io::stderr);
    let named = std::env::var("SEALROOM_LOG").unwrap_or_default();
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(levels(&named))
        .try_init();
}

/// What is not understood leaves the log as it is by default.
fn levels(named: &str) -> Targets {
    let named = Some(named).filter(|named| !named.trim().is_empty());
    named.and_then(understood).unwrap_or_else(|| {
        Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("sealroom", LevelFilter::INFO)
    })
}

/// Levels by comma, each for a target or for all others, which have `error` where none is named.
///
/// As [`Targets`] reads them, space would belong to a target, a word that is no level would be one, and all others off.
fn understood(named: &str) -> Option<Targets> {
    let mut levels = Targets::new().with_default(LevelFilter::ERROR);
    for part in named.split(',').map(str::trim) {
        levels = match part.split_once('=') {
            Some((target, level)) => {
                levels.with_target(target.trim(), level.trim().parse::<LevelFilter>().ok()?)
            }
            None if part.is_empty() => levels,
            None => levels.with_default(part.parse::<LevelFilter>().ok()?),
        };
    }
    Some(levels)
}

/// A metric that is empty and in the registry.
pub fn registered<M: Clone + Default + Metric>(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    kind: String,
    outcome: String,
}

/// The operator's metrics. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    passes: Family<Pass, Counter>,
    duration: Histogram,
    pulled: Counter,
    queues: Family<Queue, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    kind: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let help = "Passes of the reconcilers by their end";
        let passes = registered(&mut registry, "sealroom_reconcile", help);
        let duration = Histogram::new(exponential_buckets(0.001, 4.0, 8));
        let help = "Seconds that a pass took";
        registry.register(
            "sealroom_reconcile_duration_seconds",
            help,
            duration.clone(),
        );
        let help = "Bytes of the artifacts that were pulled and verified";
        let pulled = registered(&mut registry, "sealroom_pull_bytes", help);
        let help = "Objects that wait for a pass";
        let queues = registered(&mut registry, "sealroom_queue_depth", help);
        Self {
            registry: Arc::new(Mutex::new(registry)),
            passes,
            duration,
            pulled,
            queues,
        }
    }
}

impl Metrics {
    /// Counts one pass.
    pub fn reconciled(&self, kind: &str, outcome: &str, took: Duration) {
        let pass = Pass {
            kind: kind.to_owned(),
            outcome: outcome.to_owned(),
        };
        self.passes.get_or_create(&pass).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Counts the bytes of an artifact that was pulled and verified.
    pub fn pulled(&self, bytes: u64) {
        self.pulled.inc_by(bytes);
    }

    /// Says how many objects wait for a pass.
    pub fn queued(&self, kind: &str, depth: usize) {
        let queue = Queue {
            kind: kind.to_owned(),
        };
        let depth = i64::try_from(depth).unwrap_or(i64::MAX);
        self.queues.get_or_create(&queue).set(depth);
    }

    /// Lets another room add its metrics.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All of them as OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing into a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[rstest::rstest]
    #[case::nothing("", [Level::INFO, Level::WARN])]
    #[case::nonsense("sealroom=loud", [Level::INFO, Level::WARN])]
    #[case::one_level("debug", [Level::DEBUG, Level::DEBUG])]
    #[case::by_target("error,sealroom=debug", [Level::DEBUG, Level::ERROR])]
    #[case::with_space(" error, sealroom = debug ,", [Level::DEBUG, Level::ERROR])]
    #[case::the_rest_unnamed("sealroom=debug", [Level::DEBUG, Level::ERROR])]
    #[case::no_level("verbose", [Level::INFO, Level::WARN])]
    #[case::no_level_beside_one("debug,verbose", [Level::INFO, Level::WARN])]
    #[case::space(" ", [Level::INFO, Level::WARN])]
    fn levels_of_us_and_of_libraries(#[case] named: &str, #[case] most: [Level; 2]) {
        let levels = levels(named);
        for (target, most) in ["sealroom::gate", "hyper::proto"].into_iter().zip(most) {
            assert!(levels.would_enable(target, &most), "{target} {most}");
            let more = [
                Level::ERROR,
                Level::WARN,
                Level::INFO,
                Level::DEBUG,
                Level::TRACE,
            ];
            for level in more.iter().filter(|level| **level > most) {
                assert!(!levels.would_enable(target, level), "{target} {level}");
            }
        }
    }

    #[test]
    fn passes_are_counted_by_kind_and_outcome() {
        let metrics = Metrics::default();
        metrics.reconciled("ModelDeployment", "done", Duration::from_millis(2));
        let text = metrics.encode();
        let line = r#"sealroom_reconcile_total{kind="ModelDeployment",outcome="done"} 1"#;
        assert!(text.contains(line), "{text}");
    }
}
