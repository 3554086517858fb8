//! `sealroom status`: what an auditor asks first.

use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::Exit;
use super::place::{Place, explain};
use crate::api::{ConditionType, McpServer, ModelDeployment, Reason};

mod object;
mod print;

use object::Object;

/// Objects asked for at once.
const PAGE: u32 = 500;

/// Flags of `sealroom status`.
///
/// Ends with 0 when every object is sealed and ready, with 6 when a way out is open, and otherwise with 1. A `?` in the
/// list is behind what was said of an older generation of an object.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ModelDeployment or McpServer of which everything is printed; without a name all are listed
    name: Option<String>,
    /// Of all namespaces
    #[arg(long, short = 'A', conflicts_with_all = ["name", "namespace"])]
    all_namespaces: bool,
    #[command(flatten)]
    place: Place,
}

impl Args {
    /// Prints it.
    pub fn run(self) -> Exit {
        self.place.run(async |client, namespace| {
            let namespace = (!self.all_namespaces).then_some(namespace);
            let mut objects = list::<ModelDeployment>(&client, namespace.as_deref()).await?;
            objects.extend(list::<McpServer>(&client, namespace.as_deref()).await?);
            if let Some(name) = &self.name {
                objects.retain(|object| object.name == *name);
            }
            if objects.is_empty() {
                let place =
                    namespace.map_or("any namespace".to_owned(), |n| format!("namespace {n}"));
                anyhow::bail!("found no such ModelDeployment or McpServer in {place}");
            }
            let text = match self.name {
                Some(_) => objects
                    .iter()
                    .map(print::whole)
                    .collect::<Vec<_>>()
                    .join("\n"),
                None => print::table(&objects),
            };
            print!("{text}");
            Ok(exit(&objects))
        })
    }
}

async fn list<K>(client: &Client, namespace: Option<&str>) -> anyhow::Result<Vec<Object>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Into<Object>,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut objects = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list(&page).await.map_err(explain)?;
        objects.extend(list.items.into_iter().map(Into::into));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(objects),
        }
    }
}

fn exit(objects: &[Object]) -> Exit {
    let open = |object: &Object| {
        let sealed = object.condition(ConditionType::Sealed);
        let open = [
            Reason::EgressOpen,
            Reason::PolicyWidens,
            Reason::NotEnforced,
            Reason::PodAltered,
        ];
        sealed.is_some_and(|c| open.iter().any(|reason| c.reason == reason.as_str()))
    };
    if objects.iter().any(open) {
        return Exit::EgressOpen;
    }
    let well = |o: &Object| o.holds(ConditionType::Sealed) && o.holds(ConditionType::Ready);
    if objects.iter().all(well) {
        Exit::Ok
    } else {
        Exit::Passing
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::print::{table, whole};
    use super::*;

    fn model(sealed: &str, reason: &str, observed: i64) -> Object {
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({
                "type": kind, "status": status, "reason": reason, "message": "said\u{1b}[2J so",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let model = json!({
            "apiVersion": "sealroom.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": "assistant", "namespace": "team-a", "generation": 2},
            "spec": {
                "artifact": {"image": format!("registry.internal:5000/m@sha256:{}", "a".repeat(64))},
                "runtime": {"engine": "LlamaCpp"},
            },
            "status": {
                "observedGeneration": observed,
                "url": "http://assistant.team-a.svc:8080/v1",
                "conditions": [condition("Ready", "True", "Succeeded"), condition("Sealed", sealed, reason)],
                "seal": {"locks": ["Kernel", "NetworkPolicy"], "exits": ["from app=client"], "tenantGuard": "objects"},
            },
        });
        serde_json::from_value::<ModelDeployment>(model)
            .unwrap()
            .into()
    }

    #[test]
    fn the_table_has_a_line_for_each() {
        let expected = "\
NAMESPACE   KIND              NAME        READY       SEALED     LOCKS                  EXITS   GUARD
team-a      ModelDeployment   assistant   Succeeded   NoEgress   Kernel,NetworkPolicy   1       objects
";
        assert_eq!(table(&[model("True", "NoEgress", 2)]), expected);
    }

    #[test]
    fn the_table_marks_what_speaks_of_an_older_generation() {
        let text = table(&[model("True", "NoEgress", 1), model("True", "NoEgress", 2)]);
        let marked: Vec<_> = text
            .lines()
            .map(|line| line.contains("Succeeded?"))
            .collect();
        assert_eq!(marked, [false, true, false], "{text}");
    }

    #[test]
    fn everything_of_one_is_printed_and_no_terminal_obeys_it() {
        let expected = "\
ModelDeployment team-a/assistant
  Ready          True     Succeeded: said [2J so
  Sealed         True     NoEgress: said [2J so
  url            http://assistant.team-a.svc:8080/v1
  locks          Kernel, NetworkPolicy
  tenant guard   objects
  exit           from app=client
  not evaluated  -
";
        assert_eq!(whole(&model("True", "NoEgress", 2)), expected);
        assert!(whole(&model("True", "NoEgress", 1)).contains("older generation"));
    }

    #[rstest::rstest]
    #[case::well("True", "NoEgress", 2, Exit::Ok)]
    #[case::another_generation("True", "NoEgress", 1, Exit::Passing)]
    #[case::unknown("Unknown", "EvidenceStale", 2, Exit::Passing)]
    #[case::got_out("False", "EgressOpen", 2, Exit::EgressOpen)]
    #[case::a_policy("False", "PolicyWidens", 2, Exit::EgressOpen)]
    #[case::no_enforcement("False", "NotEnforced", 2, Exit::EgressOpen)]
    #[case::no_label("False", "PodAltered", 2, Exit::EgressOpen)]
    fn scripts_read_it_from_the_exit_code(
        #[case] sealed: &str,
        #[case] reason: &str,
        #[case] observed: i64,
        #[case] expected: Exit,
    ) {
        let objects = [
            model("True", "NoEgress", 2),
            model(sealed, reason, observed),
        ];
        assert_eq!(exit(&objects), expected);
    }
}
