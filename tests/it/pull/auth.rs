//! Passwords, tokens and certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealroom::pull::{Config, Reason};

use super::registry::{Content, Reply, Request, Server};
use super::{Place, config, pull, sample};

const BASIC: &str = "Basic dTpwOnc=";

fn secret(place: &Place, authority: &str, login: &str) -> std::path::PathBuf {
    let path = place.file("dockerconfig.json");
    let auth = STANDARD.encode(login);
    std::fs::write(
        &path,
        serde_json::json!({"auths": {authority: {"auth": auth}}}).to_string(),
    )
    .unwrap();
    path
}

fn with_login(server: &Server, place: &Place, login: &str) -> Config {
    let mut config = config(server, &place.dir());
    config.auth_files = vec![secret(place, &server.authority(), login)];
    config
}

fn basic(content: &Content, request: &Request) -> Reply {
    match request.authorization.as_deref() {
        Some(BASIC) => content.honest(request),
        _ => Reply::status(401).with("www-authenticate", "Basic realm=\"r\""),
    }
}

#[test]
fn password() {
    let server = Server::start(Content::model(), basic);
    let place = Place::new();
    pull(&with_login(&server, &place, "u:p:w")).unwrap();
    assert_eq!(place.model(), Some(sample::gguf()));
    // One refused request, then every request carries the password.
    let bare = server
        .requests()
        .iter()
        .filter(|r| r.authorization.is_none())
        .count();
    assert_eq!(bare, 1);
}

#[rstest::rstest]
#[case::wrong(Some("u:no"), "refused")]
#[case::none(None, "no pull secret")]
fn refused_password(#[case] login: Option<&str>, #[case] hint: &str) {
    let server = Server::start(Content::model(), basic);
    let place = Place::new();
    let config = match login {
        Some(login) => with_login(&server, &place, login),
        None => config(&server, &place.dir()),
    };
    let error = pull(&config).unwrap_err();
    assert_eq!(error.reason(), Reason::Unauthorized);
    assert!(error.to_string().contains(hint), "{error}");
    assert!(!format!("{error} {error:?} {config:?}").contains("u:no"));
    assert!(
        server.requests().len() <= 2,
        "a refused password is not tried again and again"
    );
}

/// Answers as a registry with a token server in the same place.
fn bearer(realm: String) -> impl Fn(&Content, &Request) -> Reply {
    move |content, request| {
        if request.path.starts_with("/token?") {
            let right = request.authorization.as_deref() == Some(BASIC)
                && request
                    .path
                    .contains("scope=repository%3Amodels%2Fm%3Apull&service=s");
            if !right {
                return Reply::status(401);
            }
            let body = br#"{"token":"t0ken"}"#.to_vec();
            return Reply {
                status: 200,
                headers: vec![("content-length", body.len().to_string())],
                body: super::registry::Body::Whole(body),
            };
        }
        match request.authorization.as_deref() {
            Some("Bearer t0ken") => content.honest(request),
            _ => Reply::status(401).with(
                "www-authenticate",
                format!("Bearer realm=\"{realm}\",service=\"s\",scope=\"repository:*:push\""),
            ),
        }
    }
}

#[test]
fn token() {
    // The realm must name the port, which is known only once the server listens.
    let port = std::sync::Arc::new(std::sync::OnceLock::new());
    let known = port.clone();
    let server = Server::start(Content::model(), move |content, request| {
        let port: &u16 = known.wait();
        bearer(format!("https://registry.test:{port}/token"))(content, request)
    });
    port.set(server.address.port()).unwrap();
    let place = Place::new();
    pull(&with_login(&server, &place, "u:p:w")).unwrap();
    assert_eq!(place.model(), Some(sample::gguf()));
    let other = Place::new();
    let error = pull(&with_login(&server, &other, "u:no")).unwrap_err();
    assert_eq!(error.reason(), Reason::Unauthorized, "{error}");
}

#[rstest::rstest]
#[case::https("https")]
#[case::http("http")]
fn foreign_realm_gets_no_credentials(#[case] scheme: &str) {
    let foreign = Server::honest(Content::model());
    let realm = format!("{scheme}://other.test:{}/token", foreign.address.port());
    let server = Server::start(Content::model(), bearer(realm));
    let place = Place::new();
    let mut config = with_login(&server, &place, "u:p:w");
    config
        .resolve
        .insert("other.test".to_owned(), vec![foreign.address.ip()]);
    let error = pull(&config).unwrap_err();
    assert_eq!(error.reason(), Reason::RegistryNotDeclared, "{error}");
    assert!(error.to_string().contains("other.test"), "{error}");
    assert_eq!(foreign.connections(), 0);
}

#[test]
fn a_declared_storage_host_gets_the_request_without_the_password() {
    let storage = Server::honest(Content::model());
    let (port, ca) = (storage.address.port(), storage.ca.clone());
    let server = Server::start(Content::model(), move |content, request| {
        match basic(content, request) {
            reply if reply.status == 401 || !request.is_blob() => reply,
            _ => Reply::status(307).with(
                "location",
                format!("https://other.test:{port}{}", request.path),
            ),
        }
    });
    let place = Place::new();
    let mut config = with_login(&server, &place, "u:p:w");
    std::fs::write(config.ca.as_ref().unwrap(), format!("{}{ca}", server.ca)).unwrap();
    config
        .resolve
        .insert("other.test".to_owned(), vec![storage.address.ip()]);
    config
        .allow
        .push(format!("other.test:{port}").parse().unwrap());
    pull(&config).unwrap();
    assert_eq!(place.model(), Some(sample::gguf()));
    assert!(
        storage
            .requests()
            .iter()
            .all(|request| request.authorization.is_none())
    );
}

#[test]
fn unknown_ca() {
    let server = Server::honest(Content::model());
    let place = Place::new();
    let mut config = config(&server, &place.dir());
    let other = Server::honest(Content::model());
    for ca in [other.ca.as_str(), "no certificate"] {
        std::fs::write(config.ca.as_ref().unwrap(), ca).unwrap();
        let error = pull(&config).unwrap_err();
        assert_eq!(error.reason(), Reason::UnknownCA, "{error}");
    }
    // Without a declared CA the system's roots count, and none of them signed this one.
    config.ca = None;
    assert_eq!(pull(&config).unwrap_err().reason(), Reason::UnknownCA);
    assert!(server.requests().is_empty());
}

#[test]
fn certificate_for_another_host() {
    let server = Server::honest(Content::model());
    let place = Place::new();
    let mut config = config(&server, &place.dir());
    let port = server.address.port();
    config.reference = server
        .reference()
        .replace("registry.test", "third.test")
        .parse()
        .unwrap();
    config.allow = vec![format!("third.test:{port}").parse().unwrap()];
    config.resolve = [("third.test".to_owned(), vec![server.address.ip()])].into();
    let error = pull(&config).unwrap_err();
    assert_eq!(error.reason(), Reason::UnknownCA, "{error}");
    assert!(error.to_string().contains("names another host"), "{error}");
}
