//! Images: built from Dockerfiles into OCI layouts in the cache, by the hash of what goes in, and pushed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    cluster::{cache, source},
    tool::Hostile,
};

mod build;

/// An image to build.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// Its repository in the registry, without the host.
    pub name: &'static str,
    /// Its Dockerfile.
    pub dockerfile: PathBuf,
    /// What the Dockerfile copies: name in the build context, and the file or directory.
    pub context: Vec<(&'static str, PathBuf)>,
    /// How large it may be, in bytes.
    pub limit: u64,
    /// Further arguments of its build.
    pub arguments: Vec<&'static str>,
    /// The images that it is built on, which are built before it and not kept: the argument that each is given by, up
    /// to its name.
    pub bases: Vec<(&'static str, Image)>,
}

impl Image {
    /// The product: one static program. What is shipped has at most 20 MB; a build for the tests, with
    /// assertions and symbols, may have more.
    pub fn product(name: &'static str, program: PathBuf, shipped: bool) -> Self {
        let dockerfile = source().join("../Dockerfile");
        let limit = if shipped { 20_000_000 } else { 150_000_000 };
        Self {
            name,
            dockerfile,
            context: vec![("sealroom", program)],
            limit,
            ..Self::default()
        }
    }

    /// llama.cpp of Debian with its own libc; `root` is what `images/llama/root.sh` made.
    pub fn llama(root: PathBuf) -> Self {
        let dockerfile = source().join("images/llama/Dockerfile");
        Self {
            name: "llama",
            dockerfile,
            context: vec![("root", root)],
            limit: 400_000_000,
            ..Self::default()
        }
    }

    /// A static program that `bed/build.sh` built, at most so many bytes, by the Dockerfile in the folder of its name.
    pub fn of_program(name: &'static str, program: PathBuf, limit: u64) -> Self {
        let dockerfile = source().join("images").join(name).join("Dockerfile");
        Self {
            name,
            dockerfile,
            context: vec![(name, program)],
            limit,
            ..Self::default()
        }
    }

    /// The official clients, with the languages that they need, and MCP servers; `root` is what
    /// `images/clients/root.sh` made.
    pub fn clients(root: PathBuf) -> Self {
        let dockerfile = source().join("images/clients/Dockerfile");
        Self {
            name: "clients",
            dockerfile,
            context: vec![
                ("root", root),
                ("helper.py", source().join("mcp/helper.py")),
                ("attack.py", source().join("mcp/attack.py")),
                ("fast.mjs", source().join("mcp/fast.mjs")),
                ("fast.py", source().join("mcp/fast.py")),
                ("records.py", source().join("mcp/records.py")),
            ],
            limit: 420_000_000,
            ..Self::default()
        }
    }

    /// An MCP server on Node.js and musl, without another libc and without a shell; `root` is what `images/musl/root.sh`
    /// made.
    pub fn musl(root: PathBuf) -> Self {
        let folder = source().join("images/musl");
        Self {
            name: "musl",
            dockerfile: folder.join("Dockerfile"),
            context: vec![("root", root), ("server.mjs", folder.join("server.mjs"))],
            limit: 200_000_000,
            ..Self::default()
        }
    }

    /// PostgreSQL of Debian; `root` is what `images/postgres/root.sh` made.
    pub fn postgres(root: PathBuf) -> Self {
        let folder = source().join("images/postgres");
        Self {
            name: "postgres",
            dockerfile: folder.join("Dockerfile"),
            context: vec![("root", root), ("pg_hba.conf", folder.join("pg_hba.conf"))],
            limit: 200_000_000,
            ..Self::default()
        }
    }

    /// This program itself: client pods and hostile runtimes.
    pub fn tool(program: PathBuf) -> Self {
        let dockerfile = source().join("images/tool/Dockerfile");
        Self {
            name: "tool",
            dockerfile,
            context: vec![("sealroom-e2e", program)],
            limit: 200_000_000,
            ..Self::default()
        }
    }

    /// A runtime that tries to get out: this program in the engine's place, with its orders.
    ///
    /// # Errors
    /// When the orders cannot be written down.
    pub fn hostile(name: &'static str, program: &Path, orders: &Hostile) -> Result<Self> {
        let file = cache().join(format!("{name}.json"));
        fs::write(&file, serde_json::to_vec(orders)?).context("failed to write the orders")?;
        Ok(Self {
            name,
            dockerfile: source().join("images/hostile/Dockerfile"),
            context: vec![("sealroom-e2e", program.to_owned()), ("hostile.json", file)],
            limit: 200_000_000,
            ..Self::default()
        })
    }

    /// The server of `examples/fastmcp-pnpm`, built as its README says for where no registry of packages is in reach;
    /// `node` is what `images/node/root.sh` made.
    pub fn ask(node: PathBuf) -> Self {
        let server = source().join("../examples/fastmcp-pnpm/server");
        let part = |name: &'static str| (name, server.join(name));
        let locked = ["pnpm-lock.yaml", "pnpm-workspace.yaml"];
        let own = [".dockerignore", "package.json", "src", "tsconfig.json"];
        let dockerfile = server.join("Dockerfile");
        let node = Self {
            name: "node",
            dockerfile: source().join("images/node/Dockerfile"),
            context: vec![("root", node)],
            ..Self::default()
        };
        let node = ("--build-arg=NODE_IMAGE=", node);
        let fetched = Self {
            name: "ask-fetched",
            dockerfile: dockerfile.clone(),
            context: locked.map(part).to_vec(),
            arguments: vec!["--target=fetched"],
            bases: vec![node.clone()],
            ..Self::default()
        };
        let fetched = ("--build-context=fetched=docker-image://", fetched);
        Self {
            name: "ask",
            dockerfile,
            context: locked.into_iter().chain(own).map(part).collect(),
            limit: 200_000_000,
            arguments: vec!["--network=none"],
            bases: vec![node, fetched],
        }
    }
}
