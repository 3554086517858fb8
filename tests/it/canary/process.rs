//! The subcommand as a process.

use std::net::Ipv6Addr;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::ports::free_port;

fn command() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sealroom"));
    command
        .arg("canary")
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Ends the process when the test fails before it does.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn it_serves_until_it_is_told_to_stop() {
    let free = || SocketAddr::from((Ipv6Addr::LOCALHOST, free_port().port()));
    let (listen, control) = (free(), free());
    let pem = SigningKey::generate().verifying_key().to_pem().unwrap();
    let child = command()
        .args(["--listen", &listen.to_string()])
        .args(["--control", &control.to_string()])
        .env("SEALROOM_VERIFY_KEYS", pem)
        .env("POD_UID", UID)
        .spawn()
        .unwrap();
    let mut child = Ending(child);
    let url = format!("http://{control}/seen");
    let client = http();
    let mut answer = None;
    for _ in 0..100 {
        match client.get(&url).send().await {
            Ok(response) => {
                answer = Some(response.json::<SeenReport>().await.unwrap());
                break;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    assert_eq!(answer.unwrap().canary_uid, UID);
    let pid = i32::try_from(child.0.id()).unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn without_keys_it_does_not_start() {
    let status = command().env("POD_UID", UID).status().unwrap();
    assert_eq!(status.code(), Some(2));
    let no_key = command()
        .env("POD_UID", UID)
        .env("SEALROOM_VERIFY_KEYS", "-----BEGIN NOTHING-----")
        .status()
        .unwrap();
    assert_eq!(no_key.code(), Some(2));
}
