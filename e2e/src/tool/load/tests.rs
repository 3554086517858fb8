//! Servers that answer well and badly: what the load counts must be what they did.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

const GOOD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\ndata: a\n\r\nf\r\n\ndata: [DONE]\n\n\r\n0\r\n\r\n";

fn args(url: String) -> Args {
    Args {
        url,
        data: "{}".to_owned(),
        key: None,
        trust: None,
        kept: 1,
        new: 0,
        http2: 0,
        pause_ms: 0,
        seconds: 60,
    }
}

/// The first answers of a server, one connection each, while one client with a kept connection asks; the last one
/// is waited for.
async fn seen(answers: Vec<String>) -> Summary {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/x", listener.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    let serve = async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![];
            while !head.ends_with(b"\r\n\r\n{}") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read(&mut [0]).await;
        }
        stop.send(true).unwrap();
    };
    let args = args(url);
    let (summary, ()) = tokio::join!(args.load(stopped), serve);
    summary.unwrap()
}

fn counts<const N: usize>(of: [(&str, u64); N]) -> BTreeMap<String, u64> {
    of.map(|(kind, count)| (kind.to_owned(), count)).into()
}

#[tokio::test]
async fn only_a_stream_to_its_last_event_is_complete() {
    let cut = GOOD.split("f\r\n").next().unwrap().to_owned();
    let without = GOOD.replace("[DONE]", "[STOP]");
    let whole = seen(vec![GOOD.to_owned(), cut, without]).await;
    assert_eq!(whole.complete, 1, "{whole:?}");
    // What the client may still have asked for, once the server was gone, is not the server's.
    assert_eq!(whole.failed["answer"], 2, "{whole:?}");
    assert!(whole.first[1].contains("without [DONE]"), "{whole:?}");
}

#[tokio::test]
async fn refusals_are_told_by_status_code_and_retry_after() {
    let refusal = |headers: &str| {
        let body = r#"{"error":{"code":"Draining"}}"#;
        let length = body.len();
        format!("HTTP/1.1 503 x\r\n{headers}content-length: {length}\r\n\r\n{body}")
    };
    let told = seen(vec![refusal("retry-after: 0\r\n"), refusal("")]).await;
    let expected = [("503 Draining", 1), ("503 Draining, Retry-After", 1)];
    assert_eq!(told.refused, counts(expected), "{told:?}");
    assert_eq!(told.complete, 0);
}

/// The first request of a connection is not between two.
#[tokio::test]
async fn a_kept_connection_that_is_closed_under_a_request_is_made_anew_and_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/x", listener.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    let serve = async move {
        for answers in [&[GOOD, ""][..], &[GOOD]] {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in answers {
                let mut head = vec![];
                while !head.ends_with(b"\r\n\r\n{}") {
                    head.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            stream.shutdown().await.unwrap();
        }
        stop.send(true).unwrap();
    };
    let args = args(url);
    let (told, ()) = tokio::join!(args.load(stopped), serve);
    let told = told.unwrap();
    assert_eq!((told.crossed(HTTP_1), told.complete), (1, 2), "{told:?}");
}

/// Whether the client hears of it before or after it has sent them.
#[tokio::test]
async fn requests_that_cross_a_goodbye_are_sent_again_and_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/x", listener.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    let serve = async move {
        let (mut leaving, _) = listener.accept().await.unwrap();
        // SETTINGS, and GOAWAY without an error, before the first stream.
        let goodbye = [&b"\0\0\0\x04"[..], &[0u8; 5], b"\0\0\x08\x07", &[0u8; 13]].concat();
        leaving.write_all(&goodbye).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut requests = vec![];
        while let Some(Ok((request, mut answer))) = connection.accept().await {
            requests.push(request);
            let head = http::Response::default();
            let mut body = answer.send_response(head, false).unwrap();
            body.send_data("data: [DONE]\n\n".into(), true).unwrap();
            if requests.len() == 2 {
                stop.send(true).unwrap();
            }
        }
        std::future::pending::<()>().await;
    };
    let args = Args {
        kept: 0,
        http2: 1,
        ..args(url)
    };
    let told = tokio::select! {
        told = args.load(stopped) => told.unwrap(),
        () = serve => unreachable!(),
    };
    assert_eq!((told.crossed(HTTP_2), told.complete), (2, 2), "{told:?}");
    assert!(told.failed.is_empty(), "{told:?}");
}

/// Whether the client has sent its two requests or not.
#[tokio::test]
async fn a_connection_of_http2_that_ends_without_a_goodbye_is_a_failure_of_each_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/x", listener.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    let serve = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // The client's preface is all that it waits for.
        stream.read_exact(&mut [0; 24]).await.unwrap();
        stop.send(true).unwrap();
    };
    let args = Args {
        kept: 0,
        http2: 1,
        ..args(url)
    };
    let (told, ()) = tokio::join!(args.load(stopped), serve);
    let told = told.unwrap();
    assert_eq!((told.crossed.len(), told.complete), (0, 0), "{told:?}");
    assert_eq!(told.failed, counts([("request", 2)]), "{told:?}");
}

#[tokio::test]
async fn a_connection_without_an_answer_and_none_at_all() {
    let told = seen(vec![String::new(), GOOD.to_owned()]).await;
    assert_eq!(told.complete, 1, "{told:?}");
    assert!(told.first[0].contains("request: "), "{told:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let (stop, stopped) = watch::channel(false);
    let args = Args {
        http2: 1,
        ..args(url)
    };
    let later = async {
        sleep(Duration::from_millis(100)).await;
        stop.send(true).unwrap();
    };
    let (told, ()) = tokio::join!(args.load(stopped), later);
    // One of HTTP/1.1, and both of HTTP/2.
    assert_eq!(told.unwrap().failed, counts([("connect", 3)]));
}

/// A server on loopback that speaks TLS and HTTP/1.1, and its certificate, as PEM.
fn private() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), certificate)
}

#[tokio::test]
async fn over_tls_a_server_is_asked_that_is_trusted_and_no_other() {
    let (acceptor, own) = private();
    let (_, another) = private();
    for (trust, complete) in [(own, 1), (another, 0)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/v1/x", listener.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut head = vec![];
                while !head.ends_with(b"\r\n\r\n{}") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                assert!(head.contains("authorization: Bearer s3cr3t"), "{head}");
                stream.write_all(GOOD.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
            stop.send(true).unwrap();
        };
        let args = Args {
            key: Some("s3cr3t".to_owned()),
            trust: Some(trust),
            kept: 0,
            new: 1,
            pause_ms: 60_000,
            ..args(url)
        };
        let (told, ()) = tokio::join!(args.load(stopped), serve);
        let told = told.unwrap();
        assert_eq!(told.complete, complete, "{told:?}");
        let failed = counts([("connect", 1)]);
        let failed = if complete == 0 { failed } else { counts([]) };
        assert_eq!(told.failed, failed, "{told:?}");
    }
}

/// Whoever names whom to trust never asks in the clear, and without that nobody is trusted.
#[tokio::test]
async fn an_address_of_the_other_kind_is_refused() {
    let (_, pem) = private();
    for (scheme, trust) in [("http", Some(pem)), ("https", None)] {
        let args = Args {
            trust,
            ..args(format!("{scheme}://127.0.0.1:1/v1/x"))
        };
        let (_stop, stopped) = watch::channel(true);
        args.load(stopped).await.unwrap_err();
    }
}
