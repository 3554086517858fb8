//! A server that turns on its bridge: what it gets, and what it can make of the audit.
//!
//! It has the bridge's own uid, as in a pod, and another one than the gate where the tests may choose. In a pod the bridge
//! is PID 1 besides, and the kernel drops a SIGKILL or SIGSTOP of the processes beside it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::bed::{Bed, Client, call, message};
use super::drift::pin_of;
use crate::gate::bed::{Gate, PATIENCE, binary, raw};
use crate::launch::bed::{Launch, gone};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp/attack.pl");
const LIST: &str = r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#;
/// Of a user without a name.
const NOBODY: u32 = 65_532;

/// A gate with keys, a pin and a tool that nobody may call, and a hostile server behind a bridge with that lock.
struct Attacked {
    bed: Bed,
    _keys: TempDir,
}

fn key(name: &str) -> String {
    format!("key-of-{name}-0123456789abcdef")
}

impl Attacked {
    async fn start(lock: &str) -> Self {
        let keys = tempfile::tempdir().unwrap();
        for name in ["ada", "bob"] {
            std::fs::write(keys.path().join(name), key(name)).unwrap();
        }
        let mut lists = Command::new("/usr/bin/perl");
        let listed = lists.args([SCRIPT, "list"]).output().await.unwrap();
        let pin = pin_of(&String::from_utf8(listed.stdout).unwrap()).await;
        let mut gate = Gate::start_with(&[
            "--mcp",
            "Stdio",
            "--mcp-pin",
            &pin,
            "--mcp-tools",
            "AllowListed",
            "--mcp-tool",
            "attack",
            "--mcp-tool",
            "echo",
            "--api-keys-dir",
            keys.path().to_str().unwrap(),
        ])
        .await;
        let bridge = Launch::spawn(&mut bridge(&gate, lock));
        gate.prove().await;
        gate.until("/readyz", 200).await;
        let bed = Bed { gate, bridge };
        Self { bed, _keys: keys }
    }

    fn client(&self, name: &str) -> Client {
        Client {
            fields: format!("authorization: Bearer {}\r\n", key(name)),
            ..self.bed.client()
        }
    }

    async fn session(&self, name: &str) -> Client {
        let mut client = self.client(name);
        client.initialize().await;
        client
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.bed.path(name)).unwrap()
    }

    /// The audit has these lines and no other one: key, method, tool, status, code of the error.
    async fn audited(&mut self, expected: &[Value]) {
        let mut got = Vec::new();
        for _ in expected {
            let line = self.bed.gate.audit_line().await;
            let names = ["key", "rpc", "tool", "status", "rpcError"];
            got.push(names.map(|name| line[name].to_string()).join(" "));
        }
        let mut expected: Vec<_> = expected
            .iter()
            .map(|line| {
                let parts = line.as_array().unwrap().iter();
                parts.map(ToString::to_string).collect::<Vec<_>>().join(" ")
            })
            .collect();
        got.sort();
        expected.sort();
        assert_eq!(got, expected);
        let more = timeout(Duration::from_secs(1), self.bed.gate.audit.next_line()).await;
        assert!(more.is_err(), "one more line: {more:?}");
    }

    /// Nothing that it was sent has a key in it, and no call reached it that nobody may make.
    fn got_no_key(&self) {
        let heard = self.read("heard");
        assert!(!heard.contains("key-of-"), "{heard}");
        let noted = self.read("note");
        assert!(!noted.contains("tools/call secret"), "{noted}");
    }
}

