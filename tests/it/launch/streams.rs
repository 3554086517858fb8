//! The lock that leaves TCP, and the store, for an engine that needs them.

use std::collections::BTreeMap;

use sealroom::launch::ports::FIRST;
use sealroom::seal::lease::{Runtime, Word};
use tokio::process::Command;

use super::bed::{FakeGate, Launch, binary, engine, file, under_lease};
use crate::ports::free_port;

/// Below the ports that stay open, so that only its own rule opens it.
const OWN: &str = "21434";
const EACCES: &str = "13";
const KERNEL_STREAM: &str = "KernelStream";
const LANDLOCK_PORTS: &str = "LandlockPorts";

fn report(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(call, got)| (call.to_owned(), got.to_owned()))
        .collect()
}

/// The newest rules that the kernel's Landlock knows (landlock_create_ruleset(2)); ports are among those of 4. The
/// call has this number on every machine.
async fn landlock_abi() -> i64 {
    let mut asks = Command::new("/usr/bin/perl");
    asks.args(["-e", "print syscall(444, 0, 0, 1)"]);
    let said = asks.output().await.unwrap().stdout;
    String::from_utf8(said).unwrap().parse().unwrap()
}

/// Where the kernel's own choice of ports begins: nothing from there on is locked.
fn first_chosen_port() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first = range.split_ascii_whitespace().next();
    first.unwrap().parse().unwrap()
}

#[tokio::test]
async fn tcp_is_left_and_nothing_beside_it() {
    let gate = FakeGate::new();
    let path = gate.text("report");
    let flags = ["--engine", "Ollama", "--runtime-port", OWN];
    let program = engine(&["streams", &path, OWN]);
    let _launch = Launch::start_as(gate.dir.path(), 10, &flags, &program);
    let mut lease = gate.accept().await;
    let Runtime::Hello { locks } = &lease.hello else {
        panic!("{:?}", lease.hello);
    };
    assert_eq!(locks[0], KERNEL_STREAM, "never the whole lock");
    // Asked of the kernel, not of launch: where it knows ports, they are locked.
    let ports = landlock_abi().await >= 4 && first_chosen_port() >= FIRST;
    let told = locks.iter().any(|lock| lock == LANDLOCK_PORTS);
    assert_eq!(told, ports, "{locks:?}");
    let locked = report(&under_lease(&mut lease, &gate.path("report")).await);
    for (call, got) in &locked {
        let parts: Vec<&str> = call.split('/').collect();
        let left = match parts[..] {
            ["socket", "1", _] | ["protocol", "1", _] => continue,
            ["socket", "2" | "10", kind] => kind == "1",
            ["protocol", "2" | "10", protocol] => protocol == "6",
            ["socket" | "protocol", ..] => false,
            ["fastopen" | "ulp", _] => false,
            ["nodelay", _] => true,
            ["connect" | "connect6" | "bind", port] => {
                !ports || port == OWN || port == "0" || port == "40000"
            }
            _ => panic!("{call}"),
        };
        assert_eq!(got != EACCES, left, "{call}: {got}");
    }
    assert_eq!(locked["socket/2/1"], "made");
    assert_eq!(locked["bind/0"], "made");
    assert_eq!(locked["nodelay/1"], "made");
    assert_eq!(locked["socket/1/1"], "made");
    assert_eq!(locked["socket/1/2"], "made");

    // The same program outside: what was refused above is there to be had.
    let path = gate.text("free");
    let mut free = Command::new("/usr/bin/perl")
        .args(&engine(&["streams", &path, OWN])[1..])
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let open = report(&file(&gate.path("free")).await);
    free.kill().await.unwrap();
    for call in ["socket/2/2", "socket/10/2", "socket/16/3", "protocol/2/6"] {
        assert_eq!(open[call], "made", "{call}");
    }
    for call in [
        "connect/443",
        "bind/8080",
        "fastopen/443",
        "connect/32767",
        "ulp/smc",
    ] {
        assert_ne!(open[call], EACCES, "{call}");
    }
}

#[tokio::test]
async fn an_engine_on_a_port_is_heard_of_when_it_listens() {
    let gate = FakeGate::new();
    let port = free_port().port().to_string();
    let flags = ["--engine", "Ollama", "--runtime-port", &port];
    let program = engine(&["listen", &port]);
    let _launch = Launch::start_as(gate.dir.path(), 10, &flags, &program);
    let mut lease = gate.accept().await;
    let starting = |said: &Runtime| *said == Runtime::Starting;
    lease.hold(&Word::Granted, starting).await;
    let running = |said: &Runtime| *said == Runtime::Running;
    lease.hold(&Word::Granted, running).await;
    lease.say(&Word::Revoked).await;
    let waiting = |said: &Runtime| *said == Runtime::Waiting;
    lease.hold(&Word::Held, waiting).await;
    // Nobody is left on the port.
    let at = format!("127.0.0.1:{port}");
    assert!(tokio::net::TcpStream::connect(at).await.is_err());
}

/// A GGUF header (ggml, `docs/gguf.md`) with this chat template, and no tensor.
fn gguf(template: &str) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    out.extend(2_u64.to_le_bytes());
    for (key, value) in [
        ("general.architecture", "llama"),
        ("tokenizer.chat_template", template),
    ] {
        out.extend((key.len() as u64).to_le_bytes());
        out.extend(key.as_bytes());
        out.extend(8_u32.to_le_bytes());
        out.extend((value.len() as u64).to_le_bytes());
        out.extend(value.as_bytes());
    }
    out
}

