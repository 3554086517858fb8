//! From an empty cluster to one with images, a model and the operator in it, by the chart and real helm.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::artifact;
use crate::cluster::{Cluster, cache, source};
use crate::demo::Props;
use crate::images::Image;
use crate::kube;
use crate::progress::Stage;
use crate::registry::Registry;
use crate::run::Program;
use crate::suite::Images;
use crate::tool::Hostile;
use crate::world::World;

/// Namespace and release of the contract with users.
const NAMESPACE: &str = "sealroom-system";
const RELEASE: &str = "sealroom";

/// Whence the tests' installations let metrics be read.
pub const MONITORING: &str = "monitoring";

/// A name that the tests' installations declare for the same registry, with an authority that is not its own.
pub const STRANGE_REGISTRY: &str = "strange.internal:5000";

/// What hostile runtimes dial: the listener outside, over both families.
const OUTSIDE: [&str; 2] = ["172.31.9.10:9000", "[fd31:9::10]:9000"];

/// Everything that was pushed, by digest.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The operator.
    pub sealroom: String,
    /// llama.cpp.
    pub llama: String,
    /// Ollama, with the runtimes of the tests, and where it was found built.
    pub ollama: Option<String>,
    /// Client pods and hostile runtimes.
    pub images: Images,
    /// The model.
    pub model: artifact::Pushed,
    /// Whether the runtimes of the tests are there too.
    pub hostile: bool,
}

/// Builds and pushes the images and the model, `hostile` with the runtimes of the tests and a build of the
/// product that may be larger than the shipped one; what the cache or the registry has is not made again.
///
/// # Errors
/// When something cannot be built or pushed.
pub async fn push(cluster: &Cluster, sealroom: &Path, hostile: bool) -> Result<Pushed> {
    let environment = cluster.environment()?;
    let registry = Registry::new(&environment)?;
    registry.wait().await?;
    let program = std::env::current_exe().context("failed to find this program's own path")?;

    let stage = Stage::begin("images");
    let put = async |image: Image| {
        registry
            .push_layout(image.name, &image.build(&cache()).await?)
            .await
    };
    let sealroom = put(Image::product("sealroom", sealroom.to_owned(), !hostile)).await?;
    let tool = put(Image::tool(program.clone())).await?;
    let llama = put(Image::llama(llama_root().await?)).await?;
    let mut images = Images {
        tool: tool.clone(),
        dialler: tool.clone(),
        families: tool.clone(),
        failing: tool,
    };
    let mut ollama = None;
    if hostile {
        ollama = Some(put(ollama_image().await?).await?);
        let dial = OUTSIDE
            .iter()
            .map(|to| to.parse())
            .collect::<Result<_, _>>()?;
        let dialler = Hostile {
            dial,
            every_ms: 100,
            ignore_term: true,
            ..Hostile::default()
        };
        images.dialler = put(Image::hostile("dialler", &program, &dialler)?).await?;
        let families = Hostile {
            families: true,
            ..Hostile::default()
        };
        images.families = put(Image::hostile("families", &program, &families)?).await?;
        let failing = Hostile {
            obeys: true,
            ..Hostile::default()
        };
        images.failing = put(Image::hostile("failing", &program, &failing)?).await?;
    }
    stage.end("built and pushed, named by digest");

    let stage = Stage::begin("model");
    let model = artifact::push(&registry, &artifact::model(&cache()).await?).await?;
    if let Some(directory) = &environment.bed_dir {
        std::fs::write(directory.join("model-ref"), format!("{}\n", model.oras))?;
    }
    stage.end(&model.oras);
    Ok(Pushed {
        sealroom,
        llama,
        ollama,
        images,
        model,
        hostile,
    })
}

/// The root of llama.cpp with its own libc, from Debian's packages.
///
/// # Errors
/// When Debian's packages cannot be had, or do not start.
pub async fn llama_root() -> Result<PathBuf> {
    root_by("images/llama/root.sh").await
}

