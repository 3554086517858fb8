//! Every declared way in and out of a serving pod, in words.

use super::build::edge_policy::Server;
use crate::api::ModelDeployment;
use crate::api::model_deployment::Printed;
use crate::controller::config::Config;
use crate::controller::serving::edge;

/// Where the engine's words go if the object asks for them: to whoever may read the pod's log.
const LOGGED: &str = "out to the log of the container runtime: what the engine prints, which may hold prompts and answers";

/// One line each. No way leads out over the network; a line that begins with `out` is a way by which content may leave.
#[must_use]
pub fn of(object: &ModelDeployment, config: &Config, servers: &[Server]) -> Vec<String> {
    let mut exits = edge::inward_exits(&object.spec.access.from, config);
    exits.extend(
        servers
            .iter()
            .map(|server| format!("in 8080/TCP from McpServer {}", server.name)),
    );
    let logged = object.spec.runtime.output == Printed::Log;
    edge::listed(
        exits,
        logged.then(|| LOGGED.to_owned()).into_iter().collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::model_deployment::validate::tests::{config, object};

    #[test]
    fn content_leaves_only_where_the_object_asks_for_it() {
        let mut object = object();
        let out = |object: &ModelDeployment| -> Vec<String> {
            let mut exits = of(object, &config(), &[]);
            exits.retain(|line| line.starts_with("out"));
            exits
        };
        assert!(out(&object).is_empty());
        object.spec.runtime.output = Printed::Log;
        assert_eq!(out(&object), [LOGGED]);
        // However many peers there are.
        object.spec.access.from = vec![object.spec.access.from[0].clone(); 100];
        assert_eq!(out(&object), [LOGGED]);
    }
}
