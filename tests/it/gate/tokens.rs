//! Tokens of an OpenID provider.

use std::path::Path;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::bed::post;
use super::seal::serving;

const BODY: &str = r#"{"model":"assistant","prompt":"x"}"#;

/// A provider's key and its public half.
pub fn key(id: &str) -> (EncodingKey, Value) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let key = EncodingKey::from_ec_der(&pair.serialize_der());
    let mut jwk =
        serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
    jwk["kid"] = json!(id);
    (key, jwk)
}

/// An `Authorization` field with a token of ada's that holds for five minutes.
fn field(key: &EncodingKey, id: &str, audience: &str) -> String {
    field_of(key, id, audience, "ada")
}

/// The same of this person's.
pub fn field_of(key: &EncodingKey, id: &str, audience: &str, person: &str) -> String {
    field_for(key, id, audience, person, 300)
}

/// The same of one that holds for so many seconds.
pub fn field_for(
    key: &EncodingKey,
    id: &str,
    audience: &str,
    person: &str,
    seconds: i64,
) -> String {
    let now = jiff::Timestamp::now().as_second();
    let header = Header {
        kid: Some(id.to_owned()),
        ..Header::new(Algorithm::ES256)
    };
    let claims =
        json!({ "iss": "https://sso", "aud": audience, "exp": now + seconds, "sub": person });
    format!(
        "authorization: Bearer {}\r\n",
        encode(&header, &claims, key).unwrap()
    )
}

pub fn write(dir: &Path, keys: &[&Value]) {
    std::fs::write(dir.join("jwks.json"), json!({ "keys": keys }).to_string()).unwrap();
}

/// The gate's flags for tokens of these keys and this audience.
pub fn flags<'a>(keys: &'a Path, audience: &'a str) -> [&'a str; 6] {
    let keys = keys.to_str().unwrap();
    let issuer = "https://sso";
    [
        "--jwks",
        keys,
        "--jwt-issuer",
        issuer,
        "--jwt-audience",
        audience,
    ]
}

#[tokio::test]
async fn a_provider_names_the_person_and_changes_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jwks.json");
    let flags = flags(&file, "assistant");
    let (mut gate, engine, _launch) = serving(&flags).await;
    let (old, old_public) = key("old");
    let (new, new_public) = key("new");
    let (status, why) = gate.admin_status("/readyz").await;
    assert_eq!(
        (
            status,
            why.starts_with("KeySetMissing") && why.contains(file.to_str().unwrap())
        ),
        (503, true),
        "{why}"
    );
    assert!(gate.sealz().await.keys_missing, "the operator is told");
    let by_old = field(&old, "old", "assistant");
    let answer = post(gate.api, "/v1/completions", BODY, &by_old).await;
    assert_eq!(
        (answer.status, answer.body.contains("KeySetMissing")),
        (401, true)
    );
    assert!(engine.requests().is_empty());

    // The provider announces the new key while the old one signs.
    write(dir.path(), &[&old_public, &new_public]);
    gate.until("/readyz", 200).await;
    for fields in [&by_old, &field(&new, "new", "assistant")] {
        assert_eq!(
            post(gate.api, "/v1/completions", BODY, fields).await.status,
            200
        );
    }
    let other = post(
        gate.api,
        "/v1/completions",
        BODY,
        &field(&old, "old", "other"),
    )
    .await;
    assert_eq!(
        (other.status, other.body.contains("invalid_token")),
        (401, true),
        "{other:?}"
    );
    assert!(other.head.contains(
        r#"error="invalid_token", error_description="the token is for another audience""#
    ));
    let none = post(gate.api, "/v1/completions", BODY, "").await;
    assert!(
        none.head
            .contains("www-authenticate: bearer realm=\"sealroom\"\r\n"),
        "{none:?}"
    );
    let expected = [
        (401, None),
        (200, Some("ada")),
        (200, Some("ada")),
        (401, None),
        (401, None),
    ];
    for (status, person) in expected {
        let line = gate.audit_line().await;
        assert_eq!(
            (&line["status"], line["person"].as_str()),
            (&json!(status), person),
            "{line}"
        );
        assert!(line["key"].is_null());
        assert!(!line.to_string().contains("eyJ"), "no token: {line}");
    }

    // The old one is gone: its tokens are.
    write(dir.path(), &[&new_public]);
    while post(gate.api, "/v1/completions", BODY, &by_old)
        .await
        .status
        == 200
    {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let by_new = field(&new, "new", "assistant");
    assert_eq!(
        post(gate.api, "/v1/completions", BODY, &by_new)
            .await
            .status,
        200
    );
    std::fs::remove_file(&file).unwrap();
    gate.until("/readyz", 503).await;
    assert_eq!(
        post(gate.api, "/v1/completions", BODY, &by_new)
            .await
            .status,
        401
    );
}
