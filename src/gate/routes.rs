//! Which requests exist: pure.

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};

use super::answer::Refusal;

pub use crate::engine::Route;

impl Route {
    /// Finds the route of a request.
    ///
    /// In HTTP/2 every request has a scheme, and mostly an authority (RFC 9113, section 8.3.1); in HTTP/1 only one
    /// for a proxy has. Nothing here is chosen by either.
    ///
    /// The raw path is compared byte by byte: nothing is decoded, no slash is folded, no dot is resolved. What model a path
    /// names, and whether there is such a model, is the caller's to find out.
    ///
    /// # Errors
    /// 404 for everything that is no route, 400 for a proxy's request form, an upgrade, a query string, or a body in
    /// another coding than chunks.
    pub fn find(
        version: Version,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let bad =
            |code, message: &str| Refusal::new(StatusCode::BAD_REQUEST, code, message).close();
        let proxied = if version == Version::HTTP_2 {
            !matches!(uri.scheme_str(), Some("http" | "https"))
                || uri.authority().is_some_and(|at| at.as_str().contains('@'))
        } else {
            uri.scheme().is_some() || uri.authority().is_some()
        };
        if proxied || method == Method::CONNECT {
            return Err(bad("proxy_request", "this is no proxy: send a path only"));
        }
        if headers.contains_key(header::UPGRADE) {
            return Err(bad("upgrade", "no other protocol is spoken here"));
        }
        if !is_plain(headers) {
            let message = "send the body with its length, or in chunks and no other coding";
            return Err(bad("transfer_coding", message));
        }
        let route = Self::ALL
            .iter()
            .copied()
            .find(|route| route.is_at(uri.path()) && method == route.method())
            .ok_or_else(not_found)?;
        if uri.query().is_some() {
            return Err(bad("query", "no route here takes a query string"));
        }
        Ok(route)
    }

    fn is_at(self, path: &str) -> bool {
        match self {
            Self::Model => model_name(path).is_some(),
            _ => path == self.path(),
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Models | Self::Model => Method::GET,
            _ => Method::POST,
        }
    }
}

/// What is asked for is not there.
pub(super) fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "not_found", "no such route")
}

/// The name in the path of one model, if it is of the form that served names have. It is for comparing with these alone.
///
/// OpenAI's clients write a slash as `%2F`, older ones as it is; of what is in a served name they encode nothing else.
pub(super) fn model_name(path: &str) -> Option<String> {
    let name = path.strip_prefix(Route::Model.path())?.strip_prefix('/')?;
    let name = name.replace("%2F", "/");
    let in_names = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    let begins = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    (begins && name.bytes().all(in_names)).then_some(name)
}

