//! `sealroom status`: what an auditor asks first.

use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::place::{Place, explain};
use super::{Exit, say};
use crate::api::{ConditionType, McpServer, ModelDeployment, Reason};

mod object;
mod print;

use object::Object;

/// Objects asked for at once.
const PAGE: u32 = 500;

const EXAMPLES: &str = "\
Ends with 0 when every object is sealed and ready, with 6 when a way out is open, and otherwise with 1. A ? in the list is
behind what was said of an older generation of an object.

Examples:
  sealroom status --all-namespaces
  sealroom status assistant --namespace team-a
  sealroom status -A --output json";

/// Flags of `sealroom status`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The ModelDeployment or McpServer of which everything is printed; without a name all are listed
    name: Option<String>,
    /// Of all namespaces
    #[arg(long, short = 'A', conflicts_with_all = ["name", "namespace"])]
    all_namespaces: bool,
    /// How it is printed
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

/// Ways of printing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A table, or everything of the one that is named
    #[default]
    Text,
    /// A list with everything of each
    Json,
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
                anyhow::bail!(nothing(self.name.as_deref(), namespace.as_deref()));
            }
            let text = match (self.output, self.name) {
                (Output::Json, _) => print::json(&objects),
                (Output::Text, Some(_)) => {
                    let each: Vec<String> = objects.iter().map(print::whole).collect();
                    each.join("\n")
                }
                (Output::Text, None) => print::table(&objects),
            };
            Ok(say::result(&text, exit(&objects)))
        })
    }
}

/// That there is nothing to print, and where else to look.
fn nothing(name: Option<&str>, namespace: Option<&str>) -> String {
    let name = name.map_or(String::new(), |name| format!(" named {name}"));
    let kinds = format!("found no ModelDeployment and no McpServer{name}");
    match namespace {
        Some(namespace) => format!(
            "{kinds} in namespace {namespace}: write --namespace for another one, or --all-namespaces for a list of all"
        ),
        None => format!("{kinds} in any namespace"),
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

    use super::print::{json as printed, table, whole};
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

    #[test]
    fn scripts_read_everything_as_json() {
        let mut object = model("Unknown", "Proving", 2);
        object.conditions[1].message.push('\u{9b}');
        let text = printed(&[object]);
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        let one = &all[0];
        assert_eq!(all.as_array().unwrap().len(), 1);
        assert_eq!(
            (&one["kind"], &one["name"]),
            (&"ModelDeployment".into(), &"assistant".into())
        );
        assert_eq!(
            (&one["ready"], &one["sealed"]),
            (&true.into(), &false.into())
        );
        assert_eq!(one["outdated"], false);
        assert_eq!(one["facts"]["url"], "http://assistant.team-a.svc:8080/v1");
        assert_eq!(one["conditions"][1]["reason"], "Proving");
        assert_eq!(one["conditions"][1]["message"], "said\u{1b}[2J so\u{9b}");
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "{text:?}"
        );
        assert_eq!(one["seal"]["tenantGuard"], "objects");
    }

    #[test]
    fn nothing_found_says_where_else_to_look() {
        let said = nothing(Some("assistant"), Some("team-a"));
        for part in ["named assistant", "namespace team-a", "--all-namespaces"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(nothing(None, None).ends_with("in any namespace"));
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
