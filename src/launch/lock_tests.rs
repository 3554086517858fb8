use std::collections::BTreeSet;

use super::super::bpf::Call;
use super::super::filter::{ALWAYS, BY_FAMILY, PAST_LANDLOCK, X32_PTRACE, x32};
use super::*;

const BOTH: [Sockets; 2] = [Sockets::UnixOnly, Sockets::UnixAndStreams];

#[test]
fn the_filter_decides_every_case_as_it_must() {
    for sockets in BOTH {
        check(&program(sockets).unwrap(), sockets).unwrap();
    }
    assert!(cases(Sockets::UnixOnly).len() > 540);
    assert!(cases(Sockets::UnixAndStreams).len() > 1_200);
}

/// Each rule is there for a reason: without it a case fails.
#[rstest::rstest]
#[case::unix_only(Sockets::UnixOnly, 15)]
#[case::streams(Sockets::UnixAndStreams, 23)]
fn a_filter_without_one_of_its_rules_is_noticed(#[case] sockets: Sockets, #[case] rules: usize) {
    let filter = program(sockets).unwrap();
    let past = PAST_LANDLOCK.map(|past| past.number);
    let native = BY_FAMILY.into_iter().chain(ALWAYS).chain(past);
    let numbers: BTreeSet<i64> = native.chain(x32(sockets)).collect();
    let mut noticed = 0;
    for at in 0..filter.len() {
        // A comparison with a system call number becomes one with a number that does not exist.
        let k = i64::from(filter[at].k);
        let is_rule = filter[at].code == 0x15 && numbers.contains(&k);
        // Old kernels alone know the x32 number of ptrace without its bit.
        if !is_rule || k == X32_PTRACE {
            continue;
        }
        let mut broken = filter.clone();
        broken[at].k = 0xffff;
        assert!(
            check(&broken, sockets).is_err(),
            "rule at {at} for {k:#x} is not checked"
        );
        noticed += 1;
    }
    assert_eq!(noticed, rules);
}

/// Every comparison of an argument decides a case, so that none can be left out.
#[test]
fn a_filter_that_compares_another_value_is_noticed() {
    let sockets = Sockets::UnixAndStreams;
    let filter = program(sockets).unwrap();
    let mut noticed = 0;
    for at in 1..filter.len() {
        let masked = filter[at - 1].code == 0x54;
        let loaded = |at: usize| filter[at].code == 0x20 && filter[at].k >= 16;
        if filter[at].code != 0x15 || !(masked || loaded(at - 1)) {
            continue;
        }
        let mut broken = filter.clone();
        broken[at].k ^= 0x0040_0000;
        assert!(check(&broken, sockets).is_err(), "comparison at {at}");
        noticed += 1;
    }
    assert!(noticed >= 15, "{noticed}");
}

#[test]
fn each_filter_is_refused_by_the_other_check() {
    let [unix, streams] = BOTH;
    assert!(check(&program(streams).unwrap(), unix).is_err());
    assert!(check(&program(unix).unwrap(), streams).is_err());
}

#[test]
fn a_filter_without_its_architecture_check_is_noticed() {
    for sockets in BOTH {
        let filter = program(sockets).unwrap();
        assert!(matches!(
            check(&filter[3..].to_vec(), sockets),
            Err(LockError::Decision { .. })
        ));
    }
}

#[test]
fn an_unlocked_process_does_not_pass() {
    // A netlink or INET socket can be made here, or another error than EACCES comes back.
    for sockets in BOTH {
        assert!(matches!(see_refusals(sockets), Err(LockError::Open { .. })));
    }
    let open = Left::of_engine(Sockets::UnixAndStreams, 11_434).ports;
    assert!(matches!(see_ports(&open), Err(LockError::Open { .. })));
    // And the tests have threads, for which Landlock would not hold.
    assert!(matches!(only_thread(), Err(LockError::Threads(_))));
}

#[test]
fn an_interpreter_refuses_programs_that_leave_themselves() {
    let filter = program(Sockets::UnixOnly).unwrap();
    let call = Call {
        number: 0,
        arch: 0xc000_003e,
        args: [0; 6],
    };
    assert_eq!(run(&filter[..1], &call), Err(BpfError::OutOfProgram(1)));
    assert_eq!(run(&[], &call), Err(BpfError::OutOfProgram(0)));
}
