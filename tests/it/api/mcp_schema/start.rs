//! How a server is started, and where it listens.

use serde_json::{Value, json};

use super::Refused;

/// Commands that would fetch a package when the server starts.
const FETCH: &[&[&str]] = &[
    &["npx", "-y", "some-server"],
    &["/usr/local/bin/npx", "x"],
    &["uvx", "x"],
    &["pip3", "install", "x"],
    &["python3", "-m", "pip", "install", "x"],
    &["bunx", "x"],
    &["pnpm", "dlx", "x"],
    &["npm", "exec", "x"],
    &["uv", "run", "x"],
    &["env", "npx", "x"],
    &["sh", "-c", "npx -y x"],
    &["/bin/bash", "-c", "cd /app && uvx x"],
    &["sh", "-c", "pip install x && exec x"],
    &["sh", "-c", "python3 -m pip -q install x; exec x"],
    &["bash", "-lc", "uv run x"],
    &["sh", "-c", "(uv --directory /app tool run x)"],
    &["tini", "--", "sh", "-c", "exec pnpm dlx x"],
    &["sh", "-c", "cd /app\nnpm exec x"],
    &["sh", "-c", "bunx x"],
    &["sh", "-c", "uvx"],
    &["uv", "--directory", "/app", "run", "x"],
    &["node", "/usr/lib/node_modules/npm/bin/npx-cli.js", "x"],
    &[
        "node",
        "/usr/lib/node_modules/npm/bin/npm-cli.js",
        "exec",
        "x",
    ],
    &["proxy", "--", "npx", "x"],
    &["supergateway", "--stdio", "npx -y some-server"],
    &["dnx", "Some.Server", "--yes"],
    &["sh", "-c", "exec dnx Some.Server"],
    &["supergateway", "--stdio", "dnx Some.Server"],
    &["deno", "run", "-A", "npm:some-server"],
    &["deno", "run", "jsr:@some/server"],
    &[
        "/usr/bin/deno",
        "run",
        "--allow-net=x",
        "https://x/y.ts",
        "--a",
    ],
    &["deno", "-A", "npm:some-server"],
    &["deno", "x", "some-server"],
    &["sh", "-c", "cd /app && deno run -A npm:some-server@1"],
    &["sh", "-c", "deno install; exec deno run /app/server.ts"],
];

/// Commands that have such a word in them and fetch nothing.
const FETCH_NOTHING: &[&[&str]] = &[
    &["python3", "-m", "server"],
    &["node", "/app/node_modules/.bin/npx-like"],
    &["npm", "run", "start"],
    &["pnpm", "exec", "server"],
    &["sh", "-c", "npm -v && install -d /tmp/a && exec /server"],
    &["/bin/sh", "-c", "exec /app/server"],
    &["/server", "--ecosystem", "pip"],
    &["/server", "--say", "never run pip install"],
    &["python3", "-m", "server", "--index", "pip"],
    &["sh", "-c", "exec /server --ecosystem pip"],
    &["sh", "-c", "exec /opt/uvx/server; npm run start"],
    &["bun", "run", "/app/server.ts"],
    &["deno", "run", "-A", "/app/server.ts"],
    &["deno", "run", "-A", "/app/server.ts", "https://x/"],
    &["deno", "run", "/app/server.ts", "--from", "npm:x"],
    &["deno", "task", "start"],
    &["sh", "-c", "deno run -A /app/add && echo npm:x"],
];

fn command(words: &[&str]) -> Value {
    json!({ "spec.transport.stdio.command": words })
}

fn http(http: Value) -> Value {
    json!({ "spec.transport": { "type": "HTTP", "http": http } })
}

pub fn refused() -> Vec<Refused> {
    let mut all = vec![
        (
            json!({ "spec.transport.http": { "command": ["a"], "port": 3000 } }),
            "exactly one of stdio and http",
        ),
        (
            json!({ "spec.transport": { "type": "Stdio", "http": { "command": ["a"], "port": 3000 } } }),
            "exactly one of stdio and http",
        ),
        (
            json!({ "spec.transport": { "type": "HTTP" } }),
            "exactly one of stdio and http",
        ),
        (
            json!({ "spec.transport.stdio.command": [] }),
            "at least 1 items",
        ),
        (http(json!({ "port": 3000 })), "command: Required value"),
        (
            http(json!({ "command": ["npx", "x"], "port": 3000 })),
            "bake the package into the image",
        ),
        (
            http(json!({ "command": ["a"], "port": 8081 })),
            "the pod's gate has 8080",
        ),
        (
            http(json!({ "command": ["a"], "port": 11501 })),
            "the pod's gate has 8080",
        ),
        (
            http(json!({ "command": ["a"], "port": 3000, "path": "mcp" })),
            "should match",
        ),
    ];
    let fetch = FETCH.iter().map(|words| command(words));
    all.extend(fetch.map(|changes| (changes, "bake the package into the image")));
    all
}

pub fn taken() -> Vec<Value> {
    let mut all = vec![http(json!({ "command": ["/server"], "port": 3000 }))];
    all.extend(FETCH_NOTHING.iter().map(|words| command(words)));
    all
}
