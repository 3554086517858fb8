//! The operator's HTTP side against a peer that answers as it was told to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use rstest::rstest;
use sealroom::driver::edge::{Edge, EdgeError};
use sealroom::driver::sequence::{Sequence, SequenceError, unix_millis};
use sealroom::seal::check::new_nonce;
use sealroom::seal::session::Session;
use sealroom::seal::sign::{CHALLENGE, CONTROL, SigningKey, TrustedKeys};
use sealroom::seal::wire::{
    Challenge, Closure, ControlOrder, ControlReport, Envelope, Opening, Report, State, TokenKeys,
    VERSION,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// One answer: how long it takes, its status, its body.
type Said = (Duration, u16, String);

struct Script {
    keys: TrustedKeys,
    /// The last one is repeated.
    answers: Mutex<VecDeque<Said>>,
    challenges: Mutex<Vec<Challenge>>,
    orders: Mutex<Vec<ControlOrder>>,
}

struct Peer {
    addr: SocketAddr,
    edge: Edge,
    script: Arc<Script>,
    sequence: Sequence,
}

fn at_once(status: u16, body: impl ToString) -> Said {
    (Duration::ZERO, status, body.to_string())
}

fn conflict(session: Session, last: u64) -> Said {
    at_once(409, json!({ "session": session, "last": last }))
}

fn report(session: Session) -> Said {
    let report = Report {
        v: VERSION,
        sealed: true,
        pod_uid: "p".to_owned(),
        session,
        checked_at: String::new(),
        state: State::Proven,
        opening: None,
        closure: "equal".to_owned(),
        locks: Vec::new(),
        nonce: String::new(),
        runtime_ran: false,
        runtime_fault: None,
        keys_missing: false,
        certificate_missing: false,
        mcp: None,
        token_keys: TokenKeys::Good,
        models_lack: Vec::new(),
        targets: Vec::new(),
    };
    at_once(200, serde_json::to_string(&report).unwrap())
}

fn control_report() -> Said {
    let report = ControlReport {
        v: VERSION,
        canary_uid: "c".to_owned(),
        gates: Vec::new(),
        targets: Vec::new(),
    };
    at_once(200, serde_json::to_string(&report).unwrap())
}

impl Script {
    async fn answer(&self) -> (StatusCode, String) {
        let (wait, status, body) = {
            let mut answers = self.answers.lock().unwrap();
            let repeat = answers.len() == 1;
            let said = answers.pop_front().unwrap();
            if repeat {
                answers.push_back(said.clone());
            }
            said
        };
        tokio::time::sleep(wait).await;
        (StatusCode::from_u16(status).unwrap(), body)
    }
}

async fn challenged(
    Shared(script): Shared<Arc<Script>>,
    Json(envelope): Json<Envelope>,
) -> (StatusCode, String) {
    let challenge = script.keys.open(CHALLENGE, &envelope).unwrap();
    script.challenges.lock().unwrap().push(challenge);
    script.answer().await
}

async fn ordered(
    Shared(script): Shared<Arc<Script>>,
    Json(envelope): Json<Envelope>,
) -> (StatusCode, String) {
    let order = script.keys.open(CONTROL, &envelope).unwrap();
    script.orders.lock().unwrap().push(order);
    script.answer().await
}

impl Peer {
    async fn says(answers: impl IntoIterator<Item = Said>) -> Self {
        let key = SigningKey::generate();
        let pem = key.verifying_key().to_pem().unwrap();
        let script = Arc::new(Script {
            keys: TrustedKeys::from_pems(&[pem]).unwrap(),
            answers: Mutex::new(answers.into_iter().collect()),
            challenges: Mutex::default(),
            orders: Mutex::default(),
        });
        let routes = Router::new()
            .route("/challenge", post(challenged))
            .route("/control", post(ordered))
            .with_state(Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            addr,
            edge: Edge::new(key).unwrap(),
            script,
            sequence: Sequence::default(),
        }
    }

    fn new_challenge(&self, session: Option<Session>) -> Challenge {
        Challenge {
            v: VERSION,
            pod_uid: "p".to_owned(),
            nonce: new_nonce(),
            session,
            seq: self.sequence.next(unix_millis()),
            validity_ms: 90_000,
            closure: Closure::Equal,
            open: None,
            targets: Vec::new(),
        }
    }

    async fn challenge(&self, challenge: &Challenge) -> Result<Report, EdgeError> {
        self.edge
            .challenge(self.addr, challenge, &self.sequence, false)
            .await
    }

    async fn control(&self) -> Result<ControlReport, EdgeError> {
        let order = ControlOrder {
            v: VERSION,
            seq: self.sequence.next(unix_millis()),
            canary_uid: "c".to_owned(),
            gates: Vec::new(),
            targets: Vec::new(),
        };
        self.edge.control(self.addr, &order, &self.sequence).await
    }

    fn challenges(&self) -> Vec<Challenge> {
        self.script.challenges.lock().unwrap().clone()
    }

    fn control_seqs(&self) -> Vec<u64> {
        let orders = self.script.orders.lock().unwrap();
        orders.iter().map(|order| order.seq).collect()
    }
}

#[tokio::test]
async fn a_gate_that_takes_it_is_asked_once() {
    let session = Session::random();
    let peer = Peer::says([report(session)]).await;
    let challenge = peer.new_challenge(Some(session));
    let report = peer.challenge(&challenge).await.unwrap();
    assert_eq!(report.session, session);
    assert_eq!(peer.challenges(), [challenge]);
}

#[tokio::test]
async fn a_gate_in_another_session_gets_the_same_challenge_for_that() {
    let session = Session::random();
    for known in [None, Some(Session::random())] {
        let peer = Peer::says([conflict(session, 0), report(session)]).await;
        let challenge = peer.new_challenge(known);
        peer.challenge(&challenge).await.unwrap();
        let again = Challenge {
            session: Some(session),
            ..challenge.clone()
        };
        assert_eq!(peer.challenges(), [challenge, again]);
    }
}

#[tokio::test]
async fn a_gate_that_a_faster_clock_has_led_gets_the_same_challenge_with_a_higher_number() {
    let session = Session::random();
    let last = unix_millis() + HOUR;
    let peer = Peer::says([conflict(session, last), report(session)]).await;
    let challenge = peer.new_challenge(Some(session));
    peer.challenge(&challenge).await.unwrap();
    let again = Challenge {
        seq: last + 1,
        ..challenge.clone()
    };
    assert_eq!(peer.challenges(), [challenge, again]);
    assert_eq!(peer.new_challenge(None).seq, last + 2, "known from then on");
}

#[tokio::test]
async fn a_peer_that_refuses_for_ever_is_asked_twice() {
    let session = Session::random();
    let far = unix_millis() + HOUR;
    let answers = [
        conflict(session, far),
        conflict(Session::random(), far + HOUR),
    ];
    let peer = Peer::says(answers).await;
    let error = peer.challenge(&peer.new_challenge(None)).await.unwrap_err();
    assert!(
        matches!(error, EdgeError::Status { status: 409, .. }),
        "{error}"
    );
    assert_eq!(peer.challenges().len(), 2);
    let error = peer.control().await.unwrap_err();
    assert!(
        matches!(error, EdgeError::Status { status: 409, .. }),
        "{error}"
    );
    assert_eq!(peer.control_seqs().len(), 2);
}

#[tokio::test]
async fn a_refusal_without_a_reason_is_not_followed() {
    let session = Session::random();
    let peer = Peer::says([conflict(session, 1)]).await;
    let challenge = peer.new_challenge(Some(session));
    let error = peer.challenge(&challenge).await.unwrap_err();
    assert!(
        matches!(error, EdgeError::Status { status: 409, .. }),
        "{error}"
    );
    assert_eq!(peer.challenges().len(), 1);
    peer.control().await.unwrap_err();
    assert_eq!(peer.control_seqs().len(), 1);
}

#[rstest]
#[case::nothing("")]
#[case::no_json("<html>")]
#[case::no_field("{}")]
#[case::no_text(r#"{"session":1,"last":null}"#)]
#[case::no_session(r#"{"session":"../../../etc/passwd","last":"1"}"#)]
#[case::negative(r#"{"session":"0123456789abcdef0123456789abcdef","last":-1}"#)]
#[case::fraction(r#"{"session":"0123456789abcdef0123456789abcdef","last":1e3}"#)]
#[case::too_large(r#"{"session":"0123456789abcdef0123456789abcdef","last":18446744073709551616}"#)]
#[case::too_long(&format!(r#"{{"session":"{}","last":"1{}"}}"#, "0".repeat(32), " ".repeat(1 << 20)))]
#[tokio::test]
async fn nonsense_is_an_error_and_brings_no_second_request(#[case] body: &str) {
    let peer = Peer::says([at_once(409, body)]).await;
    let error = peer.challenge(&peer.new_challenge(None)).await.unwrap_err();
    assert!(matches!(error, EdgeError::Answer { .. }), "{error}");
    assert_eq!(peer.challenges().len(), 1);
    let error = peer.control().await.unwrap_err();
    assert!(matches!(error, EdgeError::Answer { .. }), "{error}");
    assert_eq!(peer.control_seqs().len(), 1);
}

/// Valid, and longer than any 409 has to be.
#[tokio::test]
async fn an_endless_refusal_is_not_read() {
    let long = json!({ "session": Session::random(), "last": 0, "x": "x".repeat(4096) });
    let peer = Peer::says([at_once(409, long)]).await;
    let error = peer.challenge(&peer.new_challenge(None)).await.unwrap_err();
    assert!(matches!(error, EdgeError::Answer { .. }), "{error}");
}

#[tokio::test]
async fn a_number_out_of_reach_is_an_error_and_moves_nothing() {
    for last in [unix_millis() + DAY + HOUR, u64::MAX - 1, u64::MAX] {
        let session = Session::random();
        let peer = Peer::says([conflict(session, last)]).await;
        let mut challenge = peer.new_challenge(Some(session));
        let mut errors = vec![peer.challenge(&challenge).await.unwrap_err()];
        challenge.open = Some(order());
        errors.push(peer.challenge(&challenge).await.unwrap_err());
        errors.push(peer.control().await.unwrap_err());
        for error in errors {
            let why = match &error {
                EdgeError::Sequence { why, .. } => *why,
                other => panic!("{last}: {other}"),
            };
            assert_eq!(why, SequenceError::Ahead);
        }
        assert_eq!((peer.challenges().len(), peer.control_seqs().len()), (2, 1));
        assert!(peer.sequence.next(0) < challenge.seq + HOUR);
    }
}

fn order() -> Opening {
    Opening {
        reason: "EgressOpen".to_owned(),
        detail: "a canary saw it".to_owned(),
    }
}

#[tokio::test]
async fn a_challenge_does_not_get_past_a_newer_one_unless_it_orders_an_opening() {
    let session = Session::random();
    let peer = Peer::says([conflict(session, 0), report(session)]).await;
    let mut older = peer.new_challenge(None);
    let newer = peer.new_challenge(None);
    let error = peer.challenge(&older).await.unwrap_err();
    let overtaken = matches!(
        &error,
        EdgeError::Sequence {
            why: SequenceError::Overtaken,
            ..
        }
    );
    assert!(overtaken, "{error}");
    assert_eq!(peer.challenges().len(), 1);

    let last = newer.seq;
    *peer.script.answers.lock().unwrap() = [conflict(session, last), report(session)].into();
    older.open = Some(order());
    peer.challenge(&older).await.unwrap();
    assert!(peer.challenges()[2].seq > last);
}

#[tokio::test]
async fn a_canary_that_a_faster_clock_has_led_gets_the_same_order_with_a_higher_number() {
    let last = unix_millis() + HOUR;
    // As a canary words it.
    let body: Value = json!({ "error": "failed to obey", "last": last });
    let peer = Peer::says([at_once(409, body), control_report()]).await;
    peer.control().await.unwrap();
    peer.control().await.unwrap();
    assert_eq!(peer.control_seqs()[1..], [last + 1, last + 2]);
}

#[tokio::test]
async fn a_second_try_takes_no_more_time_than_one() {
    let slow = (
        Duration::from_secs(2),
        409,
        json!({ "last": unix_millis() + HOUR }).to_string(),
    );
    let peer = Peer::says([slow, (Duration::from_secs(60), 200, String::new())]).await;
    let begun = Instant::now();
    let error = peer.control().await.unwrap_err();
    assert!(matches!(error, EdgeError::Http { .. }), "{error}");
    assert!(
        begun.elapsed() < Duration::from_millis(4_500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(peer.control_seqs().len(), 2);
}
