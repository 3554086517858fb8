//! A server of the OpenAI API that is no ModelDeployment: the same answer to everybody.

use std::net::Ipv6Addr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Flags of `tool completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The port to answer on
    port: u16,
    /// The base path of the API
    #[arg(long, default_value = "/v1")]
    path: String,
    /// The answer to every chat
    #[arg(long)]
    says: String,
}

impl Args {
    /// Answers until it is told to stop, and prints `<method> <path> <status>` of each request.
    ///
    /// # Errors
    /// A port that is taken.
    pub async fn run(self) -> anyhow::Result<()> {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port)).await?;
        let this = Arc::new(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let this = Arc::clone(&this);
                let service = service_fn(move |request| Arc::clone(&this).answer(request));
                tokio::spawn(async move {
                    // A client that goes in the middle is no trouble.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        super::told_to_stop().await
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> hyper::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let order = body.collect().await?.to_bytes();
        let (status, said) = self.said(&head.method, head.uri.path(), &order);
        println!("{} {} {}", head.method, head.uri.path(), status.as_u16());
        let mut response = Response::new(Full::from(said.to_string()));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Ok(response)
    }

    /// What clients take for an answer, at the one path that there is.
    fn said(&self, method: &Method, path: &str, order: &[u8]) -> (StatusCode, Value) {
        if method != Method::POST || path.strip_prefix(&self.path) != Some("/chat/completions") {
            let error = json!({"code": "not_found", "message": "there is no such path"});
            return (StatusCode::NOT_FOUND, json!({"error": error}));
        }
        let order: Value = serde_json::from_slice(order).unwrap_or_default();
        let message = json!({"role": "assistant", "content": self.says});
        let answer = json!({
            "id": "completions", "object": "chat.completion", "created": 0, "model": order["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        });
        (StatusCode::OK, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_path_below_the_base() {
        let args = Args {
            port: 0,
            path: "/openai/v1".to_owned(),
            says: "Paris".to_owned(),
        };
        let order = br#"{"model":"m"}"#;
        let said = |method, path| args.said(&method, path, order);
        let (status, answer) = said(Method::POST, "/openai/v1/chat/completions");
        assert_eq!((status, &answer["model"]), (StatusCode::OK, &json!("m")));
        assert_eq!(answer["choices"][0]["message"]["content"], "Paris");
        for (method, path) in [
            (Method::GET, "/openai/v1/chat/completions"),
            (Method::POST, "/v1/chat/completions"),
            (Method::POST, "/openai/v1/embeddings"),
        ] {
            assert_eq!(said(method, path).0, StatusCode::NOT_FOUND, "{path}");
        }
    }
}
