//! What a server is given from outside its image: a variable and files from a ConfigMap, and an empty directory.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{NS, Place};
use crate::suite::fixtures::random;
use crate::suite::stage::Stage;

/// The ConfigMap, and the tool whose description is what the server found of it all.
const NAME: &str = "mounted";
/// Started from the files. Beside what the image's server does it says what it found: the variable, the same text from its
/// file, once more as it was written to the empty directory, and what became of writing it among the files.
const SCRIPT: &str = r#"
import os
import sys

sys.path.append("/srv")
from helper import server


def kept(directory):
    path = f"{directory}/{os.getpid()}"
    try:
        with open(path, "w") as file:
            file.write(os.environ["NOTE"])
        with open(path) as file:
            return file.read()
    except OSError as error:
        return error.strerror


with open("/etc/mounted/note") as file:
    found = [os.environ["NOTE"], file.read(), kept("/var/mounted"), kept("/etc/mounted")]


@server.tool(description=", ".join(found))
def mounted() -> str:
    return "mounted"


server.run("stdio")
"#;

/// Gives it all to a server: the ConfigMap, and the text that it is to find.
pub(super) fn give(server: &mut Value) -> (Value, String) {
    let note = random();
    let spec = &mut server["spec"];
    spec["transport"]["stdio"]["command"] = json!(["/usr/bin/python3", "/etc/mounted/start.py"]);
    spec["env"] = json!([{"name": "NOTE", "configMapKeyRef": {"name": NAME, "key": "note"}}]);
    spec["files"] = json!([{"mountPath": "/etc/mounted", "configMapRef": {"name": NAME}}]);
    spec["volumes"] = json!([{"mountPath": "/var/mounted", "scratch": {"size": "1Mi"}}]);
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": NS},
        "data": {"note": note, "start.py": SCRIPT},
    });
    (map, note)
}

/// The server, which a client is told to ask by `config`, has found all of it.
pub(super) async fn found(stage: &Stage, place: &Place, config: Value, note: &str) -> Result<()> {
    let listed = place.shows(stage, config, "inventory").await?;
    let listed: Value = serde_json::from_str(&listed)?;
    let mut tools = listed["tools"].as_array().into_iter().flatten();
    let told = tools.find(|tool| tool["name"] == NAME);
    let expected = format!("{note}, {note}, {note}, Read-only file system");
    ensure!(
        told.is_some_and(|tool| tool["description"] == expected.as_str()),
        "expected {expected:?} of the server, got {told:?}"
    );
    Ok(())
}
