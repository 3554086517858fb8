//! Which challenges are obeyed, whatever they say.

use super::*;

#[test]
fn a_challenge_is_obeyed_once_by_one_pod() {
    let mut gate = fresh();
    let first = challenge(10);
    gate.machine.begin(first.clone(), gate.now).unwrap();
    let mut refuse = |challenge: Challenge| gate.machine.begin(challenge, gate.now).unwrap_err();
    let sequence = |seq| Refused::Sequence { seq, last: 10 };
    assert_eq!(refuse(first.clone()), sequence(10));
    assert_eq!(refuse(challenge(9)), sequence(9));
    assert_eq!(refuse(Challenge { seq: 11, ..first }), Refused::Nonce);
    let other = Challenge {
        pod_uid: "other".to_owned(),
        ..challenge(11)
    };
    assert_eq!(refuse(other), Refused::OtherPod);
    for session in [None, Some(Session::random())] {
        let other = Challenge {
            session,
            ..challenge(11)
        };
        assert_eq!(refuse(other), Refused::Session);
    }
    let version = Challenge {
        v: 9,
        ..challenge(11)
    };
    assert_eq!(refuse(version), Refused::Malformed(Malformed::Version(9)));
    let conflict = gate.machine.conflict();
    assert_eq!((conflict.session, conflict.last), (session(), 10));
    assert!(gate.machine.begin(challenge(11), gate.now).is_ok());
}

#[test]
fn nothing_of_an_earlier_session_is_obeyed() {
    type Change = fn(&mut Challenge);
    let sound: Change = |_| {};
    let open: Change = |c| c.open = Some(order());
    let wide: Change = |c| c.closure = widened(1).closure;
    for change in [sound, open, wide] {
        // It has been proven since its restart, or has heard nothing yet.
        for proven in [true, false] {
            let mut gate = fresh();
            let config = gate.machine.config;
            gate.machine = Machine::new(config, POD, Session::random());
            let earlier = |seq| {
                let mut earlier = challenge(seq);
                change(&mut earlier);
                earlier
            };
            if proven {
                gate.prove();
            }
            let before = format!("{:?}", gate.machine);
            for seq in [1, 7, 1_000, u64::MAX] {
                let refused = gate.machine.begin(earlier(seq), gate.now);
                assert_eq!(refused.unwrap_err(), Refused::Session);
            }
            assert_eq!(before, format!("{:?}", gate.machine));
        }
    }
}

#[test]
fn no_number_on_the_wire_overflows_the_clock() {
    let config = Config {
        when_stale: WhenStale::Refuse,
        grace: Duration::MAX,
        own_node: OwnNode::Report,
    };
    let mut machine = Machine::new(config, POD, session());
    let mut now = Instant::now();
    for seq in (u64::MAX - 5)..=u64::MAX {
        let order = Challenge {
            validity_ms: u64::MAX,
            ..challenge(seq)
        };
        let round = machine.begin(order, now).unwrap();
        machine.finish(round, &[SILENT, SILENT, SILENT], now);
        now += ms(1_000);
    }
    assert_eq!(machine.state(now), State::Proven);
    assert_eq!(machine.state(now + MAX_VALIDITY), State::Stale);
    assert!(!machine.serves(now + MAX_VALIDITY * 2));
}
