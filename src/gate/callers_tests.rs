use rstest::rstest;
use serde_json::json;

use super::super::tokens::provider::{NOW, PROVIDER, expected};
use super::*;

struct Case {
    keys: bool,
    tokens: bool,
}

const KEYS: Case = Case {
    keys: true,
    tokens: false,
};
const TOKENS: Case = Case {
    keys: false,
    tokens: true,
};
const BOTH: Case = Case {
    keys: true,
    tokens: true,
};

/// The callers, in a directory with a key and a key set unless it is `bare`.
fn callers(case: &Case, bare: bool) -> (tempfile::TempDir, Callers) {
    let dir = tempfile::tempdir().unwrap();
    let (keys, sets) = (dir.path().join("keys"), dir.path().join("sets"));
    std::fs::create_dir(&keys).unwrap();
    std::fs::create_dir(&sets).unwrap();
    let file = sets.join("jwks.json");
    if !bare {
        std::fs::write(keys.join("tools"), "s3cr3t").unwrap();
        std::fs::write(keys.join("old"), "0ld").unwrap();
        std::fs::write(keys.join("old.expires"), "2000-01-01T00:00:00Z").unwrap();
        std::fs::write(&file, PROVIDER.jwks().to_string()).unwrap();
    }
    let tokens = tokens::Config {
        file,
        expected: expected(),
    };
    let callers = Callers::new(case.keys.then_some(keys), case.tokens.then_some(tokens));
    (dir, callers)
}

fn ask(callers: &Callers, fields: &[&str]) -> Result<String, Refusal> {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(header::AUTHORIZATION, field.parse().unwrap());
    }
    let now = Timestamp::from_second(NOW).unwrap();
    callers
        .check_at(&headers, now)
        .map(|(caller, _)| caller.identity())
}

#[rstest]
#[case::key(KEYS, "Bearer s3cr3t", Ok("key/tools"))]
#[case::small_letters(KEYS, "bearer s3cr3t", Ok("key/tools"))]
#[case::wrong_key(KEYS, "Bearer other", Err("invalid_api_key"))]
#[case::old_key(KEYS, "Bearer 0ld", Err("expired_api_key"))]
#[case::nothing(KEYS, "Bearer ", Err("invalid_api_key"))]
#[case::scheme_alone(KEYS, "Bearer", Err("invalid_api_key"))]
#[case::basic(KEYS, "Basic s3cr3t", Err("invalid_api_key"))]
#[case::no_scheme(KEYS, "s3cr3t", Err("invalid_api_key"))]
#[case::token_without_tokens(KEYS, "Bearer TOKEN", Err("invalid_api_key"))]
#[case::token(TOKENS, "Bearer TOKEN", Ok("person/ada"))]
#[case::expired(TOKENS, "Bearer EXPIRED", Err("expired_token"))]
#[case::other_audience(TOKENS, "Bearer OTHER", Err("invalid_token"))]
#[case::key_without_keys(TOKENS, "Bearer s3cr3t", Err("invalid_token"))]
#[case::either_key(BOTH, "Bearer s3cr3t", Ok("key/tools"))]
#[case::either_token(BOTH, "Bearer TOKEN", Ok("person/ada"))]
#[case::either_expired(BOTH, "Bearer EXPIRED", Err("expired_token"))]
#[case::neither(BOTH, "Bearer other", Err("invalid_api_key"))]
fn who(#[case] case: Case, #[case] field: &str, #[case] expected: Result<&str, &str>) {
    let (_dir, callers) = callers(&case, false);
    let field = field
        .replace("TOKEN", &PROVIDER.token(&json!({})))
        .replace("EXPIRED", &PROVIDER.token(&json!({ "exp": NOW })))
        .replace("OTHER", &PROVIDER.token(&json!({ "aud": "x" })));
    let asked = ask(&callers, &[&field]);
    if let Err(refusal) = &asked {
        assert_eq!(
            (refusal.status, refusal.invalid_token),
            (StatusCode::UNAUTHORIZED, true)
        );
    }
    let asked = asked.map_err(|refusal| refusal.code);
    assert_eq!(asked, expected.map(str::to_owned).map_err(str::to_owned));
}

