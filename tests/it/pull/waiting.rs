//! `--wait`: what somebody must mend ends nothing, and is not hammered on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sealroom::pull::{Phase, Progress, Reason};

use super::registry::{Content, Reply, Server};
use super::{Place, config, pull_with, sample};

fn login(path: &Path, server: &Server, text: &str) {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(text);
    let json = serde_json::json!({"auths": {server.authority(): {"auth": auth}}});
    std::fs::write(path, json.to_string()).unwrap();
}

fn until(progress: &Progress, reason: Reason) -> String {
    for _ in 0..500 {
        let report = progress.report();
        if let Some(waiting) = report
            .waiting_for
            .filter(|waiting| waiting.reason == reason)
        {
            assert_eq!(report.phase, Phase::Waiting);
            return waiting.message;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it never waits for {reason:?}: {:?}", progress.report());
}

#[test]
fn goes_on_when_secret_password_and_ca_are_mended() {
    let server = Server::start(Content::model(), |content, request| {
        match request.authorization.as_deref() {
            Some("Basic dTpwOnc=") => content.honest(request),
            _ => Reply::status(401).with("www-authenticate", "Basic realm=\"r\""),
        }
    });
    let place = Place::new();
    let secret = place.file("secret.json");
    let mut config = config(&server, &place.dir());
    let ca = config.ca.clone().unwrap();
    std::fs::write(&ca, Server::honest(Content::model()).ca).unwrap();
    config.wait = true;
    config.auth_files = vec![secret.clone()];
    let progress = Arc::new(Progress::default());
    let pull = std::thread::spawn({
        let progress = progress.clone();
        move || pull_with(&config, &progress)
    });

    let message = until(&progress, Reason::SecretMissing);
    assert!(message.contains("secret.json"), "{message}");
    login(&secret, &server, "u:no");
    until(&progress, Reason::UnknownCA);
    assert!(server.requests().is_empty());
    std::fs::write(&ca, &server.ca).unwrap();
    until(&progress, Reason::Unauthorized);
    let tries = server.requests().len();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        server.requests().len(),
        tries,
        "nothing changed, so nothing is tried"
    );
    login(&secret, &server, "u:p:w");

    pull.join().unwrap().unwrap();
    assert_eq!(place.model(), Some(sample::gguf()));
    let report = progress.report();
    assert_eq!(
        (report.phase, report.bytes),
        (Phase::Verified, report.total)
    );
    assert_eq!(report.total, sample::gguf().len() as u64);
}

/// One that refuses too, after a while: nothing here changes when its rights are mended there.
#[rstest::rstest]
#[case::silent(503, Reason::Unreachable, Duration::from_secs(600))]
#[case::refusing(403, Reason::Unauthorized, Duration::from_millis(200))]
fn a_registry_that_is_mended_is_asked_again_by_itself(
    #[case] status: u16,
    #[case] reason: Reason,
    #[case] again: Duration,
) {
    use std::sync::atomic::{AtomicBool, Ordering};
    let up = Arc::new(AtomicBool::new(false));
    let server = Server::start(Content::model(), {
        let up = up.clone();
        move |content, request| match up.load(Ordering::SeqCst) {
            true => content.honest(request),
            false => Reply::status(status),
        }
    });
    let place = Place::new();
    let mut config = config(&server, &place.dir());
    config.wait = true;
    config.timing.again = again;
    let progress = Arc::new(Progress::default());
    let pull = std::thread::spawn({
        let progress = progress.clone();
        move || pull_with(&config, &progress)
    });
    until(&progress, reason);
    up.store(true, Ordering::SeqCst);
    pull.join().unwrap().unwrap();
    assert_eq!(place.model(), Some(sample::gguf()));
}

#[test]
fn what_nobody_can_mend_ends_at_once() {
    let server = Server::honest(Content::of(vec![0; 1_000]));
    let place = Place::new();
    let mut config = config(&server, &place.dir());
    config.wait = true;
    let progress = Arc::new(Progress::default());
    assert_eq!(
        pull_with(&config, &progress).unwrap_err().reason(),
        Reason::NotGGUF
    );
    assert_eq!(progress.report().phase, Phase::Failed);
}
