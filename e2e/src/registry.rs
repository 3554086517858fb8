//! Pushing to the cluster's registry by the distribution API, so that every byte arrives as it was made.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Response, StatusCode, Url, header};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt;

use crate::cluster::Environment;

/// The media type of an OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Content by digest: `sha256:<64 hex>`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
}

/// The registry, through its door on this machine's loopback.
#[derive(Debug)]
pub struct Registry {
    client: Client,
    base: Url,
    name: String,
    authorization: String,
}

impl Registry {
    /// The registry of a running cluster.
    ///
    /// # Errors
    /// When the cluster has none, or its CA or password cannot be read.
    pub fn new(environment: &Environment) -> Result<Self> {
        let missing = "failed to find the cluster's registry: the built-in provider has one, PROVIDER=kubeconfig needs the variables of `make bed-env`";
        let name = environment.registry.clone().context(missing)?;
        let port = environment.registry_port.context(missing)?;
        let ca = std::fs::read(environment.registry_ca.as_ref().context(missing)?)
            .context("failed to read the registry's CA")?;
        let auth = std::fs::read_to_string(environment.registry_auth.as_ref().context(missing)?)
            .context("failed to read the registry's password")?;
        let auth: serde_json::Value =
            serde_json::from_str(&auth).context("failed to parse the registry's password")?;
        let secret = auth["auths"][&name]["auth"]
            .as_str()
            .context("failed to find the registry's password")?;
        let host = name.split(':').next().unwrap_or_default();
        let client = Client::builder()
            .tls_certs_only([
                reqwest::Certificate::from_pem(&ca).context("failed to parse the registry's CA")?
            ])
            .resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(300))
            .build()
            .context("failed to make an HTTP client")?;
        let base = Url::parse(&format!("https://{host}:{port}/v2/"))
            .context("failed to parse the registry's name")?;
        Ok(Self {
            client,
            base,
            authorization: format!("Basic {secret}"),
            name,
        })
    }

    fn url(&self, path: &str) -> Result<Url> {
        self.base
            .join(path)
            .with_context(|| format!("failed to make a URL of {path}"))
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        expected: &[StatusCode],
    ) -> Result<Response> {
        let response = request
            .header(header::AUTHORIZATION, &self.authorization)
            .send()
            .await?;
        if expected.contains(&response.status()) {
            return Ok(response);
        }
        let (status, url) = (response.status(), response.url().clone());
        let body = response.text().await.unwrap_or_default();
        bail!(
            "failed to push to {url}: {status} {}",
            body.chars().take(300).collect::<String>()
        )
    }

    /// Waits until it answers with the password.
    ///
    /// # Errors
    /// When it does not within 20 s.
    pub async fn wait(&self) -> Result<()> {
        let mut last = Ok(());
        for _ in 0..80 {
            last = self
                .send(self.client.get(self.base.clone()), &[StatusCode::OK])
                .await
                .map(drop);
            if last.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        last.context("failed to reach the registry")
    }

    /// Whether it has this manifest.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn has_manifest(&self, repository: &str, digest: &str) -> Result<bool> {
        let url = self.url(&format!("{repository}/manifests/{digest}"))?;
        let request = self.client.head(url).header(header::ACCEPT, MANIFEST);
        let response = self
            .send(request, &[StatusCode::OK, StatusCode::NOT_FOUND])
            .await?;
        Ok(response.status() == StatusCode::OK)
    }

    /// Pushes a blob from memory.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub async fn push_blob(
        &self,
        repository: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Descriptor> {
        let digest = digest(bytes);
        self.upload(
            repository,
            &digest,
            bytes.len() as u64,
            reqwest::Body::from(bytes.to_vec()),
        )
        .await?;
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size: bytes.len() as u64,
        })
    }

    /// Pushes a blob from a file as a stream; `digest` is checked by the registry.
    ///
    /// # Errors
    /// When the file cannot be read or the registry refuses it.
    pub async fn push_file(
        &self,
        repository: &str,
        media_type: &str,
        digest: &str,
        file: &Path,
    ) -> Result<Descriptor> {
        let open = tokio::fs::File::open(file).await;
        let open = open.with_context(|| format!("failed to open {}", file.display()))?;
        let size = open.metadata().await?.len();
        let body =
            reqwest::Body::wrap_stream(futures::stream::try_unfold(open, |mut file| async move {
                let mut chunk = vec![0; 256 << 10];
                let n = file.read(&mut chunk).await?;
                chunk.truncate(n);
                Ok::<_, std::io::Error>((n > 0).then_some((chunk, file)))
            }));
        self.upload(repository, digest, size, body).await?;
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest: digest.to_owned(),
            size,
        })
    }

    async fn upload(
        &self,
        repository: &str,
        digest: &str,
        size: u64,
        body: reqwest::Body,
    ) -> Result<()> {
        let there = self
            .client
            .head(self.url(&format!("{repository}/blobs/{digest}"))?);
        if self
            .send(there, &[StatusCode::OK, StatusCode::NOT_FOUND])
            .await?
            .status()
            == StatusCode::OK
        {
            return Ok(());
        }
        let begin = self
            .client
            .post(self.url(&format!("{repository}/blobs/uploads/"))?);
        let begun = self.send(begin, &[StatusCode::ACCEPTED]).await?;
        let location = begun
            .headers()
            .get(header::LOCATION)
            .context("failed to push: the registry names no upload")?;
        let mut target = begun.url().join(location.to_str()?)?;
        target.query_pairs_mut().append_pair("digest", digest);
        let put = self
            .client
            .put(target)
            .header(header::CONTENT_TYPE, "application/octet-stream");
        self.send(
            put.header(header::CONTENT_LENGTH, size).body(body),
            &[StatusCode::CREATED],
        )
        .await?;
        Ok(())
    }

    /// Pushes a manifest and gives its reference by digest.
    ///
    /// # Errors
    /// When the registry refuses it or computes another digest.
    pub async fn push_manifest(
        &self,
        repository: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<String> {
        let digest = digest(&bytes);
        let put = self
            .client
            .put(self.url(&format!("{repository}/manifests/{digest}"))?);
        let put = put.header(header::CONTENT_TYPE, media_type).body(bytes);
        let response = self.send(put, &[StatusCode::CREATED]).await?;
        let told = response
            .headers()
            .get("docker-content-digest")
            .and_then(|d| d.to_str().ok());
        ensure!(
            told.is_none_or(|t| t == digest),
            "failed to push {repository}: the registry computed {told:?}"
        );
        Ok(format!("{}/{repository}@{digest}", self.name))
    }

    /// Pushes an OCI image layout with one manifest, and gives its reference by digest.
    ///
    /// # Errors
    /// When the directory is not such a layout or the registry refuses something.
    pub async fn push_layout(&self, repository: &str, layout: &Path) -> Result<String> {
        #[derive(Deserialize)]
        struct Index {
            manifests: Vec<Descriptor>,
        }
        #[derive(Deserialize)]
        struct Manifest {
            config: Descriptor,
            layers: Vec<Descriptor>,
        }
        let blob =
            |d: &Descriptor| -> PathBuf { layout.join("blobs").join(d.digest.replace(':', "/")) };
        let index = std::fs::read(layout.join("index.json"))
            .with_context(|| format!("failed to read the layout {}", layout.display()))?;
        let index: Index =
            serde_json::from_slice(&index).context("failed to parse the layout's index")?;
        let [manifest] = &index.manifests[..] else {
            bail!("failed to push {}: not one manifest", layout.display())
        };
        if self.has_manifest(repository, &manifest.digest).await? {
            return Ok(format!("{}/{repository}@{}", self.name, manifest.digest));
        }
        let bytes =
            std::fs::read(blob(manifest)).context("failed to read the layout's manifest")?;
        let content: Manifest =
            serde_json::from_slice(&bytes).context("failed to parse the layout's manifest")?;
        for d in std::iter::once(&content.config).chain(&content.layers) {
            self.push_file(repository, &d.media_type, &d.digest, &blob(d))
                .await?;
        }
        self.push_manifest(repository, &manifest.media_type, bytes)
            .await
    }
}

/// The digest of these bytes, `sha256:<64 hex>`.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A finished SHA-256 as a digest.
pub(crate) fn hex(hash: &[u8]) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::from("sha256:"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_specification() {
        // The empty JSON object of the OCI image specification.
        assert_eq!(
            digest(b"{}"),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
}