#[rstest]
fn two_fields_are_one_too_many_and_none_is_no_error_of_a_token(
    #[values(KEYS, TOKENS, BOTH)] case: Case,
) {
    let (_dir, callers) = callers(&case, false);
    let good = if case.keys {
        "Bearer s3cr3t".to_owned()
    } else {
        format!("Bearer {}", PROVIDER.token(&json!({})))
    };
    assert!(ask(&callers, &[&good]).is_ok());
    assert!(ask(&callers, &[&good, &good]).is_err());
    assert!(!ask(&callers, &[]).unwrap_err().invalid_token);
}

#[rstest]
#[case::keys(KEYS, "SecretMissing")]
#[case::tokens(TOKENS, "KeySetMissing")]
#[case::both(BOTH, "SecretMissing")]
fn what_is_missing_lets_nobody_in(#[case] case: Case, #[case] code: &str) {
    let (_dir, callers) = callers(&case, true);
    assert!(callers.missing().unwrap().starts_with(code));
    let field = format!("Bearer {}", PROVIDER.token(&json!({})));
    assert_eq!(ask(&callers, &[&field]).unwrap_err().code, code);
    assert_eq!(ask(&callers, &[]).unwrap_err().code, code);
}

#[test]
fn keys_hold_while_the_key_set_is_missing() {
    let (dir, callers) = callers(&BOTH, true);
    std::fs::write(dir.path().join("keys/tools"), "s3cr3t").unwrap();
    callers.reload();
    assert_eq!(
        (callers.missing(), callers.token_keys()),
        (None, TokenKeys::Missing)
    );
    assert!(ask(&callers, &["Bearer s3cr3t"]).is_ok());
    let field = format!("Bearer {}", PROVIDER.token(&json!({})));
    assert_eq!(ask(&callers, &[&field]).unwrap_err().code, "KeySetMissing");
}

#[test]
fn without_keys_and_tokens_nobody_is_asked() {
    let callers = Callers::new(None, None);
    assert_eq!(ask(&callers, &[]).unwrap(), "anyone");
    assert_eq!(callers.missing(), None);
}

/// What is asked is `case`'s pass at `NOW` and so many seconds, after the change.
#[rstest]
#[case::key(KEYS, "s3cr3t", "none", 1_000, Validity::Holds)]
#[case::key_is_gone(KEYS, "s3cr3t", "gone", 0, Validity::Withdrawn)]
#[case::another_key_of_that_name(KEYS, "s3cr3t", "other", 0, Validity::Withdrawn)]
#[case::key_has_ended(KEYS, "s3cr3t", "ends", 0, Validity::Withdrawn)]
#[case::token(TOKENS, "TOKEN", "none", 299, Validity::Holds)]
#[case::token_on_the_second(TOKENS, "TOKEN", "none", 300, Validity::Expired(Duration::ZERO))]
#[case::token_later(
    TOKENS,
    "TOKEN",
    "none",
    307,
    Validity::Expired(Duration::from_secs(7))
)]
#[case::signer_is_gone(TOKENS, "TOKEN", "unsigned", 0, Validity::Withdrawn)]
#[case::signer_was_gone(TOKENS, "TOKEN", "unsigned", 301, Validity::Withdrawn)]
fn what_was_shown_holds_until_then(
    #[case] case: Case,
    #[case] sent: &str,
    #[case] change: &str,
    #[case] later: i64,
    #[case] expected: Validity,
) {
    let (dir, callers) = callers(&case, false);
    let mut headers = HeaderMap::new();
    let sent = sent.replace("TOKEN", &PROVIDER.token(&json!({})));
    let field = format!("Bearer {sent}").parse().unwrap();
    headers.insert(header::AUTHORIZATION, field);
    let now = Timestamp::from_second(NOW).unwrap();
    let (_, pass) = callers.check_at(&headers, now).unwrap();
    assert_eq!(callers.validity(&pass, now), Validity::Holds);
    let key = dir.path().join("keys/tools");
    match change {
        "gone" => std::fs::remove_file(key).unwrap(),
        "other" => std::fs::write(key, "an0ther").unwrap(),
        "ends" => std::fs::write(
            dir.path().join("keys/tools.expires"),
            "2000-01-01T00:00:00Z",
        )
        .unwrap(),
        "unsigned" => std::fs::write(dir.path().join("sets/jwks.json"), r#"{"keys":[]}"#).unwrap(),
        _ => {}
    }
    callers.reload();
    let later = Timestamp::from_second(NOW + later).unwrap();
    assert_eq!(callers.validity(&pass, later), expected);
}
