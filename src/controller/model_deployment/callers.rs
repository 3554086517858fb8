//! Who may send requests to the serving pods, in words; pure.

use crate::api::ModelDeployment;
use crate::api::model_deployment::SealMode;
use crate::seal::wire::TokenKeys;

/// One line, with what the gates say about the keys of tokens.
#[must_use]
pub fn of(object: &ModelDeployment, token_keys: TokenKeys) -> String {
    let access = &object.spec.access;
    let unproven = match object.spec.seal.mode {
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

#[cfg(test)]
mod tests {
    use super::super::validate::tests::object;
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
        let mut object = object();
        object.spec.access = serde_saphyr::from_str(&access.replace("JWT", JWT)).unwrap();
        assert_eq!(of(&object, keys), text);
        object.spec.seal.mode = SealMode::Unsealed;
        assert_eq!(
            of(&object, keys),
            format!("{text} (not proven: seal.mode is Unsealed)")
        );
    }
}
