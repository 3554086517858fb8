//! `sealroom pin`.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use kube::Api;

use super::Exit;
use super::place::{Place, explain};
use crate::api::McpServer;
use crate::mcp::{Inventory, Object};

/// Longest list that is read, in bytes.
const MAX: u64 = 64 * 1024 * 1024;

/// Flags of `sealroom pin`.
///
/// Prints what `tools.pin` would be for the tools that a server lists now, as its gate has seen them.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("tools").required(true).args(["name", "file"])))]
pub struct Args {
    /// The McpServer
    name: Option<String>,
    /// Instead of a server that runs: the answer to tools/list, its result, or several pages of either, one after the
    /// other; `-` is the standard input
    #[arg(long, short)]
    file: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Args {
    /// Prints the hash.
    pub fn run(self) -> Exit {
        if let Some(name) = self.name {
            return self.place.run(async |client, namespace| {
                let servers: Api<McpServer> = Api::namespaced(client, &namespace);
                let server = servers.get(&name).await.map_err(explain)?;
                let Some(tools) = server.status.and_then(|status| status.tools) else {
                    anyhow::bail!(
                        "failed to find tools: no pod of {namespace}/{name} has listed them yet"
                    );
                };
                println!("{}", tools.hash);
                Ok(Exit::Ok)
            });
        }
        let text = match text(&self.file) {
            Ok(text) => text,
            Err(why) => {
                eprintln!("{why}");
                return Exit::Passing;
            }
        };
        match inventory(&text) {
            Ok(inventory) => {
                println!("{}", inventory.hash());
                Exit::Ok
            }
            Err(why) => {
                eprintln!("{why}");
                Exit::Refused
            }
        }
    }
}

/// All of them, one after the other.
fn text(files: &[PathBuf]) -> Result<String, String> {
    let mut text = String::new();
    for file in files {
        let read = if file.as_os_str() == "-" {
            io::stdin().take(MAX).read_to_string(&mut text)
        } else {
            File::open(file).and_then(|file| file.take(MAX).read_to_string(&mut text))
        };
        read.map_err(|error| format!("failed to read {}: {error}", file.display()))?;
    }
    Ok(text)
}

fn inventory(text: &str) -> Result<Inventory, String> {
    let mut inventory = Inventory::default();
    let pages = serde_json::Deserializer::from_str(text).into_iter::<Object>();
    for page in pages {
        let page = page.map_err(|error| format!("failed to read the tools: {error}"))?;
        let page = page.object("result").unwrap_or(page);
        let tools = page.get("tools");
        let tools = tools.ok_or("failed to read the tools: this is no answer to tools/list")?;
        inventory.add(tools.get()).map_err(|why| why.to_string())?;
    }
    Ok(inventory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let why = text(&[PathBuf::from("/nowhere/at/all")]).unwrap_err();
        assert!(why.starts_with("failed to read /nowhere/at/all: "), "{why}");
    }

    #[test]
    fn an_answer_a_result_and_pages_are_read() {
        let whole = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#;
        let pages = r#"{"tools":[{"name":"b"}],"nextCursor":"c"} {"tools":[{"name":"a"}]}"#;
        assert_eq!(
            inventory(whole).unwrap().hash(),
            inventory(pages).unwrap().hash()
        );
        assert!(inventory(r#"{"result":{}}"#).is_err());
        assert!(inventory("[]").is_err());
    }
}