/// The image of Ollama, whose program is built from its Go module.
///
/// # Errors
/// When it cannot be built.
pub async fn ollama_image() -> Result<Image> {
    let program = go_program("ollama").await?.join("ollama");
    Ok(Image::of_program("ollama", program, 100_000_000))
}

/// The image of Ollama, pushed unless it is there, where the cache has its program: its reference by digest, which
/// `make bed-env` prints too. Nobody waits for the minutes of its build who may not want it.
///
/// # Errors
/// When it cannot be built or pushed.
pub async fn built_ollama(cluster: &Cluster) -> Result<Option<String>> {
    if !cache().join("go/ollama/ollama").is_file() {
        println!(
            "Ollama is not built and not declared, examples/assistant-ollama needs it: e2e/bed/build.sh ollama, and make bed again"
        );
        return Ok(None);
    }
    let stage = Stage::begin("Ollama");
    let reference = push_image(cluster, ollama_image().await?).await?;
    if let Some(directory) = &cluster.environment()?.bed_dir {
        std::fs::write(directory.join("ollama-image"), format!("{reference}\n"))?;
    }
    stage.end(&reference);
    Ok(Some(reference))
}

/// The root of an image that a script lays out from Debian's packages: it prints the directory last.
async fn root_by(script: &str) -> Result<PathBuf> {
    let program = Program::new(source().join(script)).env("SEALROOM_CACHE", cache());
    let output = program.deadline(Duration::from_secs(900)).run().await?;
    let last = output.stdout.lines().last().map(PathBuf::from);
    last.with_context(|| format!("failed to find what {script} made"))
}

/// The image of the official clients, built and pushed unless it is there: its reference by digest.
///
/// # Errors
/// When it cannot be built or pushed.
pub async fn clients(cluster: &Cluster) -> Result<String> {
    let root = root_by("images/clients/root.sh").await?;
    push_image(cluster, Image::clients(root)).await
}

/// The image of an MCP server on musl, built and pushed unless it is there: its reference by digest.
///
/// # Errors
/// When it cannot be built or pushed.
pub async fn musl(cluster: &Cluster) -> Result<String> {
    let root = root_by("images/musl/root.sh").await?;
    push_image(cluster, Image::musl(root)).await
}

/// The image of a database, built and pushed unless it is there: its reference by digest.
///
/// # Errors
/// When it cannot be built or pushed.
pub async fn postgres(cluster: &Cluster) -> Result<String> {
    let root = root_by("images/postgres/root.sh").await?;
    push_image(cluster, Image::postgres(root)).await
}

/// The image of the server in `examples/fastmcp-pnpm`, built and pushed unless it is there: its reference by digest.
///
/// # Errors
/// When it cannot be built or pushed.
pub async fn ask(cluster: &Cluster) -> Result<String> {
    let root = root_by("images/node/root.sh").await?;
    push_image(cluster, Image::ask(root)).await
}

/// The image of the ingress controller, built and pushed unless it is there: its reference by digest.
///
/// # Errors
/// When it cannot be built or pushed.
pub async fn traefik(cluster: &Cluster) -> Result<String> {
    let program = go_program("traefik").await?.join("traefik");
    push_image(cluster, Image::of_program("traefik", program, 200_000_000)).await
}

async fn push_image(cluster: &Cluster, image: Image) -> Result<String> {
    let registry = Registry::new(&cluster.environment()?)?;
    let layout = image.build(&cache()).await?;
    registry.push_layout(image.name, &layout).await
}

/// A Go program's directory, built from its pins unless the cache has it: that takes some minutes.
async fn go_program(family: &str) -> Result<PathBuf> {
    let script = Program::new(source().join("bed/build.sh"))
        .env("SEALROOM_CACHE", cache())
        .arg(family);
    script
        .deadline(Duration::from_secs(1800))
        .run()
        .await
        .with_context(|| format!("failed to build {family}"))?;
    Ok(cache().join("go").join(family))
}

