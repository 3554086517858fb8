//! A server whose image has musl and neither glibc nor a shell: one client hears of its resource while the process of
//! another takes more memory than it may.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::place::{AGENT, NS, Place, delete, expect, protocol, told};
use super::seen::restarts;
use crate::install;
use crate::suite::fixtures::random;
use crate::suite::languages::CONTAINER;
use crate::suite::stage::Stage;

/// The server of `e2e/images/musl/server.mjs`, which is of the era with sessions.
const MUSL: &str = "musl";
const VERSION: &str = "3.2.1";
const TOOLS: [&str; 5] = ["echo", "exhaust", "mapped", "process", "write"];
/// What one process may have. Node.js 24 begins with 590 MiB, most of which are addresses for compiled code.
const CHILD_MEMORY: &str = "768Mi";
/// What all have together: two of them, and one that takes what it may.
const MEMORY: &str = "1280Mi";
/// The bound that Node.js has by itself lies above both, so that it is not what ends the process.
const COMMAND: [&str; 3] = [
    "/usr/bin/node",
    "--max-old-space-size=4096",
    "/srv/server.mjs",
];
/// What the script says last.
const DONE: &str = "heard";
/// Asks by the official client. `config` stands before it: url and key say who is asked, phrase what is written.
///
/// The client without a session has a process of its own, and so has the one with a session, which takes memory there. That
/// the first one's process goes on is seen by its number: after its end the gate would tell of the resource, too.
const SCRIPT: &str = r#"
import asyncio

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

NOTE = "note://one"


def connected(era):
    fields = {"authorization": f"Bearer {config['key']}"}
    http = httpx2.AsyncClient(headers=fields, timeout=httpx2.Timeout(60, connect=3))
    transport = streamable_http_client(config["url"], http_client=http)
    return Client(transport, mode=era, read_timeout_seconds=60)


async def call(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return result.content[0].text


async def exhaust(client):
    try:
        result = await client.call_tool("exhaust", {})
    except MCPError as error:
        assert error.code == -32603, error
    else:
        raise AssertionError(f"expected an error, got {result!r}")


async def main():
    async with connected("auto") as hears, connected("legacy") as eats:
        assert hears.protocol_version == "2026-07-28", hears.protocol_version
        mapped = (await call(hears, "mapped")).split()
        assert "/lib/ld-musl-x86_64.so.1" in mapped, mapped
        number = await call(hears, "process")
        assert await call(eats, "process") != number
        async with hears.listen(resource_subscriptions=[NOTE, "note://none"]) as updates:
            agreed = updates.honored.resource_subscriptions
            assert agreed == [NOTE], agreed
            await exhaust(eats)
            assert await call(hears, "process") == number
            await call(hears, "write", text=config["phrase"])
            update = await asyncio.wait_for(anext(updates), 30)
            assert update.uri == NOTE, update
        note = (await hears.read_resource(NOTE)).contents[0].text
        assert note == config["phrase"], note
    print("heard")


asyncio.run(main())
"#;

pub(super) async fn tells(stage: &Stage) -> Result<()> {
    let done = inside(stage, stage.helper().await?).await;
    delete(stage, &[MUSL]).await?;
    done
}

async fn inside(stage: &Stage, place: &Place) -> Result<()> {
    let mut server = place.server(MUSL);
    let spec = &mut server["spec"];
    spec["image"] = install::musl(stage.cluster()).await?.into();
    spec["transport"]["stdio"]["command"] = json!(COMMAND);
    spec["isolation"] = json!({"childMemory": CHILD_MEMORY});
    spec["resources"]["limits"] = json!({"memory": MEMORY});
    stage.apply(&[server]).await?;
    place.ready(stage, MUSL).await?;
    let object = told(stage, MUSL).await?;
    expect(&object, "Sealed", "True", "NoEgress")?;
    let status = &object["status"];
    let locks = status["seal"]["locks"].to_string();
    ensure!(
        locks.contains("\"Kernel\""),
        "expected the whole lock, got {locks}"
    );
    let info = &status["serverInfo"];
    ensure!(
        info["protocolVersion"] == protocol("legacy"),
        "expected a server of the older era, got {info}"
    );

    let mut config = place.config(MUSL, "auto");
    config["server"] = json!([MUSL, VERSION]);
    config["tools"] = json!(TOOLS);
    config["phrase"] = random().into();
    let checks = ["who", "tools", "echo"];
    place.serves(stage, &config, &checks).await?;
    hears(stage, &config).await?;
    let restarts = restarts(stage, MUSL).await?;
    ensure!(
        restarts == 0,
        "expected no container to begin anew, {restarts} did"
    );
    // Whoever comes next is served as before.
    place.checks(stage, &config, &["echo"]).await
}

/// Runs the script in the agent.
async fn hears(stage: &Stage, config: &Value) -> Result<()> {
    let config = Value::String(config.to_string());
    let script = format!("import json; config = json.loads({config})\n{SCRIPT}");
    let python = ["/usr/bin/python3", "-"];
    let ran = stage.world.feed(NS, AGENT, CONTAINER, &python, &script);
    let ran = ran.await.context("failed to hear of the resource")?;
    ensure!(
        ran.stdout.trim() == DONE,
        "expected {DONE:?}, got {:?}",
        ran.stdout
    );
    Ok(())
}
