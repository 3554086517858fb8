//! Spec and configuration become a validated [`Server`]; pure.
//!
//! The schema and its rules have refused most of what is wrong already. What is checked here depends on the
//! platform's configuration, or guards against an API server that did not check.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;

use crate::api::mcp_server::TransportType;
use crate::api::model_deployment::SealMode;
use crate::api::{McpServer, Reason};
use crate::bridge::bounded::LEAST;
use crate::controller::config::Config;
use crate::controller::difference::quantity;
use crate::controller::outcome::Stall;
use crate::controller::serving::access::empty_peer;
use crate::controller::serving::edge::MAX_OUT;
use crate::types::{ImageRef, ImageRefError};

/// The lock that the bridge puts on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// No network socket.
    Kernel,
    /// TCP sockets, for the models on loopback or for the server's own port there.
    Streams,
    /// None: the server has a way out of its own.
    None,
}

impl Lock {
    /// As the bridge's flag writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "Kernel",
            Self::Streams => "Streams",
            Self::None => "None",
        }
    }
}

/// An McpServer that can be carried out.
#[derive(Clone, Debug)]
pub struct Server {
    /// metadata.namespace.
    pub namespace: String,
    /// The image.
    pub image: String,
    /// The lock on the server.
    pub lock: Lock,
    /// The most memory of each of its processes in bytes, where there is a bound.
    pub child_memory: Option<u64>,
    /// False for `seal.mode: Unsealed` where it is allowed.
    pub sealed: bool,
}

/// Why an McpServer cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The image is wrong.
    #[error("image: {0}")]
    Image(ImageRefError),
    /// Nothing to start.
    #[error("transport: write the command that starts the server")]
    NoCommand,
    /// Unsealed where it may not be.
    #[error(
        "seal.mode: Unsealed is not allowed in namespace {0}: write Enforced, or have the platform list the namespace in the chart's value unsealedNamespaces"
    )]
    Unsealed(String),
    /// A peer that means everybody or nothing.
    #[error("{0} names nobody: write podSelector, namespaceSelector or ipBlock")]
    Peer(String),
    /// A way out to everything.
    #[error("{0} has no peers or no ports, which would mean all of them: write both")]
    Everything(String),
    /// More ways out than a status lists.
    #[error(
        "models and egress name {0} ways out, and status.seal.exits lists {MAX_OUT}: write fewer peers, such as one selector for several"
    )]
    TooManyOut(usize),
    /// A quantity is none.
    #[error("{field}: {text} is no quantity such as 2Gi or 500m")]
    Quantity {
        /// Which field.
        field: &'static str,
        /// What is written.
        text: String,
    },
    /// A bound for children where there are none, or one that leaves nothing or bounds nothing.
    #[error(
        "isolation.childMemory is for a server on stdio: write at least 16Mi, and less than resources.limits.memory"
    )]
    ChildMemory,
    /// Two things at one path.
    #[error("two of files and volumes have the mountPath {0}: write another one")]
    Mounted(String),
    /// Two values of one variable.
    #[error(
        "the variable {0} is in env and tells about the model too: leave it out of env, or write models[].env with other names"
    )]
    Variable(String),
}

impl From<Invalid> for Stall {
    fn from(invalid: Invalid) -> Self {
        let reason = match &invalid {
            Invalid::Unsealed(_) => Reason::UnsealedNotAllowed,
            _ => Reason::InvalidSpec,
        };
        // Spec and configuration decide alone: only a change of one of them can help.
        Self::new(reason, invalid.to_string())
    }
}

