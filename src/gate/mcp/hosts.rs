//! Under which names the endpoint may be asked for, so that no web page in a browser can have itself resolved to it
//! (DNS rebinding): pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use http::{HeaderMap, StatusCode, Uri, header};

use crate::gate::answer::Refusal;

/// The names and origins that are let in. Addresses and `localhost` are no names that an attacker could own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    names: BTreeSet<String>,
    origins: BTreeSet<String>,
}

impl Hosts {
    /// Those that the flags name.
    #[must_use]
    pub fn new(names: Vec<String>, origins: Vec<String>) -> Self {
        let lower =
            |texts: Vec<String>| texts.iter().map(|text| text.to_ascii_lowercase()).collect();
        Self {
            names: lower(names),
            origins: lower(origins),
        }
    }

    /// Looks at `Host`, or the authority of HTTP/2, and at `Origin`.
    ///
    /// # Errors
    /// 421 (RFC 9110, section 15.5.20) for a foreign name, 403 for a foreign origin, as MCP asks.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = uri.authority().map_or(host, |at| Some(at.as_str()));
        let Some(host) = host.filter(|host| self.knows(host)) else {
            let message = "this endpoint is not known under the name in Host";
            let status = StatusCode::MISDIRECTED_REQUEST;
            return Err(Refusal::new(status, "foreign_host", message).close());
        };
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (first, more) = (origins.next(), origins.next());
        let fine =
            first.is_none_or(|origin| origin.to_str().is_ok_and(|origin| self.lets(origin, host)));
        if fine && more.is_none() {
            return Ok(());
        }
        let message = "requests from this origin are not taken";
        Err(Refusal::new(StatusCode::FORBIDDEN, "foreign_origin", message).close())
    }

    fn knows(&self, authority: &str) -> bool {
        let host = without_port(authority).to_ascii_lowercase();
        address(&host).is_some() || host == "localhost" || self.names.contains(&host)
    }

    /// Anybody may have a page at an address, so one lets in its own pages only; what is on the client's own machine is
    /// the client's.
    fn lets(&self, origin: &str, asked: &str) -> bool {
        if self.origins.contains(&origin.to_ascii_lowercase()) {
            return true;
        }
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| {
            let host = without_port(authority).to_ascii_lowercase();
            let own = authority.eq_ignore_ascii_case(asked)
                || address(&host).is_none_or(|at| at.is_loopback());
            own && !authority.contains(['/', '@']) && self.knows(authority)
        })
    }
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok()
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.ends_with(':') => {
            let whole_address = host.contains(':') && !host.starts_with('[');
            if whole_address { authority } else { host }
        }
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>) -> u16 {
        let names = vec!["tools".to_owned(), "Tools.team-a.svc".to_owned()];
        let hosts = Hosts::new(names, vec!["https://inspector.example".to_owned()]);
        let mut headers = HeaderMap::new();
        if !host.is_empty() {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let checked = hosts.check(&"/mcp".parse().unwrap(), &headers);
        checked.map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[rstest::rstest]
    #[case("tools:8080", 200)]
    #[case("TOOLS.team-a.svc", 200)]
    #[case("127.0.0.1:8080", 200)]
    #[case("[fd00::1]:8080", 200)]
    #[case("localhost:3000", 200)]
    #[case("evil.example:8080", 421)]
    #[case("tools.evil.example", 421)]
    #[case("localhost.evil.example", 421)]
    #[case("", 421)]
    fn names(#[case] host: &str, #[case] status: u16) {
        assert_eq!(check(host, None), status);
    }

    #[rstest::rstest]
    #[case("http://tools:8080", 200)]
    #[case("http://localhost:6274", 200)]
    #[case("https://inspector.example", 200)]
    #[case("https://inspector.example:444", 403)]
    #[case("http://127.0.0.1:6274", 200)]
    #[case("http://10.9.8.7", 403)]
    #[case("http://[fd00::7]:80", 403)]
    #[case("http://evil.example", 403)]
    #[case("http://tools@evil.example", 403)]
    #[case("null", 403)]
    #[case("file://", 403)]
    fn origins(#[case] origin: &str, #[case] status: u16) {
        assert_eq!(check("tools", Some(origin)), status);
    }

    #[test]
    fn an_address_lets_its_own_pages_in() {
        assert_eq!(check("10.9.8.7:8080", Some("http://10.9.8.7:8080")), 200);
        assert_eq!(check("10.9.8.7:8080", Some("http://10.9.8.8:8080")), 403);
    }
}
