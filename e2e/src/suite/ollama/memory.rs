//! What the engine's container took of the memory that an estimate for llama.cpp gives it.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::suite::processes;
use crate::suite::stage::{Served, Stage};

const MIB: u64 = 1 << 20;
/// Where the kernel keeps the most that a cgroup has had and what it may have: with cgroup v1 and v2.
const V1: (&str, [&str; 2]) = (
    "/sys/fs/cgroup/memory",
    ["memory.max_usage_in_bytes", "memory.limit_in_bytes"],
);
const V2: (&str, [&str; 2]) = ("/sys/fs/cgroup", ["memory.peak", "memory.max"]);

/// Since its start the container has had less than it may have, and that is what the status estimates. What the kernel
/// counts has the pages of files in it that were read for this container first.
pub(in crate::suite) async fn below_its_limit(
    stage: &Stage,
    model: &Served,
    what: &str,
) -> Result<()> {
    // An existing cluster has its nodes on other machines.
    if stage.cluster().cgroup().is_err() {
        return Ok(());
    }
    let status = stage.object(model).await?["status"].take();
    let total = status["memory"]["total"].as_str().unwrap_or_default();
    let estimate: u64 = (total.strip_suffix("Mi").unwrap_or_default())
        .parse()
        .with_context(|| format!("failed to read status.memory.total {total:?}"))?;
    let pods = stage.world.pods(&model.namespace, &model.name).await?;
    let pod = pods.first().context("failed to find a pod")?;
    let [peak, limit] = read(container(pod)?)?.map(|bytes| bytes.div_ceil(MIB));
    println!("e2e note   {what}: peak {peak} MiB of estimate {estimate} MiB, limit {limit} MiB");
    ensure!(
        limit == estimate,
        "expected the estimate to be the limit, got {limit} MiB for {estimate} MiB"
    );
    ensure!(
        peak < limit,
        "expected less than the limit of {limit} MiB, got {peak} MiB"
    );
    Ok(())
}

/// The ID of the runtime's container, without the name of what runs it.
fn container(pod: &Value) -> Result<&str> {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let mut statuses = statuses.into_iter().flatten();
    let runtime = statuses.find(|status| status["name"] == "runtime");
    let id = runtime.and_then(|status| status["containerID"].as_str());
    let id = id.and_then(|id| id.split_once("://"));
    Ok(id.context("failed to find the runtime's container")?.1)
}

/// The most that this container has had, and what it may have, in bytes.
fn read(container: &str) -> Result<[u64; 2]> {
    let groups = processes::all()?.into_iter().find_map(|process| {
        let groups = processes::text(&process, "cgroup");
        groups.contains(container).then_some(groups)
    });
    let groups = groups.context("failed to find a process of the container")?;
    // Each line is `number:controllers:path`, without controllers for v2.
    let path = |controller: &str| {
        groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let mut controllers = controllers.split(',');
            controllers.any(|of| of == controller).then_some(path)
        })
    };
    let v1 = path("memory").map(|path| (path, V1));
    let found = v1.or_else(|| path("").map(|path| (path, V2)));
    let (path, (root, files)) = found.context("failed to find the container's cgroup")?;
    let directory = PathBuf::from(format!("{root}{path}"));
    let [peak, limit] = files.map(|file| {
        let file = directory.join(file);
        let text = std::fs::read_to_string(&file);
        let text = text.with_context(|| format!("failed to read {}", file.display()))?;
        let bytes = text.trim().parse::<u64>();
        bytes.with_context(|| format!("failed to read {text:?} in {}", file.display()))
    });
    Ok([peak?, limit?])
}