/// Validates.
///
/// # Errors
/// [`Invalid`] says what to mend.
pub fn validate(object: &McpServer, config: &Config) -> Result<Server, Invalid> {
    let spec = &object.spec;
    let image: ImageRef = spec.image.parse().map_err(Invalid::Image)?;
    if spec.transport.command().is_empty() {
        return Err(Invalid::NoCommand);
    }
    let namespace = object.namespace().unwrap_or_default();
    let sealed = spec.seal.mode == SealMode::Enforced;
    if !sealed && !config.unsealed_namespaces.contains(&namespace) {
        return Err(Invalid::Unsealed(namespace));
    }
    peers(object)?;
    quantities(object)?;
    names(object)?;
    Ok(Server {
        namespace,
        image: image.to_string(),
        lock: lock(object),
        child_memory: child_memory(object)?,
        sealed,
    })
}

/// The strictest lock under which the server can do what the object declares.
fn lock(object: &McpServer) -> Lock {
    let spec = &object.spec;
    if !spec.egress.is_empty() {
        Lock::None
    } else if !spec.models.is_empty() || spec.transport.transport_type == TransportType::Http {
        Lock::Streams
    } else {
        Lock::Kernel
    }
}

/// That every peer names somebody.
pub(super) fn peers(object: &McpServer) -> Result<(), Invalid> {
    let spec = &object.spec;
    if let Some(index) = empty_peer(&spec.access.from) {
        return Err(Invalid::Peer(format!("access.from[{index}]")));
    }
    for (number, egress) in spec.egress.iter().enumerate() {
        if egress.to.is_empty() || egress.ports.is_empty() {
            return Err(Invalid::Everything(format!("egress[{number}]")));
        }
        if let Some(index) = empty_peer(&egress.to) {
            return Err(Invalid::Peer(format!("egress[{number}].to[{index}]")));
        }
    }
    let out = spec.egress.iter().map(|egress| egress.to.len());
    let out = spec.models.len() + out.sum::<usize>();
    if out > MAX_OUT {
        return Err(Invalid::TooManyOut(out));
    }
    Ok(())
}

fn quantities(object: &McpServer) -> Result<(), Invalid> {
    let resources = &object.spec.resources;
    let resources = resources.requests.values().chain(resources.limits.values());
    let scratch = object.spec.volumes.iter();
    let scratch = scratch.filter_map(|volume| Some(&volume.scratch.as_ref()?.size));
    let all = resources
        .map(|q| ("resources", q))
        .chain(scratch.map(|q| ("volumes", q)));
    for (field, written) in all {
        if quantity(&written.0).is_none() {
            let text = written.0.clone();
            return Err(Invalid::Quantity { field, text });
        }
    }
    Ok(())
}

fn child_memory(object: &McpServer) -> Result<Option<u64>, Invalid> {
    let spec = &object.spec;
    let Some(written) = &spec.isolation.child_memory else {
        return Ok(None);
    };
    let bytes = |written: &Quantity| u64::try_from(quantity(&written.0)? / 1_000).ok();
    let most = spec.resources.limits.get("memory").and_then(bytes);
    bytes(written)
        .filter(|_| spec.transport.transport_type == TransportType::Stdio)
        .filter(|bytes| *bytes >= LEAST && most.is_none_or(|most| *bytes < most))
        .map(Some)
        .ok_or(Invalid::ChildMemory)
}

fn names(object: &McpServer) -> Result<(), Invalid> {
    let spec = &object.spec;
    let files = spec.files.iter().map(|files| &files.mount_path);
    let volumes = spec.volumes.iter().map(|volume| &volume.mount_path);
    let mut paths = BTreeSet::new();
    if let Some(twice) = files.chain(volumes).find(|path| !paths.insert(*path)) {
        return Err(Invalid::Mounted(twice.clone()));
    }
    let mut names: BTreeSet<&str> = spec.env.iter().map(|env| env.name.as_str()).collect();
    for binding in &spec.models {
        for variable in binding.environment() {
            if names.contains(variable.name.as_str()) {
                return Err(Invalid::Variable(variable.name));
            }
        }
        names.extend(binding.env.iter().map(|env| env.name.as_str()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "validate_tests.rs"]
pub(crate) mod tests;
