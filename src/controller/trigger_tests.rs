use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;

use super::*;
use crate::controller::mcp_server::validate::tests::object;

/// With so many servers of one namespace, and one of another.
fn wakes(servers: usize) -> (Wakes, Writer<McpServer>) {
    let (mcp_servers, mut writer) = reflector::store();
    for number in 0..=servers {
        let mut server = object();
        server.metadata.name = Some(format!("s{number}"));
        if number == servers {
            server.metadata.namespace = Some("far".to_owned());
        }
        writer.apply_watcher_event(&Event::Apply(server));
    }
    let wakes = Wakes {
        triggers: Triggers {
            deployments: mpsc::channel(1).0,
            artifacts: mpsc::channel(1).0,
            servers: mpsc::channel(1).0,
        },
        model_deployments: reflector::store().0,
        model_artifacts: reflector::store().0,
        mcp_servers,
    };
    (wakes, writer)
}

/// Only where there are more servers than places does the end of one concern the others.
#[rstest::rstest]
#[case::few(references::MOST - 1, 1)]
#[case::one_has_waited(references::MOST, 1 + references::MOST)]
fn a_server_that_goes_makes_room(#[case] left: usize, #[case] expected: usize) {
    let (wakes, _writer) = wakes(left);
    let mut gone = object();
    gone.metadata.name = Some("gone".to_owned());
    let woken = wakes.mcp_server(&gone);
    let is_near = |wake: &&Wake| matches!(wake, Wake::Server(server) if server.namespace.as_deref() == Some("team-a"));
    assert_eq!(woken.iter().filter(is_near).count(), expected);
    assert_eq!(woken.len(), expected);
}
