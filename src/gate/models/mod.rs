//! The models that the program of this pod may ask: each at a port of 127.0.0.1, with the key added here.
//!
//! The program needs no DNS, no key and no socket beyond loopback; the pod's edge leads to exactly these models. The
//! gate offers the routes of the OpenAI API and nothing else, while the seal holds.

mod carry;
mod config;
mod dial;
mod entry;
mod offer;
mod watch;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use config::{Config, ConfigError};

use super::core::Core;
use super::listen::{self, Limits, Speaks};
use super::rejected::Rejected;
use crate::seal::wire::Lack;
use crate::telemetry::registered;
use offer::Offer;

/// Requests of one model at once.
const AT_ONCE: usize = 64;
/// Connections of the program to one model.
const LIMITS: Limits = Limits {
    connections: 2 * AT_ONCE,
    head: Duration::from_secs(10),
    reader: listen::READER_PATIENCE,
};

/// Labels of `sealroom_gate_model_requests_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Asked {
    /// The model's name in the gate's flags.
    pub model: String,
    /// The HTTP status that the program got.
    pub code: u16,
}

/// Labels of `sealroom_gate_model_in_flight`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Of {
    /// The model's name in the gate's flags.
    pub model: String,
}

/// What is counted about the models. Clones share it.
#[derive(Clone, Debug)]
pub struct Counts {
    asked: Family<Asked, Counter>,
    in_flight: Family<Of, Gauge>,
}

impl Counts {
    /// All zero, in the registry.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            asked: registered(
                registry,
                "sealroom_gate_model_requests",
                "Requests of this pod's program to its models, by model and status",
            ),
            in_flight: registered(
                registry,
                "sealroom_gate_model_in_flight",
                "Requests of this pod's program to its models that are under way",
            ),
        }
    }
}

/// A model's port, taken and not served yet.
#[derive(Debug)]
pub struct Bound {
    config: Config,
    listener: TcpListener,
}

/// Takes the port of each model, before anything else in the pod can.
///
/// # Errors
/// The address that cannot be bound, and why.
pub async fn bind(models: Vec<Config>) -> Result<Vec<Bound>, (SocketAddr, std::io::Error)> {
    let mut bound = Vec::new();
    for config in models {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
        let listener = listen::bind(at).await.map_err(|error| (at, error))?;
        bound.push(Bound { config, listener });
    }
    Ok(bound)
}

/// The models with their ports, each with what is needed to ask it.
pub struct Offers(Vec<(Arc<Offer>, TcpListener)>);

/// What is known of the models, for whoever reports it.
pub struct Known(Vec<Arc<Offer>>);

impl Known {
    /// What is not there or cannot be used, in the order of the models.
    #[must_use]
    pub fn lack(&self) -> Vec<Lack> {
        self.0.iter().flat_map(|offer| offer.lack()).collect()
    }
}

impl fmt::Debug for Known {
    /// How many models: what they are asked with is nobody's to see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Known").field(&self.0.len()).finish()
    }
}

/// Reads the models' files for the first time.
#[must_use]
pub fn offer(bound: Vec<Bound>, core: &Arc<Core>, counts: &Counts) -> Offers {
    let offers = bound.into_iter().map(|Bound { config, listener }| {
        let offer = Offer::new(config, Arc::clone(core), counts.clone());
        (Arc::new(offer), listener)
    });
    Offers(offers.collect())
}

impl Offers {
    /// What is known of them, now and later.
    #[must_use]
    pub fn known(&self) -> Known {
        Known(self.0.iter().map(|(offer, _)| Arc::clone(offer)).collect())
    }
}

/// Serves the models, and looks at them again and again.
pub fn serve(tasks: &mut JoinSet<()>, offers: Offers, core: &Arc<Core>) {
    for (offer, listener) in offers.0 {
        tasks.spawn(watch::watch(Arc::clone(&offer)));
        let doors = Arc::clone(core);
        tasks.spawn(listen::serve(
            listener,
            LIMITS,
            Speaks::Http1,
            Rejected::default(),
            // The program's connections are cut with the clients': what it asks is not to go on either.
            move || doors.doors.enter(),
            move |request| Arc::clone(&offer).handle(request),
        ));
    }
}
