//! An engine that says it is healthy, and from its third answer on gives errors, half answers or none: its clients, the
//! report and the kubelet are told, and it serves again once it tells the truth.

use std::time::{Duration, Instant};

use sealroom::seal::lease::Runtime;
use sealroom::seal::wire::RuntimeFault;
use tokio::time::sleep;

use super::bed::{Answer, Gate, PATIENCE, post, posted};
use super::engine::{Engine, Lie};
use super::seal::serving;

const PATH: &str = "/v1/completions";
const BODY: &str = r#"{"prompt":"x"}"#;
/// Nobody has to be patient.
const SOON: [&str; 6] = [
    "--in-vain-seconds",
    "1",
    "--question-seconds",
    "1",
    "--wrong-seconds",
    "1",
];

async fn ask(gate: &Gate) -> Answer {
    post(gate.api, PATH, BODY, "").await
}

async fn answers(gate: &Gate, times: usize) {
    for _ in 0..times {
        let answer = ask(gate).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

async fn until_asked(engine: &Engine, times: usize) {
    let begun = Instant::now();
    while engine.warm_ups() < times {
        assert!(begun.elapsed() < PATIENCE, "{}", engine.warm_ups());
        sleep(Duration::from_millis(20)).await;
    }
}

/// It is out of service, and everybody knows why.
async fn convicted(gate: &Gate) {
    let wrong = (503, "NotReady: the engine is answering wrongly".to_owned());
    let begun = Instant::now();
    loop {
        let told = gate.admin_status("/readyz").await;
        if told == wrong {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{told:?}");
        sleep(Duration::from_millis(20)).await;
    }
    let answer = ask(gate).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("NotReady"), "{answer:?}");
    assert!(answer.body.contains("no right answers"), "{answer:?}");
    let report = gate.sealz().await;
    assert!(report.sealed);
    assert_eq!(report.runtime_fault, Some(RuntimeFault::Answers));
}

/// It serves again, and what was wrong is not forgotten at once.
async fn serves_again(gate: &Gate) {
    gate.until("/readyz", 200).await;
    answers(gate, 1).await;
    assert_eq!(gate.admin_status("/runtimez").await.0, 200);
    let fault = gate.sealz().await.runtime_fault;
    assert_eq!(fault, Some(RuntimeFault::Answers));
}

#[rstest::rstest]
#[case::errors(
    500,
    r#"{"error":{"message":"/models/x is gone"}}"#,
    502,
    "engine_error"
)]
#[case::an_error_that_says_it_is_fine(
    200,
    r#"{"error":{"message":"/models/x is gone"}}"#,
    502,
    "engine_error"
)]
#[case::half_an_answer(200, r#"{"choices":[{"text":"Par"#, 502, "engine_error")]
#[case::busy_for_ever(503, "{}", 503, "engine_busy")]
#[tokio::test]
async fn an_engine_that_begins_to_lie_is_found_and_serves_again(
    #[case] status: u16,
    #[case] body: &'static str,
    #[case] expected: u16,
    #[case] code: &str,
) {
    let (gate, engine, _launch) = serving(&[]).await;
    answers(&gate, 2).await;
    engine.lies(Some(Lie::Says(status, body)));
    for _ in 0..5 {
        let answer = ask(&gate).await;
        assert_eq!(answer.status, expected, "{answer:?}");
        assert!(answer.body.contains(code), "{answer:?}");
        assert!(!answer.body.contains("/models"), "{answer:?}");
    }
    convicted(&gate).await;
    // It has a minute to mend itself before the kubelet starts it again.
    assert_eq!(gate.admin_status("/runtimez").await.0, 200);
    engine.lies(None);
    serves_again(&gate).await;
}

#[tokio::test]
async fn an_engine_that_stops_in_its_answers_is_found_and_serves_again() {
    let flags = [&SOON[..], &["--answer-seconds", "1"]].concat();
    let (mut gate, engine, _launch) = serving(&flags).await;
    answers(&gate, 2).await;
    engine.lies(Some(Lie::Half(r#"{"choices":["#)));
    for _ in 0..3 {
        let answer = ask(&gate).await;
        assert_eq!(answer.status, 504, "{answer:?}");
        assert!(answer.body.contains("engine_timeout"), "{answer:?}");
    }
    convicted(&gate).await;
    let outcomes = ["ok", "ok", "timeout", "timeout", "timeout", "refused"];
    for outcome in outcomes {
        assert_eq!(gate.audit_line().await["outcome"], outcome);
    }
    engine.lies(None);
    serves_again(&gate).await;
}

/// As Ollama does whose runner hangs. Its clients give up before the gate does.
#[tokio::test]
async fn an_engine_that_hangs_behind_a_healthy_front_is_started_again() {
    let (gate, engine, mut launch) = serving(&SOON).await;
    answers(&gate, 2).await;
    engine.lies(Some(Lie::Silence));
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(posted(gate.api, PATH, BODY).await);
    }
    sleep(Duration::from_millis(1_500)).await;
    drop(clients);
    convicted(&gate).await;
    gate.until("/runtimez", 503).await;
    let told = gate.admin_status("/runtimez").await.1;
    assert_eq!(told, "the engine answers wrongly");

    // The next one answers.
    engine.lies(None);
    launch.say(&Runtime::Waiting).await;
    launch.run_engine().await;
    serves_again(&gate).await;
}

/// The next start would do the same.
#[tokio::test]
async fn an_engine_that_lies_from_its_start_on_is_told_of_and_left_alone() {
    let (gate, engine, mut launch) = serving(&["--wrong-seconds", "1"]).await;
    engine.lies(Some(Lie::Says(500, "{}")));
    launch.say(&Runtime::Waiting).await;
    launch.run_engine().await;
    // One in the life before, and three in this one.
    until_asked(&engine, 4).await;
    convicted(&gate).await;
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(gate.admin_status("/runtimez").await.0, 200);
    engine.lies(None);
    serves_again(&gate).await;
}

#[tokio::test]
async fn some_bad_answers_say_nothing_of_the_engine() {
    let (gate, engine, _launch) = serving(&SOON).await;
    for _ in 0..3 {
        for _ in 0..4 {
            engine.answer(500, "{}");
            assert_eq!(ask(&gate).await.status, 502);
        }
        answers(&gate, 1).await;
    }
    // What a client did wrong is no good answer and no bad one.
    for _ in 0..6 {
        engine.answer(400, "{}");
        assert_eq!(ask(&gate).await.status, 400);
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(engine.warm_ups(), 1, "nothing to ask for");
    // Five are a doubt, which the engine dispels.
    for _ in 0..5 {
        engine.answer(500, "{}");
        assert_eq!(ask(&gate).await.status, 502);
    }
    until_asked(&engine, 2).await;
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(engine.warm_ups(), 2, "once");
    assert_eq!(gate.admin_status("/readyz").await.0, 200);
    assert_eq!(gate.sealz().await.runtime_fault, None);
}
