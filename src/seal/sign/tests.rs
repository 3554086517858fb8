use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    text: String,
}

fn message() -> Message {
    Message {
        text: "probe".to_owned(),
    }
}

fn trusting(keys: &[&SigningKey]) -> TrustedKeys {
    let pems: Vec<String> = keys
        .iter()
        .map(|key| key.verifying_key().to_pem().unwrap())
        .collect();
    TrustedKeys::from_pems(&pems).unwrap()
}

/// The example of DSSE's protocol.md.
#[test]
fn encodes_as_the_specification_does() {
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

/// The private key of the example of DSSE's protocol.md, d as 32 bytes in hex.
const EXAMPLE_KEY: &str = "d73ec437fd6346e3619c5ebfdfff0f6916804955ad32ac9ac492b0ede1f6ffb7";
/// Its public point, x and y.
const EXAMPLE_POINT: [&str; 2] = [
    "67cd390f77aa359cb08c2235f652270493a9ed832b0abcc01f70954c0390d238",
    "0c782bd54e269125a44f4433aff1432ce94e12bca73aa67ac80cea12608ddf74",
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn example_key() -> p256::SecretKey {
    p256::SecretKey::from_slice(&bytes(EXAMPLE_KEY)).unwrap()
}

/// The specification's example, whose signature is deterministic (RFC 6979).
#[test]
fn signs_as_the_specification_does() {
    const SIGNATURE: &str =
        "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==";
    let key = SigningKey(example_key().into());
    let point = key.verifying_key().0.to_sec1_point(false);
    assert_eq!(point.as_bytes()[1..], bytes(&EXAMPLE_POINT.concat()));
    let signed: p256::ecdsa::Signature = key
        .0
        .sign(&pae("http://example.com/HelloWorld", b"hello world"));
    assert_eq!(STANDARD.encode(signed.to_bytes()), SIGNATURE);
}

/// An envelope that another implementation could have written: URL-safe alphabet, no `keyid` that we know.
#[test]
fn takes_either_base64_alphabet() {
    let key = SigningKey(example_key().into());
    let body = br#"{"text":"\u00fb\u00ff>>>???"}"#;
    let signed: p256::ecdsa::Signature = key.0.sign(&pae(CHALLENGE, body));
    let envelope = Envelope {
        payload_type: CHALLENGE.to_owned(),
        payload: URL_SAFE.encode(body),
        signatures: vec![Signature {
            keyid: String::new(),
            sig: URL_SAFE.encode(signed.to_bytes()),
        }],
    };
    let opened: Message = trusting(&[&key]).open(CHALLENGE, &envelope).unwrap();
    assert_eq!(opened.text, "\u{fb}\u{ff}>>>???");
}

#[test]
fn reads_sec1_keys_too_and_nothing_else() {
    let sec1 = example_key().to_sec1_pem(LineEnding::LF).unwrap();
    assert!(sec1.starts_with("-----BEGIN EC PRIVATE KEY-----"));
    assert_eq!(
        SigningKey::from_pem(&sec1).unwrap().verifying_key(),
        SigningKey(example_key().into()).verifying_key()
    );
    // Another curve.
    let p384 = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEsdCnGq85nDsv6EcJjk+2+tCmV7eC3VZQ
wQCSSjMZ6Fc8mrk868MsNZwl3VQRJHjc8aD7sfKiTERdLEej9IyeaKh30TeWRzN+
rL23fABWYtLUMsfLJ8BXqiVMvySYjqAV
-----END PUBLIC KEY-----";
    assert_eq!(VerifyingKey::from_pem(p384), Err(SignError::PublicKey));
    assert_eq!(
        SigningKey::from_pem(p384).unwrap_err(),
        SignError::PrivateKey
    );
    assert_eq!(
        VerifyingKey::from_pem(&sec1),
        Err(SignError::PublicKey),
        "a private key where a public one belongs must not pass unnoticed"
    );
}

#[test]
fn opens_what_a_trusted_key_signed() {
    let key = SigningKey::generate();
    let envelope = key.sign(CHALLENGE, &message()).unwrap();
    let opened: Message = trusting(&[&key]).open(CHALLENGE, &envelope).unwrap();
    assert_eq!(opened, message());
}

#[test]
fn either_key_of_a_rotation_opens_and_a_removed_one_does_not() {
    let (old, new) = (SigningKey::generate(), SigningKey::generate());
    let envelope = old.sign(CHALLENGE, &message()).unwrap();
    assert!(
        trusting(&[&new, &old])
            .open::<Message>(CHALLENGE, &envelope)
            .is_ok()
    );
    assert_eq!(
        trusting(&[&new]).open::<Message>(CHALLENGE, &envelope),
        Err(SignError::Untrusted)
    );
}

/// While a key is replaced both sign; a receiver that knows one of them obeys.
#[test]
fn one_known_signature_among_others_suffices() {
    let (known, other) = (SigningKey::generate(), SigningKey::generate());
    let mut envelope = other.sign(CHALLENGE, &message()).unwrap();
    envelope.signatures.push(Signature {
        keyid: "ed25519".to_owned(),
        sig: STANDARD.encode([7; 48]),
    });
    let second = known.sign(CHALLENGE, &message()).unwrap();
    envelope.signatures.extend(second.signatures);
    assert!(
        trusting(&[&known])
            .open::<Message>(CHALLENGE, &envelope)
            .is_ok()
    );
}

#[test]
fn a_signature_for_another_type_is_refused() {
    let key = SigningKey::generate();
    let mut envelope = key.sign(CONTROL, &message()).unwrap();
    let trusted = trusting(&[&key]);
    assert!(matches!(
        trusted.open::<Message>(CHALLENGE, &envelope),
        Err(SignError::PayloadType { .. })
    ));
    // Relabelling does not help: the type is part of what was signed.
    envelope.payload_type = CHALLENGE.to_owned();
    assert_eq!(
        trusted.open::<Message>(CHALLENGE, &envelope),
        Err(SignError::Untrusted)
    );
}

#[test]
fn changed_bytes_are_refused_before_they_are_parsed() {
    let key = SigningKey::generate();
    let trusted = trusting(&[&key]);
    let mut envelope = key.sign(CHALLENGE, &message()).unwrap();
    envelope.payload = STANDARD.encode(br#"{"text":"open"}"#);
    assert_eq!(
        trusted.open::<Message>(CHALLENGE, &envelope),
        Err(SignError::Untrusted)
    );
    envelope.payload = STANDARD.encode(b"no json");
    assert_eq!(
        trusted.open::<Message>(CHALLENGE, &envelope),
        Err(SignError::Untrusted)
    );
}

#[test]
fn no_signature_is_no_permission() {
    let key = SigningKey::generate();
    let trusted = trusting(&[&key]);
    let mut envelope = key.sign(CHALLENGE, &message()).unwrap();
    let good = envelope.signatures.pop().unwrap();
    assert_eq!(
        trusted.open::<Message>(CHALLENGE, &envelope),
        Err(SignError::Untrusted)
    );
    envelope.signatures = vec![good; MAX_SIGNATURES + 1];
    assert_eq!(
        trusted.open::<Message>(CHALLENGE, &envelope),
        Err(SignError::TooManySignatures)
    );
}

#[test]
fn a_signed_message_of_another_shape_is_refused_without_repeating_it() {
    let key = SigningKey::generate();
    let envelope = key.sign(CHALLENGE, &"hunter2").unwrap();
    let error = trusting(&[&key])
        .open::<Message>(CHALLENGE, &envelope)
        .unwrap_err();
    assert!(matches!(error, SignError::Payload { .. }));
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn keys_survive_their_pem() {
    let key = SigningKey::generate();
    let again = SigningKey::from_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
    assert_eq!(again.verifying_key(), key.verifying_key());
    assert!(!format!("{key:?}").contains(&format!("{:?}", key.0.to_bytes())));
    let public = key.verifying_key();
    assert_eq!(
        VerifyingKey::from_pem(&public.to_pem().unwrap()),
        Ok(public)
    );
    assert_eq!(public.key_id().unwrap().len(), 16);
}

#[test]
fn trusted_keys_come_as_one_text_too() {
    let (one, two, three) = (
        SigningKey::generate().verifying_key(),
        SigningKey::generate().verifying_key(),
        SigningKey::generate().verifying_key(),
    );
    let text = |keys: &[VerifyingKey]| -> String {
        keys.iter().map(|key| key.to_pem().unwrap()).collect()
    };
    assert_eq!(
        TrustedKeys::from_text(&text(&[one, two])),
        Ok(TrustedKeys(vec![one, two]))
    );
    assert_eq!(
        TrustedKeys::from_text(&text(&[one, two, three])),
        Err(SignError::KeyCount { found: 3 })
    );
    assert_eq!(
        TrustedKeys::from_text(" \n"),
        Err(SignError::KeyCount { found: 0 })
    );
    assert_eq!(
        TrustedKeys::from_text(&format!("{}rest", text(&[one]))),
        Err(SignError::PublicKey)
    );
}
