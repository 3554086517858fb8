//! The first words to a child: which era it speaks, and who it says it is.
//!
//! The order is the specification's (2026-07-28, stdio, Backward Compatibility): `server/discover`, and `initialize`
//! for whoever does not answer that as a modern server does. Nothing of a client is sent before.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::call::{Call, Said};
use super::child::{Child, Gone};
use crate::mcp::era::{LEGACY, MODERN};
use crate::mcp::pin::printable;
use crate::mcp::{Askable, Era, Id, LATEST_LEGACY, Message, Object};
use crate::seal::wire::ServerInfo;

/// For `server/discover`, before `initialize` is tried too: a server that does not know it may say nothing.
const PROBE: Duration = Duration::from_secs(3);
/// For the whole handshake, the start of the program included.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Longest text of a server in the status.
const MAX_TEXT: usize = 128;

/// What a child said of itself.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The era that it is spoken to in.
    pub era: Era,
    /// Whether it also takes `initialize`.
    pub legacy: bool,
    /// Its `InitializeResult` or `DiscoverResult`.
    pub result: Object,
}

/// Why there is no hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHello {
    /// It ended or does not read.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// It refused.
    #[error("the server refuses the handshake with code {0}")]
    Refused(i64),
    /// It took too long.
    #[error("the server gave no hello within {} seconds", PATIENCE.as_secs())]
    Slow,
}

impl Hello {
    /// Who it is, for the status: bounded and escaped.
    #[must_use]
    pub fn info(&self) -> ServerInfo {
        let info = self.server_info().unwrap_or_default();
        let text = |name| printable(&info.text(name).unwrap_or_default(), MAX_TEXT);
        let version = match self.era {
            Era::Modern => MODERN.to_owned(),
            Era::Legacy => self.result.text("protocolVersion").unwrap_or_default(),
        };
        ServerInfo {
            name: text("name"),
            version: text("version"),
            protocol_version: printable(&version, MAX_TEXT),
        }
    }

    /// Whether it says that it has tools.
    #[must_use]
    pub fn has_tools(&self) -> bool {
        let capabilities = self.result.object("capabilities");
        capabilities.is_some_and(|capabilities| capabilities.has("tools"))
    }

    /// Whether it says that it tells of single resources.
    #[must_use]
    pub fn tells_of_resources(&self) -> bool {
        let capabilities = self.result.object("capabilities");
        let resources = capabilities.and_then(|all| all.object("resources"));
        resources.is_some_and(|resources| resources.read("subscribe") == Some(true))
    }

    /// Its name and version, as it writes them.
    #[must_use]
    pub fn server_info(&self) -> Option<Object> {
        match self.era {
            Era::Legacy => self.result.object("serverInfo"),
            Era::Modern => {
                let meta = self.result.object("_meta")?;
                meta.object("io.modelcontextprotocol/serverInfo")
            }
        }
    }
}

/// What the gate says of itself.
#[must_use]
pub fn ourselves() -> serde_json::Value {
    json!({"name": "sealroom", "version": env!("CARGO_PKG_VERSION")})
}

/// The `_meta` of a modern request of the gate's own.
#[must_use]
pub fn meta() -> serde_json::Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": ourselves(),
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// A request of the gate's own.
#[must_use]
pub fn own(era: Era, method: &str, params: Object) -> Message {
    let params = match era {
        Era::Legacy => params,
        Era::Modern => params.with("_meta", &meta()),
    };
    Message::request(&Id::number(0), method, params)
}

/// What the gate asks to hear whether a server lives: the stateless era has no ping.
#[must_use]
pub fn ping(era: Era) -> &'static str {
    match era {
        Era::Legacy => "ping",
        Era::Modern => "server/discover",
    }
}

/// The parameters with which the gate itself is a legacy client, one that can be asked this.
#[must_use]
pub fn initialize_params(askable: &Askable) -> Object {
    Object::default()
        .with("protocolVersion", LATEST_LEGACY)
        .with("capabilities", &askable.to_legacy())
        .with("clientInfo", &ourselves())
}

