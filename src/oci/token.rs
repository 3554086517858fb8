//! Answers to a 401: passwords and tokens.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};

use super::challenge::{self, Challenge};
use super::client::{Registry, SMALL, busy};
use super::connect::classify;
use super::{Authority, RegistryError};

const MAX_TOKEN: usize = 64 << 10;

/// The body of a token server's answer; older ones say `token`, newer ones `access_token`.
#[derive(serde::Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    /// Why a 401 or 403 is no surprise.
    pub(super) fn refusal(&self) -> &'static str {
        match self.credentials {
            Some(_) => "the user or password in the pull secret is refused",
            None => "no pull secret names this registry",
        }
    }

    /// The `Authorization` that answers a 401.
    pub(super) async fn answer(&self, headers: &HeaderMap) -> Result<HeaderValue, RegistryError> {
        let challenge = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(challenge::parse);
        let text = match (challenge, &self.credentials) {
            (Some(Challenge::Basic), Some(credentials)) => credentials.basic(),
            (Some(Challenge::Bearer { realm, service }), _) => self.token(&realm, service).await?,
            (Some(Challenge::Basic), None) => return Err(self.unauthorized(self.refusal())),
            (None, _) => return Err(self.unauthorized("it asks for neither Basic nor Bearer")),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            self.unauthorized("the credentials hold characters that HTTP cannot carry")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A token for pulling from our repository, whatever scope the challenge named
    /// (distribution spec, "Token Authentication").
    async fn token(&self, realm: &str, service: Option<String>) -> Result<String, RegistryError> {
        let mut url: Url = realm
            .parse()
            .map_err(|_| self.protocol("the token realm is no address"))?;
        let authority = Authority::of(&url).filter(|realm| self.allow.contains(realm));
        let Some(authority) = authority else {
            return Err(RegistryError::Undeclared {
                host: url.host_str().unwrap_or("nowhere").to_owned(),
                why: "the registry wants a token from it, and no other host is asked: have the registry's own host give tokens",
            });
        };
        let scope = format!("repository:{}:pull", self.repository);
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = service.filter(|text| text.len() <= 256) {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.client.get(url).timeout(SMALL);
        if let Some(credentials) = &self.credentials {
            request = request.header(AUTHORIZATION, credentials.basic());
        }
        let response = request.send().await.map_err(|e| classify(&e, &authority))?;
        match response.status() {
            StatusCode::OK => {}
            status => {
                let refused = self.unauthorized(self.refusal());
                return Err(busy(status, &response, &authority).unwrap_or(refused));
            }
        }
        let body = self.small_body(response, MAX_TOKEN).await?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| self.protocol("the token server's answer is no token"))?;
        let token = answer.token.or(answer.access_token);
        token
            .map(|token| format!("Bearer {token}"))
            .ok_or_else(|| self.protocol("the token server's answer is no token"))
    }
}
