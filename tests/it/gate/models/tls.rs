//! A model that serves TLS with a certificate of a private CA.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use sealroom::seal::wire::{Lack, Need};

use super::played::Model;
use super::pod::Pod;

#[tokio::test]
async fn a_model_with_tls_is_checked() {
    let ca = Ca::new();
    let model = Model::start(Some(ca.serve("assistant.team-a.svc"))).await;
    let imposter = Model::start(Some(Ca::new().serve("assistant.team-a.svc"))).await;
    let renamed = Model::start(Some(ca.serve("other.team-a.svc"))).await;
    for (model, status) in [(&model, 200), (&imposter, 502), (&renamed, 502)] {
        let dir = tempfile::tempdir().unwrap();
        let file = ca.lay(dir.path());
        let more = format!(",host=assistant.team-a.svc,ca={}", file.display());
        let mut pod = Pod::start(model.at, "https", &more).await;
        pod.key("secret").await;
        pod.gate.prove().await;
        let answer = pod.ask().await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(model.requests().len(), usize::from(status == 200));
    }
}

/// Without the CA nothing is asked, and the operator is told so until it comes.
#[tokio::test]
async fn a_ca_that_is_missing_is_told_and_found_when_it_comes() {
    let ca = Ca::new();
    let model = Model::start(Some(ca.serve("assistant.team-a.svc"))).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("value");
    let more = format!(",host=assistant.team-a.svc,ca={}", file.display());
    let mut pod = Pod::start(model.at, "https", &more).await;
    let lack = [Need::Key, Need::Ca].map(|what| Lack {
        port: pod.offered.port(),
        what,
    });
    assert_eq!(pod.gate.sealz().await.models_lack, lack);
    pod.key("secret").await;
    pod.gate.prove().await;
    assert_eq!(pod.gate.round().await.models_lack, lack[1..]);
    let answer = pod.ask().await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("ConfigMapMissing"), "{}", answer.body);
    assert!(model.requests().is_empty());

    ca.lay(dir.path());
    pod.key("secret").await;
    assert!(pod.gate.round().await.models_lack.is_empty());
    assert_eq!(pod.ask().await.status, 200);
}

struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    fn lay(&self, dir: &Path) -> PathBuf {
        let file = dir.join("value");
        std::fs::write(&file, &self.pem).unwrap();
        file
    }

    fn serve(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap()
    }
}
