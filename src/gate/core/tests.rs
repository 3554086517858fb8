use std::time::Duration;

use super::*;
use crate::seal::session::Session;
use crate::seal::state::{Config, OwnNode, WhenStale};

fn core() -> Core {
    let config = Config {
        when_stale: WhenStale::Serve,
        grace: Duration::ZERO,
        own_node: OwnNode::Report,
    };
    Core::new(Machine::new(config, "pod", Session::random()))
}

fn drain(core: &Core) -> Drain {
    core.watch().borrow().drain
}

#[test]
fn a_drain_that_is_over_moves_no_other_one() {
    let core = core();
    let first = core.drain(DrainFor::Runtime).unwrap();
    assert!(core.advance(first, Drain::Refusing));
    core.disconnected();
    assert!(!core.advance(first, Drain::Emptying));
    assert_eq!(drain(&core), Drain::No);

    let second = core.drain(DrainFor::Runtime).unwrap();
    assert!(!core.advance(first, Drain::Done));
    assert_eq!(drain(&core), Drain::LameDuck);
    assert!(core.advance(second, Drain::Done));
    assert!(core.advance(second, Drain::Refusing));
    assert_eq!(drain(&core), Drain::Done, "never back");
}

#[test]
fn the_pods_end_outlives_its_launch() {
    let core = core();
    let number = core.drain(DrainFor::Runtime).unwrap();
    assert_eq!(core.drain(DrainFor::Pod), None, "it goes on");
    core.disconnected();
    assert!(core.advance(number, Drain::Done));
    assert_eq!(drain(&core), Drain::Done);
}

#[test]
fn what_has_entered_is_not_ended_with_the_rest() {
    let core = Arc::new(core());
    let number = core.drain(DrainFor::Pod).unwrap();
    assert!(core.advance(number, Drain::Refusing));
    let mut extensions = Extensions::new();
    extensions.insert(Unwarned);
    let entered = core.enter(&extensions).unwrap();
    assert!(!core.end_drain(number));
    assert_eq!(drain(&core), Drain::Refusing);
    drop(entered);
    assert!(core.end_drain(number));
    assert_eq!(drain(&core), Drain::Done);
    assert!(core.enter(&extensions).is_none());
}
