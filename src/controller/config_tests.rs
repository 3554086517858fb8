use super::*;

pub(crate) const TEXT: &str = "
image: registry.internal:5000/sealroom@sha256:1111111111111111111111111111111111111111111111111111111111111111
engines:
  llamaCpp: { image: 'registry.internal:5000/llama@sha256:2222222222222222222222222222222222222222222222222222222222222222' }
  ollama: { image: 'registry.internal:5000/ollama@sha256:4444444444444444444444444444444444444444444444444444444444444444' }
registries:
  - host: registry.internal:5000
    addresses: ['192.0.2.10']
    peers: [{ ipBlock: { cidr: 192.0.2.10/32 } }]
    ports: [{ port: 5000, protocol: TCP }]
    ca: CERTIFICATE
    rewrite: null
seal: { roundSeconds: 30 }
unsealedNamespaces: [lab]
metricsFrom: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: monitoring } } }]
imagePullSecrets: [mirror]
";

#[test]
fn parses_with_defaults() {
    let config = Config::parse(TEXT).unwrap();
    assert_eq!(config.seal.validity_rounds, 3);
    assert!(config.registry("registry.internal:5000").is_some());
    assert!(config.registry("elsewhere").is_none());
    assert!(config.engine_image(Engine::Ollama).is_some());
}

#[test]
fn a_platform_may_have_one_engine() {
    let (first, rest) = TEXT.split_once("  ollama:").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    let config = Config::parse(&format!("{first}{rest}")).unwrap();
    assert!(config.engine_image(Engine::LlamaCpp).is_some());
    assert_eq!(config.engine_image(Engine::Ollama), None);
}

#[rstest::rstest]
#[case::unknown_field("unsealedNamespaces", "unsealedNamespace", "unsealedNamespace")]
#[case::unknown_engine("  ollama:", "  olama:", "engines.olama")]
#[case::engine_by_tag(
    "llama@sha256:2222222222222222222222222222222222222222222222222222222222222222",
    "llama:latest",
    "engines.llamaCpp.image"
)]
#[case::second_engine_by_tag(
    "ollama@sha256:4444444444444444444444444444444444444444444444444444444444444444",
    "ollama:latest",
    "engines.ollama.image"
)]
#[case::no_peers(
    "[{ ipBlock: { cidr: 192.0.2.10/32 } }]",
    "[]",
    "at least one of peers"
)]
#[case::never("roundSeconds: 30", "roundSeconds: 0", "seal.roundSeconds")]
#[case::address("192.0.2.10'", "registry'", "failed to parse")]
fn refuses(#[case] from: &str, #[case] to: &str, #[case] says: &str) {
    assert!(TEXT.contains(from));
    let error = Config::parse(&TEXT.replace(from, to))
        .unwrap_err()
        .to_string();
    assert!(error.contains(says), "{error}");
}
