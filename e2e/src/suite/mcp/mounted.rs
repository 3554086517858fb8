//! What a server is given from outside its image: a variable and files from a ConfigMap, a file from a Secret, and an empty
//! directory.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{NS, Place};
use crate::suite::fixtures::{random, secret};
use crate::suite::stage::Stage;

/// The ConfigMap, the Secret, and the tool whose description is what the server found of it all.
const NAME: &str = "mounted";
/// Started from the files. Beside what the image's server does it says what it found: the variable, the same text from its
/// file, once more as it was written to the empty directory, what became of writing it among the files, what the Secret's
/// file has, and what became of writing there.
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
with open("/etc/kept/word") as file:
    found += [file.read(), kept("/etc/kept")]


@server.tool(description=", ".join(found))
def mounted() -> str:
    return "mounted"


server.run("stdio")
"#;

/// Gives it all to a server: the objects that it is mounted from, and the texts that it is to find, of ConfigMap and Secret.
pub(super) fn give(server: &mut Value) -> ([Value; 2], [String; 2]) {
    let [note, word] = [(); 2].map(|()| random());
    let spec = &mut server["spec"];
    spec["transport"]["stdio"]["command"] = json!(["/usr/bin/python3", "/etc/mounted/start.py"]);
    spec["env"] = json!([{"name": "NOTE", "configMapKeyRef": {"name": NAME, "key": "note"}}]);
    spec["files"] = json!([
        {"mountPath": "/etc/mounted", "configMapRef": {"name": NAME}},
        {"mountPath": "/etc/kept", "secretRef": {"name": NAME}},
    ]);
    spec["volumes"] = json!([{"mountPath": "/var/mounted", "scratch": {"size": "1Mi"}}]);
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": NS},
        "data": {"note": note, "start.py": SCRIPT},
    });
    let kept = secret(NS, NAME, &json!({"word": word}));
    ([map, kept], [note, word])
}

/// The server, which a client is told to ask by `config`, has found all of it.
pub(super) async fn found(
    stage: &Stage,
    place: &Place,
    config: Value,
    [note, word]: &[String; 2],
) -> Result<()> {
    let listed = place.shows(stage, config, "inventory").await?;
    let listed: Value = serde_json::from_str(&listed)?;
    let mut tools = listed["tools"].as_array().into_iter().flatten();
    let told = tools.find(|tool| tool["name"] == NAME);
    let shut = "Read-only file system";
    let expected = format!("{note}, {note}, {note}, {shut}, {word}, {shut}");
    ensure!(
        told.is_some_and(|tool| tool["description"] == expected.as_str()),
        "expected {expected:?} of the server, got {told:?}"
    );
    Ok(())
}
