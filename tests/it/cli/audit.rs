//! `sealroom audit` on the log of a gate.

use assert_cmd::Command;

const LOG: &str = r#"{"timestamp":"2026-11-23T10:00:00Z","level":"INFO","message":"listening, not proven"}
{"kind":"audit","time":"2026-11-23T10:00:01Z","id":"1","route":"/v1/completions","status":200,"key":"tools","promptTokens":7,"completionTokens":2,"millis":12,"outcome":"ok"}
{"kind":"audit","time":"2026-11-23T10:00:02Z","id":"2","route":"other","status":404,"key":"tools","millis":0,"outcome":"refused"}
{"kind":"audit","time":"2026-11-23T10:00:03Z","id":"3","route":"/v1/completions","status":401,"key":null,"millis":0,"outcome":"refused"}
{"kind":"audit","time":"2026-11-23T10:00:04Z","id":"4","route":"/v1/completions","status":200,"key":null,"person":"ada","promptTokens":3,"completionTokens":1,"millis":1,"outcome":"ok"}
"#;

pub fn audit(flags: &[&str], log: impl Into<Vec<u8>>) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealroom"));
    let output = command
        .arg("audit")
        .args(flags)
        .write_stdin(log)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

/// The ids of the lines that are printed as they are.
fn ids(flags: &[&str]) -> Vec<String> {
    let (code, out, _) = audit(&[&["--output", "json"], flags].concat(), LOG);
    assert_eq!(code, 0);
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|line: serde_json::Value| line["id"].as_str().unwrap().to_owned())
        .collect()
}

#[rstest::rstest]
#[case::all(&[], &["1", "2", "3", "4"])]
#[case::key(&["--key", "tools"], &["1", "2"])]
#[case::person(&["--person", "ada"], &["4"])]
#[case::class(&["--status", "4xx"], &["2", "3"])]
#[case::both(&["--status", "4xx", "--key", "tools"], &["2"])]
#[case::since(&["--since", "2026-11-23T10:00:02Z"], &["2", "3", "4"])]
#[case::outcome(&["--outcome", "ok"], &["1", "4"])]
fn filters(#[case] flags: &[&str], #[case] expected: &[&str]) {
    assert_eq!(ids(flags), expected);
}

#[test]
fn tokens_per_key_and_month() {
    let (code, out, _) = audit(&["-o", "csv"], LOG);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "month,key,person,requests,prompt_tokens,completion_tokens,untold\n\
         2026-11,,,1,0,0,1\n\
         2026-11,,ada,1,3,1,0\n\
         2026-11,tools,,2,7,2,1\n"
    );
}

#[test]
fn text_is_one_line_a_request() {
    let (code, out, _) = audit(&[], LOG);
    assert_eq!((code, out.lines().count()), (0, 4));
    assert!(out.contains("/v1/completions"), "{out}");
}

#[test]
fn what_cannot_be_read_is_told() {
    let broken = "{\"kind\":\"audit\",\"time\":7}\n";
    let (code, _, said) = audit(&[], broken);
    assert_eq!(code, 1);
    assert!(said.contains("1 audit line"), "{said}");
    // Not UTF-8: what is no audit line is nobody's, one that is counts, and what follows is read.
    let mut log = b"\xff\xfe\n{\"kind\":\"audit\",\"route\":\"\xff\",\"status\":1,\"time\":\"2026-11-23T10:00:01Z\"}\n".to_vec();
    log.extend(LOG.as_bytes());
    let (code, out, said) = audit(&[], log);
    assert_eq!((code, out.lines().count()), (1, 4));
    assert!(said.contains("1 audit line"), "{said}");
    let (code, _, said) = audit(&["/nowhere/at/all"], "");
    assert_eq!(code, 1);
    assert!(said.contains("/nowhere/at/all"), "{said}");
    let (code, _, said) = audit(&["--status", "often"], "");
    assert_eq!(code, 2);
    assert!(said.contains("4xx"), "{said}");
    // A word that no gate writes would select nothing, and say nothing.
    let (code, _, said) = audit(&["--outcome", "failed"], "");
    assert_eq!(code, 2);
    assert!(said.contains("upstreamError"), "{said}");
}

#[test]
fn a_full_disk_is_no_fault_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("gate.log");
    std::fs::write(&log, LOG).unwrap();
    let mut full = std::fs::OpenOptions::new();
    let full = full.write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sealroom"));
    let output = command.arg("audit").arg(&log).stdout(full).output();
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("failed to write"), "{said}");
    assert!(!said.contains("gate.log"), "{said}");
}
