//! Images: built from Dockerfiles into OCI layouts in the cache, by the hash of what goes in, and pushed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::{
    cluster::{cache, source},
    registry::hex,
    run::Program,
    tool::Hostile,
};

/// An image to build.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its repository in the registry, without the host.
    pub name: &'static str,
    /// Its Dockerfile.
    pub dockerfile: PathBuf,
    /// What the Dockerfile copies: name in the build context, and the file or directory.
    pub context: Vec<(&'static str, PathBuf)>,
    /// How large it may be, in bytes.
    pub limit: u64,
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
                ("fast.mjs", source().join("mcp/fast.mjs")),
                ("fast.py", source().join("mcp/fast.py")),
                ("records.py", source().join("mcp/records.py")),
            ],
            limit: 400_000_000,
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
        })
    }

    /// Builds it unless the cache has it; gives the OCI layout.
    ///
    /// # Errors
    /// When it cannot be built or is larger than its limit.
    pub async fn build(&self, cache: &Path) -> Result<PathBuf> {
        let key = self.key()?;
        let images = cache.join("images");
        let layout = images.join(format!("{}-{}", self.name, &key[..16]));
        if layout.is_dir() {
            return self.fits(&layout).map(|()| layout);
        }
        fs::create_dir_all(&images).context("failed to make the images' directory")?;
        let work = tempfile::tempdir_in(&images).context("failed to make a build context")?;
        let context = work.path().join("context");
        fs::create_dir(&context)?;
        for (name, path) in &self.context {
            let copy = Program::new("cp")
                .args(["-a", "--reflink=auto"])
                .arg(path)
                .arg(context.join(name));
            copy.deadline(Duration::from_secs(120)).run().await?;
        }
        let buildah = |arguments: &[&str]| {
            let program =
                Program::new(source().join("bed/buildah.sh")).env("SEALROOM_CACHE", cache);
            program.args(arguments).deadline(Duration::from_secs(600))
        };
        // The same inputs give the same digest, so that nothing is pulled again without a reason.
        let build = buildah(&["bud", "--quiet", "--timestamp", "0", "--file"])
            .arg(&self.dockerfile)
            .arg(&context);
        let id = build
            .run()
            .await
            .with_context(|| format!("failed to build the image {}", self.name))?;
        let id = id.stdout.trim().to_owned();
        let made = work.path().join("layout");
        let push = buildah(&[
            "push",
            "--quiet",
            "--disable-compression",
            "--format",
            "oci",
            &id,
        ]);
        push.arg(format!("oci:{}", made.display())).run().await?;
        buildah(&["rmi", &id]).run().await?;
        self.fits(&made)?;
        fs::rename(&made, &layout)
            .with_context(|| format!("failed to keep the image {}", self.name))?;
        Ok(layout)
    }

    fn fits(&self, layout: &Path) -> Result<()> {
        let size = size(layout)?;
        ensure!(
            size <= self.limit,
            "failed to build the image {}: {size} bytes where {} are allowed",
            self.name,
            self.limit
        );
        Ok(())
    }

    /// The hash of the Dockerfile and of everything that it copies.
    fn key(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(
            fs::read(&self.dockerfile)
                .with_context(|| format!("failed to read {}", self.dockerfile.display()))?,
        );
        for (name, path) in &self.context {
            hash.update(name);
            add(&mut hash, path)?;
        }
        Ok(hex(&hash.finalize())
            .trim_start_matches("sha256:")
            .to_owned())
    }
}

/// Adds names and contents of a file or directory, in the order of their names.
fn add(hash: &mut Sha256, path: &Path) -> Result<()> {
    let metadata =
        fs::symlink_metadata(path).with_context(|| format!("failed to find {}", path.display()))?;
    if metadata.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            hash.update(entry.file_name().as_encoded_bytes());
            add(hash, &entry.path())?;
        }
    } else if metadata.is_symlink() {
        hash.update(fs::read_link(path)?.as_os_str().as_encoded_bytes());
    } else {
        std::io::copy(&mut fs::File::open(path)?, &mut Hasher(hash))?;
    }
    Ok(())
}

/// A hash that can be written to.
struct Hasher<'a>(&'a mut Sha256);

impl std::io::Write for Hasher<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The size of all blobs of a layout, in bytes.
fn size(layout: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in
        fs::read_dir(layout.join("blobs/sha256")).context("failed to read the image's layout")?
    {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_changes_with_a_name_a_content_and_the_dockerfile() {
        let directory = tempfile::tempdir().unwrap();
        let (dockerfile, root) = (
            directory.path().join("Dockerfile"),
            directory.path().join("root"),
        );
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(&dockerfile, "FROM scratch").unwrap();
        fs::write(root.join("a/f"), "1").unwrap();
        let image = Image {
            name: "x",
            dockerfile: dockerfile.clone(),
            context: vec![("root", root.clone())],
            limit: 0,
        };
        let mut keys = vec![image.key().unwrap()];
        assert_eq!(keys[0], image.key().unwrap());
        fs::write(root.join("a/f"), "2").unwrap();
        keys.push(image.key().unwrap());
        fs::rename(root.join("a/f"), root.join("a/g")).unwrap();
        keys.push(image.key().unwrap());
        fs::write(&dockerfile, "FROM scratch\n").unwrap();
        keys.push(image.key().unwrap());
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 4);
    }
}
