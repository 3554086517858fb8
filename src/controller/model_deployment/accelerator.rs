//! The accelerators that an object asks for, and how many layers they get; pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::model_deployment::Resources;
use crate::controller::difference::quantity;
use crate::controller::nodes::is_device;

/// Domains of the resources of device plugins whose devices an engine puts layers on. Whoever renames them
/// (`gpu.example.com/large`) writes `gpuLayers`.
const VENDORS: [&str; 3] = ["nvidia.com", "amd.com", "gpu.intel.com"];

/// All layers, of whatever model.
pub const ALL: u32 = 999;

/// Why the object's accelerators make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Devices are whole and reserved.
    #[error(
        "resources: {0} is a device: write a whole number into resources.limits, and the same or nothing into resources.requests"
    )]
    Number(String),
    /// There is nothing to put the layers on.
    #[error(
        "runtime.{0}.gpuLayers is for an accelerator, and resources asks for none: write one into resources.limits, such as nvidia.com/gpu: 1, or leave gpuLayers out"
    )]
    NoDevice(&'static str),
    /// The device would idle.
    #[error(
        "resources asks for {1}, which would idle with runtime.{0}.gpuLayers 0: leave gpuLayers out for all layers, or the resource"
    )]
    Idle(&'static str, String),
}

/// Whether an engine can put layers on it, as far as the name says.
fn is_known(resource: &str) -> bool {
    let domain = resource.split('/').next().unwrap_or_default();
    VENDORS.contains(&domain)
}

/// How many of each device.
fn devices(resources: &Resources) -> Result<BTreeMap<&str, i128>, Wrong> {
    let of = |map: &BTreeMap<String, Quantity>, name: &str| {
        map.get(name).and_then(|asked| quantity(&asked.0))
    };
    let names = resources.limits.keys().chain(resources.requests.keys());
    let mut found = BTreeMap::new();
    for name in names.filter(|name| is_device(name)) {
        let limit = of(&resources.limits, name);
        let request = of(&resources.requests, name).or(limit);
        let number = limit.or(request).unwrap_or(0);
        if number % 1_000 != 0 || request != Some(number) {
            return Err(Wrong::Number(name.clone()));
        }
        if number > 0 {
            found.insert(name.as_str(), number / 1_000);
        }
    }
    Ok(found)
}

/// How many layers the accelerators get: what the object says in `runtime.<member>.gpuLayers`, else all of them where
/// it asks for one.
///
/// # Errors
/// What is asked for contradicts itself.
pub fn layers(
    member: &'static str,
    given: Option<u32>,
    resources: &Resources,
) -> Result<Option<u32>, Wrong> {
    let devices = devices(resources)?;
    let known = devices.keys().find(|name| is_known(name));
    match (given, known) {
        (Some(1..), _) if devices.is_empty() => Err(Wrong::NoDevice(member)),
        (Some(0), Some(known)) => Err(Wrong::Idle(member, (*known).to_owned())),
        (None, Some(_)) => Ok(Some(ALL)),
        (given, _) => Ok(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Resources {
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, number)| ((*name).to_owned(), Quantity((*number).to_owned())))
                .collect()
        };
        Resources {
            requests: map(requests),
            limits: map(limits),
        }
    }

    #[rstest::rstest]
    #[case::no_device(&[], None, Ok(None))]
    #[case::processor(&[("cpu", "2")], Some(0), Ok(Some(0)))]
    #[case::gpu(&[("nvidia.com/gpu", "1")], None, Ok(Some(ALL)))]
    #[case::mig(&[("nvidia.com/mig-1g.5gb", "1")], None, Ok(Some(ALL)))]
    #[case::amd(&[("amd.com/gpu", "2")], None, Ok(Some(ALL)))]
    #[case::intel(&[("gpu.intel.com/xe", "1")], None, Ok(Some(ALL)))]
    #[case::some_layers(&[("nvidia.com/gpu", "1")], Some(20), Ok(Some(20)))]
    #[case::renamed(&[("gpu.example.com/large", "1")], None, Ok(None))]
    #[case::renamed_with_layers(&[("gpu.example.com/large", "1")], Some(20), Ok(Some(20)))]
    #[case::crypto(&[("qat.intel.com/generic", "1")], None, Ok(None))]
    #[case::another_domain(&[("notnvidia.com/gpu", "1")], None, Ok(None))]
    #[case::huge_pages(&[("hugepages-2Mi", "64Mi")], Some(1), Err("asks for none"))]
    #[case::none_of_it(&[("nvidia.com/gpu", "0")], Some(1), Err("asks for none"))]
    #[case::nothing_asked(&[], Some(1), Err("runtime.llamaCpp.gpuLayers"))]
    #[case::idle(&[("nvidia.com/gpu", "1")], Some(0), Err("nvidia.com/gpu"))]
    #[case::half(&[("nvidia.com/gpu", "500m")], None, Err("whole number"))]
    fn layers_follow_the_devices(
        #[case] limits: &[(&str, &str)],
        #[case] given: Option<u32>,
        #[case] expected: Result<Option<u32>, &str>,
    ) {
        let got = layers("llamaCpp", given, &resources(&[], limits));
        match expected {
            Ok(expected) => assert_eq!(got, Ok(expected)),
            Err(says) => assert!(got.unwrap_err().to_string().contains(says)),
        }
    }

    #[rstest::rstest]
    #[case::request_alone(&[("nvidia.com/gpu", "1")], &[], true)]
    #[case::equal(&[("nvidia.com/gpu", "1")], &[("nvidia.com/gpu", "1")], true)]
    #[case::less(&[("nvidia.com/gpu", "1")], &[("nvidia.com/gpu", "2")], false)]
    fn a_device_is_reserved_whole(
        #[case] requests: &[(&str, &str)],
        #[case] limits: &[(&str, &str)],
        #[case] good: bool,
    ) {
        let got = layers("ollama", None, &resources(requests, limits));
        assert_eq!(got.is_ok(), good, "{got:?}");
    }
}
