use serde_json::{Value, json};

use super::*;

const DIGEST: &str = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

fn layer(media_type: &str, title: Option<&str>) -> Value {
    let mut layer = json!({"mediaType": media_type, "digest": DIGEST, "size": 7});
    if let Some(title) = title {
        layer["annotations"] = json!({TITLE: title});
    }
    layer
}

fn manifest(layers: &[Value]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": DIGEST, "size": 2},
        "layers": layers,
        "annotations": {LICENSES: "Apache-2.0"},
    })
}

fn read(manifest: &Value) -> Result<Weights, ManifestError> {
    weights_of(manifest.to_string().as_bytes(), Kind::Model)
}

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER: &str = "application/vnd.docker.ai.gguf.v3";

#[rstest::rstest]
#[case::oras(&[layer(TAR, Some("SmolLM2.Q4_1.gguf"))])]
#[case::oras_custom_type(&[layer("application/x-gguf", Some("m.GGUF"))])]
#[case::oras_with_readme(&[layer("text/markdown", Some("README.md")), layer(TAR, Some("m.gguf"))])]
#[case::docker(&[layer(DOCKER, None)])]
#[case::docker_with_licence(&[layer(DOCKER, None), layer("application/vnd.docker.ai.license", None)])]
fn finds_the_model(#[case] layers: &[Value]) {
    let weights = read(&manifest(layers)).unwrap();
    assert_eq!(weights.digest.as_str(), DIGEST);
    assert_eq!(weights.size, 7);
    assert_eq!(weights.license.as_deref(), Some("Apache-2.0"));
}

#[rstest::rstest]
#[case::model_pack("application/vnd.cncf.model.weight.v1.raw", "ModelPack")]
#[case::kitops("application/vnd.kitops.modelkit.model.v1.tar", "ModelKit")]
#[case::ollama("application/vnd.ollama.image.model", "Ollama")]
#[case::image("application/vnd.oci.image.layer.v1.tar+gzip", "container image")]
#[case::projector("application/vnd.docker.ai.gguf.v3.mmproj", "projector")]
#[case::template("application/vnd.docker.ai.chat.template.jinja", "chat template")]
#[case::safetensors("application/vnd.docker.ai.safetensors", "no GGUF")]
fn names_what_it_cannot_pull(#[case] media_type: &str, #[case] named: &str) {
    let error = read(&manifest(&[layer(media_type, Some("m.gguf"))])).unwrap_err();
    assert!(
        matches!(&error, ManifestError::Unsupported(text) if text.contains(named)),
        "{error}"
    );
}

/// A file beside a model may be an artifact of its own in Docker's types too, which say what it is.
#[rstest::rstest]
#[case::adapter("application/vnd.docker.ai.gguf.v3.lora", Kind::Adapter)]
#[case::projector("application/vnd.docker.ai.gguf.v3.mmproj", Kind::Projector)]
#[case::projector_as_written("application/vnd.docker.ai.mmproj", Kind::Projector)]
fn finds_what_is_read_beside_a_model(#[case] media_type: &str, #[case] of: Kind) {
    for kind in [Kind::Model, Kind::Adapter, Kind::Projector] {
        let found = weights_of(
            manifest(&[layer(media_type, None)]).to_string().as_bytes(),
            kind,
        );
        assert_eq!(found.is_ok(), kind == of, "{found:?}");
        let raw = manifest(&[layer(TAR, Some("m.gguf"))]);
        assert!(weights_of(raw.to_string().as_bytes(), kind).is_ok());
    }
}

#[test]
fn one_model_in_one_file() {
    let two = manifest(&[layer(DOCKER, None), layer(DOCKER, None)]);
    assert!(matches!(read(&two), Err(ManifestError::Unsupported(_))));
    let none = manifest(&[layer(TAR, Some("README.md"))]);
    assert!(matches!(read(&none), Err(ManifestError::Unsupported(_))));
    let index = json!({"schemaVersion": 2, "manifests": []});
    assert!(matches!(read(&index), Err(ManifestError::Unsupported(_))));
}

#[rstest::rstest]
#[case("../m.gguf")]
#[case("/etc/m.gguf")]
#[case("a/b.gguf")]
#[case("a\\b.gguf")]
#[case("..")]
#[case("a\nb.gguf")]
fn refuses_titles_that_are_paths(#[case] title: &str) {
    for media_type in [TAR, DOCKER, "text/plain"] {
        let error = read(&manifest(&[layer(media_type, Some(title))])).unwrap_err();
        assert!(matches!(error, ManifestError::Invalid(_)), "{error}");
    }
}

#[rstest::rstest]
#[case::path(json!("sha256:../../etc/passwd"))]
#[case::algorithm(json!(format!("sha512:{}", "0".repeat(128))))]
#[case::number(json!(7))]
fn refuses_digests_that_are_none(#[case] digest: Value) {
    let mut model = layer(DOCKER, None);
    model["digest"] = digest;
    assert!(matches!(
        read(&manifest(&[model])),
        Err(ManifestError::Invalid(_))
    ));
}

#[rstest::rstest]
#[case(json!(0))]
#[case(json!(-1))]
#[case(json!("7"))]
fn refuses_sizes_that_are_none(#[case] size: Value) {
    let mut model = layer(DOCKER, None);
    model["size"] = size;
    assert!(matches!(
        read(&manifest(&[model])),
        Err(ManifestError::Invalid(_))
    ));
}
