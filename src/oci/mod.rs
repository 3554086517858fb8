//! Registries and the manifests they serve.
