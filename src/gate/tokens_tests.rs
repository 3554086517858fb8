use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rstest::rstest;
use serde_json::{Value, json};

use super::super::mounted::tests::lay;
use super::jwt::MAX_TOKEN;
use super::provider::{NOW, PROVIDER, Provider, claims, expected};
use super::*;

fn run_with(token: &str, jwks: &Value, expected: &Expected) -> Result<String, TokenError> {
    let keys = KeySet::parse(jwks.to_string().as_bytes()).unwrap();
    let now = Timestamp::from_second(NOW).unwrap();
    verify(token.as_bytes(), &keys, expected, now).map(|(person, _)| person.as_str().to_owned())
}

fn run(token: &str) -> Result<String, TokenError> {
    run_with(token, &PROVIDER.jwks(), &expected())
}

#[rstest]
#[case::as_it_is(json!({}), Ok("ada"))]
#[case::one_of_the_audiences(json!({ "aud": ["x", "other"] }), Ok("ada"))]
#[case::the_clock_is_a_little_ahead(json!({ "iat": NOW + 30, "nbf": NOW + 30 }), Ok("ada"))]
#[case::fractions(json!({ "exp": 1_800_000_000.5 }), Ok("ada"))]
#[case::no_iat(json!({ "iat": null }), Ok("ada"))]
#[case::other_issuer(json!({ "iss": "https://sso/" }), Err(TokenError::Issuer))]
#[case::no_issuer(json!({ "iss": null }), Err(TokenError::Issuer))]
#[case::several_issuers(json!({ "iss": ["https://sso"] }), Err(TokenError::Issuer))]
#[case::other_audience(json!({ "aud": "assistant2" }), Err(TokenError::Audience))]
#[case::other_audiences(json!({ "aud": ["a", 7] }), Err(TokenError::Audience))]
#[case::no_audience(json!({ "aud": null }), Err(TokenError::Audience))]
#[case::empty_audience(json!({ "aud": [] }), Err(TokenError::Audience))]
#[case::expired_on_the_second(json!({ "exp": NOW }), Err(TokenError::Expired))]
#[case::no_exp(json!({ "exp": null }), Err(TokenError::Times))]
#[case::exp_is_text(json!({ "exp": "9999999999" }), Err(TokenError::Times))]
#[case::not_before(json!({ "nbf": NOW + 31 }), Err(TokenError::NotYet))]
#[case::nbf_is_text(json!({ "nbf": "0" }), Err(TokenError::Times))]
#[case::issued_later(json!({ "iat": NOW + 31 }), Err(TokenError::NotYet))]
#[case::no_user(json!({ "sub": null }), Err(TokenError::Person))]
#[case::empty_user(json!({ "sub": "" }), Err(TokenError::Person))]
#[case::user_is_a_number(json!({ "sub": 7 }), Err(TokenError::Person))]
#[case::long_user(json!({ "sub": "a".repeat(257) }), Err(TokenError::Person))]
#[case::user_with_a_line(json!({ "sub": "a\nb" }), Err(TokenError::Person))]
#[case::user_that_turns_round(json!({ "sub": "a\u{202e}b" }), Err(TokenError::Person))]
fn claims_decide(#[case] changes: Value, #[case] person: Result<&str, TokenError>) {
    let token = PROVIDER.token(&changes);
    assert_eq!(run(&token), person.map(str::to_owned));
}

#[rstest]
#[case::rs256("RS256", Algorithm::RS256, Ok(()))]
#[case::rs512("RS512", Algorithm::RS512, Ok(()))]
#[case::ps512("PS512", Algorithm::PS512, Ok(()))]
#[case::es256("ES256", Algorithm::ES256, Ok(()))]
#[case::es384("ES384", Algorithm::ES384, Ok(()))]
#[case::eddsa("EdDSA", Algorithm::EdDSA, Ok(()))]
#[case::says_another_of_its_kind("PS256", Algorithm::RS256, Err(TokenError::Signature))]
#[case::says_another_kind("ES256", Algorithm::RS256, Err(TokenError::Signature))]
#[case::none("none", Algorithm::RS256, Err(TokenError::Algorithm))]
#[case::none_in_capitals("NONE", Algorithm::RS256, Err(TokenError::Algorithm))]
#[case::shared_secret("HS256", Algorithm::RS256, Err(TokenError::Algorithm))]
#[case::small_letters("rs256", Algorithm::RS256, Err(TokenError::Algorithm))]
fn algorithms(
    #[case] says: &str,
    #[case] algorithm: Algorithm,
    #[case] expected: Result<(), TokenError>,
) {
    let token = PROVIDER.sign(
        &format!(r#"{{"alg":"{says}"}}"#),
        &claims(&json!({})),
        algorithm,
    );
    assert_eq!(run(&token).map(|_| ()), expected);
}

#[rstest]
#[case::plain(r#"{"alg":"RS256","kid":"RS256","typ":"JWT"}"#, Ok(()))]
#[case::access_token(r#"{"alg":"RS256","kid":"RS256","typ":"application/at+jwt","x5t":"x"}"#, Ok(()))]
#[case::without_an_id(r#"{"alg":"RS256"}"#, Ok(()))]
#[case::unknown_id(r#"{"alg":"RS256","kid":"other"}"#, Err(TokenError::Key))]
#[case::id_of_another_kind(r#"{"alg":"RS256","kid":"ES256"}"#, Err(TokenError::Key))]
#[case::logout(r#"{"alg":"RS256","typ":"logout+jwt"}"#, Err(TokenError::Type))]
#[case::critical(r#"{"alg":"RS256","crit":["exp"],"exp":1}"#, Err(TokenError::Critical))]
#[case::critical_null(r#"{"alg":"RS256","crit":null}"#, Err(TokenError::Critical))]
#[case::twice(r#"{"alg":"RS256","alg":"none"}"#, Err(TokenError::Form))]
#[case::no_algorithm(r#"{"kid":"RS256"}"#, Err(TokenError::Form))]
#[case::own_key(
    r#"{"alg":"RS256","kid":"mine","jwk":{"kty":"oct","k":"AA"},"jku":"https://me"}"#,
    Err(TokenError::Key)
)]
fn headers(#[case] header: &str, #[case] expected: Result<(), TokenError>) {
    let token = PROVIDER.sign(header, &claims(&json!({})), Algorithm::RS256);
    assert_eq!(run(&token).map(|_| ()), expected);
}

