use std::io::ErrorKind;

use rstest::rstest;

use super::Verdict::{Blocked, Reached, Unknown};
use super::*;
use crate::seal::probe::Observation::{
    Answered, Connected, Denied, Error, Refused, Silence, Unreachable,
};
use crate::seal::wire::{Proto, TargetKind};

/// Ten round trips are 1.2 s: longer than the shortest silence, so that both limits show.
const OK: Control = Control::Ok {
    rtt_micros: 120_000,
};

fn target(required: bool, control: Control) -> Target {
    Target {
        name: "t".to_owned(),
        required,
        kind: TargetKind::Dial,
        addr: "10.0.0.1:443".parse().unwrap(),
        proto: Proto::Tcp,
        control,
    }
}

/// Every row of the table, with the verdicts of: required + ok, required + failed, required + none,
/// tripwire + ok, tripwire + failed, tripwire + none.
#[rstest]
#[case(Connected, [Reached, Reached, Reached, Reached, Reached, Reached])]
#[case(Answered, [Reached, Reached, Reached, Reached, Reached, Reached])]
#[case(Silence { waited_ms: 999 }, [Unknown, Unknown, Unknown, Unknown, Unknown, Unknown])]
#[case(Silence { waited_ms: 1000 }, [Unknown, Unknown, Unknown, Unknown, Blocked, Blocked])]
#[case(Silence { waited_ms: 1199 }, [Unknown, Unknown, Unknown, Unknown, Blocked, Blocked])]
#[case(Silence { waited_ms: 1200 }, [Blocked, Unknown, Unknown, Blocked, Blocked, Blocked])]
#[case(Unreachable, [Blocked, Unknown, Unknown, Blocked, Blocked, Blocked])]
#[case(Denied, [Blocked, Unknown, Unknown, Blocked, Blocked, Blocked])]
#[case(Refused, [Blocked, Unknown, Unknown, Blocked, Unknown, Unknown])]
#[case(Error(ErrorKind::AddrNotAvailable), [Unknown; 6])]
fn table(#[case] observation: Observation, #[case] expected: [Verdict; 6]) {
    let columns = [true, false]
        .into_iter()
        .flat_map(|required| [OK, Control::Failed, Control::None].map(|c| target(required, c)));
    let found: Vec<Verdict> = columns
        .map(|target| verdict(&target, &observation).0)
        .collect();
    assert_eq!(found, expected, "{observation}");
}

#[rstest]
#[case::none(Control::None, 1_000)]
#[case::failed(Control::Failed, 1_000)]
#[case::fast(Control::Ok { rtt_micros: 1 }, 1_000)]
#[case::slow(Control::Ok { rtt_micros: 250_000 }, 2_500)]
#[case::capped(Control::Ok { rtt_micros: u32::MAX }, 5_000)]
fn waits(#[case] control: Control, #[case] millis: u64) {
    assert_eq!(required_wait(control), Duration::from_millis(millis));
}

#[test]
fn a_line_of_a_report_says_everything() {
    let mut target = target(true, Control::Failed);
    target.addr = "[2001:db8::1]:53".parse().unwrap();
    let line = report(&target, &Silence { waited_ms: 1003 });
    assert_eq!(line.detail, "silence 1003 ms, control failed");
    assert_eq!(
        (line.family.as_str(), line.control.as_str(), line.verdict),
        ("IPv6", "failed", Unknown)
    );
    assert_eq!(line.addr, "[2001:db8::1]:53");
    assert_eq!(family("[::ffff:10.0.0.1]:53".parse().unwrap()), "IPv4");
}
