//! The built-in provider: drives the scripts under `bed/`.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{Cni, Environment, cache, source};
use crate::run::{Output, Program};

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
pub struct Bed {
    scripts: PathBuf,
    directory: PathBuf,
    nodes: u8,
    cni: Cni,
}

impl Bed {
    /// A bed of this shape; starts nothing.
    ///
    /// # Errors
    /// When the scripts are not where the crate was built.
    pub fn new(nodes: u8, cni: Cni) -> Result<Self> {
        let scripts = source().join("bed");
        if !scripts.join("up.sh").is_file() {
            bail!(
                "failed to find the bed's scripts in {}, set SEALROOM_E2E_SOURCE",
                scripts.display()
            );
        }
        let directory =
            std::env::var_os("BED_DIR").map_or_else(|| cache().join("bed"), PathBuf::from);
        Ok(Self {
            scripts,
            directory,
            nodes,
            cni,
        })
    }

    /// A script of the bed with the settings of this one.
    fn script(&self, name: &str) -> Program {
        Program::new(self.scripts.join(name))
            .env("SEALROOM_CACHE", cache())
            .env("BED_DIR", &self.directory)
            .env("NODES", self.nodes.to_string())
            .env("CNI", self.cni.name())
    }

    /// Boots it, building first what is not built yet.
    ///
    /// # Errors
    /// When a build fails or the cluster does not become ready.
    pub async fn up(&self) -> Result<()> {
        let program = std::env::current_exe().context("failed to find this program's own path")?;
        let script = self.script("up.sh").env("E2E_BIN", program).inherit();
        // Cold, the Go builds alone take most of an hour of two cores.
        script.deadline(Duration::from_secs(5400)).run().await?;
        Ok(())
    }

    /// Removes it.
    ///
    /// # Errors
    /// When a process, mount or cgroup is left.
    pub async fn down(&self) -> Result<()> {
        self.script("down.sh")
            .inherit()
            .deadline(Duration::from_secs(120))
            .run()
            .await?;
        Ok(())
    }

    /// One line that says whether it runs.
    ///
    /// # Errors
    /// When it does not.
    pub async fn status(&self) -> Result<String> {
        Ok(self
            .script("status.sh")
            .run()
            .await?
            .stdout
            .trim()
            .to_owned())
    }

    /// Builds families of Go programs; all when none is named.
    ///
    /// # Errors
    /// When one does not build.
    pub async fn build(&self, families: &[String]) -> Result<()> {
        self.script("packages.sh")
            .inherit()
            .deadline(Duration::from_secs(1200))
            .run()
            .await?;
        let script = self.script("build.sh").args(families).inherit();
        script.deadline(Duration::from_secs(5400)).run().await?;
        Ok(())
    }

    /// Runs a command in the network namespace of the host outside the cluster.
    ///
    /// # Errors
    /// When the bed does not run or the command fails.
    pub async fn outside(&self, command: &[&str]) -> Result<Output> {
        let namespace = self.directory.join("netns/outside");
        let mut option = std::ffi::OsString::from("--net=");
        option.push(&namespace);
        Ok(Program::new("nsenter")
            .arg(option)
            .args(command)
            .run()
            .await?)
    }

    /// Where everything is.
    ///
    /// # Errors
    /// When the bed is not up.
    pub fn environment(&self) -> Result<Environment> {
        if !self.directory.join("ready").exists() {
            bail!(
                "failed to find a running cluster in {}: start it with `make bed`",
                self.directory.display()
            );
        }
        let go = cache().join("go");
        Ok(Environment {
            kubeconfig: self.directory.join("kubeconfig"),
            audit_log: Some(self.directory.join("audit.log")),
            registry: Some(REGISTRY.to_owned()),
            registry_addresses: REGISTRY_ADDRESSES.to_vec(),
            registry_ca: Some(self.directory.join("pki/registry-ca.crt")),
            registry_auth: Some(self.directory.join("pki/registry-auth.json")),
            registry_port: line(&self.directory.join("registry-port")).and_then(|p| p.parse().ok()),
            model_ref: line(&self.directory.join("model-ref")),
            canary_url: Some(CANARY_URL.to_owned()),
            kubectl: go.join("kubernetes/kubectl"),
            helm: go.join("helm/helm"),
            bed_dir: Some(self.directory.clone()),
        })
    }
}

/// The one line of a file, when it is there.
fn line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|t| !t.is_empty())
}