/// HMAC with the RSA public key as its secret: the header alone must not choose how it is verified.
#[test]
fn a_public_key_is_no_shared_secret() {
    let jwks = PROVIDER.jwks();
    let modulus = jwks["keys"][0]["n"].as_str().unwrap();
    for secret in [
        URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        modulus.as_bytes().to_vec(),
    ] {
        let header = jsonwebtoken::Header {
            kid: Some("RS256".to_owned()),
            ..jsonwebtoken::Header::new(Algorithm::HS256)
        };
        let claims: Value = serde_json::from_str(&claims(&json!({}))).unwrap();
        let key = EncodingKey::from_secret(&secret);
        let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        assert_eq!(run(&token), Err(TokenError::Algorithm));
    }
}

#[test]
fn what_was_changed_after_signing_is_refused() {
    let token = PROVIDER.token(&json!({}));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let other = URL_SAFE_NO_PAD.encode(claims(&json!({ "sub": "eve" })));
    assert_eq!(
        run(&format!("{header}.{other}.{signature}")),
        Err(TokenError::Signature)
    );
    assert_eq!(run(&format!("{signed}.")), Err(TokenError::Signature));
    let other = Provider::new().token(&json!({}));
    assert_eq!(
        run(&other),
        Err(TokenError::Signature),
        "a key of somebody else"
    );
    for form in [
        "",
        "a",
        "a.b",
        "a.b.c.d",
        "..",
        &format!("{token}."),
        &format!("{token}.a.b"),
        &format!("{token}=="),
        &"a.".repeat(9000),
    ] {
        assert!(
            matches!(run(form), Err(TokenError::Form | TokenError::Signature)),
            "{form}"
        );
        assert!(form.contains("==") || !is_jwt(form.as_bytes()), "{form}");
    }
    let long = PROVIDER.token(&json!({ "groups": "g".repeat(MAX_TOKEN) }));
    assert_eq!(run(&long), Err(TokenError::Form));
}

#[test]
fn a_key_for_encryption_verifies_nothing() {
    let mut jwks = PROVIDER.jwks();
    jwks["keys"][0]["use"] = json!("enc");
    let token = PROVIDER.token(&json!({}));
    assert_eq!(run_with(&token, &jwks, &expected()), Err(TokenError::Key));
}

#[rstest]
#[case::verified(json!({ "email": "a@b", "email_verified": true }), Ok("a@b"))]
#[case::not_said(json!({ "email": "a@b" }), Ok("a@b"))]
#[case::unverified(json!({ "email": "a@b", "email_verified": false }), Err(TokenError::Person))]
#[case::text(json!({ "email": "a@b", "email_verified": "true" }), Err(TokenError::Person))]
fn an_address_must_be_verified(#[case] changes: Value, #[case] person: Result<&str, TokenError>) {
    let expected = Expected {
        user_claim: "email".to_owned(),
        ..expected()
    };
    let token = PROVIDER.token(&changes);
    assert_eq!(
        run_with(&token, &PROVIDER.jwks(), &expected),
        person.map(str::to_owned)
    );
}

#[test]
fn a_file_that_is_no_key_set_leaves_the_keys_and_one_that_is_gone_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Tokens::new(Config {
        file: dir.path().join("jwks.json"),
        expected: expected(),
    });
    let token = PROVIDER.token(&json!({}));
    let now = Timestamp::from_second(NOW).unwrap();
    let check = || {
        tokens
            .check(token.as_bytes(), now)
            .map(|(person, _)| person.as_str().to_owned())
    };
    let reload = |version: &str, text: &str| {
        lay(dir.path(), version, "jwks.json", text);
        tokens.reload();
        tokens.keys()
    };
    assert_eq!(
        (check(), tokens.keys()),
        (Err(TokenError::KeySetMissing), TokenKeys::Missing)
    );
    assert_eq!(reload("..1", "{"), TokenKeys::Missing);
    assert_eq!(reload("..2", &PROVIDER.jwks().to_string()), TokenKeys::Good);
    assert!(check().is_ok());
    assert_eq!(reload("..3", "{"), TokenKeys::Outdated);
    assert!(check().is_ok());
    assert_eq!(
        reload("..4", r#"{"keys":[]}"#),
        TokenKeys::Missing,
        "all are revoked"
    );
    assert_eq!(check(), Err(TokenError::KeySetMissing));
    assert_eq!(reload("..5", &PROVIDER.jwks().to_string()), TokenKeys::Good);
    std::fs::remove_file(dir.path().join("..data")).unwrap();
    tokens.reload();
    assert_eq!(check(), Err(TokenError::KeySetMissing));
}
