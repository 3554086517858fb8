//! The images: built, and pushed when a cluster runs.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::cluster::{Cluster, Shape, cache};
use crate::images::Image;
use crate::install;
use crate::progress::Stage;
use crate::registry::Registry;

/// Flags of `images`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    shape: Shape,
    /// The product's static program, for the image `sealroom`
    #[arg(long)]
    product: Option<PathBuf>,
    /// Hold the image `sealroom` to the size that may be shipped
    #[arg(long, requires = "product")]
    shipped: bool,
    /// The product built with the feature kernel-lock-off, for the image `sealroom-lock-off`
    #[arg(long)]
    lock_off: Option<PathBuf>,
    /// Leave out the image of llama.cpp
    #[arg(long)]
    without_llama: bool,
    /// Leave out the image of Ollama, whose program takes minutes to build
    #[arg(long)]
    without_ollama: bool,
    /// Build only
    #[arg(long)]
    no_push: bool,
}

impl Args {
    /// Builds them, and pushes them unless that is not wanted.
    pub(super) async fn run(self) -> Result<()> {
        let (locked, unlocked, shipped) = (self.product, self.lock_off, self.shipped);
        let mut products = Vec::new();
        products.extend(locked.map(|p| Image::product("sealroom", p, shipped)));
        products.extend(unlocked.map(|p| Image::product("sealroom-lock-off", p, false)));
        if !self.without_llama {
            let stage = Stage::begin("llama.cpp");
            products.push(Image::llama(install::llama_root().await?));
            stage.end("from Debian's packages");
        }
        if !self.without_ollama {
            let stage = Stage::begin("Ollama");
            products.push(install::ollama_image().await?);
            stage.end("from its Go module");
        }
        images(&self.shape, products, !self.no_push).await
    }
}

async fn images(shape: &Shape, products: Vec<Image>, push: bool) -> Result<()> {
    let cache = cache();
    let program = std::env::current_exe().context("failed to find this program's own path")?;
    let mut wanted = vec![Image::tool(program)];
    wanted.extend(products);
    let registry = if push {
        Some(Registry::new(&Cluster::new(shape)?.environment()?)?)
    } else {
        None
    };
    for image in wanted {
        let stage = Stage::begin(format!("image {}", image.name));
        let layout = image.build(&cache).await?;
        match &registry {
            Some(registry) => {
                registry.wait().await?;
                let reference = registry.push_layout(image.name, &layout).await?;
                stage.end("pushed");
                anstream::println!("{reference}");
            }
            None => stage.end(&layout.display().to_string()),
        }
    }
    Ok(())
}