/// What a server leaves behind once its bridge is killed, nobody ends.
impl Drop for Attacked {
    fn drop(&mut self) {
        let pids = std::fs::read_to_string(self.bed.path("pids")).unwrap_or_default();
        let pids = pids.lines().filter_map(|line| line.parse().ok());
        for pid in pids.map(Pid::from_raw) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

fn bridge(gate: &Gate, lock: &str) -> Command {
    let (ours, script) = (gate.path("sealroom"), gate.path("attack.pl"));
    if std::fs::hard_link(binary(), &ours).is_err() {
        std::fs::copy(binary(), &ours).unwrap();
    }
    std::fs::copy(SCRIPT, &script).unwrap();
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(gate.dir.path(), 0o777);
    open(&script, 0o755);
    let mut command = Command::new(ours);
    command
        .args(["bridge", "--drain-seconds", "10", "--lock", lock])
        .arg("--lease-socket")
        .arg(gate.path("lease.sock"))
        .arg("--socket")
        .arg(gate.path("runtime.sock"))
        .args(["--", "/usr/bin/perl"])
        .arg(script)
        .arg("serve")
        .arg(gate.dir.path())
        .env("SEALROOM_SECRET", "of the bridge");
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// The tools that a client sees.
async fn shown(client: &Client) -> Vec<Value> {
    let list = message(&raw(client.at, &client.post_text(LIST)).await);
    let tools = list["result"]["tools"].as_array();
    let tools = tools.unwrap_or_else(|| panic!("{list}"));
    tools.iter().map(|tool| tool["name"].clone()).collect()
}

#[rstest::rstest]
#[case::kernel("Kernel", "ptrace 13")]
#[case::streams("Streams", "ptrace 13")]
#[case::unlocked("None", "ptrace 1")]
#[tokio::test]
async fn a_server_that_traces_and_impersonates_its_bridge_gets_no_key_and_forges_no_audit_line(
    #[case] lock: &str,
    #[case] ptrace: &str,
) {
    let mut attacked = Attacked::start(lock).await;
    let locks = attacked.bed.gate.sealz().await.locks;
    let ada = attacked.session("ada").await;
    let report = ada.text("attack", "trace").await;
    for what in ["read", "write", "output", "environ"] {
        assert!(report.contains(&format!("own/{what} made")), "{report}");
        assert!(report.contains(&format!("bridge/{what} 13")), "{report}");
    }
    assert!(report.ends_with(ptrace), "{report}");
    // Its own environment is in the report.
    assert!(report.contains("SEALROOM_CHILD="), "{report}");
    for secret in ["key-of-", "SEALROOM_SECRET", "of the bridge"] {
        assert!(!report.contains(secret), "{report}");
    }

    assert_eq!(ada.text("attack", "forge").await, "forged");
    assert_eq!(ada.text("attack", "lease").await, "heard 0");
    assert_eq!(attacked.bed.gate.sealz().await.locks, locks);
    assert_eq!(attacked.bed.gate.admin_status("/readyz").await.0, 200);
    let refused = ada.call(&json!(1), "secret", "").await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");

    // What stands in the bridge's place is ended by the bridge, which sees that nobody reaches it any more.
    assert_eq!(ada.text("attack", "beside").await, "begun");
    attacked.bed.gate.until("/readyz", 503).await;
    let pids = attacked.read("pids");
    let pids = pids
        .lines()
        .map(|line| Pid::from_raw(line.parse().unwrap()));
    gone(&pids.collect::<Vec<_>>()).await;
    // And the same bridge serves again, where the gate always looks for it.
    attacked.bed.gate.until("/readyz", 200).await;
    let bob = attacked.session("bob").await;
    assert_eq!(bob.text("echo", "").await, "echo by server");
    attacked.got_no_key();
    attacked
        .audited(&[
            json!(["ada", "initialize", null, 200, null]),
            json!(["ada", "notifications/initialized", null, 202, null]),
            json!(["ada", "tools/call", "attack", 200, null]),
            json!(["ada", "tools/call", "attack", 200, null]),
            json!(["ada", "tools/call", "attack", 200, null]),
            json!(["ada", "tools/call", "secret", 200, -32602]),
            json!(["ada", "tools/call", "attack", 200, null]),
            json!(["bob", "initialize", null, 200, null]),
            json!(["bob", "notifications/initialized", null, 202, null]),
            json!(["bob", "tools/call", "echo", 200, null]),
        ])
        .await;
    attacked.bed.bridge.terminate();
    assert_eq!(attacked.bed.bridge.exit_code().await, Some(0));

    // What it printed before it had answered is in the bridge's log, as what it printed and not as a line of ours.
    let printed = attacked.bed.bridge.printed().await;
    assert!(printed.contains("forged"), "{printed}");
    let why = "is no longer the bridge's socket: something else is there";
    assert_eq!(printed.matches(why).count(), 1, "{printed}");
    for line in printed.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_ne!(line["kind"], "audit", "{line}");
    }
}

/// Ends the bridge by a call of its server, which is answered with an error.
async fn killed(attacked: &mut Attacked, ada: &Client, how: &str) {
    let answer = ada.call(&json!(1), "attack", how).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    let ended = timeout(PATIENCE, attacked.bed.bridge.child.wait()).await;
    assert_eq!(ended.unwrap().unwrap().signal(), Some(9));
    attacked.bed.noted("the lease takes nothing else").await;
    attacked.bed.noted("impostor tools/list").await;
}

#[rstest::rstest]
#[case::kernel("Kernel")]
#[case::streams("Streams")]
#[case::unlocked("None")]
#[tokio::test]
async fn a_server_that_kills_its_bridge_and_takes_its_place_gets_no_key_and_forges_no_audit_line(
    #[case] lock: &str,
) {
    let mut attacked = Attacked::start(lock).await;
    let ada = attacked.session("ada").await;
    killed(&mut attacked, &ada, "kill").await;
    let answer = ada.post(&call(&json!(1), "echo", "")).await;
    assert_eq!(answer.status, 404, "its child is gone: {answer:?}");
    assert_eq!(message(&answer)["error"]["code"], -32001, "{answer:?}");

    attacked.bed.gate.until("/readyz", 200).await;
    let bob = attacked.session("bob").await;
    assert_eq!(shown(&bob).await, ["attack", "echo"]);
    assert_eq!(bob.text("echo", "").await, "echo by impostor");
    let refused = bob.call(&json!(1), "secret", "").await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    attacked.got_no_key();
    attacked
        .audited(&[
            json!(["ada", "initialize", null, 200, null]),
            json!(["ada", "notifications/initialized", null, 202, null]),
            json!(["ada", "tools/call", "attack", 200, -32603]),
            json!(["ada", "tools/call", "echo", 404, -32001]),
            json!(["bob", "initialize", null, 200, null]),
            json!(["bob", "notifications/initialized", null, 202, null]),
            json!(["bob", "tools/list", null, 200, null]),
            json!(["bob", "tools/call", "echo", 200, null]),
            json!(["bob", "tools/call", "secret", 200, -32602]),
        ])
        .await;
}

#[tokio::test]
async fn who_takes_the_bridges_place_with_other_tools_serves_nobody() {
    let mut attacked = Attacked::start("Kernel").await;
    let ada = attacked.session("ada").await;
    killed(&mut attacked, &ada, "drift").await;
    let begun = Instant::now();
    loop {
        let (status, why) = attacked.bed.gate.admin_status("/readyz").await;
        if why.starts_with("ToolsDrift") {
            assert_eq!(status, 503);
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{status} {why}");
        sleep(Duration::from_millis(50)).await;
    }
    for client in [&ada, &attacked.client("bob")] {
        let answer = client.post(&call(&json!(1), "echo", "")).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(message(&answer)["error"]["data"]["reason"], "ToolsDrift");
    }
    let noted = attacked.read("note");
    assert!(!noted.contains("impostor tools/call"), "{noted}");
    attacked.got_no_key();
    attacked
        .audited(&[
            json!(["ada", "initialize", null, 200, null]),
            json!(["ada", "notifications/initialized", null, 202, null]),
            json!(["ada", "tools/call", "attack", 200, -32603]),
            json!(["ada", null, null, 503, -32000]),
            json!(["bob", null, null, 503, -32000]),
        ])
        .await;
}
