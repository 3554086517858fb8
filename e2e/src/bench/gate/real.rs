//! The same with llama.cpp and the model of the tests: what gate and nginx add where a model computes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::process::{Child, Command};

use super::client::Spoken;
use super::events::MODEL;
use super::proxies::Proxies;
use super::ways::{Way, Ways};
use super::{AGAINST, show};
use crate::artifact;
use crate::bench::pairs::{Pairs, Side};
use crate::cluster::cache;
use crate::install::llama_root;

/// Pairs before the first that counts.
const WARM_UP: usize = 3;
/// Pairs of whole answers, and of streams.
const PAIRS: usize = 40;
/// Tokens of an answer; the model has more to say.
const TOKENS: u32 = 16;

/// Prints lines that begin with `bench gate llama.cpp`, or one that says why there are none: what it takes is built or
/// downloaded where the cache has it not.
///
/// # Errors
/// When one of the programs does not start, the gate is not proven, or a request is not answered with 200.
pub async fn real(program: &Path, nginx: &Path) -> Result<()> {
    let (root, model) = match found().await {
        Ok(found) => found,
        Err(error) => {
            println!("bench gate llama.cpp: skipped, {error:#}");
            return Ok(());
        }
    };
    let directory = tempfile::tempdir().context("failed to make a directory for the sockets")?;
    let socket = directory.path().join("runtime.sock");
    let _engine = engine(&root, &model, &socket)?;
    let proxies = Proxies::start(program, nginx, directory.path(), &socket).await?;
    let ways = proxies.ways(socket, Instant::now());
    for sides in AGAINST {
        let names = sides.map(Way::name);
        let whole = turns(&ways, sides, false).await?;
        let streams = turns(&ways, sides, true).await?;
        for (what, took, of) in [
            (
                "whole answer",
                &whole,
                (|one| one.last) as fn(&Spoken) -> f64,
            ),
            ("request to first event", &streams, |one| one.first),
            ("each later token", &streams, |one| {
                (one.last - one.first) / f64::from(TOKENS - 1)
            }),
        ] {
            let mut all = Pairs::default();
            for [first, second] in took {
                all.push(of(first), of(second));
            }
            show(&format!("llama.cpp, {TOKENS} tokens, {what}"), names, &all)?;
        }
    }
    proxies.gate.still_proven().await
}

/// The root with llama.cpp and the model's file.
async fn found() -> Result<(PathBuf, PathBuf)> {
    Ok((llama_root().await?, artifact::model(&cache()).await?))
}

/// llama-server through the loader of its own libc; it looks for its backends where it is started.
fn engine(root: &Path, model: &Path, socket: &Path) -> Result<Child> {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"))
        .current_dir(libraries.join("ggml/backends0"))
        .arg("--library-path")
        .arg(format!("{0}:{0}/llama", libraries.display()))
        .arg(root.join("usr/bin/llama-server"))
        .arg("-m")
        .arg(model)
        .arg("--host")
        .arg(socket)
        .args(["--port", "8080", "--offline", "--no-ui", "--alias", MODEL])
        .args(["-c", "2048", "-np", "1", "--cache-ram", "0"])
        // One thread computes: whoever waits for it has a processor of its own where there are two. Those of HTTP are
        // more than its connections.
        .args(["-t", "1", "--threads-http", "16"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("failed to start llama-server")
}

/// The same question each time, which the engine has read by the first pair. Each on a connection of its own, opened
/// before the clock runs: the engine ends one after a stream.
async fn turns(ways: &Ways, sides: [Way; 2], stream: bool) -> Result<Vec<[Spoken; 2]>> {
    let question = json!({"role": "user", "content": "Count from one to twenty."});
    let ask = json!({
        "model": MODEL, "messages": [question], "max_tokens": TOKENS, "temperature": 0, "stream": stream,
    });
    let mut turns = vec![];
    for pair in 0..WARM_UP + PAIRS {
        let mut took = [Spoken::default(); 2];
        for side in Side::order(pair) {
            let mut client = ways.client(sides[side as usize]).await?;
            let one = client.spoken(&ask).await?;
            ensure!(
                !stream || one.events >= TOKENS,
                "failed to see {TOKENS} tokens: {} events came",
                one.events
            );
            took[side as usize] = one;
        }
        if pair >= WARM_UP {
            turns.push(took);
        }
    }
    Ok(turns)
}
