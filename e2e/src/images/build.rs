//! An image's build: by buildah, from copies of what goes in, with what it is built on before it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sha2::{Digest as _, Sha256};

use super::Image;
use crate::{cluster::source, registry::hex, run::Program};

impl Image {
    /// Builds it unless the cache has it; gives the OCI layout.
    ///
    /// # Errors
    /// When it cannot be built or is larger than its limit.
    pub async fn build(&self, cache: &Path) -> Result<PathBuf> {
        let images = cache.join("images");
        let layout = images.join(format!("{}-{}", self.name, self.short_key()?));
        if layout.is_dir() {
            return self.fits(&layout).map(|()| layout);
        }
        fs::create_dir_all(&images).context("failed to make the images' directory")?;
        let work = tempfile::tempdir_in(&images).context("failed to make a build context")?;
        let line = self.line()?;
        for (local, image) in &line {
            image.store(cache, work.path(), local).await?;
        }
        let made = work.path().join("layout");
        buildah(cache, &["push", "--quiet", "--disable-compression"])
            .args(["--format", "oci", &self.local()?])
            .arg(format!("oci:{}", made.display()))
            .run()
            .await?;
        let locals = line.iter().rev().map(|(local, _)| local);
        buildah(cache, &["rmi"]).args(locals).run().await?;
        self.fits(&made)?;
        fs::rename(&made, &layout)
            .with_context(|| format!("failed to keep the image {}", self.name))?;
        Ok(layout)
    }

    /// Builds it into buildah's own store, under its name there.
    async fn store(&self, cache: &Path, work: &Path, local: &str) -> Result<()> {
        let context = work.join(self.name);
        fs::create_dir(&context)?;
        for (name, path) in &self.context {
            let copy = Program::new("cp")
                .args(["-a", "--reflink=auto"])
                .arg(path)
                .arg(context.join(name));
            copy.deadline(Duration::from_secs(120)).run().await?;
        }
        // The same inputs give the same digest, so that nothing is pulled again without a reason.
        buildah(cache, &["bud", "--quiet", "--timestamp", "0"])
            .arg(format!("--tag={local}"))
            .args(&self.arguments)
            .args(self.given()?)
            .arg("--file")
            .arg(&self.dockerfile)
            .arg(&context)
            .run()
            .await
            .with_context(|| format!("failed to build the image {}", self.name))?;
        Ok(())
    }

    /// The arguments that name what it is built on.
    fn given(&self) -> Result<Vec<String>> {
        let bases = self.bases.iter();
        bases
            .map(|(argument, base)| Ok(format!("{argument}{}", base.local()?)))
            .collect()
    }

    /// What it is built on and itself, in the order of their builds, each once, by their names in the store.
    fn line(&self) -> Result<Vec<(String, &Self)>> {
        let mut line: Vec<(String, &Self)> = vec![];
        for (_, base) in &self.bases {
            for (local, image) in base.line()? {
                if line.iter().all(|(other, _)| *other != local) {
                    line.push((local, image));
                }
            }
        }
        line.push((self.local()?, self));
        Ok(line)
    }

    /// Its name in the store, which says what went in.
    fn local(&self) -> Result<String> {
        Ok(format!(
            "localhost/sealroom/{}:{}",
            self.name,
            self.short_key()?
        ))
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

    /// As much of its key as names are made of.
    fn short_key(&self) -> Result<String> {
        Ok(self.key()?[..16].to_owned())
    }

    /// The hash of the Dockerfile, of everything that it copies, and of what it is built with and on.
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
        for argument in &self.arguments {
            hash.update(argument);
        }
        for argument in self.given()? {
            hash.update(argument);
        }
        Ok(hex(&hash.finalize())
            .trim_start_matches("sha256:")
            .to_owned())
    }
}

fn buildah(cache: &Path, arguments: &[&str]) -> Program {
    let program = Program::new(source().join("bed/buildah.sh")).env("SEALROOM_CACHE", cache);
    program.args(arguments).deadline(Duration::from_secs(600))
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

    /// An image with a directory in it, in which there is a file.
    fn image(directory: &Path, name: &'static str) -> Image {
        let (dockerfile, root) = (directory.join("Dockerfile"), directory.join("root"));
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(&dockerfile, "FROM scratch").unwrap();
        fs::write(root.join("a/f"), "1").unwrap();
        Image {
            name,
            dockerfile,
            context: vec![("root", root)],
            ..Image::default()
        }
    }

    #[test]
    fn key_changes_with_a_name_a_content_the_dockerfile_an_argument_and_a_base() {
        let directory = tempfile::tempdir().unwrap();
        let mut image = image(directory.path(), "x");
        let root = directory.path().join("root");
        let mut keys = vec![image.key().unwrap()];
        assert_eq!(keys[0], image.key().unwrap());
        fs::write(root.join("a/f"), "2").unwrap();
        keys.push(image.key().unwrap());
        fs::rename(root.join("a/f"), root.join("a/g")).unwrap();
        keys.push(image.key().unwrap());
        fs::write(&image.dockerfile, "FROM scratch\n").unwrap();
        keys.push(image.key().unwrap());
        image.arguments.push("--target=a");
        keys.push(image.key().unwrap());
        image.bases.push(("--build-arg=BASE=", image.clone()));
        keys.push(image.key().unwrap());
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 6);
    }

    #[test]
    fn what_an_image_is_built_on_is_built_once_and_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let [base, mut middle, mut top] =
            ["base", "middle", "top"].map(|name| image(directory.path(), name));
        middle.bases = vec![("--build-arg=BASE=", base.clone())];
        top.bases = vec![
            ("--build-arg=BASE=", base),
            ("--build-context=middle=docker-image://", middle),
        ];
        let line = top.line().unwrap();
        let names: Vec<_> = line.iter().map(|(_, image)| image.name).collect();
        assert_eq!(names, ["base", "middle", "top"]);
        let given = [
            format!("--build-arg=BASE={}", line[0].0),
            format!("--build-context=middle=docker-image://{}", line[1].0),
        ];
        assert_eq!(top.given().unwrap(), given);
    }
}
