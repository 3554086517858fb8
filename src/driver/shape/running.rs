//! Which images the kubelet says that it runs; pure.

use k8s_openapi::api::core::v1::Pod;

/// Containers for which the kubelet names another digest of the same repository than the one that was asked for.
///
/// It proves nothing: where a node knows one image by two digests, of an index and of one of its manifests, container
/// runtimes name either. So this is told and convicts nobody.
#[must_use]
pub fn otherwise(pod: &Pod) -> Vec<String> {
    let Some((spec, status)) = pod.spec.as_ref().zip(pod.status.as_ref()) else {
        return Vec::new();
    };
    let containers = spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers);
    let statuses = || {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    };
    let told = containers.filter_map(|container| {
        let status = statuses().find(|status| status.name == container.name)?;
        let (repository, digest) = parse(container.image.as_deref()?)?;
        let (there, runs) = parse(&status.image_id)?;
        (there == repository && runs != digest).then(|| {
            let name = &container.name;
            format!("container {name}: its node names the image {runs}, which is not evaluated")
        })
    });
    told.collect()
}

/// Repository and digest: `docker-pullable://r.io/a@sha256:…`, `r.io/a@sha256:…`.
fn parse(image: &str) -> Option<(&str, &str)> {
    let image = image.rsplit_once("://").map_or(image, |(_, image)| image);
    let (repository, digest) = image.rsplit_once('@')?;
    let digits = digest.strip_prefix("sha256:")?;
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    (digits.len() == 64 && digits.bytes().all(hex)).then(|| {
        // A tag says nothing beside a digest; a colon before a slash is a port.
        let tag = repository
            .rfind(':')
            .filter(|at| !repository[*at..].contains('/'));
        (tag.map_or(repository, |at| &repository[..at]), digest)
    })
}
