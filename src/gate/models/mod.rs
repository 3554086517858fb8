//! The models that the program of this pod may ask: each at a port of 127.0.0.1, with the key added here.
//!
//! The program needs no DNS, no key and no socket beyond loopback; the pod's edge leads to exactly these models. The
//! gate offers the routes of the OpenAI API and nothing else, while the seal holds.

mod carry;
mod config;
mod dial;
mod entry;
mod offer;

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

/// Serves the models, and looks at their keys again and again.
pub fn serve(tasks: &mut JoinSet<()>, bound: Vec<Bound>, core: &Arc<Core>, counts: &Counts) {
    for Bound { config, listener } in bound {
        let offer = Arc::new(Offer::new(config, Arc::clone(core), counts.clone()));
        tasks.spawn(entry::reload(Arc::clone(&offer)));
        let doors = Arc::clone(core);
        tasks.spawn(listen::serve(
            listener,
            LIMITS,
            Speaks::Http1,
            // The program's connections are cut with the clients': what it asks is not to go on either.
            move || doors.doors.enter(),
            move |request| Arc::clone(&offer).handle(request),
        ));
    }
}