/// Whether a body comes in chunks at most. Others might find its end elsewhere where a coding stands beside them
/// (RFC 9112, section 6.1); a length beside them has been taken out when the head was read, and ends the connection.
fn is_plain(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunks = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_none_or(chunks) && codings.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: &str, uri: &str) -> Result<Route, u16> {
        find_in(Version::HTTP_11, method, uri)
    }

    fn find_in(version: Version, method: &str, uri: &str) -> Result<Route, u16> {
        let method: Method = method.parse().unwrap();
        Route::find(version, &method, &uri.parse().unwrap(), &HeaderMap::new())
            .map_err(|refusal| refusal.status.as_u16())
    }

    #[rstest::rstest]
    #[case("POST", "/v1/chat/completions", Route::ChatCompletions)]
    #[case("POST", "/v1/completions", Route::Completions)]
    #[case("POST", "/v1/embeddings", Route::Embeddings)]
    #[case("POST", "/v1/rerank", Route::Rerank)]
    #[case("GET", "/v1/models", Route::Models)]
    #[case("GET", "/v1/models/assistant", Route::Model)]
    #[case("GET", "/v1/models/lab%2Fvectors:1", Route::Model)]
    #[case("GET", "/v1/models/lab/vectors:1", Route::Model)]
    fn routes_are_found(#[case] method: &str, #[case] uri: &str, #[case] route: Route) {
        assert_eq!(find(method, uri), Ok(route));
    }

    #[rstest::rstest]
    #[case::other_method("GET", "/v1/chat/completions", 404)]
    #[case::post_models("POST", "/v1/models", 404)]
    #[case::head("HEAD", "/v1/models", 404)]
    #[case::invented("BREW", "/v1/models", 404)]
    #[case::rerank_by_another_name("POST", "/v1/reranking", 404)]
    #[case::get_rerank("GET", "/v1/rerank", 404)]
    #[case::root("GET", "/", 404)]
    #[case::health("GET", "/health", 404)]
    #[case::metrics("GET", "/metrics", 404)]
    #[case::slots("POST", "/slots/0?action=save", 404)]
    #[case::adapters("GET", "/lora-adapters", 404)]
    #[case::set_adapters("POST", "/lora-adapters", 404)]
    #[case::trailing_slash("POST", "/v1/completions/", 404)]
    #[case::double_slash("POST", "//v1/completions", 404)]
    #[case::inner_slashes("POST", "/v1//completions", 404)]
    #[case::dots("POST", "/v1/x/../completions", 404)]
    #[case::encoded_dots("POST", "/v1/%2e%2e/slots", 404)]
    #[case::encoded_letter("POST", "/v1/c%6fmpletions", 404)]
    #[case::encoded_slash("POST", "/v1%2fcompletions", 404)]
    #[case::parameter("POST", "/v1/completions;a=b", 404)]
    #[case::upper_case("POST", "/V1/completions", 404)]
    #[case::post_model("POST", "/v1/models/assistant", 404)]
    #[case::delete_model("DELETE", "/v1/models/assistant", 404)]
    #[case::no_model("GET", "/v1/models/", 404)]
    #[case::model_behind_a_slash("GET", "/v1/models//assistant", 404)]
    #[case::model_behind_an_encoded_slash("GET", "/v1/models/%2Fassistant", 404)]
    #[case::model_in_dots("GET", "/v1/models/../slots", 404)]
    #[case::model_in_encoded_dots("GET", "/v1/models/%2E%2E%2Fslots", 404)]
    #[case::model_with_an_encoded_letter("GET", "/v1/models/%61ssistant", 404)]
    #[case::model_encoded_twice("GET", "/v1/models/lab%252Fvectors", 404)]
    #[case::model_and_query("GET", "/v1/models/assistant?a=b", 400)]
    #[case::query("POST", "/v1/completions?a=b", 400)]
    #[case::empty_query("POST", "/v1/completions?", 400)]
    #[case::absolute("POST", "http://model/v1/completions", 400)]
    #[case::absolute_elsewhere("GET", "http://example.org/", 400)]
    fn everything_else_is_refused(#[case] method: &str, #[case] uri: &str, #[case] status: u16) {
        assert_eq!(find(method, uri), Err(status));
    }

    #[rstest::rstest]
    #[case::clear("GET", "http://model:8080/v1/models", Ok(Route::Models))]
    #[case::tls("GET", "https://model/v1/models", Ok(Route::Models))]
    #[case::query("GET", "https://model/v1/models?a=b", Err(400))]
    #[case::double_slash("GET", "https://model//v1/models", Err(404))]
    #[case::scheme("GET", "ftp://model/v1/models", Err(400))]
    #[case::no_scheme("GET", "/v1/models", Err(400))]
    #[case::userinfo("GET", "https://me@model/v1/models", Err(400))]
    #[case::connect("CONNECT", "model:443", Err(400))]
    fn streams_have_a_scheme(
        #[case] method: &str,
        #[case] uri: &str,
        #[case] found: Result<Route, u16>,
    ) {
        assert_eq!(find_in(Version::HTTP_2, method, uri), found);
    }

    #[test]
    fn upgrades_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::UPGRADE, "websocket".parse().unwrap());
        let found = Route::find(
            Version::HTTP_11,
            &Method::GET,
            &"/v1/models".parse().unwrap(),
            &headers,
        );
        assert_eq!(
            found.map_err(|refusal| refusal.code),
            Err("upgrade".to_owned())
        );
    }

    #[rstest::rstest]
    #[case::none(&[], true)]
    #[case::chunks(&["chunked"], true)]
    #[case::in_capitals(&["Chunked"], true)]
    #[case::another_before(&["identity, chunked"], false)]
    #[case::compressed(&["gzip, chunked"], false)]
    #[case::another_after(&["chunked, identity"], false)]
    #[case::chunks_of_chunks(&["chunked, chunked"], false)]
    #[case::two_fields(&["chunked", "chunked"], false)]
    #[case::two_codings(&["identity", "chunked"], false)]
    #[case::unknown(&["xchunked"], false)]
    #[case::empty(&[""], false)]
    fn bodies_come_in_chunks_at_most(#[case] codings: &[&str], #[case] plain: bool) {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(header::TRANSFER_ENCODING, coding.parse().unwrap());
        }
        let uri = "/v1/completions".parse().unwrap();
        let found = Route::find(Version::HTTP_11, &Method::POST, &uri, &headers);
        let expected = if plain {
            Ok(Route::Completions)
        } else {
            Err("transfer_coding".to_owned())
        };
        assert_eq!(found.map_err(|refusal| refusal.code), expected);
    }
}