struct Claim(tempfile::TempDir);

impl Claim {
    fn new(template: &str) -> Self {
        Self::with_digest(template, &format!("sha256:{}", "07".repeat(32)))
    }

    fn with_digest(template: &str, digest: &str) -> Self {
        let claim = Self(tempfile::tempdir().unwrap());
        let model = gguf(template);
        let geometry = serde_json::json!({
            "weightBytes": 0, "contextLength": 0, "vocabulary": 0, "keyLength": 0, "valueLength": 0,
            "layers": [],
        });
        let record = serde_json::json!({
            "v": 1,
            "reference": format!("registry.internal/m@{digest}"),
            "layout": "LlamaCpp",
            "artifact": {
                "digest": digest, "format": "GGUF", "files": 1, "filesDigest": digest, "bytes": model.len(),
                "license": null, "architecture": "llama", "quantization": null, "entry": "model.gguf",
                "geometry": geometry,
            },
            "files": [{"path": "model.gguf", "bytes": model.len(), "digest": digest}],
        });
        std::fs::write(claim.path("model.gguf"), model).unwrap();
        std::fs::write(claim.path("sealroom.json"), record.to_string()).unwrap();
        claim
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn settings(&self, name: &str) -> String {
        serde_json::json!({
            "model": self.path("model.gguf"), "name": name, "socket": "",
            "tuning": {"context": 2048, "parallel": 1, "threads": 1},
        })
        .to_string()
    }

    async fn lay_out(&self, engine: &str) -> Option<i32> {
        self.lay_out_all(engine, &[self.settings("assistant")])
            .await
    }

    async fn lay_out_all(&self, engine: &str, models: &[String]) -> Option<i32> {
        let mut command = Command::new(binary());
        command.args(["launch", "--engine", engine, "--install"]);
        command.arg(self.0.path()).arg("--lay-out");
        command.arg(self.path("store"));
        for model in models {
            command.args(["--settings", model]);
        }
        command.output().await.unwrap().status.code()
    }
}

/// The layers of a model in the store.
fn layers(store: &std::path::Path, model: &str) -> Vec<serde_json::Value> {
    let manifest = store.join("manifests/registry.ollama.ai").join(model);
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    manifest["layers"].as_array().unwrap().clone()
}

#[tokio::test]
async fn several_models_lie_in_one_store_and_no_weights_are_copied() {
    let [here, there] = ["07", "08"].map(|digits| {
        Claim::with_digest(
            "<|im_start|> <|im_end|>",
            &format!("sha256:{}", digits.repeat(32)),
        )
    });
    let own = here.settings("lab/terse:1").replace(
        r#""tuning""#,
        r#""task":{"template":"{{ .Prompt }}","stop":["."]},"tuning""#,
    );
    let models = [here.settings("chat"), own, there.settings("other")];
    assert_eq!(here.lay_out_all("Ollama", &models).await, Some(0));
    let store = here.path("store");
    let all = [
        ("library/chat/latest", &here),
        ("lab/terse/1", &here),
        ("library/other/latest", &there),
    ];
    for (name, claim) in all {
        let weights = layers(&store, name).remove(0);
        let blob = weights["digest"].as_str().unwrap().replace(':', "-");
        let link = std::fs::read_link(store.join("blobs").join(blob)).unwrap();
        assert_eq!(link, claim.path("model.gguf"), "{name}");
    }
    let [chat, terse] = ["library/chat/latest", "lab/terse/1"].map(|name| layers(&store, name));
    assert_eq!(chat[0], terse[0], "the same weights");
    assert_ne!(chat[1], terse[1], "a template of its own");
    // One that cannot be laid out keeps the engine from starting with the others.
    let unknown = Claim::new("{{ messages }}");
    let models = [here.settings("chat"), unknown.settings("unknown")];
    assert_eq!(here.lay_out_all("Ollama", &models).await, Some(3));
}

#[tokio::test]
async fn a_store_is_laid_out_around_the_weights() {
    let claim = Claim::new("<|im_start|> <|im_end|>");
    // A container that starts again finds what the first attempt left.
    for _ in 0..2 {
        assert_eq!(claim.lay_out("Ollama").await, Some(0));
    }
    let blobs = claim.path("store/blobs");
    let link = blobs.join(format!("sha256-{}", "07".repeat(32)));
    assert_eq!(std::fs::read_link(link).unwrap(), claim.path("model.gguf"));
    let manifest = claim.path("store/manifests/registry.ollama.ai/library/assistant/latest");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    for layer in layers.iter().chain([&manifest["config"]]) {
        let name = layer["digest"].as_str().unwrap().replace(':', "-");
        let length = std::fs::metadata(blobs.join(name)).unwrap().len();
        assert_eq!(layer["size"], length);
    }
    assert_eq!(layers.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_laid_out_says_so() {
    let unknown = Claim::new("{{ messages }}");
    assert_eq!(unknown.lay_out("Ollama").await, Some(3));
    let no_store = Claim::new("");
    assert_eq!(no_store.lay_out("LlamaCpp").await, Some(3));
    // The file is not the one that was pulled.
    let altered = Claim::new("<|im_start|> <|im_end|>");
    std::fs::write(altered.path("model.gguf"), "GGUF").unwrap();
    assert_eq!(altered.lay_out("Ollama").await, Some(1));
    let unfinished = Claim::new("<|im_start|> <|im_end|>");
    std::fs::remove_file(unfinished.path("sealroom.json")).unwrap();
    assert_eq!(unfinished.lay_out("Ollama").await, Some(1));
}
