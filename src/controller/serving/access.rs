//! `spec.access`: what the gate is told, what it mounts, and what the status says about it; pure.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount,
};

use super::gate::{Flags, literally};
use crate::api::model_deployment::{Access, SealMode};
use crate::api::{Reason, SecretRef};
use crate::controller::pod;
use crate::controller::seal_view::SealView;
use crate::seal::wire::TokenKeys;

const API_KEYS: &str = "/etc/sealroom/api-keys";
const TLS: &str = "/etc/sealroom/tls";
const TOKEN_KEYS: &str = "/etc/sealroom/token-keys";
/// The file of the provider's keys in its volume.
const JWKS: &str = "jwks.json";

/// What the gate mounts.
#[must_use]
pub fn mounts(access: &Access) -> Vec<VolumeMount> {
    let all = [
        (access.api_keys.is_some(), "api-keys", API_KEYS),
        (access.tls.is_some(), "tls", TLS),
        (access.jwt.is_some(), "token-keys", TOKEN_KEYS),
    ];
    all.into_iter()
        .filter(|(there, ..)| *there)
        .map(|(_, name, path)| pod::mount(name, path, true))
        .collect()
}

/// The volumes of these mounts.
#[must_use]
pub fn volumes(access: &Access) -> Vec<Volume> {
    let mut volumes = Vec::new();
    if let Some(keys) = &access.api_keys {
        volumes.push(secret("api-keys", &keys.secret_ref));
    }
    if let Some(tls) = &access.tls {
        volumes.push(secret("tls", &tls.secret_ref));
    }
    if let Some(jwt) = &access.jwt {
        volumes.push(Volume {
            name: "token-keys".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: jwt.jwks.config_map_ref.name.clone(),
                items: Some(vec![KeyToPath {
                    key: jwt.jwks.key.clone(),
                    path: JWKS.to_owned(),
                    mode: None,
                }]),
                optional: Some(true),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    volumes
}

/// One that may come later: the gate says what is missing.
fn secret(name: &str, reference: &SecretRef) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(reference.name.clone()),
            optional: Some(true),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// The gate's flags.
pub fn flags(flags: &mut Flags, access: &Access) {
    if access.api_keys.is_some() {
        flags.set("api-keys-dir", API_KEYS);
    }
    if access.tls.is_some() {
        flags.set("tls-dir", TLS);
    }
    if let Some(jwt) = &access.jwt {
        flags.set("jwks", format!("{TOKEN_KEYS}/{JWKS}"));
        flags.set("jwt-issuer", literally(&jwt.issuer));
        for audience in &jwt.audiences {
            flags.set("jwt-audience", literally(audience));
        }
        flags.set("jwt-user-claim", literally(&jwt.user_claim));
    }
}

/// What is served over, and the name of the port.
#[must_use]
pub fn scheme(access: &Access) -> &'static str {
    match access.tls {
        Some(_) => "https",
        None => "http",
    }
}

/// A peer that means everybody or nothing.
#[must_use]
pub fn empty_peer(peers: &[k8s_openapi::api::networking::v1::NetworkPolicyPeer]) -> Option<usize> {
    peers.iter().position(|peer| {
        peer.ip_block.is_none() && peer.namespace_selector.is_none() && peer.pod_selector.is_none()
    })
}

/// Who may come in, in one line, with what the gates say about the keys of tokens.
#[must_use]
pub fn callers(access: &Access, mode: SealMode, token_keys: TokenKeys) -> String {
    let unproven = match mode {
        SealMode::Enforced => "",
        SealMode::Unsealed => " (not proven: seal.mode is Unsealed)",
    };
    if access.from.is_empty() {
        return format!("nobody: access.from is empty{unproven}");
    }
    let asked = match (&access.api_keys, &access.jwt) {
        (None, None) => " only".to_owned(),
        (Some(_), None) => " and API key".to_owned(),
        (None, Some(jwt)) => format!(" and token of {}", jwt.issuer),
        (Some(_), Some(jwt)) => format!(" and API key or token of {}", jwt.issuer),
    };
    let keys = match token_keys {
        TokenKeys::Good => "",
        TokenKeys::Outdated => " (the newest key set cannot be read: the one before holds)",
        TokenKeys::Missing => " (no token is accepted: the key set is missing)",
    };
    format!("by NetworkPolicy{asked}{keys}{unproven}")
}

/// What a gate misses without which it lets nobody in.
///
/// The gates look again by themselves, and the kubelet fills a volume in up to 90 s after its source was made.
fn keys_missing(access: &Access) -> (Reason, String) {
    let key_set = access.jwt.as_ref().map(|jwt| {
        let name = &jwt.jwks.config_map_ref.name;
        format!(
            "nobody is let in, because no pod has found the provider's keys in entry {} of ConfigMap {name} of access.jwt: make it in this namespace; the pods find it within two minutes",
            jwt.jwks.key
        )
    });
    if let (Some(text), None) = (key_set, &access.api_keys) {
        return (Reason::KeySetMissing, text);
    }
    let keys = access.api_keys.as_ref();
    let name = keys.map_or("", |keys| keys.secret_ref.name.as_str());
    let text = format!(
        "nobody is let in, because no pod has found a key in Secret {name} of access.apiKeys: make it in this namespace, with one key in each entry; the pods find it within two minutes"
    );
    (Reason::SecretMissing, text)
}

/// What gates miss of it, the first thing that keeps everybody out.
#[must_use]
pub fn missing(access: &Access, seal: &SealView) -> Option<(Reason, String)> {
    if seal.certificate_missing {
        return Some(certificate_missing(access));
    }
    seal.keys_missing.then(|| keys_missing(access))
}

/// The same for the certificate.
fn certificate_missing(access: &Access) -> (Reason, String) {
    let tls = access.tls.as_ref();
    let name = tls.map_or("", |tls| tls.secret_ref.name.as_str());
    let text = format!(
        "nobody is let in, because no pod has found a certificate with its key in Secret {name} of access.tls: make it in this namespace, of type kubernetes.io/tls; the pods find it within two minutes"
    );
    (Reason::SecretMissing, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "{issuer: 'https://sso', audiences: [a], jwks: {configMapRef: {name: k}}}";

    #[rstest::rstest]
    #[case::nobody(
        "{apiKeys: {secretRef: {name: k}}}",
        TokenKeys::Good,
        "nobody: access.from is empty"
    )]
    #[case::network(
        "{from: [{podSelector: {}}]}",
        TokenKeys::Good,
        "by NetworkPolicy only"
    )]
    #[case::key(
        "{from: [{podSelector: {}}], apiKeys: {secretRef: {name: k}}}",
        TokenKeys::Good,
        "by NetworkPolicy and API key"
    )]
    #[case::token(
        "{from: [{podSelector: {}}], jwt: JWT}",
        TokenKeys::Good,
        "by NetworkPolicy and token of https://sso"
    )]
    #[case::either(
        "{from: [{podSelector: {}}], apiKeys: {secretRef: {name: k}}, jwt: JWT}",
        TokenKeys::Missing,
        "by NetworkPolicy and API key or token of https://sso (no token is accepted: the key set is missing)"
    )]
    #[case::outdated(
        "{from: [{podSelector: {}}], jwt: JWT}",
        TokenKeys::Outdated,
        "by NetworkPolicy and token of https://sso (the newest key set cannot be read: the one before holds)"
    )]
    fn in_words(#[case] access: &str, #[case] keys: TokenKeys, #[case] text: &str) {
        let access: Access = serde_saphyr::from_str(&access.replace("JWT", JWT)).unwrap();
        assert_eq!(callers(&access, SealMode::Enforced, keys), text);
        assert_eq!(
            callers(&access, SealMode::Unsealed, keys),
            format!("{text} (not proven: seal.mode is Unsealed)")
        );
    }
}