/// Builds and pushes Prometheus and its adapter, in this order.
///
/// # Errors
/// When something cannot be built or pushed.
pub async fn metrics(cluster: &Cluster) -> Result<[String; 2]> {
    let prometheus = go_program("prometheus").await?.join("prometheus");
    let adapter = go_program("prometheus-adapter").await?.join("adapter");
    let prometheus = Image::of_program("prometheus", prometheus, 200_000_000);
    let adapter = Image::of_program("adapter", adapter, 150_000_000);
    Ok([
        push_image(cluster, prometheus).await?,
        push_image(cluster, adapter).await?,
    ])
}

/// Installs or upgrades the chart with the images that were pushed, and waits for it.
///
/// # Errors
/// What helm said.
pub async fn install(world: &World, pushed: &Pushed) -> Result<()> {
    let stage = Stage::begin("operator");
    world.namespace(NAMESPACE).await?;
    let monitoring = json!({"matchLabels": {"kubernetes.io/metadata.name": MONITORING}});
    let scrapers: Vec<_> = pushed
        .hostile
        .then(|| json!({"namespaceSelector": monitoring}))
        .into_iter()
        .collect();
    let values = json!({
        "image": pushed.sealroom,
        "engines": {
            "llamaCpp": {"image": pushed.llama},
            "ollama": {"image": pushed.ollama.as_deref().unwrap_or_default()},
        },
        "imagePullSecrets": ["registry"],
        "metricsFrom": scrapers,
        "registries": registries(world, pushed.hostile).await?,
    });
    let file = tempfile::Builder::new().suffix(".json").tempfile()?;
    std::fs::write(file.path(), values.to_string())?;
    let values = ["--values", &file.path().to_string_lossy()];
    kube::helm(&world.environment, RELEASE, NAMESPACE, &chart(), &values).await?;
    stage.end("chart installed from charts/sealroom");
    Ok(())
}

/// The registries that are declared, with `hostile` also one that another authority signed for.
async fn registries(world: &World, hostile: bool) -> Result<Vec<Value>> {
    let environment = &world.environment;
    let addresses = &environment.registry_addresses;
    let peers: Vec<_> = addresses
        .iter()
        .map(|ip| json!({"ipBlock": {"cidr": format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })}}))
        .collect();
    let declared = |host: Option<&str>, ca: &str| {
        json!({
            "host": host,
            "addresses": addresses,
            "peers": peers,
            "ports": [{"port": 5000, "protocol": "TCP"}],
            "ca": ca,
        })
    };
    let ca = match &environment.registry_ca {
        Some(path) => std::fs::read_to_string(path)?,
        None => String::new(),
    };
    let mut registries = vec![declared(environment.registry.as_deref(), &ca)];
    if hostile {
        // The same registry under another name, with the cluster's own authority, which did not sign for it.
        let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/kube-root-ca.crt");
        let root = world.get(&path).await?.unwrap_or_default();
        let ca = root["data"]["ca.crt"].as_str().unwrap_or_default();
        registries.push(declared(Some(STRANGE_REGISTRY), ca));
    }
    Ok(registries)
}

/// Changes some of the chart's values, `key=value`, and waits until they hold.
///
/// # Errors
/// What helm said.
pub async fn set(world: &World, values: &[&str]) -> Result<()> {
    let mut settings = vec!["--reuse-values"];
    settings.extend(values.iter().flat_map(|value| ["--set", value]));
    kube::helm(&world.environment, RELEASE, NAMESPACE, &chart(), &settings).await
}

/// A file of the repository's examples, with placeholders `${NAME}` filled in.
///
/// # Errors
/// When it cannot be read.
pub fn example(file: &str, places: &[(&str, &str)]) -> Result<String> {
    let path = repository().join("examples").join(file);
    let mut text = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    for (name, value) in places {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    Ok(text)
}

fn chart() -> PathBuf {
    repository().join("charts/sealroom")
}

/// The repository's root.
fn repository() -> PathBuf {
    source().join("..")
}

/// What the demo needs of what was pushed.
#[must_use]
pub fn props(pushed: &Pushed) -> Props {
    Props {
        model: pushed.model.oras.clone(),
        tool: pushed.images.tool.clone(),
    }
}