/// Greets a child for clients that can be asked this. `known` is the era of an earlier child of the same program.
///
/// # Errors
/// [`NoHello`].
pub async fn greet(
    child: &Arc<Child>,
    known: Option<Era>,
    askable: &Askable,
) -> Result<Hello, NoHello> {
    let end = Instant::now() + PATIENCE;
    let mut discover = match known {
        Some(Era::Legacy) => None,
        Some(Era::Modern) | None => {
            let request = own(Era::Modern, "server/discover", Object::default());
            Some(child.call(request).await?)
        }
    };
    if let Some(call) = &mut discover {
        let patience = Instant::now() + PROBE;
        let patience = if known.is_some() { end } else { patience };
        if let Ok(said) = timeout_at(patience, call.answer()).await {
            if let Some(hello) = modern(&said?.message) {
                return Ok(hello);
            }
            discover = None;
        }
    }
    let request = own(Era::Legacy, "initialize", initialize_params(askable));
    let mut initialize = child.call(request).await?;
    let said = timeout_at(end, either(&mut initialize, discover.as_mut())).await;
    match said.map_err(|_| NoHello::Slow)?? {
        First::Discovered(hello) => Ok(hello),
        First::Initialized(said) => {
            let hello = legacy(&said.message)?;
            let initialized =
                Message::notification("notifications/initialized", &Object::default());
            child.say(&initialized).await?;
            Ok(hello)
        }
    }
}

enum First {
    Discovered(Hello),
    Initialized(Said),
}

/// Whichever answers first: a slow start may be why the first question had no answer yet.
async fn either(initialize: &mut Call, mut discover: Option<&mut Call>) -> Result<First, Gone> {
    if let Some(discover) = &mut discover {
        tokio::select! {
            said = discover.answer() => if let Some(hello) = modern(&said?.message) {
                return Ok(First::Discovered(hello));
            },
            said = initialize.answer() => return said.map(First::Initialized),
        }
    }
    initialize.answer().await.map(First::Initialized)
}

/// The answer to `server/discover` of a server that speaks our modern revision.
#[must_use]
pub fn modern(said: &Message) -> Option<Hello> {
    let result = said.body.object("result")?;
    let versions: Vec<String> = result.read("supportedVersions")?;
    let legacy = versions
        .iter()
        .any(|version| LEGACY.contains(&version.as_str()));
    let speaks = versions.iter().any(|version| version == MODERN);
    speaks.then_some(Hello {
        era: Era::Modern,
        legacy,
        result,
    })
}

/// The answer to `initialize`.
///
/// # Errors
/// It is an error.
pub fn legacy(said: &Message) -> Result<Hello, NoHello> {
    let result = said.body.object("result");
    let result = result.ok_or_else(|| NoHello::Refused(said.error_code().unwrap_or(0)))?;
    Ok(Hello {
        era: Era::Legacy,
        legacy: true,
        result,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::says_so(r#"{"capabilities":{"resources":{"subscribe":true}}}"#, true)]
    #[case::says_no(r#"{"capabilities":{"resources":{"subscribe":false}}}"#, false)]
    #[case::lists_alone(r#"{"capabilities":{"resources":{"listChanged":true}}}"#, false)]
    #[case::no_resources(r#"{"capabilities":{"tools":{"subscribe":true}}}"#, false)]
    #[case::strange(r#"{"capabilities":{"resources":{"subscribe":"true"}}}"#, false)]
    #[case::nothing("{}", false)]
    fn whether_it_tells_of_resources(#[case] result: &str, #[case] tells: bool) {
        let hello = Hello {
            era: Era::Legacy,
            legacy: true,
            result: Object::parse(result.as_bytes()).unwrap(),
        };
        assert_eq!(hello.tells_of_resources(), tells);
    }
}
