use rstest::rstest;

use super::*;
use crate::seal::wire::{Control, Opening, Proto, TargetKind};

fn target(name: &str, addr: &str) -> Target {
    Target {
        name: name.to_owned(),
        required: true,
        kind: TargetKind::Dial,
        addr: addr.parse().unwrap(),
        proto: Proto::Tcp,
        control: Control::None,
    }
}

fn challenge() -> Challenge {
    Challenge {
        v: VERSION,
        pod_uid: "uid".to_owned(),
        nonce: new_nonce(),
        session: None,
        seq: 1,
        validity_ms: 90_000,
        closure: Closure::Equal,
        open: None,
        targets: vec![target("apiserver/tcp4", "10.0.0.1:443")],
    }
}

#[test]
fn accepts_what_keeps_the_limits() {
    let mut fits = challenge();
    fits.targets = vec![target(&"n".repeat(MAX_NAME), "[::1]:1"); MAX_TARGETS];
    fits.closure = Closure::Widened {
        detail: "ä".repeat(MAX_DETAIL),
    };
    assert_eq!(fits.check(), Ok(()));
}

#[rstest]
#[case::version(|c: &mut Challenge| c.v = 2, Malformed::Version(2))]
#[case::nonce_short(|c: &mut Challenge| c.nonce = "ab".to_owned(), Malformed::Nonce)]
#[case::nonce_upper(|c: &mut Challenge| c.nonce = "A".repeat(32), Malformed::Nonce)]
#[case::nonce_line(|c: &mut Challenge| c.nonce = format!("{}\n", "a".repeat(31)), Malformed::Nonce)]
#[case::targets(
    |c: &mut Challenge| c.targets = vec![c.targets[0].clone(); MAX_TARGETS + 1],
    Malformed::Targets
)]
#[case::name_empty(|c: &mut Challenge| c.targets[0].name.clear(), Malformed::Name)]
#[case::name_long(|c: &mut Challenge| c.targets[0].name = "n".repeat(MAX_NAME + 1), Malformed::Name)]
#[case::name_control(|c: &mut Challenge| c.targets[0].name = "a\u{1b}b".to_owned(), Malformed::Name)]
#[case::port(|c: &mut Challenge| c.targets[0].addr.set_port(0), Malformed::Address)]
#[case::unspecified(
    |c: &mut Challenge| c.targets[0].addr = "[::]:80".parse().unwrap(),
    Malformed::Address
)]
#[case::closure(
    |c: &mut Challenge| c.closure = Closure::Widened { detail: "d".repeat(MAX_DETAIL + 1) },
    Malformed::Detail
)]
#[case::open(
    |c: &mut Challenge| c.open = Some(Opening {
        reason: "EgressOpen".to_owned(),
        detail: "d".repeat(MAX_DETAIL + 1),
    }),
    Malformed::Detail
)]
fn refuses(#[case] spoil: fn(&mut Challenge), #[case] error: Malformed) {
    let mut spoilt = challenge();
    spoil(&mut spoilt);
    assert_eq!(spoilt.check(), Err(error));
}

#[test]
fn control_orders_have_limits_of_their_own() {
    let order = |gates: usize, targets: usize| ControlOrder {
        v: VERSION,
        seq: 1,
        canary_uid: "c".to_owned(),
        gates: vec!["10.0.0.9:8081".parse().unwrap(); gates],
        targets: vec![target("dns/udp4", "10.0.0.10:53"); targets],
    };
    assert_eq!(order(MAX_GATES, MAX_CONTROL_TARGETS).check(), Ok(()));
    assert_eq!(order(MAX_GATES + 1, 0).check(), Err(Malformed::Gates));
    assert_eq!(
        order(0, MAX_CONTROL_TARGETS + 1).check(),
        Err(Malformed::Targets)
    );
}

#[test]
fn nonces_are_new_each_time() {
    let (one, other) = (new_nonce(), new_nonce());
    assert!(is_nonce(&one) && is_nonce(&other));
    assert_ne!(one, other);
}

#[test]
fn the_nonce_of_a_control_is_one_and_looks_like_no_pods() {
    let (one, other) = (control_nonce(), control_nonce());
    assert!(is_nonce(&one) && is_control(&one));
    assert_ne!(one, other);
    assert!((0..1000).all(|_| !is_control(&new_nonce())));
}
