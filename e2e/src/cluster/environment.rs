//! Where everything of a cluster is, as `make bed-env` prints it.

use std::{ffi::OsStr, fmt, net::IpAddr, path::PathBuf};

use crate::run::Program;

/// Paths and addresses of a running cluster. What a provider lacks is absent.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Kubeconfig of an administrator.
    pub kubeconfig: PathBuf,
    /// The bed's directory.
    pub bed_dir: Option<PathBuf>,
    /// The API server's audit log: `audit.k8s.io/v1`, JSON lines, level Metadata.
    pub audit_log: Option<PathBuf>,
    /// Host and port of the registry, as pods and nodes name it.
    pub registry: Option<String>,
    /// The registry's addresses, as pods reach it.
    pub registry_addresses: Vec<IpAddr>,
    /// The CA that signed the registry's certificate, PEM.
    pub registry_ca: Option<PathBuf>,
    /// The registry's password as a Docker `config.json`.
    pub registry_auth: Option<PathBuf>,
    /// The registry's port on this machine's loopback.
    pub registry_port: Option<u16>,
    /// The pushed model, by digest.
    pub model_ref: Option<String>,
    /// The image of Ollama that the platform declares, by digest.
    pub ollama_image: Option<String>,
    /// The listener outside the cluster.
    pub canary_url: Option<String>,
    /// kubectl of the cluster's version.
    pub kubectl: PathBuf,
    /// helm.
    pub helm: PathBuf,
}

impl Environment {
    /// From values under the names that `make bed-env` prints; kubectl and helm from PATH where none is named.
    pub fn of(value: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| value(name).map(PathBuf::from);
        Self {
            kubeconfig: path("KUBECONFIG").unwrap_or_default(),
            bed_dir: None,
            audit_log: path("AUDIT_LOG"),
            registry: value("REGISTRY"),
            registry_addresses: value("REGISTRY_ADDRESSES")
                .iter()
                .flat_map(|list| list.split(','))
                .filter_map(|address| address.parse().ok())
                .collect(),
            registry_port: value("REGISTRY_PORT").and_then(|port| port.parse().ok()),
            registry_ca: path("REGISTRY_CA"),
            registry_auth: path("REGISTRY_AUTH"),
            model_ref: value("MODEL_REF"),
            ollama_image: value("OLLAMA_IMAGE"),
            canary_url: value("CANARY_URL"),
            kubectl: path("KUBECTL").unwrap_or_else(|| "kubectl".into()),
            helm: path("HELM").unwrap_or_else(|| "helm".into()),
        }
    }

    /// kubectl with this cluster's kubeconfig.
    pub fn kubectl<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Program {
        Program::new(&self.kubectl)
            .env("KUBECONFIG", &self.kubeconfig)
            .args(arguments)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.display().to_string());
        let addresses: Vec<_> = self
            .registry_addresses
            .iter()
            .map(IpAddr::to_string)
            .collect();
        let lines = [
            ("KUBECONFIG", Some(self.kubeconfig.display().to_string())),
            ("BED_DIR", path(&self.bed_dir)),
            ("AUDIT_LOG", path(&self.audit_log)),
            ("REGISTRY", self.registry.clone()),
            ("REGISTRY_ADDRESSES", Some(addresses.join(","))),
            ("REGISTRY_PORT", self.registry_port.map(|p| p.to_string())),
            ("REGISTRY_CA", path(&self.registry_ca)),
            ("REGISTRY_AUTH", path(&self.registry_auth)),
            ("MODEL_REF", self.model_ref.clone()),
            ("OLLAMA_IMAGE", self.ollama_image.clone()),
            ("CANARY_URL", self.canary_url.clone()),
            ("KUBECTL", Some(self.kubectl.display().to_string())),
            ("HELM", Some(self.helm.display().to_string())),
        ];
        for (key, value) in lines {
            writeln!(f, "{key}={}", value.unwrap_or_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PROVIDER=kubeconfig` reads what `make bed-env` printed, and the examples are filled in from it.
    #[test]
    fn what_is_read_is_printed_under_the_same_name() {
        let lines = [
            "KUBECONFIG=/k",
            "REGISTRY_ADDRESSES=172.31.8.10,fd31:8::10",
            "MODEL_REF=registry.internal:5000/models/smollm2@sha256:00",
            "OLLAMA_IMAGE=registry.internal:5000/ollama@sha256:11",
        ];
        let value = |name: &str| {
            let mut lines = lines.iter().filter_map(|line| line.split_once('='));
            let found = lines.find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_owned())
        };
        let printed = Environment::of(value).to_string();
        for line in lines {
            assert!(printed.lines().any(|there| there == line), "{printed}");
        }
    }
}
