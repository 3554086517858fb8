//! The gate as a client of a server that speaks HTTP: whether it lives, who it is, which tools it has.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, sleep, timeout};

use super::head::SESSION;
use super::hello::{self, Hello, initialize_params, own};
use super::house::{House, LIST};
use super::http::Http;
use crate::mcp::pages::Pages;
use crate::mcp::pin::NoInventory;
use crate::mcp::{Askable, Era, Inventory, LATEST_LEGACY, MODERN, Message, Object};
use crate::seal::lease::Runtime;
use crate::seal::wire::RuntimeFault;

/// Between two looks at a server that does not answer yet.
const LOOK: Duration = Duration::from_millis(250);
/// Between two questions whether it lives, and for the answer.
const PING: Duration = Duration::from_secs(3);
/// For each word of a greeting.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at its tools: it cannot say that they changed where nobody listens.
const INSPECT: Duration = Duration::from_secs(15);

/// Who the gate is to the server.
struct Client {
    http: Arc<Http>,
    fields: HeaderMap,
    hello: Hello,
}

/// What came of a look at its tools.
enum Looked {
    /// It answered, and the gate's knowledge has what it said.
    Good,
    /// It gave an error.
    Refused,
    /// It gave no answer.
    Silent,
}

/// Looks after the server, for ever.
pub async fn keep(house: Arc<House>, http: Arc<Http>) {
    let every = house.config.inspect.unwrap_or(INSPECT);
    // The run of the server that was greeted last, and the session that it gave.
    let mut last: (u64, Option<HeaderValue>) = (0, None);
    loop {
        sleep(LOOK).await;
        let view = house.core.runtime();
        if view.phase != Runtime::Running {
            continue;
        }
        let Some(client) = greet(&http).await else {
            continue;
        };
        tracing::info!(era = ?client.hello.era, "the server said hello");
        house.known.says(client.hello.clone());
        let now = (view.run, client.fields.get(SESSION).cloned());
        let (run, left) = std::mem::replace(&mut last, now.clone());
        // Another process knows nothing of it, and may give its name to somebody else.
        if let Some(session) = left.filter(|left| run == now.0 && now.1.as_ref() != Some(left)) {
            let http = Arc::clone(&http);
            tokio::spawn(async move { http.tell_end(session).await });
        }
        let mut inspected: Option<Instant> = None;
        // It has said which tools it has since it was greeted.
        let mut listed = false;
        loop {
            let run = house.core.runtime();
            if run.run != view.run || run.phase != Runtime::Running {
                break;
            }
            if !client.ping().await {
                break;
            }
            house.core.sign_of_life();
            if inspected.is_none_or(|at| at.elapsed() > every) {
                match client.look(&house).await {
                    Looked::Good => {
                        inspected = Some(Instant::now());
                        listed = true;
                    }
                    // It is asked again soon.
                    Looked::Refused => inspected = None,
                    Looked::Silent => break,
                }
            }
            if inspected.is_some() || house.known.bears(listed) {
                house.core.warmed(view.run);
            } else {
                house.core.troubled(view.run, RuntimeFault::Hangs);
            }
            sleep(PING).await;
        }
        house.core.troubled(view.run, RuntimeFault::Hangs);
        tracing::warn!("the server does not answer");
    }
}

async fn greet(http: &Arc<Http>) -> Option<Client> {
    let request = own(Era::Modern, "server/discover", Object::default());
    let fields = modern("server/discover");
    let discovered = http.ask(&request, fields, PATIENCE).await.ok();
    if let Some(hello) = discovered.and_then(|(said, _)| hello::modern(&said?)) {
        let (http, fields) = (Arc::clone(http), HeaderMap::new());
        return Some(Client {
            http,
            fields,
            hello,
        });
    }
    let params = initialize_params(&Askable::default());
    let request = own(Era::Legacy, "initialize", params);
    let (said, session) = http.ask(&request, HeaderMap::new(), PATIENCE).await.ok()?;
    let hello = hello::legacy(&said?).ok()?;
    let mut fields = HeaderMap::new();
    let version = hello.result.text("protocolVersion");
    let version = version.unwrap_or_else(|| LATEST_LEGACY.to_owned());
    fields.insert("mcp-protocol-version", version.parse().ok()?);
    if let Some(session) = session {
        fields.insert("mcp-session-id", session);
    }
    let initialized = Message::notification("notifications/initialized", &Object::default());
    let _ = http.ask(&initialized, fields.clone(), PATIENCE).await;
    let http = Arc::clone(http);
    Some(Client {
        http,
        fields,
        hello,
    })
}

fn modern(method: &'static str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("mcp-protocol-version", HeaderValue::from_static(MODERN));
    fields.insert("mcp-method", HeaderValue::from_static(method));
    fields
}

impl Client {
    async fn ask(
        &self,
        method: &'static str,
        params: Object,
        patience: Duration,
    ) -> Option<Message> {
        let fields = match self.hello.era {
            Era::Modern => modern(method),
            Era::Legacy => self.fields.clone(),
        };
        let request = own(self.hello.era, method, params);
        self.http.ask(&request, fields, patience).await.ok()?.0
    }

    /// An error may say that the session is gone, and then another one is begun.
    async fn ping(&self) -> bool {
        let method = hello::ping(self.hello.era);
        let said = self.ask(method, Object::default(), PING).await;
        said.is_some_and(|said| said.error_code().is_none())
    }

    /// Looks at its tools. A list may take longer than a server may be silent, so it is asked meanwhile whether it lives.
    async fn look(&self, house: &House) -> Looked {
        let list = tokio::select! {
            biased;
            list = timeout(LIST, self.list()) => list,
            () = self.falls_silent(house) => return Looked::Silent,
        };
        match list {
            Ok(Some(list)) => {
                let refused = matches!(list, Err(NoInventory::Refused));
                house.known.sees(list);
                if refused {
                    Looked::Refused
                } else {
                    Looked::Good
                }
            }
            // That it answers others says nothing of the pinned tools.
            Err(_) if !house.known.is_pinned() => Looked::Good,
            Ok(None) | Err(_) => Looked::Silent,
        }
    }

    /// Until it does not answer any more.
    async fn falls_silent(&self, house: &House) {
        loop {
            sleep(PING).await;
            if !self.ping().await {
                return;
            }
            house.core.sign_of_life();
        }
    }

    async fn list(&self) -> Option<Result<Inventory, NoInventory>> {
        let mut pages = Pages::default();
        if !self.hello.has_tools() {
            return Some(Ok(Inventory::default()));
        }
        loop {
            let said = self.ask("tools/list", pages.params(), LIST).await?;
            if let Some(list) = pages.take(&said) {
                return Some(list);
            }
        }
    }
}
