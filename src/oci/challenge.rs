//! What a registry asks for with a 401.

/// A `WWW-Authenticate` header (RFC 9110, section 11.6.1; distribution spec, token authentication).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token from elsewhere.
    Bearer {
        /// Where tokens are to be had.
        realm: String,
        /// The name by which the token's issuer knows the registry.
        service: Option<String>,
    },
}

/// Reads the first challenge that we can answer. `scope` is left out: we ask for what we need.
pub(super) fn parse(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut realm = None;
    let mut service = None;
    for (name, value) in parameters(rest) {
        match name.to_ascii_lowercase().as_str() {
            "realm" if realm.is_none() => realm = Some(value),
            "service" if service.is_none() => service = Some(value),
            _ => {}
        }
    }
    realm.map(|realm| Challenge::Bearer { realm, service })
}

/// `a="b", c=d` in order. Stops at the first thing that is no parameter.
fn parameters(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, tail)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']);
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some((value, tail)) => (value, tail),
                None => break,
            },
            None => tail.split_once(',').unwrap_or((tail, "")),
        };
        found.push((name.to_owned(), value.trim().to_owned()));
        rest = tail;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        })
    }

    #[rstest::rstest]
    #[case("Basic realm=\"r\"", Some(Challenge::Basic))]
    #[case("basic", Some(Challenge::Basic))]
    #[case(
        "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull,push\"",
        bearer("https://a/t", Some("s"))
    )]
    #[case(
        "bearer scope=\"a,b\", realm=\"https://a/t\"",
        bearer("https://a/t", None)
    )]
    #[case(
        "Bearer realm=https://a/t, service=s",
        bearer("https://a/t", Some("s"))
    )]
    #[case(
        "Bearer realm=\"https://first\",realm=\"https://second\"",
        bearer("https://first", None)
    )]
    #[case("Bearer service=\"s\"", None)]
    #[case("Bearer realm=\"open", None)]
    #[case("Negotiate", None)]
    #[case("", None)]
    fn reads(#[case] header: &str, #[case] expected: Option<Challenge>) {
        assert_eq!(parse(header), expected);
    }
}
