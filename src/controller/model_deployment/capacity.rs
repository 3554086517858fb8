//! Whether the cluster has a node for the pods: said before one hangs in Pending; pure.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, PodSpec};

use crate::api::Reason;
use crate::controller::nodes::{NoRoom, fits, request};
use crate::controller::outcome::Stall;
use crate::gguf::Memory;

/// Refuses a Deployment whose pods fit on no node. One that serves with as much memory fits, whatever nodes say.
///
/// # Errors
/// A stall that ends when a node comes or changes: they are watched.
pub fn check(
    wanted: &Deployment,
    there: Option<&Deployment>,
    memory: Option<Memory>,
    nodes: &[Arc<Node>],
) -> Result<(), Stall> {
    let Some(pod) = pod(wanted) else {
        return Ok(());
    };
    let replicas = |d: &Deployment| d.spec.as_ref().and_then(|spec| spec.replicas);
    if replicas(wanted) == Some(0) || there.is_some_and(|there| serves(there, request(pod))) {
        return Ok(());
    }
    fits(nodes, pod).map_err(|room| {
        let few = match room {
            NoRoom::Memory(few) => few,
            NoRoom::Devices(few) => {
                let text = format!(
                    "{few}: write fewer, a resource that the nodes have, or other scheduling, or see to the device plugin of the nodes; it goes on by itself then"
                );
                return Stall::new(Reason::InsufficientAccelerators, text);
            }
        };
        let parts = memory.map_or_else(String::new, |memory| {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            format!(
                " (computed for the model: {} MiB, of it weights {}, cache {}, compute {})",
                mib(memory.total),
                mib(memory.weights),
                mib(memory.kv_cache),
                mib(memory.compute)
            )
        });
        Stall::new(
            Reason::InsufficientMemory,
            format!(
                "{few}{parts}: write a shorter contextLength, fewer parallel, cacheTypeK and cacheTypeV Q8_0, other resources or scheduling, or have a larger node added; it goes on by itself then"
            ),
        )
    })
}

fn pod(deployment: &Deployment) -> Option<&PodSpec> {
    deployment.spec.as_ref()?.template.spec.as_ref()
}

fn serves(there: &Deployment, asked: u64) -> bool {
    let ready = there.status.as_ref().and_then(|s| s.ready_replicas);
    let updated = there.status.as_ref().and_then(|s| s.updated_replicas);
    ready >= Some(1) && updated >= Some(1) && pod(there).is_some_and(|pod| request(pod) >= asked)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::DeploymentStatus;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use serde_json::json;

    use super::*;
    use crate::controller::nodes::tests::node;

    fn deployment(memory: &str, ready: i32) -> Deployment {
        let container =
            json!({ "name": "runtime", "resources": { "requests": { "memory": memory } } });
        let mut made: Deployment = serde_json::from_value(json!({
            "spec": {
                "replicas": 1,
                "selector": {},
                "template": { "spec": { "containers": [container] } },
            },
        }))
        .unwrap();
        made.status = Some(DeploymentStatus {
            ready_replicas: Some(ready),
            updated_replicas: Some(ready),
            ..DeploymentStatus::default()
        });
        made
    }

    fn nodes() -> Vec<Arc<Node>> {
        vec![Arc::new(node("n1", "4Gi"))]
    }

    #[rstest::rstest]
    #[case::fits("4Gi", None, true)]
    #[case::too_large("5Gi", None, false)]
    #[case::serves_already("5Gi", Some(("5Gi", 1)), true)]
    #[case::serves_with_less("5Gi", Some(("1Gi", 1)), false)]
    #[case::waits_already("5Gi", Some(("5Gi", 0)), false)]
    fn refuses_what_fits_nowhere(
        #[case] asked: &str,
        #[case] there: Option<(&str, i32)>,
        #[case] good: bool,
    ) {
        let there = there.map(|(memory, ready)| deployment(memory, ready));
        let result = check(&deployment(asked, 0), there.as_ref(), None, &nodes());
        assert_eq!(result.is_ok(), good, "{result:?}");
    }

    /// A pod of this generation that hangs in Pending is no proof that it fits.
    #[test]
    fn a_pod_that_waits_proves_nothing() {
        let mut there = deployment("5Gi", 0);
        there.status.as_mut().unwrap().updated_replicas = Some(1);
        assert!(check(&deployment("5Gi", 0), Some(&there), None, &nodes()).is_err());
    }

    #[test]
    fn a_device_that_no_node_has_is_told() {
        let mut wanted = deployment("1Gi", 0);
        let pod = wanted
            .spec
            .as_mut()
            .unwrap()
            .template
            .spec
            .as_mut()
            .unwrap();
        let resources = pod.containers[0].resources.as_mut().unwrap();
        let gpu = [("nvidia.com/gpu".to_owned(), Quantity("2".to_owned()))];
        resources.limits = Some(gpu.into());
        let stall = check(&wanted, None, None, &nodes()).unwrap_err();
        assert_eq!(stall.reason, Reason::InsufficientAccelerators);
        for part in ["2 nvidia.com/gpu", "1 node", "device plugin"] {
            assert!(stall.message.contains(part), "{part}: {}", stall.message);
        }
    }

    #[test]
    fn nothing_is_asked_for_no_pods() {
        let mut none = deployment("5Gi", 0);
        none.spec.as_mut().unwrap().replicas = Some(0);
        assert_eq!(check(&none, None, None, &nodes()), Ok(()));
    }

    #[test]
    fn the_message_has_the_numbers_and_what_to_do() {
        let memory = Memory {
            weights: 3 << 30,
            kv_cache: 1 << 30,
            compute: 100 << 20,
            total: 5 << 30,
        };
        let stall = check(&deployment("5Gi", 0), None, Some(memory), &nodes()).unwrap_err();
        assert_eq!(stall.reason, Reason::InsufficientMemory);
        for part in [
            "5120",
            "4096",
            "n1",
            "3072",
            "1024",
            "100",
            "contextLength",
            "Q8_0",
        ] {
            assert!(stall.message.contains(part), "{part}: {}", stall.message);
        }
        assert!(stall.message.len() < 700);
    }
}
