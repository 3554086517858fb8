//! The built-in provider: drives the scripts under `bed/`.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::Result;

use super::{Cni, Environment, cache, line, scripts::Scripts};
use crate::run::Output;

/// The listener outside the cluster, as pods reach it.
pub const CANARY_URL: &str = "http://172.31.9.10:9000";
/// The registry as pods and nodes name it.
pub const REGISTRY: &str = "registry.internal:5000";
/// Its addresses on the fabric.
const REGISTRY_ADDRESSES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(172, 31, 8, 10)),
    IpAddr::V6(Ipv6Addr::new(0xfd31, 8, 0, 0, 0, 0, 0, 0x10)),
];

/// A cluster in namespaces of this machine.
#[derive(Debug)]
pub struct Bed(Scripts);

impl Bed {
    /// A bed of this shape; starts nothing.
    ///
    /// # Errors
    /// When the scripts are not where the crate was built.
    pub fn new(nodes: u8, cni: Cni) -> Result<Self> {
        Scripts::new("bed", "BED_DIR", nodes, cni).map(Self)
    }

    /// Boots it, building first what is not built yet.
    ///
    /// # Errors
    /// When a build fails or the cluster does not become ready.
    pub async fn up(&self) -> Result<()> {
        self.0.up().await
    }

    /// Removes it.
    ///
    /// # Errors
    /// When a process, mount or cgroup is left.
    pub async fn down(&self) -> Result<()> {
        self.0.down(Duration::from_secs(120)).await
    }

    /// One line that says whether it runs.
    ///
    /// # Errors
    /// When it does not.
    pub async fn status(&self) -> Result<String> {
        self.0.status().await
    }

    /// Builds families of Go programs; all when none is named.
    ///
    /// # Errors
    /// When one does not build.
    pub async fn build(&self, families: &[String]) -> Result<()> {
        self.0
            .script("packages.sh")
            .inherit()
            .deadline(Duration::from_secs(1200))
            .run()
            .await?;
        let script = self.0.script("build.sh").args(families).inherit();
        script.deadline(Duration::from_secs(5400)).run().await?;
        Ok(())
    }

    /// Runs a command in the network namespace of the host outside the cluster.
    ///
    /// # Errors
    /// When the bed does not run or the command fails.
    pub async fn outside(&self, command: &[&str]) -> Result<Output> {
        super::enter(&self.0.directory.join("netns/outside"), command).await
    }

    /// Where everything is.
    ///
    /// # Errors
    /// When the bed is not up.
    pub fn environment(&self) -> Result<Environment> {
        self.0.running("make bed")?;
        let directory = &self.0.directory;
        let go = cache().join("go");
        Ok(Environment {
            kubeconfig: directory.join("kubeconfig"),
            audit_log: Some(directory.join("audit.log")),
            registry: Some(REGISTRY.to_owned()),
            registry_addresses: REGISTRY_ADDRESSES.to_vec(),
            registry_ca: Some(directory.join("pki/registry-ca.crt")),
            registry_auth: Some(directory.join("pki/registry-auth.json")),
            registry_port: line(&directory.join("registry-port")).and_then(|p| p.parse().ok()),
            model_ref: line(&directory.join("model-ref")),
            ollama_image: line(&directory.join("ollama-image")),
            canary_url: Some(CANARY_URL.to_owned()),
            kubectl: go.join("kubernetes/kubectl"),
            helm: go.join("helm/helm"),
            bed_dir: Some(directory.clone()),
        })
    }
}
