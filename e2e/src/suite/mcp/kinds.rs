//! Servers of three libraries, over stdio and over HTTP on loopback, by their own defaults, and an official one.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::dialled::outside;
use super::place::{
    AGENT, ERAS, HELPER, NS, Place, TOOLS, TYPESCRIPT, delete, expect, protocol, told,
};
use crate::suite::languages;
use crate::suite::stage::Stage;

const PORT: u16 = 3000;

/// One of them.
struct Kind {
    /// The object's name.
    name: &'static str,
    command: [&'static str; 2],
    http: bool,
    /// What it says it is.
    server: [&'static str; 2],
    tools: &'static [&'static str],
    /// Whether it speaks the revision without sessions itself. Over HTTP nothing is translated.
    modern: bool,
    /// What else the client checks.
    more: &'static [&'static str],
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "python-http",
        command: ["/usr/bin/python3", "/srv/helper.py"],
        http: true,
        server: [HELPER, "1.2.3"],
        tools: &TOOLS,
        modern: true,
        more: &["dial"],
    },
    Kind {
        name: "fastmcp-stdio",
        command: ["/usr/bin/node", "/srv/fast.mjs"],
        http: false,
        server: ["fast", "4.5.6"],
        tools: &["echo"],
        modern: false,
        more: &[],
    },
    Kind {
        name: "fastmcp-http",
        command: ["/usr/bin/node", "/srv/fast.mjs"],
        http: true,
        server: ["fast", "4.5.6"],
        tools: &["echo"],
        modern: false,
        more: &[],
    },
    Kind {
        name: "fastmcp-python-stdio",
        command: ["/usr/bin/python3", "/srv/fast.py"],
        http: false,
        server: ["fast", "7.8.9"],
        tools: &["echo"],
        modern: true,
        more: &[],
    },
    Kind {
        name: "fastmcp-python-http",
        command: ["/usr/bin/python3", "/srv/fast.py"],
        http: true,
        server: ["fast", "7.8.9"],
        tools: &["echo"],
        modern: true,
        more: &[],
    },
    // The official one, most of whose tools are there only for clients that can be asked something.
    Kind {
        name: "everything",
        command: [
            "/usr/bin/node",
            "/node_modules/@modelcontextprotocol/server-everything/dist/index.js",
        ],
        http: false,
        server: ["mcp-servers/everything", "2.0.0"],
        tools: &[],
        modern: false,
        more: &["elicits"],
    },
];

/// Lets a server on standard input listen instead: the variable that tells it where.
pub(super) fn over_http(spec: &mut Value) -> Value {
    let command = spec["transport"]["stdio"]["command"].take();
    spec["transport"] = json!({"type": "HTTP", "http": {"command": command, "port": PORT}});
    json!({"name": "HTTP_PORT", "value": PORT.to_string()})
}

pub(super) async fn answer(stage: &Stage) -> Result<()> {
    let place = stage.helper().await?;
    let done = async {
        let objects: Vec<_> = KINDS.iter().map(|kind| kind.object(place)).collect();
        stage.apply(&objects).await?;
        for kind in &KINDS {
            kind.answers(stage, place).await?;
        }
        anyhow::Ok(())
    }
    .await;
    delete(stage, &KINDS.map(|kind| kind.name)).await?;
    done
}

impl Kind {
    fn object(&self, place: &Place) -> Value {
        let mut server = place.server(self.name);
        let spec = &mut server["spec"];
        spec["transport"]["stdio"]["command"] = json!(self.command);
        if self.http {
            let variable = over_http(spec);
            spec["env"] = json!([variable]);
        }
        server
    }

    async fn answers(&self, stage: &Stage, place: &Place) -> Result<()> {
        place.ready(stage, self.name).await?;
        let object = told(stage, self.name).await?;
        expect(&object, "Sealed", "True", "NoEgress")?;
        let (info, locks) = (
            &object["status"]["serverInfo"],
            object["status"]["seal"]["locks"].to_string(),
        );
        let [name, version] = self.server;
        ensure!(
            info["name"] == name && info["version"] == version,
            "expected {name} {version}, got {info}"
        );
        let lock = if self.http { "KernelStream" } else { "Kernel" };
        ensure!(
            locks.contains(&format!("\"{lock}\"")),
            "expected {lock} of {}, got {locks}",
            self.name
        );
        for era in ERAS {
            let mut config = place.config(self.name, era);
            config["server"] = json!(self.server);
            config["tools"] = json!(self.tools);
            config["phrase"] = self.name.into();
            config["dial"] = serde_json::to_value(outside())?;
            config["stream"] = json!(["TimeoutError", "PermissionError"]);
            if self.http && !self.modern {
                config["protocol"] = protocol("legacy").into();
            }
            let mut checks = vec!["who"];
            if !self.tools.is_empty() {
                checks.extend(["tools", "echo"]);
            }
            checks.extend(self.more);
            checks.push("wrong_key");
            place.checks(stage, &config, &checks).await?;
            languages::run(stage, (NS, AGENT), TYPESCRIPT, &config, &checks).await?;
        }
        Ok(())
    }
}
